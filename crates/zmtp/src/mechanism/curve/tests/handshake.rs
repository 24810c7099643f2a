//! The two sides come together.

use super::{Peers, alice, bob, opened};
use crate::frame::Flags;
use crate::handshake::{Established, Handshake, Progress};
use crate::kind::Kind;
use crate::local::Local;
use crate::mechanism::curve::CookieKeys;
use crate::mechanism::{Machine, Mechanism, Step};
use crate::zap::{Origin, Presented, Reply, Status};

#[test]
fn the_commands_have_the_sizes_of_the_rfc() {
    let mut sizes = Vec::new();
    Peers::new().meet(|_, body| sizes.push(body.len())).unwrap();
    assert_eq!(sizes[..2], [200, 168]);
    let metadata = |local: Local| {
        let mut metadata = Vec::new();
        local.encode_metadata(&mut metadata);
        metadata.len()
    };
    let peers = Peers::new();
    assert_eq!(sizes[2..], [257 + metadata(peers.dealer), 30 + metadata(peers.router)]);
}

#[test]
fn both_learn_what_the_other_says_of_itself() {
    let (client, server) = Peers::new().meet(|_, _| ()).unwrap();
    assert_eq!(client.metadata.get("Socket-Type"), Some(&b"ROUTER"[..]));
    assert_eq!(server.metadata.get("Socket-Type"), Some(&b"DEALER"[..]));
    assert_eq!(server.metadata.get("Identity"), Some(&b"dealer"[..]));
}

#[test]
fn the_wire_shows_neither_who_the_client_is_nor_what_it_says() {
    Peers::new()
        .meet(|_, body| {
            let shows = |text: &[u8]| body.windows(text.len()).any(|window| window == text);
            assert!(!shows(alice().public().as_bytes()));
            assert!(!shows(b"Socket-Type") && !shows(b"dealer"));
        })
        .unwrap();
}

#[test]
fn the_authenticator_is_asked_about_the_key() {
    let mut peers = Peers::new();
    peers.router.zap = Some(Origin { domain: "global".into(), address: "192.0.2.7".into() });
    let hello = peers.hello();
    let (_, welcome) = peers.serve(&hello).unwrap();
    let (_, initiate) = peers.reply(&welcome).unwrap();
    let (step, answer) = peers.serve(&initiate).unwrap();
    let Step::Authenticate(request) = step else { panic!("nobody was asked") };
    assert!(answer.is_empty(), "READY went before the authenticator spoke");
    assert_eq!(request.presented().unwrap(), Presented::Curve(alice().public()));
    assert_eq!(request.identity, "dealer");
    assert_eq!(request.origin.address, "192.0.2.7");

    let mut out = Vec::new();
    let step = peers.server.authenticated(&peers.router, &mut out).unwrap();
    assert!(matches!(step, Step::Done(_)));
    let (step, _) = peers.reply(&super::body_of(&out)).unwrap();
    assert!(matches!(step, Step::Done(_)));
}

/// A client and a server with greeting, framing and all.
fn handshakes(zap: Option<Origin>) -> (Handshake, Handshake) {
    let mut dealer = Local::new(Kind::Dealer);
    dealer.mechanism = Mechanism::CurveClient { server: bob().public(), keys: alice() };
    let mut router = Local::new(Kind::Router);
    let cookies = CookieKeys::new().unwrap();
    router.mechanism = Mechanism::CurveServer { keys: bob(), cookies };
    router.zap = zap;
    (Handshake::new(dealer), Handshake::new(router))
}

/// Passes bytes in pieces of at most `piece` until neither has any to write.
fn converse(one: &mut Handshake, other: &mut Handshake, piece: usize) {
    loop {
        let moved = pass(one, other, piece) + pass(other, one, piece);
        if moved == 0 {
            return;
        }
    }
}

fn pass(from: &mut Handshake, to: &mut Handshake, piece: usize) -> usize {
    let sent = from.output();
    let sent = sent[..sent.len().min(piece)].to_vec();
    from.wrote(sent.len());
    assert_eq!(to.input(&sent).unwrap(), sent.len());
    sent.len()
}

fn established(one: Handshake, other: Handshake) -> (Established, Established) {
    (one.finish().unwrap(), other.finish().unwrap())
}

#[test]
fn a_wire_that_splits_anywhere_changes_nothing() {
    for piece in (1..70).chain([199, 200, 201, 1000]) {
        let (mut client, mut server) = handshakes(None);
        converse(&mut client, &mut server, piece);
        let (client, server) = established(client, server);
        assert_eq!((client.info.kind, server.info.kind), (Kind::Router, Kind::Dealer));
        let (mut sealer, mut opener) = (client.sealer.unwrap(), server.opener.unwrap());
        let mut wire = Vec::new();
        sealer.seal(Flags::LAST, &[b"hello"], &mut wire);
        let opened = opened(&mut *opener, &wire[2..]).unwrap();
        assert_eq!(opened, (Flags::LAST, b"hello".to_vec()));
    }
}

#[test]
fn a_grant_lets_the_client_in() {
    let (mut client, mut server) = handshakes(Some(Origin::default()));
    converse(&mut client, &mut server, 64);
    let Progress::Authenticate(request) = server.state() else { panic!("nobody was asked") };
    let reply = Reply::grant(request, "alice");
    server.authenticated(reply).unwrap();
    converse(&mut client, &mut server, 64);
    let (_, server) = established(client, server);
    assert_eq!(server.user_id, "alice");
}

#[test]
fn a_refusal_is_told_to_the_client() {
    let (mut client, mut server) = handshakes(Some(Origin::default()));
    converse(&mut client, &mut server, 64);
    let Progress::Authenticate(request) = server.state() else { panic!("nobody was asked") };
    let reply = Reply::refuse(request, Status::Denied, "unknown key");
    assert!(server.authenticated(reply).unwrap_err().to_string().contains("unknown key"));
    let said = server.output().to_vec();
    let error = client.input(&said).unwrap_err();
    assert!(error.is_fatal(), "{error}");
}
