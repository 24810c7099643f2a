//! Packets: there and back, and what is not one.

use proptest::prelude::*;

use super::*;

#[test]
fn a_hello_stands_where_it_is_drawn() {
    let hello = Hello {
        flags: Flags(0x0403_0201),
        capacity: 0x0807_0605,
        history: 0x0c0b_0a09,
        payload_max: 0x3837_3635_3433_3231,
        policy: 0xff,
        resume: Some(Resume { generation: 0x1817_1615_1413_1211, head: 0x2827_2625_2423_2221 }),
        ..Hello::new(Kind::Pull)
    };
    let mut drawn = b"chsk\x01\0\x01\0\x03\xff\x01\0".to_vec();
    drawn.extend([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    drawn.extend(0x31..=0x38);
    drawn.extend(0x11..=0x18);
    drawn.extend(0x21..=0x28);
    assert_eq!(hello.encode(), drawn);
    assert_eq!(Hello::decode(&drawn), Ok(hello));
}

#[test]
fn seeds_are_sound_and_none_is_taken_for_another() {
    for seed in exercise::seeds() {
        exercise::packet(&seed);
        let read = [
            Hello::decode(&seed).is_ok(),
            Answer::decode(&seed).is_ok(),
            Control::decode(&seed).is_ok(),
        ];
        assert_eq!(read.into_iter().filter(|ok| *ok).count(), 1, "{seed:?}");
    }
}

#[test]
fn every_length_but_the_right_one_is_refused() {
    for seed in exercise::seeds() {
        let mut longer = seed.clone();
        longer.push(0);
        for bytes in (0..seed.len()).map(|len| &seed[..len]).chain([&longer[..]]) {
            assert!(Hello::decode(bytes).is_err());
            assert!(Answer::decode(bytes).is_err());
            assert!(Control::decode(bytes).is_err());
        }
    }
}

#[test]
fn another_version_is_named_and_its_refusal_is_read() {
    let mut hello = Hello::new(Kind::Call).encode();
    hello[4] = 9;
    assert_eq!(Hello::decode(&hello), Err(Unreadable::Version { theirs: 9 }));
    // A later version may have made it longer.
    hello.extend([0; 64]);
    assert_eq!(Hello::decode(&hello), Err(Unreadable::Version { theirs: 9 }));

    let refused = Refused::new(Refusal::Version, "9 here, 1 there");
    let mut bytes = Answer::Refused(refused.clone()).encode();
    bytes[4] = 9;
    assert_eq!(Answer::decode(&bytes), Ok(Answer::Refused(refused)));

    let mut survey = Answer::Survey { len: 1 }.encode();
    survey[4] = 9;
    assert_eq!(Answer::decode(&survey), Err(Unreadable::Version { theirs: 9 }));
}

#[test]
fn fields_without_a_meaning_are_zero() {
    let refused = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        assert!(Hello::decode(&bytes).is_err(), "byte {at}");
        assert!(Answer::decode(&bytes).is_err(), "byte {at}");
        assert!(Control::decode(&bytes).is_err(), "byte {at}");
    };
    let hello = Hello::new(Kind::Call).encode();
    (32..48).chain([11]).for_each(|at| refused(&hello, at));
    let forget = Control::Forget { number: 0 }.encode();
    (12..24).for_each(|at| refused(&forget, at));
    let bye = Control::Bye { reason: Reason::Closed }.encode();
    (8..12).chain(16..24).for_each(|at| refused(&bye, at));
}

#[test]
fn a_refusal_is_cut_between_characters_and_shows_no_control_characters() {
    let text = format!("{}{}", "x".repeat(239), "\u{e9}");
    let bytes = Answer::Refused(Refused::new(Refusal::Failed, text)).encode();
    assert!(bytes.len() <= PACKET_MAX);
    let Ok(Answer::Refused(refused)) = Answer::decode(&bytes) else { panic!("it was one") };
    assert_eq!(refused.text, "x".repeat(239));

    let bytes = Answer::Refused(Refused::new(Refusal::Other(99), "a\x1b[2Jb\n")).encode();
    let Ok(Answer::Refused(refused)) = Answer::decode(&bytes) else { panic!("it was one") };
    assert_eq!(refused, Refused::new(Refusal::Other(99), "a [2Jb "));
}

#[test]
fn kinds_and_refusals_have_one_number_each() {
    for code in 0..=u8::MAX {
        match Kind::from_code(code) {
            Some(kind) => assert_eq!(kind.code(), code),
            None => assert!(code == 0 || code > 6),
        }
    }
}

fn any_hello() -> impl Strategy<Value = Hello> {
    let kind = (1u8..=6).prop_map(|code| Kind::from_code(code).unwrap());
    let resume = prop::option::of((any::<u64>(), any::<u64>()));
    (kind, any::<(u32, u32, u32, u8, u64)>(), resume).prop_map(|(kind, numbers, resume)| Hello {
        kind,
        flags: Flags(numbers.0),
        capacity: numbers.1,
        history: numbers.2,
        payload_max: numbers.4,
        policy: numbers.3,
        resume: resume.map(|(generation, head)| Resume { generation, head }),
    })
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let welcome = any::<(u64, u32, u32, u32, u64, u64)>().prop_map(|n| {
        Answer::Welcome(Welcome {
            generation: n.0,
            flags: Flags(n.1),
            capacity: n.2,
            slot: n.3,
            start: n.4,
            payload_max: n.5,
        })
    });
    let refused = (9u16.., "[ -~]{0,240}")
        .prop_map(|(code, text)| Answer::Refused(Refused::new(Refusal::Other(code), text)));
    let survey = any::<u64>().prop_map(|len| Answer::Survey { len });
    prop_oneof![welcome, refused, survey]
}

proptest! {
    #[test]
    fn a_hello_comes_back(hello in any_hello()) {
        prop_assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
    }

    #[test]
    fn an_answer_comes_back(answer in any_answer()) {
        prop_assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
    }

    #[test]
    fn arbitrary_bytes_are_read_or_not_but_do_no_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..300)
    ) {
        exercise::packet(&bytes);
    }

    #[test]
    fn nor_do_sound_packets_with_some_bytes_changed(
        seed in 0usize..8,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        len in 0usize..80,
    ) {
        let mut bytes = exercise::seeds().swap_remove(seed);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        exercise::packet(&bytes);
        bytes.truncate(len);
        exercise::packet(&bytes);
    }
}
