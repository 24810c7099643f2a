//! Frames behind a handshake, in any steps.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chaski_zmtp::exercise::traffic(bytes));
