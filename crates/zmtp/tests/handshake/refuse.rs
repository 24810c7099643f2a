//! Peers that do not come together, and what they are told.

use chaski_zmtp::{DecodeError, Handshake, HandshakeError, Kind, Local, Mechanism, Progress, zap};

use super::wire::{
    End, asking_router, command, dealer, greeting, plain_client, ready, router, talk,
};

/// The greeting of a peer and its first words; what comes of them, and what the peer is told after
/// our own greeting.
fn tell(local: Local, said: &[u8]) -> (HandshakeError, Vec<u8>) {
    let mut end = End::new(local);
    end.listen(said);
    let error = end.error.clone().expect("it is refused");
    assert_eq!(end.handshake.input(b""), Err(error.clone()), "and stays so");
    assert!(!end.is_done());
    (error, end.said[64.min(end.said.len())..].to_vec())
}

fn told(reason: &[u8], said: &[u8]) -> bool {
    said.ends_with(&command(&[b"\x05ERROR", &[reason.len() as u8][..], reason].concat()))
}

#[test]
fn another_mechanism_is_refused() {
    for theirs in ["PLAIN", "CURVE", "NULLX", "NUL", "", "NULL\0X"] {
        let (error, _) = tell(Local::new(Kind::Rep), &greeting(3, 1, theirs));
        let HandshakeError::Mechanism { theirs: name, ours } = &error else { panic!("{error}") };
        assert_eq!((name.replace("\\x00", "\0").as_str(), *ours), (theirs, "NULL"));
    }
    tell(router(Mechanism::PlainServer), &greeting(3, 1, "NULL"));
}

/// RFC 37: "a peer that reads a full greeting MUST also send a full greeting", mismatch or not.
#[test]
fn the_whole_greeting_is_told_even_then() {
    let mut end = End::new(Local::new(Kind::Rep));
    end.listen(&greeting(3, 1, "PLAIN"));
    assert_eq!(end.said.len(), 64);
}

#[test]
fn two_servers_are_refused() {
    let mut theirs = greeting(3, 1, "PLAIN");
    theirs[32] = 1;
    let (error, _) = tell(router(Mechanism::PlainServer), &theirs);
    assert_eq!(error, HandshakeError::Role("PLAIN"));
}

#[test]
fn sockets_that_do_not_go_together_are_told_so() {
    let said = [greeting(3, 1, "NULL"), ready("PUB")].concat();
    let (error, answer) = tell(Local::new(Kind::Rep), &said);
    assert_eq!(error, HandshakeError::SocketType { theirs: Kind::Pub, ours: Kind::Rep });
    assert!(told(b"Invalid-Socket-Type", &answer));

    let said = [greeting(3, 1, "NULL"), ready("PIGEON")].concat();
    let (error, answer) = tell(Local::new(Kind::Rep), &said);
    assert_eq!(error, HandshakeError::UnknownSocketType("PIGEON".into()));
    assert!(told(b"Invalid-Socket-Type", &answer));

    let said = [greeting(3, 1, "NULL"), command(b"\x05READY")].concat();
    let (error, _) = tell(Local::new(Kind::Rep), &said);
    assert_eq!(error, HandshakeError::NoSocketType);
}

#[test]
fn a_server_refuses_a_client_before_it_says_ready() {
    let mut local = dealer(plain_client());
    local.kind = Kind::Push;
    let (mut client, mut server) = (End::new(local), End::new(router(Mechanism::PlainServer)));
    talk(&mut client, &mut server, usize::MAX);
    assert!(matches!(server.error, Some(HandshakeError::SocketType { .. })));
    assert_eq!(client.error, Some(HandshakeError::Refused("Invalid-Socket-Type".into())));
    assert!(client.error.unwrap().is_fatal());
}

#[test]
fn identities_that_are_too_long_or_reserved_are_refused() {
    let ready = |identity: &[u8]| {
        let len = u32::try_from(identity.len()).unwrap().to_be_bytes();
        let body = [b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity", &len[..], identity];
        [greeting(3, 1, "NULL"), command(&body.concat())].concat()
    };
    let (error, _) = tell(Local::new(Kind::Router), &ready(&[b'x'; 256]));
    assert_eq!(error, HandshakeError::IdentityTooLong(256));
    let (error, answer) = tell(Local::new(Kind::Router), &ready(b"\0id"));
    assert_eq!(error, HandshakeError::IdentityReserved);
    assert!(told(b"Invalid-Identity", &answer));
}

#[test]
fn what_an_authenticator_says_no_to_is_told_unless_it_may_pass() {
    use zap::Status::{Denied, Failed, NotNow};
    let null = [greeting(3, 1, "NULL"), ready("DEALER")].concat();
    let hello = command(b"\x05HELLO\x05admin\x05wrong");
    let plain = [greeting(3, 1, "PLAIN"), hello].concat();
    for (mechanism, said) in [(Mechanism::Null, null), (Mechanism::PlainServer, plain)] {
        for status in [NotNow, Denied, Failed] {
            let mut server = Handshake::new(asking_router(mechanism.clone()));
            assert_eq!(server.input(&said), Ok(said.len()));
            let Progress::Authenticate(request) = server.state() else { panic!("it asks") };
            let reply = zap::Reply::refuse(request, status, "because");
            // It takes nothing while it waits.
            assert_eq!(server.input(b"more"), Ok(0));
            let error = server.authenticated(reply).unwrap_err();
            let text = "because".to_owned();
            assert_eq!(error, HandshakeError::Denied { status, text });
            let digits = status.digits().as_bytes();
            assert_eq!(told(digits, server.output()), status != NotNow);
            assert_eq!(server.input(b""), Err(error));
        }
    }
}

#[test]
fn an_answer_that_nobody_asked_for_changes_nothing() {
    let mut server = Handshake::new(asking_router(Mechanism::Null));
    let request = zap::Origin::default().request("NULL", b"", Vec::<&str>::new());
    server.authenticated(zap::Reply::grant(&request, "eve")).unwrap();
    assert_eq!(server.state(), Progress::More);
    assert!(server.finish().is_none());
}

#[test]
fn an_error_from_the_peer_is_final() {
    let said = [greeting(3, 1, "NULL"), command(b"\x05ERROR\x03400")].concat();
    let (error, answer) = tell(Local::new(Kind::Req), &said);
    assert_eq!(error, HandshakeError::Refused("400".into()));
    assert!(error.is_fatal());
    // It is not answered with another: what was said is our READY.
    assert!(!answer.windows(5).any(|window| window == b"ERROR"));
    let said = [greeting(3, 1, "NULL"), command(b"\x05ERROR\x09400")].concat();
    let (error, _) = tell(Local::new(Kind::Req), &said);
    assert_eq!(error, HandshakeError::Malformed("ERROR"));
}

/// libzmq 4.3.5 and older, as a PLAIN server; read as nothing it would be tried again for ever.
#[test]
fn an_error_as_libzmq_spells_it_is_final_too() {
    let said = [greeting(3, 1, "PLAIN"), command(b"^RROR\x03400")].concat();
    let (error, _) = tell(dealer(plain_client()), &said);
    assert_eq!(error, HandshakeError::Refused("400".into()));
}

#[test]
fn words_that_have_no_place_are_refused() {
    let null =
        |said: &[u8]| tell(Local::new(Kind::Rep), &[&greeting(3, 1, "NULL"), said].concat()).0;
    assert_eq!(null(b"\0\x05hello"), HandshakeError::EarlyMessage);
    assert_eq!(null(&command(b"\x04PING\0\0")), HandshakeError::Unexpected("PING".into()));
    assert_eq!(null(&command(b"")), HandshakeError::Malformed("nameless"));
    assert_eq!(null(&command(b"\x05READY\x0bSocket")), HandshakeError::Malformed("READY"));
    assert_eq!(null(b"\x05"), HandshakeError::Frame(DecodeError::Flags(5)));
    let too_long = DecodeError::FrameTooLong { bytes: 65_537, limit: 65_536 };
    assert_eq!(null(b"\x06\0\0\0\0\0\x01\0\x01"), HandshakeError::Frame(too_long));

    let plain = |said: &[u8]| {
        let local = router(Mechanism::PlainServer);
        tell(local, &[&greeting(3, 1, "PLAIN"), said].concat()).0
    };
    for hello in [&b"\x05HELLO"[..], b"\x05HELLO\x05admin", b"\x05HELLO\x01a\x01b!"] {
        assert_eq!(plain(&command(hello)), HandshakeError::Malformed("HELLO"));
    }
    assert_eq!(plain(&command(b"\x08INITIATE")), HandshakeError::Unexpected("INITIATE".into()));
    assert_eq!(plain(&ready("DEALER")), HandshakeError::Unexpected("READY".into()));

    // A server may not skip the WELCOME, nor say more in it than that.
    let client = |said: &[u8]| {
        let said = [&greeting(3, 1, "PLAIN"), said].concat();
        tell(dealer(plain_client()), &said).0
    };
    assert_eq!(client(&ready("ROUTER")), HandshakeError::Unexpected("READY".into()));
    assert_eq!(client(&command(b"\x07WELCOME!")), HandshakeError::Malformed("WELCOME"));
}

#[test]
fn passwords_are_not_shown() {
    let shown = format!("{:?}", dealer(plain_client()));
    assert!(shown.contains("PLAIN"));
    assert!(!shown.contains("secret") && !shown.contains("115, 101, 99"));
}
