//! Any bytes as an attack on a connection: the body of a fuzz target and of a test that mutates
//! its seeds. It panics where a promise is broken and never otherwise.
//!
//! ```text
//! +------+------------------------------+
//! | kind | program                      |
//! +------+------------------------------+
//!   0     HELLO    \
//!   1     WELCOME   | is changed by the edits of the program:
//!   2     INITIATE  | it passes if it comes out as it was, and else not
//!   3     READY    /
//!   4     MESSAGE, likewise
//!   5     the program is what a peer that has the keys puts in MESSAGEs
//!
//! edit  = where 2, change 1 xor'd     change 0 cuts the command there
//! frame = flags 1, size 1, body
//! ```

use super::boxes::{BoxKey, Nonce};
use super::{CookieKeys, CurveClient, CurveServer, Opener, Sealer, message};
use crate::command::split_name;
use crate::decoder::Decoder;
use crate::encoder::encode_frame;
use crate::error::HandshakeError;
use crate::frame::Flags;
use crate::greeting::Version;
use crate::keys::{KeyPair, SecretKey};
use crate::kind::Kind;
use crate::limits::{Limits, PageSize};
use crate::local::Local;
use crate::mechanism::{Machine, Opener as _, Sealer as _, Step};

/// Carries the attack out.
///
/// # Panics
/// If it goes otherwise than promised.
pub fn attack(bytes: &[u8]) {
    let [kind, program @ ..] = bytes else { return };
    match kind % 6 {
        5 => payloads(program),
        4 => traffic(program),
        place => handshake(usize::from(place), program),
    }
}

/// One attack of each kind, and one that changes nothing.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = (0..5).map(|kind| vec![kind, 0, 120, 1, 0, 7, 128]).collect();
    seeds.push(vec![2]);
    seeds.push(b"\x05\x01\x05topic\x00\x04body\x02\x07\x04PING\x00\x00".to_vec());
    seeds
}

fn handshake(place: usize, program: &[u8]) {
    let mut changed = false;
    let met = meet(|at, command| {
        if at == place {
            changed = edit(command, program);
        }
    });
    assert_eq!(met.is_err(), changed, "{:?}", met.err());
}

/// Client and server talk; each command passes through `wire` with its place, from 0 on.
fn meet(mut wire: impl FnMut(usize, &mut Vec<u8>)) -> Result<(), HandshakeError> {
    let cookies = CookieKeys::new().expect("random bytes");
    let mut client = CurveClient::new(pair(2).public(), pair(1));
    let mut server = CurveServer::new(pair(2), cookies);
    let (dealer, router) = (Local::new(Kind::Dealer), Local::new(Kind::Router));

    let mut frame = Vec::new();
    client.start(&dealer, &mut frame)?;
    for place in 0..4 {
        let head = if frame[0] & 2 == 0 { 2 } else { 9 };
        let mut body = frame.split_off(head);
        wire(place, &mut body);
        let (name, at) = split_name(&body).ok_or(HandshakeError::Malformed("nameless"))?;
        let (machine, local): (&mut dyn Machine, _) =
            if place % 2 == 0 { (&mut server, &router) } else { (&mut client, &dealer) };
        frame.clear();
        let step = machine.command(local, name, &body[at..], &mut frame)?;
        assert_eq!(matches!(step, Step::Done(_)), place >= 2);
    }
    Ok(())
}

fn traffic(program: &[u8]) {
    let (mut sealer, mut opener) = one_way();
    let mut wire = Vec::new();
    sealer.seal(Flags::LAST, &[b"a body of some length"], &mut wire);
    let mut sealed = wire.split_off(2);
    let good = sealed.clone();
    let changed = edit(&mut sealed, program);
    assert_eq!(opener.open(&mut sealed).is_err(), changed);
    if changed {
        let opened = opener.open(&mut good.clone());
        assert!(opened.is_ok(), "a forged frame disturbed the next one");
    }
}

/// The decoder may refuse what is in the boxes, and must not panic.
fn payloads(mut program: &[u8]) {
    let (_, opener) = one_way();
    let limits = Limits { page: PageSize::Small, frames_max: 16, ..Limits::default() };
    let mut decoder = Decoder::new(limits, Version::V3_1, Some(Box::new(opener)));
    let mut number = 2;
    while let [flags, size, rest @ ..] = program {
        let (body, later) = rest.split_at(rest.len().min(usize::from(*size)));
        number += 1;
        decoder.feed(&forged(number, *flags, body));
        while let Ok(Some(_)) = decoder.next() {}
        program = later;
    }
}

/// A frame with a MESSAGE whose payload has any flags.
fn forged(number: u64, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(message::NAME);
    frame.extend_from_slice(&number.to_be_bytes());
    let nonce = Nonce::short(message::FROM_CLIENT, number);
    key().seal_onto(&nonce, &[&[flags], body], &mut frame);
    let mut wire = Vec::new();
    encode_frame(Flags::LAST, &frame, &mut wire);
    wire
}

/// Whether the program changed the command. Later edits may take earlier ones back.
fn edit(command: &mut Vec<u8>, program: &[u8]) -> bool {
    let before = command.clone();
    for edit in program.chunks_exact(3).take(64) {
        if command.is_empty() {
            break;
        }
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % command.len();
        match edit[2] {
            0 => command.truncate(at),
            change => command[at] ^= change,
        }
    }
    *command != before
}

/// The client's sealer and the server's opener.
fn one_way() -> (Sealer, Opener) {
    let sealer = Sealer::new(key(), message::FROM_CLIENT, 3);
    (sealer, Opener::new(key(), message::FROM_CLIENT, 2))
}

fn key() -> BoxKey {
    BoxKey::between(&pair(1).public(), pair(2).secret()).expect("a key of full order")
}

fn pair(seed: u8) -> KeyPair {
    KeyPair::from_secret(SecretKey::from_bytes([seed; 32]))
}
