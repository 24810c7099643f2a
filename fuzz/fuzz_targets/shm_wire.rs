//! Packets of the socket over which two processes meet: handshake and control messages.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chaski_shm::wire::exercise::packet(bytes));
