//! Record batches: check, records in every codec, lookups.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chaski_batch::exercise::batch(bytes));
