//! Peers that keep no rule.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::thread;

use rustix::cmsg_space;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, accept, sendmsg};

use super::*;
use crate::wire::VERSION;

fn served(place: &Place, house: &House) {
    place.dial().unwrap();
    house.host.next();
}

/// Sends more descriptors than there is room for.
fn send_many(socket: &OwnedFd, bytes: &[u8], count: usize) {
    let bell = bell();
    let fds = vec![bell.as_fd(); count];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(250))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    let sent = sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL);
    assert!(matches!(sent, Ok(_) | Err(Errno::PIPE)), "{sent:?}");
}

/// What a stranger is answered to the first that it says, and its socket. One that was not quick
/// enough for the doorman, on a machine so busy, tries once more.
#[track_caller]
fn answered(place: &Place, speak: impl Fn(&OwnedFd)) -> (OwnedFd, Option<Answer>) {
    let mut told = None;
    soon("an answer to what was said", || {
        let socket = place.connect();
        speak(&socket);
        let answer = answer(&socket);
        let late = matches!(&answer, Some(Answer::Refused(refused)) if is_late(refused));
        told = (!late).then_some((socket, answer));
        told.is_some()
    });
    told.unwrap()
}

pub(super) fn is_late(refused: &Refused) -> bool {
    refused.text.contains("no hello within")
}

#[track_caller]
fn refused(place: &Place, speak: impl Fn(&OwnedFd)) -> (OwnedFd, Refused) {
    match answered(place, speak) {
        (socket, Some(Answer::Refused(refused))) => (socket, refused),
        (_, other) => panic!("not refused, but {other:?}"),
    }
}

#[test]
fn what_is_no_hello_is_refused_and_others_are_served() {
    let place = Place::new();
    let house = place.bind().unwrap();
    let hello = Hello::new(Kind::Call).encode();
    let welcome = Answer::Welcome(welcome(0)).encode();
    let garbage: [&[u8]; 6] =
        [b"x", b"chsk", &[0; 48], &hello[..47], &welcome, &[0xff; PACKET_MAX]];
    for bytes in garbage {
        let (socket, refused) = refused(&place, |socket| say(socket, bytes));
        assert_eq!(refused.code, Refusal::Malformed, "{bytes:?}");
        assert_eq!(answer(&socket), None);
    }
    let (_, long) = refused(&place, |socket| say(socket, &vec![0x41; 10_000]));
    assert!(long.text.contains("too long"), "{long}");
    let (_, end) = answered(&place, |socket| say(socket, b""));
    assert_eq!(end, None, "an empty packet is the end");
    served(&place, &house);
}

#[test]
fn descriptors_beyond_the_limit_are_refused() {
    let place = Place::new();
    let house = place.bind().unwrap();
    let hello = Hello::new(Kind::Call).encode();
    for count in [5, 6, 7, 8, 100, 250] {
        let (_, refused) = refused(&place, |socket| send_many(socket, &hello, count));
        assert!(refused.text.contains("more descriptors"), "{count}: {refused}");
    }
    let (_socket, welcomed) = answered(&place, |socket| send_many(socket, &hello, 4));
    assert!(matches!(welcomed, Some(Answer::Welcome(_))), "{welcomed:?}");
    assert_eq!(house.host.brought.lock().unwrap().len(), 4);
}

#[test]
fn a_client_of_another_version_is_told_both() {
    let place = Place::new();
    let _house = place.bind().unwrap();
    let mut hello = Hello::new(Kind::Call).encode();
    hello[4..6].copy_from_slice(&(VERSION + 8).to_le_bytes());
    let (_, refused) = refused(&place, |socket| say(socket, &hello));
    assert_eq!(refused.code, Refusal::Version);
    assert!(refused.text.contains("version 1") && refused.text.contains("of 9"), "{refused}");
}

/// Lets an impostor answer one client, which is returned what it made of it.
fn answered_by(reply: impl FnOnce(OwnedFd) + Send) -> ConnectError {
    answered_within(PATIENCE, reply)
}

fn answered_within(patience: Duration, reply: impl FnOnce(OwnedFd) + Send) -> ConnectError {
    let place = Place::new();
    let listening = place.impostor(Some(4));
    thread::scope(|scope| {
        let impostor = scope.spawn(move || {
            let mut socket = None;
            soon("a client", || {
                socket = accept(&listening).ok();
                socket.is_some()
            });
            reply(socket.unwrap());
            listening
        });
        let error = place.dial_for(patience).unwrap_err();
        impostor.join().unwrap();
        error
    })
}

#[test]
fn a_client_tells_a_server_of_another_version() {
    let refused = Refused::new(Refusal::Version, "the server is of version 9, the client of 1");
    let mut bytes = Answer::Refused(refused.clone()).encode();
    bytes[4] = 9;
    let error = answered_by(move |socket| say(&socket, &bytes));
    assert!(error.to_string().contains(&refused.text), "{error}");

    let mut bytes = Answer::Welcome(welcome(0)).encode();
    bytes[4] = 9;
    let error = answered_by(move |socket| say(&socket, &bytes));
    assert!(matches!(error, ConnectError::Malformed { .. }));
    assert!(error.to_string().contains("of version 9, this side is of version 1"), "{error}");
}

#[test]
fn a_client_survives_any_server() {
    for bytes in [&b"nonsense"[..], &[0; 2000], &Answer::Survey { len: 1 }.encode()] {
        let error = answered_by(|socket| say(&socket, bytes));
        assert!(matches!(error, ConnectError::Malformed { .. }), "{error}");
    }
    let welcome = Answer::Welcome(welcome(0)).encode();
    let error = answered_by(|socket| send_many(&socket, &welcome, 200));
    assert!(matches!(error, ConnectError::Malformed { .. }), "{error}");
    // One that hangs up was perhaps restarted, so it is tried again, and here not answered.
    let error = answered_within(Duration::from_millis(300), drop);
    use ConnectError::{HungUp, NotFound, Silent};
    assert!(matches!(error, Silent { .. } | NotFound { .. } | HungUp { .. }), "{error}");
}

#[test]
fn who_connects_and_says_nothing_delays_nobody_and_is_dismissed() {
    let place = Place::new();
    let house = place.bind().unwrap();
    let (silent, late) = loop {
        let begun = Instant::now();
        let silent: Vec<_> = (0..HALF_OPEN_MAX).map(|_| place.connect()).collect();
        served(&place, &house);
        // One too many: the oldest gives way.
        let late = place.connect();
        let refused = refusal(&silent[0]);
        assert_eq!(refused.code, Refusal::Busy);
        // On a machine so busy that their time is over, once more.
        if begun.elapsed() < HANDSHAKE {
            assert!(refused.text.contains("64 others"), "{refused}");
            break (silent, late);
        }
    };
    served(&place, &house);
    // The others have until the deadline.
    for socket in silent[1..].iter().chain([&late]) {
        assert!(is_late(&refusal(socket)));
        assert_eq!(answer(socket), None);
    }
}

#[test]
fn a_hello_may_take_its_time() {
    let place = Place::new();
    let _house = place.bind().unwrap();
    let (_socket, welcomed) = answered(&place, |socket| {
        // Enough for the doorman to let it wait, which others do not see.
        place.dial().unwrap();
        say(socket, &Hello::new(Kind::Call).encode());
    });
    assert!(matches!(welcomed, Some(Answer::Welcome(_))), "{welcomed:?}");
}

#[test]
fn a_host_that_panics_harms_only_the_one_it_panicked_for() {
    let place = Place::new();
    let host = Arc::new(Plain { panics_at: Some(13), ..Plain::default() });
    let house = place.bind_as(Admit::default(), host).unwrap();
    let hello = Hello { policy: 13, ..Hello::new(Kind::Call) }.encode();
    let (_, refused) = refused(&place, |socket| say(socket, &hello));
    assert_eq!(refused.code, Refusal::Failed);
    served(&place, &house);
}

#[test]
fn control_messages_that_break_a_rule_close_the_session() {
    let place = Place::new();
    let house = place.bind().unwrap();
    let segment = Control::Segment { number: 0, len: 4096 }.encode();
    let forget = Control::Forget { number: 0 }.encode();
    let bell = bell();
    let breaches: [(&[u8], usize); 6] = [
        (b"nonsense", 0),
        (&segment, 0),
        (&segment, 2),
        (&forget, 1),
        (&[7; 300], 0),
        (&segment, 40),
    ];
    for (bytes, fds) in breaches {
        let hello = Hello::new(Kind::Call).encode();
        let (socket, welcomed) = answered(&place, |socket| say(socket, &hello));
        assert!(matches!(welcomed, Some(Answer::Welcome(_))), "{welcomed:?}");
        let session = house.host.next();
        packet::send(&socket, &segment, &[bell.as_fd()]).unwrap();
        match fds {
            0 => say(&socket, bytes),
            _ => send_many(&socket, bytes, fds),
        }
        say(&socket, &forget);
        let mut came = Vec::new();
        soon("the end", || {
            came.extend(session.take());
            session.is_closed()
        });
        assert_eq!(came.len(), 1, "what came before is taken, what came after is not");
        assert!(session.take().is_empty());
        soon("the hang-up", || {
            matches!(packet::receive(&socket, &mut [0; PACKET_MAX]), Received::Gone)
        });
    }
}

#[test]
fn who_leaves_in_the_middle_leaves_nothing() {
    let place = Place::new();
    let house = place.bind().unwrap();
    for said in [&b""[..], &Hello::new(Kind::Call).encode()] {
        let socket = place.connect();
        if !said.is_empty() {
            say(&socket, said);
        }
        drop(socket);
    }
    // Whether it was seated or not before the doorman saw it go: it is known to be gone.
    served(&place, &house);
    let mut left = std::mem::take(&mut *house.host.sessions.lock().unwrap());
    soon("hang-ups", || {
        left.retain(|session| !session.is_closed());
        left.is_empty()
    });
}
