//! Frames that reach the broker from anyone: the request header, then the body of every API in
//! every version served.

#![no_main]

libfuzzer_sys::fuzz_target!(|frame: &[u8]| {
    // Errors are answers; what must not happen is a panic, a hang or a large allocation.
    let _ = chaski_kafka::decode_any_request(frame);
});
