//! The decoder over a wire that splits, joins and lies, and what it holds in memory.

use super::*;
use crate::encoder::encode_frame;
use crate::limits::{AHEAD_BYTES_MAX, PageSize};

fn decoder() -> Decoder {
    Decoder::new(Limits::default(), Version::V3_1, None)
}

fn limited(set: impl FnOnce(&mut Limits)) -> Decoder {
    let mut limits = Limits::default();
    set(&mut limits);
    Decoder::new(limits, Version::V3_1, None)
}

fn message<const N: usize>(lens: [usize; N]) -> Message {
    let body = |len: usize| (0..len).map(|at| (at * 7 + len) as u8).collect::<Vec<u8>>();
    lens.into_iter().map(body).collect()
}

fn encode(message: &Message, out: &mut Vec<u8>) {
    for (at, frame) in message.iter().enumerate() {
        encode_frame(Flags::message(at + 1 < message.len()), frame, out);
    }
}

fn wire(messages: &[Message]) -> Vec<u8> {
    let mut out = Vec::new();
    messages.iter().for_each(|message| encode(message, &mut out));
    out
}

/// Reads `bytes` as a socket would that has all of them, and takes all there is.
fn take_all(decoder: &mut Decoder, mut bytes: &[u8]) -> Vec<Message> {
    let mut taken = Vec::new();
    while !bytes.is_empty() {
        let room = decoder.room();
        assert!(room.capacity() > room.len(), "there is always room");
        let count = bytes.len().min(room.capacity() - room.len());
        room.extend_from_slice(&bytes[..count]);
        bytes = &bytes[count..];
        take(decoder, &mut taken);
    }
    taken
}

fn take(decoder: &mut Decoder, taken: &mut Vec<Message>) {
    while let Some(incoming) = decoder.next().unwrap() {
        match incoming {
            Incoming::Message(message) => taken.push(message),
            Incoming::Command(command) => panic!("{command:?}"),
        }
    }
}

/// Of all sizes that are dealt with differently, alone and together.
fn samples() -> Vec<Message> {
    vec![
        message([0]),
        message([38]),
        message([39]),
        message([255]),
        message([256]),
        message([1, 0, 38, 39, 300]),
        message([0, 0, 0, 0, 0, 0]),
        message([500]),
        message([130, 700]),
        message([5]),
    ]
}

#[test]
fn messages_come_whole_wherever_the_wire_splits() {
    let samples = samples();
    let wire = wire(&samples);
    for split in 0..=wire.len() {
        let mut decoder = limited(|limits| limits.page = PageSize::Custom(1024));
        let mut taken = take_all(&mut decoder, &wire[..split]);
        taken.extend(take_all(&mut decoder, &wire[split..]));
        assert_eq!(taken, samples, "split at {split}");
        assert_eq!(decoder.buffered(), 0);
    }
}

#[test]
fn messages_come_whole_in_steps_of_any_size_and_pages_of_any_size() {
    let samples: Vec<Message> = (0..5).flat_map(|_| samples()).collect();
    let wire = wire(&samples);
    for page in [256, 300, 1_000, 8_192, 100_000] {
        for step in [1, 2, 7, 100, 255, 256, 257, 4_000, 10_000] {
            let mut decoder = limited(|limits| limits.page = PageSize::Custom(page));
            let mut taken = Vec::new();
            for bytes in wire.chunks(step) {
                taken.extend(take_all(&mut decoder, bytes));
            }
            assert_eq!(taken, samples, "pages of {page}, steps of {step}");
        }
    }
}

#[test]
fn a_cut_wire_gives_the_messages_before_the_cut_and_waits() {
    let samples = samples();
    let mut ends = Vec::new();
    let mut wire = Vec::new();
    for message in &samples {
        encode(message, &mut wire);
        ends.push(wire.len());
    }
    for cut in 0..=wire.len() {
        let mut decoder = decoder();
        let taken = take_all(&mut decoder, &wire[..cut]);
        let whole = ends.iter().filter(|&&end| end <= cut).count();
        assert_eq!(taken, samples[..whole], "cut at {cut}");
        assert_eq!(decoder.next(), Ok(None));
    }
}

#[test]
fn messages_may_be_left_untaken_while_more_is_read() {
    let samples: Vec<Message> = (0..50).flat_map(|_| samples()).collect();
    let mut decoder = decoder();
    decoder.feed(&wire(&samples));
    let mut taken = Vec::new();
    take(&mut decoder, &mut taken);
    assert_eq!(taken, samples);
}

#[test]
fn commands_come_between_messages_and_between_frames() {
    let mut wire = Vec::new();
    encode_frame(Flags::MORE, b"first", &mut wire);
    encode_frame(Flags::COMMAND, b"\x04PING\0\0", &mut wire);
    encode_frame(Flags::LAST, b"last", &mut wire);
    encode_frame(Flags::COMMAND, b"\x04WHAT", &mut wire);
    for step in 1..wire.len() {
        let mut decoder = decoder();
        let mut taken = Vec::new();
        for bytes in wire.chunks(step) {
            decoder.room().extend_from_slice(bytes);
            while let Some(incoming) = decoder.next().unwrap() {
                taken.push(incoming);
            }
        }
        let ping = Command::Ping { ttl_tenths: 0, context: Bytes::new() };
        let expected = [
            Incoming::Command(ping),
            Incoming::Message(Message::from_iter(["first", "last"])),
            Incoming::Command(Command::Unknown(Bytes::from_static(b"\x04WHAT"))),
        ];
        assert_eq!(taken, expected);
    }
}

#[test]
fn what_breaks_the_rules_is_refused_at_its_octet_and_ever_after() {
    let cases: [(&[u8], DecodeError); 6] = [
        (b"\x08", DecodeError::Flags(8)),
        (b"\x05", DecodeError::Flags(5)),
        (b"\x07", DecodeError::Flags(7)),
        (b"\x02\xff\xff\xff\xff\xff\xff\xff\xff", DecodeError::Length(u64::MAX)),
        (b"\x04\0", DecodeError::Command("nameless")),
        (b"\x04\x06\x04PING\0", DecodeError::Command("PING")),
    ];
    for (bytes, error) in cases {
        let mut decoder = decoder();
        decoder.feed(b"\0\x02ok\x01\x04more");
        decoder.feed(bytes);
        assert_eq!(decoder.next(), Ok(Some(Incoming::Message(Message::from("ok")))));
        assert_eq!(decoder.next(), Err(error));
        decoder.feed(b"\0\x02ok");
        assert_eq!(decoder.next(), Err(error));
    }
}

#[test]
fn a_peer_of_2_0_has_no_commands() {
    let mut decoder = Decoder::new(Limits::default(), Version::V2_0, None);
    decoder.feed(b"\x01\x02id\0\x02ok\x04\0");
    let message = Message::from_iter(["id", "ok"]);
    assert_eq!(decoder.next(), Ok(Some(Incoming::Message(message))));
    assert_eq!(decoder.next(), Err(DecodeError::Flags(4)));
}

#[test]
fn limits_hold_before_the_body_comes() {
    let mut decoder = limited(|limits| limits.frame_bytes_max = Some(10));
    decoder.feed(b"\0\x0a0123456789\0\x0b");
    assert_eq!(decoder.next(), Ok(Some(Incoming::Message(Message::from("0123456789")))));
    assert_eq!(decoder.next(), Err(DecodeError::FrameTooLong { bytes: 11, limit: 10 }));

    let mut decoder = limited(|limits| limits.message_bytes_max = Some(10));
    decoder.feed(b"\x01\x05frame\x01\x05frame\x01\0\0\x01");
    assert_eq!(decoder.next(), Err(DecodeError::MessageTooLong { bytes: 11, limit: 10 }));

    let mut decoder = limited(|limits| limits.frames_max = 2);
    decoder.feed(b"\x01\0\0\0\x01\0\x01\0\x04\x07\x05ERROR\0\0\0");
    assert_eq!(decoder.next(), Ok(Some(Incoming::Message(Message::from_iter(["", ""])))));
    assert_eq!(decoder.next(), Ok(Some(Incoming::Command(Command::Error(Bytes::new())))));
    assert_eq!(decoder.next(), Err(DecodeError::TooManyFrames(2)));
}

#[test]
fn messages_without_end_are_ended() {
    let mut decoder = decoder();
    let frames = b"\x01\0".repeat(1_000);
    let mut fed = 0;
    let error = loop {
        decoder.feed(&frames);
        fed += 1_000;
        match decoder.next() {
            Ok(next) => assert_eq!(next, None),
            Err(error) => break error,
        }
    };
    assert_eq!(error, DecodeError::TooManyFrames(65_536));
    assert!(fed <= 67_000);
}

#[test]
fn an_announced_length_allocates_nothing_that_does_not_come() {
    let mut decoder = limited(|limits| limits.message_bytes_max = None);
    decoder.feed(b"\x02\x7f\xff\xff\xff\xff\xff\xff\xff");
    assert_eq!(decoder.next(), Ok(None));
    assert!(decoder.room().capacity() <= AHEAD_BYTES_MAX);
    let chunk = vec![0; 100_000];
    for come in 1..=100 {
        decoder.feed(&chunk);
        assert_eq!(decoder.next(), Ok(None));
        let bound = 2 * come * chunk.len() + AHEAD_BYTES_MAX;
        assert!(decoder.room().capacity() <= bound);
    }
    assert_eq!(decoder.buffered(), 100 * chunk.len());
}

#[test]
fn a_long_body_is_read_to_where_it_stays() {
    let body = vec![7; 3_000_000];
    let mut wire = Vec::new();
    encode_frame(Flags::LAST, &body, &mut wire);
    let (start, rest) = wire.split_at(100);
    let mut decoder = decoder();
    decoder.feed(start);
    assert_eq!(decoder.next(), Ok(None));
    let mut address = None;
    for bytes in rest.chunks(1_000) {
        let room = decoder.room();
        room.extend_from_slice(bytes);
        address = Some(room.as_ptr());
    }
    let Ok(Some(Incoming::Message(message))) = decoder.next() else { panic!("it is whole") };
    assert_eq!(message[0], body);
    assert_eq!(Some(message[0].as_ptr()), address);
}

#[test]
fn frames_are_slices_of_the_page_they_came_in() {
    let mut decoder = decoder();
    let sample = message([1_000]);
    let wire = wire(&[sample.clone(), sample.clone()]);
    let room = decoder.room();
    room.extend_from_slice(&wire);
    let page = room.as_ptr_range();
    for _ in 0..2 {
        let Ok(Some(Incoming::Message(message))) = decoder.next() else { panic!("two are here") };
        assert!(page.contains(&message[0].as_ptr()));
        assert_eq!(message, sample);
    }
}

#[test]
fn a_frame_in_an_empty_page_does_not_keep_the_page() {
    let mut decoder = limited(|limits| limits.page = PageSize::Large);
    let sample = message([1_000]);
    let room = decoder.room();
    room.extend_from_slice(&wire(std::slice::from_ref(&sample)));
    let page = room.as_ptr_range();
    let Ok(Some(Incoming::Message(message))) = decoder.next() else { panic!("one is here") };
    assert!(!page.contains(&message[0].as_ptr()));
    // The page itself is read into again.
    assert_eq!(decoder.room().as_ptr(), page.start);
}

#[test]
fn pages_that_nobody_holds_are_read_into_again() {
    let mut decoder = limited(|limits| limits.page = PageSize::Custom(8_192));
    let wire = wire(&[message([3_000]), message([3_000])]);
    let mut pages = std::collections::HashSet::new();
    for _ in 0..100 {
        let room = decoder.room();
        pages.insert(room.as_ptr());
        room.extend_from_slice(&wire);
        take(&mut decoder, &mut Vec::new());
    }
    assert!(pages.len() <= 3, "{} pages", pages.len());
}

#[test]
fn kept_messages_keep_their_bytes() {
    let samples: Vec<Message> = (0..200).map(|n| message([100 + n, 40 + n])).collect();
    let mut decoder = limited(|limits| limits.page = PageSize::Custom(1_000));
    let mut kept = Vec::new();
    for bytes in wire(&samples).chunks(777) {
        kept.extend(take_all(&mut decoder, bytes));
    }
    assert_eq!(kept, samples);
}

#[test]
fn pages_grow_while_reads_fill_them_and_shrink_again() {
    let mut decoder = decoder();
    let wire = wire(&vec![message([1_000]); 2_000]);
    take_all(&mut decoder, &wire);
    assert_eq!(decoder.room().capacity(), 64 * 1024);
    for _ in 0..2_000 {
        take_all(&mut decoder, &wire[..1_009]);
    }
    assert_eq!(decoder.room().capacity(), 8 * 1024);
}

#[test]
fn pages_grow_larger_only_for_frames_that_do_not_fit() {
    let mut decoder = decoder();
    take_all(&mut decoder, &wire(&vec![message([64 * 1024]); 20]));
    assert_eq!(decoder.room().capacity(), 256 * 1024);
}

#[test]
fn nothing_is_held_before_the_first_read_and_after_a_rest() {
    let mut decoder = decoder();
    assert_eq!(decoder.pages.held(), 0);
    take_all(&mut decoder, &wire(&vec![message([1_000]); 2_000]));
    assert!(decoder.pages.held() > 0);
    decoder.rest();
    assert_eq!(decoder.pages.held(), 0);
    // A rest in the middle of a frame loses nothing.
    decoder.feed(b"\0\x04he");
    decoder.rest();
    decoder.feed(b"re");
    assert_eq!(decoder.next(), Ok(Some(Incoming::Message(Message::from("here")))));
}
