//! What travels after the handshake.

use proptest::prelude::*;

use super::{Peers, alice, bob, opened, opener_of, sealer_of, unhex};
use crate::command::Command;
use crate::decoder::{Decoder, Incoming};
use crate::error::{CipherError, DecodeError};
use crate::frame::Flags;
use crate::greeting::Version;
use crate::limits::{Limits, PageSize};
use crate::mechanism::curve::boxes::{BoxKey, Nonce};
use crate::mechanism::curve::{Opener, Sealer, message};
use crate::mechanism::{Opener as _, Sealer as _};
use crate::message::Message;

/// The client's sealer and the server's opener.
fn one_way() -> (Sealer, Opener) {
    let key = BoxKey::between(&bob().public(), alice().secret()).unwrap();
    let sealer = Sealer::new(key.clone(), message::FROM_CLIENT, 3);
    (sealer, Opener::new(key, message::FROM_CLIENT, 2))
}

/// The body of the frame that seals `text`.
fn sealed(sealer: &mut Sealer, text: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    sealer.seal(Flags::LAST, &[text], &mut wire);
    super::body_of(&wire)
}

#[test]
fn a_message_is_what_libsodium_makes_of_the_same_keys() {
    let mut wire = Vec::new();
    one_way().0.seal(Flags::MORE, &[b"to", b"pic"], &mut wire);
    let expected = "00 26 074d455353414745 0000000000000003
        c86b0bf7e53890791bdb47b8932decb899e788eb7036";
    assert_eq!(wire, unhex(expected));
}

#[test]
fn both_directions_of_a_handshake_open() {
    let (mut client, mut server) = Peers::new().meet(|_, _| ()).unwrap();
    let mut there = (sealer_of(&mut client), opener_of(&mut server));
    let mut back = (sealer_of(&mut server), opener_of(&mut client));
    for (sealer, opener) in [&mut there, &mut back] {
        for flags in [Flags::MORE, Flags::LAST, Flags::COMMAND] {
            let mut wire = Vec::new();
            sealer.seal(flags, &[b"frame"], &mut wire);
            assert_eq!(opened(&mut **opener, &wire[2..]), Ok((flags, b"frame".to_vec())));
        }
    }
}

#[test]
fn a_long_frame_has_a_long_head() {
    let (mut sealer, mut opener) = one_way();
    let body = vec![7; 70_000];
    let mut wire = Vec::new();
    sealer.seal(Flags::LAST, &[&body], &mut wire);
    assert_eq!(wire[0], 2, "LONG, and no other flag");
    assert_eq!(wire.len(), 9 + opener.overhead() + body.len());
    assert_eq!(opened(&mut opener, &wire[9..]), Ok((Flags::LAST, body)));
}

/// omq repeats MORE in the head of the frame, where it means nothing.
#[test]
fn the_head_of_a_sealed_frame_does_not_say_whether_more_follows() {
    let (mut sealer, opener) = one_way();
    let mut wire = Vec::new();
    sealer.seal(Flags::MORE, &[b"topic"], &mut wire);
    wire[0] |= 1;
    let second = wire.len();
    sealer.seal(Flags::LAST, &[b"news"], &mut wire);
    wire[second] |= 1;
    let mut decoder = Decoder::new(Limits::default(), Version::V3_1, Some(Box::new(opener)));
    decoder.room().extend_from_slice(&wire);
    let message: Message = [b"topic".to_vec(), b"news".to_vec()].into_iter().collect();
    assert_eq!(decoder.next(), Ok(Some(Incoming::Message(message))));
}

#[test]
fn every_changed_byte_of_a_message_shows() {
    let (mut sealer, mut opener) = one_way();
    let good = sealed(&mut sealer, b"body");
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(opened(&mut opener, &changed).is_err(), "byte {at}");
    }
    opened(&mut opener, &good).unwrap();
}

#[test]
fn every_cut_message_shows() {
    let (mut sealer, mut opener) = one_way();
    let good = sealed(&mut sealer, b"body");
    for len in 0..good.len() {
        assert!(opened(&mut opener, &good[..len]).is_err(), "{len} bytes");
    }
    assert_eq!(opened(&mut opener, &good[..32]), Err(CipherError::Short(32)));
}

#[test]
fn nonces_grow_and_may_leave_gaps() {
    let (mut sealer, mut opener) = one_way();
    let frames: Vec<_> = (0..4).map(|_| sealed(&mut sealer, b"body")).collect();
    opened(&mut opener, &frames[0]).unwrap();
    assert_eq!(opened(&mut opener, &frames[0]), Err(CipherError::Replay));
    opened(&mut opener, &frames[2]).unwrap();
    assert_eq!(opened(&mut opener, &frames[1]), Err(CipherError::Replay));
    opened(&mut opener, &frames[3]).unwrap();
}

#[test]
fn what_one_side_sends_is_no_message_to_itself() {
    let (mut client, _server) = Peers::new().meet(|_, _| ()).unwrap();
    let (mut sealer, mut opener) = (sealer_of(&mut client), opener_of(&mut client));
    let mut wire = Vec::new();
    sealer.seal(Flags::LAST, &[b"mirror"], &mut wire);
    assert_eq!(opened(&mut *opener, &wire[2..]), Err(CipherError::Forged));
}

#[test]
fn a_frame_in_the_clear_is_refused() {
    let (_, mut opener) = one_way();
    let clear = [b'x'; 100];
    assert_eq!(opened(&mut opener, &clear), Err(CipherError::Clear));
    assert_eq!(opened(&mut opener, b""), Err(CipherError::Clear));
}

#[test]
fn flags_that_do_not_exist_are_refused() {
    let key = BoxKey::between(&bob().public(), alice().secret()).unwrap();
    for octet in 3..=u8::MAX {
        let mut frame = message::NAME.to_vec();
        frame.extend_from_slice(&3_u64.to_be_bytes());
        key.seal_onto(&Nonce::short(message::FROM_CLIENT, 3), &[&[octet], b"body"], &mut frame);
        let refusal = opened(&mut one_way().1, &frame);
        assert_eq!(refusal, Err(CipherError::Flags(octet)));
    }
}

/// A decoder of ZMTP 3.1 that opens what `one_way` seals.
fn decoder(limits: Limits, opener: Opener) -> Decoder {
    Decoder::new(limits, Version::V3_1, Some(Box::new(opener)))
}

#[test]
fn a_decoder_opens_whatever_the_pieces() {
    let bodies = [vec![1; 10], vec![2; 100], vec![3; 1000], vec![4; 20_000], Vec::new()];
    let whole = Message::from_iter(bodies.iter().map(Vec::as_slice));
    for piece in [1, 7, 1000, 4096, 100_000] {
        let (mut sealer, opener) = one_way();
        let mut wire = Vec::new();
        for _ in 0..3 {
            for (at, body) in bodies.iter().enumerate() {
                sealer.seal(Flags::message(at + 1 < bodies.len()), &[body], &mut wire);
            }
            sealer.seal(Flags::COMMAND, &[b"\x04PING\0\0"], &mut wire);
        }
        let limits = Limits { page: PageSize::Small, ..Limits::default() };
        let mut decoder = decoder(limits, opener);
        let mut taken = Vec::new();
        for piece in wire.chunks(piece) {
            decoder.feed(piece);
            while let Some(incoming) = decoder.next().unwrap() {
                taken.push(incoming);
            }
        }
        assert_eq!(taken.len(), 6);
        for pair in taken.chunks(2) {
            assert_eq!(pair[0], Incoming::Message(whole.clone()));
            assert!(matches!(pair[1], Incoming::Command(Command::Ping { .. })));
        }
    }
}

#[test]
fn sealed_frames_dressed_as_commands_do_not_evade_the_limit() {
    let (mut sealer, opener) = one_way();
    let limits = Limits { frames_max: 10, ..Limits::default() };
    let mut decoder = decoder(limits, opener);
    let mut wire = Vec::new();
    for _ in 0..11 {
        let start = wire.len();
        sealer.seal(Flags::MORE, &[b""], &mut wire);
        wire[start] |= 4;
    }
    decoder.feed(&wire);
    assert_eq!(decoder.next(), Err(DecodeError::TooManyFrames(10)));
}

fn flags() -> impl Strategy<Value = Flags> {
    prop_oneof![Just(Flags::LAST), Just(Flags::MORE), Just(Flags::COMMAND)]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..600)
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        frames in prop::collection::vec((flags(), body()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut sealer, mut opener) = one_way();
        for (flags, body) in &frames {
            let (head, tail) = body.split_at(cut.index(body.len() + 1));
            let mut wire = Vec::new();
            sealer.seal(*flags, &[head, tail], &mut wire);
            let sealed = super::body_of(&wire);
            prop_assert_eq!(sealed.len(), body.len() + opener.overhead());
            prop_assert_eq!(opened(&mut opener, &sealed), Ok((*flags, body.clone())));
        }
    }

    #[test]
    fn no_bytes_open_and_none_disturb(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let (mut sealer, mut opener) = one_way();
        let mut forged = message::NAME.to_vec();
        forged.extend_from_slice(&bytes);
        prop_assert!(opened(&mut opener, &bytes).is_err());
        prop_assert!(opened(&mut opener, &forged).is_err());
        prop_assert!(opened(&mut opener, &sealed(&mut sealer, b"good")).is_ok());
    }
}
