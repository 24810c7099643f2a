//! Bodies of commands, metadata, messages to and from an authenticator.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chaski_zmtp::exercise::words(bytes));
