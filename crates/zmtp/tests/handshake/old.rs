//! Peers of earlier versions (RFC 37, "Backwards Interoperability"; RFC 23; RFC 15).

use chaski_zmtp::{Command, HandshakeError, Kind, Local, Mechanism, Version};

use super::wire::{End, asking_router, curve, greeting, plain_client, ready, router};

/// How a peer of ZMTP 2.0 begins: signature, revision 1, type 5 (DEALER), identity.
const TWO: &[u8] = b"\xff\0\0\0\0\0\0\0\x04\x7f\x01\x05\0\x03bob";

#[test]
fn nobody_waits_for_the_other_to_begin() {
    // Signature and major version, as the RFC has it; what follows depends on the peer.
    let end = End::new(Local::new(Kind::Router));
    assert_eq!(end.said, b"\xff\0\0\0\0\0\0\0\0\x7f\x03");
    // A mechanism leaves no choice.
    let end = End::new(router(Mechanism::PlainServer));
    assert_eq!(end.said.len(), 64);
}

#[test]
fn the_rest_of_the_greeting_follows_the_peers_version() {
    let peer = greeting(3, 1, "NULL");
    for split in 0..=64 {
        let mut end = End::new(Local::new(Kind::Router));
        end.listen(&peer[..split]);
        assert_eq!(end.said.len() >= 64, split >= 11, "after {split} octets");
        end.listen(&peer[split..]);
        // The greeting, and READY.
        assert!(end.said.len() > 64);
        assert_eq!(&end.said[10..32], b"\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    }
}

#[test]
fn a_peer_of_3_0_gets_subscriptions_as_messages() {
    let mut end = End::new(Local::new(Kind::Xpub));
    end.listen(&[greeting(3, 0, "NULL"), ready("SUB")].concat());
    let met = end.handshake.finish().unwrap();
    assert_eq!(met.version, Version::V3_0);
    assert!(!met.info.subscribes_by_command);
    let mut out = Vec::new();
    assert!(Command::Subscribe("a".into()).encode(met.version, &mut out));
    assert_eq!(out, b"\0\x02\x01a");
}

#[test]
fn a_peer_of_2_0_is_spoken_to_in_2_0_wherever_the_wire_splits() {
    for split in 0..=TWO.len() {
        let mut local = Local::new(Kind::Router);
        local.identity = b"us".to_vec();
        let mut end = End::new(local);
        end.listen(&TWO[..split]);
        end.listen(&TWO[split..]);
        // It hears no minor version and no mechanism: type 6 (ROUTER) and the identity instead.
        assert_eq!(end.said, b"\xff\0\0\0\0\0\0\0\0\x7f\x03\x06\0\x02us", "split at {split}");
        let met = end.handshake.finish().unwrap();
        assert_eq!(met.version, Version::V2_0);
        assert_eq!(met.info.kind, Kind::Dealer);
        assert_eq!(met.info.identity, "bob");
        assert!(!met.info.subscribes_by_command);
        assert!(met.metadata.is_empty());
    }
}

#[test]
fn revision_2_is_2_0_too_and_traffic_is_left() {
    let mut end = End::new(Local::new(Kind::Pull));
    let said = b"\xff\0\0\0\0\0\0\0\x01\x7f\x02\x08\0\0\0\x05hello";
    assert_eq!(end.listen(said), said.len() - 7);
    assert!(end.is_done());
}

#[test]
fn the_two_speak_only_as_far_as_they_should() {
    let types = [(Kind::Sub, 1, true), (Kind::Sub, 2, false), (Kind::Req, 4, true)];
    for (ours, theirs, together) in types {
        let mut end = End::new(Local::new(ours));
        end.listen(&[b"\xff\0\0\0\0\0\0\0\x01\x7f\x01", &[theirs][..], b"\0\0"].concat());
        assert_eq!(end.is_done(), together, "{ours} and type {theirs}");
    }
    let mut end = End::new(Local::new(Kind::Sub));
    end.listen(b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x63");
    assert!(matches!(end.error, Some(HandshakeError::UnknownSocketType(_))));
    let mut end = End::new(Local::new(Kind::Server));
    end.listen(b"\xff\0\0\0\0\0\0\0\x01\x7f\x01");
    assert_eq!(end.error, Some(HandshakeError::TooOld(Kind::Server)));
}

#[test]
fn an_identity_of_2_0_keeps_the_rules() {
    let start = b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x05";
    for frame in [&b"\x01\x03bob"[..], b"\x04\x03bob", b"\0\x01\0", b"\x08"] {
        let mut end = End::new(Local::new(Kind::Router));
        end.listen(&[start, frame].concat());
        assert!(end.error.is_some(), "{frame:?}");
    }
    let mut end = End::new(Local::new(Kind::Router));
    end.listen(&[&start[..], b"\x02\0\0\0\0\0\0\x01\0"].concat());
    assert!(matches!(end.error, Some(HandshakeError::Frame(_))));
}

/// RFC 37, "Security Considerations": "MUST guard against downgrade attacks".
#[test]
fn who_demands_a_proof_does_not_speak_2_0() {
    let (curve_client, curve_server) = curve();
    let plain = [router(plain_client()), router(Mechanism::PlainServer)];
    let curve = [router(curve_client), router(curve_server)];
    let asking = [asking_router(Mechanism::Null)];
    for local in plain.into_iter().chain(curve).chain(asking) {
        let mut end = End::new(local);
        end.listen(TWO);
        assert!(matches!(end.error, Some(HandshakeError::Downgrade(_))), "{:?}", end.error);
    }
}

#[test]
fn zmtp_1_0_and_other_protocols_are_refused_as_soon_as_they_show() {
    let cases: [(&[u8], usize); 6] = [
        // A short identity, a long one, and the revision that stands for 1.0.
        (b"\x01\0", 1),
        (b"\x04\0bob", 1),
        (b"\xff\0\0\0\0\0\0\0\x04\0bob", 10),
        (b"\xff\0\0\0\0\0\0\0\x01\x7f\0", 11),
        (b"GET / HTTP/1.1\r\n", 1),
        (b"\x16\x03\x01\x02", 1),
    ];
    for (said, shows) in cases {
        let mut end = End::new(Local::new(Kind::Router));
        end.listen(&said[..shows - 1]);
        assert_eq!(end.error, None);
        end.listen(&said[shows - 1..]);
        assert!(matches!(end.error, Some(HandshakeError::NotZmtp(_))), "{said:?}");
        // And it is told nothing more.
        assert_eq!(end.said.len(), 11);
    }
}
