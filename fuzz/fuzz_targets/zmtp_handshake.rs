//! A peer from its first octet on: greeting and handshake with every mechanism.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chaski_zmtp::exercise::handshake(bytes));
