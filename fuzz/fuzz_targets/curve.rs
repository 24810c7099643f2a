//! A CURVE connection under attack: commands changed on the wire, and a hostile peer with keys.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    chaski_zmtp::mechanism::curve::exercise::attack(bytes)
});
