//! Peers that come together.

use chaski_zmtp::{CipherError, DecodeError, Decoder, Flags, Frame, Incoming, Kind, Limits};
use chaski_zmtp::{Local, Mechanism, Message, Version, encoder};

use super::wire::{End, command, dealer, greeting, pairs, ready, talk};

#[test]
fn every_mechanism_works_whatever_the_wire_splits() {
    for (client, server) in pairs() {
        for step in (1..80).chain([100, 500, 10_000]) {
            let mut client = End::new(client.clone());
            let mut server = End::new(server.clone());
            talk(&mut client, &mut server, step);
            assert_eq!((&client.error, &server.error), (&None, &None));
            assert!(client.is_done() && server.is_done(), "steps of {step}");
            let met = server.handshake.finish().unwrap();
            assert_eq!(met.version, Version::V3_1);
            assert_eq!(met.info.kind, Kind::Dealer);
            assert_eq!(met.info.identity, "alice");
            assert!(met.info.subscribes_by_command);
            assert_eq!(met.metadata.get("x-rack"), Some(&b"b7"[..]));
            let met = client.handshake.finish().unwrap();
            assert_eq!(met.info.kind, Kind::Router);
            assert_eq!(met.info.identity, "");
        }
    }
}

#[test]
fn the_first_split_may_be_anywhere() {
    for (client, server) in pairs() {
        for split in 1..400 {
            let (mut client, mut server) = (End::new(client.clone()), End::new(server.clone()));
            server.hear(&client, split);
            client.hear(&server, split);
            talk(&mut client, &mut server, usize::MAX);
            assert!(client.is_done() && server.is_done(), "split at {split}");
        }
    }
}

#[test]
fn a_wire_that_ends_leaves_a_handshake_that_waits() {
    for (client, server) in pairs() {
        let (mut one, mut two) = (End::new(client.clone()), End::new(server.clone()));
        talk(&mut one, &mut two, usize::MAX);
        for cut in 0..one.said.len() {
            let (mut client, mut server) = (End::new(client.clone()), End::new(server.clone()));
            // The other's answers depend on what it heard, so only as much is passed on.
            let mut passed = 0;
            while passed < cut && server.hear(&client, cut - passed) {
                passed = cut.min(client.said.len());
                client.hear(&server, usize::MAX);
            }
            assert!(!server.is_done(), "cut at {cut}");
            assert_eq!(server.error, None);
        }
    }
}

#[test]
fn the_authenticator_is_told_who_comes() {
    let mut asked = Vec::new();
    for (client, server) in pairs() {
        let asks = server.zap.is_some();
        let (mut client, mut server) = (End::new(client), End::new(server));
        talk(&mut client, &mut server, usize::MAX);
        let granted = server.handshake.finish().unwrap().user_id;
        assert_eq!(granted, if server.asked.is_empty() { "" } else { "somebody" });
        if asks {
            assert_eq!(server.asked.len(), 1);
            assert_eq!(server.asked[0].origin.domain, "global");
            assert_eq!(server.asked[0].origin.address, "192.0.2.1");
        }
        asked.append(&mut server.asked);
    }
    // NULL asks only if it is told to, and PLAIN always.
    let mechanisms: Vec<&str> = asked.iter().map(|request| &*request.mechanism).collect();
    assert_eq!(mechanisms, ["NULL", "PLAIN", "PLAIN", "CURVE"]);
    assert_eq!(asked[0].identity, "alice");
    assert_eq!(asked[0].credentials, Vec::<Frame>::new());
    assert_eq!(asked[1].credentials, [Frame::from("admin"), Frame::from("secret")]);
    assert_eq!(asked[3].identity, "alice");
}

#[test]
fn traffic_behind_the_handshake_is_left_to_the_decoder() {
    for (client, server) in pairs() {
        let (mut client, mut server) = (End::new(client), End::new(server));
        talk(&mut client, &mut server, usize::MAX);
        assert_eq!(server.listen(b"\0\x05hello"), 0);
        let mut met = client.handshake.finish().unwrap();
        let mut wire = Vec::new();
        match &mut met.sealer {
            Some(sealer) => sealer.seal(Flags::LAST, &[b"hello"], &mut wire),
            None => encoder::encode_frame(Flags::LAST, b"hello", &mut wire),
        }
        let met = server.handshake.finish().unwrap();
        let sealed = met.opener.is_some();
        let mut decoder = Decoder::new(Limits::default(), met.version, met.opener);
        decoder.feed(&wire);
        assert_eq!(decoder.next(), Ok(Some(Incoming::Message(Message::from("hello")))));
        decoder.feed(b"\0\x05hello");
        match decoder.next() {
            Ok(Some(_)) => assert!(!sealed),
            Err(error) => assert_eq!(error, DecodeError::Cipher(CipherError::Clear)),
            Ok(None) => panic!("it is all there"),
        }
    }
}

/// RFC 37, "The NULL Security Mechanism": a peer may send as soon as it has sent and received
/// READY, so messages may be right behind it.
#[test]
fn a_message_may_follow_ready_in_the_same_read() {
    let mut router = End::new(Local::new(Kind::Router));
    let mut said = [greeting(3, 1, "NULL"), ready("DEALER")].concat();
    let handshake = said.len();
    said.extend_from_slice(b"\0\x05hello");
    assert_eq!(router.listen(&said), handshake);
    assert!(router.is_done());
}

#[test]
fn a_newer_peer_is_spoken_to_in_3_1() {
    for (major, minor) in [(3, 2), (3, 255), (4, 0), (255, 255)] {
        let mut router = End::new(Local::new(Kind::Router));
        router.listen(&[greeting(major, minor, "NULL"), ready("DEALER")].concat());
        assert_eq!(router.handshake.finish().unwrap().version, Version::V3_1);
    }
}

#[test]
fn properties_are_found_in_any_case_and_unknown_ones_kept() {
    let ready = command(
        b"\x05READY\x08identity\0\0\0\x03bob\x0bSOCKET-TYPE\0\0\0\x06DEALER\x05other\0\0\0\x01!",
    );
    let mut router = End::new(Local::new(Kind::Router));
    router.listen(&[greeting(3, 1, "NULL"), ready].concat());
    let met = router.handshake.finish().unwrap();
    assert_eq!(met.info.identity, "bob");
    assert_eq!(met.metadata.get("Other"), Some(&b"!"[..]));
}

#[test]
fn an_identity_is_told_by_those_who_have_one_and_may_have_255_bytes() {
    let mut local = dealer(Mechanism::Null);
    local.identity = vec![b'x'; 255];
    let (mut client, mut server) = (End::new(local), End::new(Local::new(Kind::Router)));
    talk(&mut client, &mut server, usize::MAX);
    assert_eq!(server.handshake.finish().unwrap().info.identity.len(), 255);

    let mut local = Local::new(Kind::Push);
    local.identity = b"unheard".to_vec();
    let client = End::new(local);
    assert!(!client.said.windows(7).any(|window| window == b"unheard"));
    // And of those who tell one without having it, it is not seen.
    let mut pull = End::new(Local::new(Kind::Pull));
    let ready = command(b"\x05READY\x0bSocket-Type\0\0\0\x04PUSH\x08Identity\0\0\0\x01\0");
    pull.listen(&[greeting(3, 1, "NULL"), ready].concat());
    assert_eq!(pull.handshake.finish().unwrap().info.identity, "");
}

#[test]
fn every_pair_of_kinds_meets_wherever_the_wire_splits() {
    for one in Kind::ALL {
        for two in Kind::ALL.into_iter().filter(|&two| one.compatible(two)) {
            for split in 0..120 {
                let (mut here, mut there) = (End::new(Local::new(one)), End::new(Local::new(two)));
                there.hear(&here, split);
                here.hear(&there, split);
                talk(&mut here, &mut there, usize::MAX);
                assert!(here.is_done() && there.is_done(), "{one} and {two}, split at {split}");
                assert_eq!(there.handshake.finish().unwrap().info.kind, one);
                assert_eq!(here.handshake.finish().unwrap().info.kind, two);
            }
        }
    }
}

/// What is late on the way there holds up the way back, and nothing else.
#[test]
fn either_way_may_be_late_from_any_byte_on() {
    for (client, server) in pairs() {
        for late in 0..400 {
            let (mut client, mut server) = (End::new(client.clone()), End::new(server.clone()));
            server.hear(&client, late);
            while client.hear(&server, usize::MAX) {}
            assert_eq!((&client.error, &server.error), (&None, &None));
            talk(&mut client, &mut server, usize::MAX);
            assert!(client.is_done() && server.is_done(), "late from {late} on");
        }
    }
}

/// Bytes are not lost on TCP, but a broken relay loses them: then nobody is let in.
#[test]
fn a_byte_that_is_lost_lets_nobody_in() {
    for (client, server) in pairs() {
        let (mut one, mut two) = (End::new(client.clone()), End::new(server.clone()));
        talk(&mut one, &mut two, usize::MAX);
        for lost in 0..one.said.len() {
            let (mut client, mut server) = (End::new(client.clone()), End::new(server.clone()));
            let mut at = 0;
            while at < client.said.len() && server.error.is_none() {
                let said: Vec<u8> = client.said[at..].to_vec();
                let skip = lost.checked_sub(at).filter(|&skip| skip < said.len());
                at += said.len();
                let mut heard = said;
                skip.map(|skip| heard.remove(skip));
                server.listen(&heard);
                client.hear(&server, usize::MAX);
            }
            assert!(!server.is_done(), "byte {lost} was lost");
        }
    }
}
