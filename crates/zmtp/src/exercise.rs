//! Any bytes as the words of a peer: the bodies of fuzz targets and of tests that mutate their
//! seeds. Each panics where a promise is broken and never otherwise.

use std::num::NonZeroUsize;

use bytes::Bytes;

use crate::command::Command;
use crate::decoder::{Decoder, Incoming};
use crate::encoder::{encode_frame, encode_message};
use crate::frame::Flags;
use crate::greeting::Version;
use crate::handshake::{Handshake, Progress};
use crate::keys::{KeyPair, SecretKey};
use crate::kind::Kind;
use crate::limits::{HANDSHAKE_COMMAND_BYTES_MAX, Limits, PageSize};
use crate::local::Local;
use crate::mechanism::Mechanism;
use crate::mechanism::curve::CookieKeys;
use crate::message::Message;
use crate::metadata::Metadata;
use crate::pattern::Outgoing;
use crate::zap;

/// A peer says this from the first octet on. The first byte chooses who hears it, the second in
/// what steps.
///
/// # Panics
///
/// If the handshake takes more than it is given, goes on after an error, or writes or holds more
/// than a handshake needs.
pub fn handshake(bytes: &[u8]) {
    let [listener, step, said @ ..] = bytes else { return };
    let step = NonZeroUsize::new(usize::from(*step)).map_or(said.len().max(1), NonZeroUsize::get);
    let mut handshake = Handshake::new(listeners(*listener));
    let mut written = 0;
    for chunk in said.chunks(step) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let taken = handshake.input(rest);
            written += handshake.output().len();
            handshake.wrote(handshake.output().len());
            let Ok(taken) = taken else {
                assert_eq!(handshake.input(rest), taken, "an error is final");
                assert_eq!(handshake.state(), Progress::More);
                return;
            };
            rest = &rest[taken..];
            match handshake.state() {
                Progress::Authenticate(request) => {
                    let reply = zap::Reply::grant(request, "user");
                    handshake.authenticated(reply).expect("the answer is yes");
                }
                Progress::Done => return done(handshake),
                Progress::More => assert!(rest.is_empty(), "it takes what it can"),
            }
        }
        assert!(handshake.held() as u64 <= HANDSHAKE_COMMAND_BYTES_MAX + 16);
    }
    assert!(written < 10_000, "it says {written} bytes");
}

fn done(handshake: Handshake) {
    let established = handshake.finish().expect("it is done");
    assert!(established.info.identity.len() <= 255);
    assert_ne!(established.info.identity.first(), Some(&0));
}

/// Sockets with every mechanism, some of which ask an authenticator.
fn listeners(choice: u8) -> Local {
    let keys = || KeyPair::from_secret(SecretKey::from_bytes([7; 32]));
    let kind = [Kind::Router, Kind::Rep, Kind::Xpub, Kind::Client][usize::from(choice >> 4 & 3)];
    let mut local = Local::new(kind);
    let password = || b"secret".to_vec();
    local.mechanism = match choice & 7 {
        0 => Mechanism::PlainServer,
        1 => Mechanism::PlainClient { username: b"user".to_vec(), password: password() },
        2 => Mechanism::CurveClient { server: keys().public(), keys: keys() },
        3 => Mechanism::CurveServer {
            keys: keys(),
            cookies: CookieKeys::new().expect("the system has random bytes"),
        },
        _ => Mechanism::Null,
    };
    local.zap = (choice & 8 != 0).then(zap::Origin::default);
    local
}

/// What a listener of [`handshake`] may hear.
#[must_use]
pub fn handshake_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for kind in [Kind::Dealer, Kind::Req, Kind::Sub, Kind::Server] {
        for (mechanism, conversation) in [
            ("NULL", vec!["READY"]),
            ("PLAIN", vec!["HELLO", "INITIATE"]),
            ("PLAIN", vec!["WELCOME", "READY"]),
            ("NULL", vec!["ERROR"]),
        ] {
            let mut said = crate::greeting::ours(mechanism, false).to_vec();
            for name in conversation {
                encode_word(name, kind, &mut said);
            }
            for listener in 0..64 {
                seeds.push([&[listener, 0], &said[..]].concat());
            }
        }
    }
    let two = b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x05\0\x03bob\0\x05hello";
    seeds.push([&[4, 1], &two[..]].concat());
    seeds
}

fn encode_word(name: &str, kind: Kind, out: &mut Vec<u8>) {
    crate::mechanism::encode_command(name, out, |out| match name {
        "HELLO" => out.extend_from_slice(b"\x04user\x06secret"),
        "ERROR" => out.extend_from_slice(b"\x03400"),
        "WELCOME" => {}
        _ => Local::new(kind).encode_metadata(out),
    });
}

/// A peer says this once the handshake is done. The first byte chooses version, size of page and
/// limits, the second the steps.
///
/// # Panics
///
/// If the same bytes in other steps are other messages, or a message breaks a limit, or what is
/// encoded again is decoded to something else.
pub fn traffic(bytes: &[u8]) {
    let [choice, step, said @ ..] = bytes else { return };
    let step = NonZeroUsize::new(usize::from(*step)).map_or(1, NonZeroUsize::get);
    let stepwise = hear(*choice, said.chunks(step));
    let at_once = hear(*choice, [said].into_iter());
    assert_eq!(stepwise, at_once, "in steps and at once");
    for incoming in stepwise.0 {
        let Incoming::Message(message) = incoming else { continue };
        let mut again = Vec::new();
        encode_message(&Outgoing::from(message.clone()), &mut again);
        let mut decoder = Decoder::new(Limits::default(), Version::V3_1, None);
        decoder.feed(&again);
        assert_eq!(decoder.next(), Ok(Some(Incoming::Message(message))));
    }
}

/// Everything that was understood, and whether it ended in an error.
fn hear<'a>(choice: u8, said: impl Iterator<Item = &'a [u8]>) -> (Vec<Incoming>, bool) {
    let version = [Version::V2_0, Version::V3_0, Version::V3_1][usize::from(choice & 3) % 3];
    let limits = Limits {
        page: PageSize::Custom([256, 512, 1024, 65_536][usize::from(choice >> 2 & 3)]),
        frames_max: 100,
        frame_bytes_max: (choice & 16 != 0).then_some(1_000),
        message_bytes_max: Some(100_000),
    };
    let mut decoder = Decoder::new(limits, version, None);
    let mut heard = Vec::new();
    for chunk in said {
        decoder.feed(chunk);
        loop {
            match decoder.next() {
                Ok(Some(Incoming::Message(message))) => {
                    assert!((1..=100).contains(&message.len()));
                    assert!(message.byte_len() <= 100_000);
                    heard.push(Incoming::Message(message));
                }
                Ok(Some(command)) => heard.push(command),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next(), Err(error), "an error is final");
                    return (heard, true);
                }
            }
        }
    }
    (heard, false)
}

/// Traffic of every kind.
#[must_use]
pub fn traffic_seeds() -> Vec<Vec<u8>> {
    let mut said = Vec::new();
    for len in [0, 1, 38, 39, 255, 256, 600] {
        encode_frame(Flags::MORE, &vec![7; len], &mut said);
        encode_frame(Flags::LAST, &vec![8; len], &mut said);
    }
    let subscribe = Command::Subscribe(Bytes::from_static(b"topic"));
    let ping = Command::Ping { ttl_tenths: 7, context: Bytes::from_static(b"context") };
    for command in [subscribe, ping] {
        command.encode(Version::V3_1, &mut said);
    }
    (0..32).map(|choice| [&[choice, 7], &said[..]].concat()).collect()
}

/// The body of a command, metadata, or a message of an authenticator.
///
/// # Panics
///
/// If what was read is not written again as it was.
pub fn words(bytes: &[u8]) {
    if let Ok(metadata) = Metadata::decode(bytes) {
        let mut again = Vec::new();
        metadata.encode(&mut again);
        assert_eq!(again, bytes);
    }
    let body = Bytes::copy_from_slice(bytes);
    if let Ok(command) = Command::decode(&body) {
        let mut again = Vec::new();
        command.encode_body(Version::V3_1, &mut again);
        // After its reason an ERROR may have more, which is passed over.
        assert!(bytes.starts_with(&again));
        assert!(again.len() == bytes.len() || matches!(command, Command::Error(_)));
    }
    let message: Message = bytes.split(|&byte| byte == b'|').collect();
    if let Ok(request) = zap::Request::decode(&message) {
        assert_eq!(request.encode(), message);
    }
    if let Ok(reply) = zap::Reply::decode(&message) {
        assert_eq!(reply.encode(), message);
    }
}

/// One of each.
#[must_use]
pub fn words_seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        b"1.0|id|domain|127.0.0.1|me|PLAIN|user|secret".to_vec(),
        b"1.0|id|200|OK|user|".to_vec(),
        b"\x05ERROR\x03400".to_vec(),
        b"\x04JOINgroup".to_vec(),
        b"\x04PONGcontext".to_vec(),
    ];
    let mut metadata = Vec::new();
    Local::new(Kind::Dealer).encode_metadata(&mut metadata);
    seeds.push(metadata);
    seeds
}
