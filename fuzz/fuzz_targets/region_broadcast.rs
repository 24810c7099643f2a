//! Broadcasts in shared memory, whose every word another process may have written.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    chaski_ring::region::broadcast::exercise::broadcast(bytes);
});
