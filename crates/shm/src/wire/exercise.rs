//! Any bytes as any packet: the body of a fuzz target and of the tests that mutate sound packets.
//! It panics where a promise is broken and never otherwise.

use super::*;

/// Reads the bytes as each packet there is. What can be read is written again and read again, and
/// must not change by that.
pub fn packet(bytes: &[u8]) {
    if let Ok(hello) = Hello::decode(bytes) {
        assert_eq!(hello.encode(), bytes);
    }
    if let Ok(control) = Control::decode(bytes) {
        assert_eq!(control.encode(), bytes);
    }
    if let Ok(answer) = Answer::decode(bytes) {
        let again = answer.encode();
        assert!(again.len() <= PACKET_MAX);
        match answer {
            // The text may have lost what no terminal should be shown.
            Answer::Refused(ref refused) => {
                assert!(!refused.text.contains(char::is_control));
            }
            Answer::Welcome(_) | Answer::Survey { .. } => assert_eq!(again, bytes),
        }
    }
}

/// One packet of each type.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let hello = Hello {
        flags: Flags::FENCES,
        capacity: 1 << 16,
        history: 8,
        payload_max: 1 << 20,
        policy: 2,
        resume: Some(Resume { generation: 7, head: 4096 }),
        ..Hello::new(Kind::Subscribe)
    };
    let welcome = Welcome {
        generation: 7,
        flags: Flags::FENCES,
        capacity: 1 << 16,
        slot: 3,
        start: 128,
        payload_max: 1 << 20,
    };
    let refused = Refused::new(Refusal::Version, "1 here, 2 there");
    vec![
        hello.encode(),
        Hello::new(Kind::Call).encode(),
        Answer::Welcome(welcome).encode(),
        Answer::Refused(refused).encode(),
        Answer::Survey { len: 512 }.encode(),
        Control::Segment { number: 1, len: 1 << 16 }.encode(),
        Control::Forget { number: 1 }.encode(),
        Control::Bye { reason: Reason::Slow }.encode(),
    ]
}
