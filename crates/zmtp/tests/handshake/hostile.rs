//! Peers that say anything at all.

use chaski_zmtp::exercise;
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn the_seeds_break_no_promise() {
    exercise::handshake_seeds().iter().for_each(|seed| exercise::handshake(seed));
    exercise::traffic_seeds().iter().for_each(|seed| exercise::traffic(seed));
    exercise::words_seeds().iter().for_each(|seed| exercise::words(seed));
}

/// A seed with some of its bytes changed, cut anywhere.
fn mutated(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let seed = prop::sample::select(seeds);
    (seed, edits, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(mut bytes, edits, cut, cuts)| {
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if cuts {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_greeting_or_command_breaks_a_handshake(bytes in mutated(exercise::handshake_seeds())) {
        exercise::handshake(&bytes);
    }

    #[test]
    fn no_bytes_break_a_handshake(bytes in vec(any::<u8>(), 0..300)) {
        exercise::handshake(&bytes);
    }

    #[test]
    fn no_frames_break_the_decoder(bytes in mutated(exercise::traffic_seeds())) {
        exercise::traffic(&bytes);
    }

    #[test]
    fn no_bytes_break_the_decoder(bytes in vec(prop_oneof![0_u8..8, any::<u8>()], 0..2_000)) {
        exercise::traffic(&bytes);
    }

    #[test]
    fn no_word_breaks_its_reader(bytes in mutated(exercise::words_seeds())) {
        exercise::words(&bytes);
    }
}
