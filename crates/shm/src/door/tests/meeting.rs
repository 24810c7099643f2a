//! Two who keep the rules.

use std::os::unix::net::UnixStream;

use super::*;
use crate::wire::Reason;

fn met() -> (House, Dialed, Session) {
    let place = Place::new();
    let house = place.bind().unwrap();
    let dialed = place.dial().unwrap();
    let seated = house.host.next();
    (house, dialed, seated)
}

fn taken(session: &Session, count: usize) -> Vec<(Control, Option<OwnedFd>)> {
    let mut all = Vec::new();
    soon("control messages", || {
        all.extend(session.take());
        all.len() >= count
    });
    all
}

#[test]
fn both_know_each_other_and_what_was_said() {
    let place = Place::new();
    let house = place.bind().unwrap();
    let hello = Hello { history: 4, ..Hello::new(Kind::Call) };
    let (mut dialing, porch) = place.begin(hello, vec![bell(), bell()], PATIENCE);
    soon("a knock", || porch.has_news());
    let dialed = dialing.poll().unwrap().unwrap();
    assert!(dialing.poll().is_none(), "the outcome is told once");
    assert_eq!(dialed.welcome, welcome(4));
    assert_eq!(dialed.fds.len(), 4);
    let seated = house.host.next();
    assert!(house.porch.has_news());
    assert_eq!(house.host.brought.lock().unwrap().len(), 2);
    for session in [&dialed.session, &seated] {
        assert_eq!(session.peer().pid, std::process::id());
        assert!(session.peer().is_same_user_or_root());
        assert!(!session.is_closed());
    }
}

#[test]
fn control_messages_go_both_ways_with_their_descriptors_and_in_order() {
    let (house, dialed, seated) = met();
    let (one, two) = UnixStream::pair().unwrap();
    house.porch.take_news();
    let segment = Control::Segment { number: 3, len: 65536 };
    dialed.session.send(&segment, Some(one.as_fd())).unwrap();
    dialed.session.send(&Control::Forget { number: 2 }, None).unwrap();
    soon("mail", || seated.has_mail() && house.porch.has_news());
    let mut came = taken(&seated, 2);
    assert!(!seated.has_mail() || seated.take().is_empty());
    assert!(matches!(came.pop(), Some((Control::Forget { number: 2 }, None))));
    let Some((control, Some(fd))) = came.pop() else { panic!("a segment has a descriptor") };
    assert_eq!(control, segment);
    // It is the very descriptor that was sent.
    rustix::io::write(&fd, b"x").unwrap();
    assert_eq!(rustix::io::read(&two, &mut [0; 8]), Ok(1));

    let bye = Control::Bye { reason: Reason::Closed };
    seated.send(&bye, None).unwrap();
    assert_eq!(taken(&dialed.session, 1)[0].0, bye);
}

#[test]
fn a_message_is_there_without_the_doorman() {
    let (_house, dialed, seated) = met();
    for number in 0..100 {
        dialed.session.send(&Control::Forget { number }, None).unwrap();
        let came = seated.take();
        assert!(matches!(came[..], [(Control::Forget { number: n }, None)] if n == number));
    }
}

#[test]
fn a_hang_up_is_seen_and_knocks_once() {
    let (house, dialed, seated) = met();
    house.porch.take_news();
    dialed.session.close();
    assert!(dialed.session.is_closed());
    soon("the hang-up", || seated.is_closed());
    soon("a knock", || house.porch.has_news());
    assert!(seated.send(&Control::Forget { number: 0 }, None).is_err());
    assert!(seated.take().is_empty());
}

#[test]
fn the_last_clone_hangs_up() {
    let (_house, dialed, seated) = met();
    let clone = dialed.session.clone();
    drop(dialed);
    clone.send(&Control::Forget { number: 1 }, None).unwrap();
    assert_eq!(taken(&seated, 1).len(), 1);
    assert!(!seated.is_closed());
    drop(clone);
    soon("the hang-up", || seated.is_closed());
}

#[test]
fn what_was_sent_before_the_hang_up_is_taken_after_it() {
    let (_house, dialed, seated) = met();
    // With packets unread at the other side, its end is reported as a reset.
    seated.send(&Control::Forget { number: 9 }, None).unwrap();
    dialed.session.send(&Control::Segment { number: 0, len: 1 }, Some(bell().as_fd())).unwrap();
    dialed.session.send(&Control::Forget { number: 1 }, None).unwrap();
    drop(dialed);
    soon("the hang-up", || seated.is_closed());
    let came = seated.take();
    assert_eq!(came.len(), 2);
    assert!(came[0].1.is_some());
}

#[test]
fn who_does_not_take_messages_is_an_error_of_the_sender() {
    let (_house, dialed, seated) = met();
    let mut sent = 0;
    let error = loop {
        match dialed.session.send(&Control::Forget { number: sent }, None) {
            Ok(()) => sent += 1,
            Err(errno) => break errno,
        }
        assert!(sent < 100_000);
    };
    assert_eq!(error, Errno::AGAIN);
    assert!(sent > 128, "a segment and its end for each of 64 fit, but only {sent} did");
    assert_eq!(taken(&seated, sent as usize).len(), sent as usize);
    dialed.session.send(&Control::Forget { number: 0 }, None).unwrap();
    assert!(!seated.is_closed());
}

#[test]
fn a_client_waits_for_a_server_to_come() {
    let place = Place::new();
    let (mut dialing, porch) = place.begin(Hello::new(Kind::Call), Vec::new(), PATIENCE);
    assert!(dialing.poll().is_none());
    let house = place.bind().unwrap();
    soon("a knock", || porch.has_news());
    assert!(dialing.poll().unwrap().is_ok());
    house.host.next();
}

#[test]
fn nobody_is_found_where_nobody_is() {
    let place = Place::new();
    let none = Duration::ZERO;
    assert!(matches!(place.dial_for(none), Err(ConnectError::NotFound { .. })), "no directory");
    drop(place.impostor(None));
    assert!(place.socket().exists());
    assert!(matches!(place.dial_for(none), Err(ConnectError::NotFound { .. })), "a stale socket");
}

#[test]
fn a_server_that_does_not_answer_is_told_from_one_that_is_not_there() {
    let place = Place::new();
    let impostor = place.impostor(Some(0));
    let brief = Duration::from_millis(30);
    // It accepts nothing. The first connection waits in the backlog, later ones find it full.
    let outcome = place.dial_for(brief);
    let Err(ConnectError::Silent { peer, .. }) = outcome else { panic!("not {outcome:?}") };
    assert_eq!(peer.pid, std::process::id());
    let waiting: Vec<_> = std::iter::from_fn(|| {
        let directory = Directory::open(&place.directory(), &Admit::default()).unwrap();
        directory.connect(&place.name).ok()
    })
    .collect();
    assert!(matches!(place.dial_for(brief), Err(ConnectError::Busy { .. })));
    drop((waiting, impostor));
}

#[test]
fn a_dropped_dialing_is_given_up() {
    let place = Place::new();
    let (mine, theirs) = UnixStream::pair().unwrap();
    let (dialing, _porch) = place.begin(Hello::new(Kind::Call), vec![theirs.into()], PATIENCE);
    drop(dialing);
    // The doorman let go of its descriptor.
    mine.set_nonblocking(true).unwrap();
    soon("its end", || rustix::io::read(&mine, &mut [0; 1]) == Ok(0));
}

#[test]
fn a_refusal_says_why() {
    let place = Place::new();
    let _house = place.bind().unwrap();
    let (mut dialing, porch) = place.begin(Hello::new(Kind::Pull), Vec::new(), PATIENCE);
    soon("a knock", || porch.has_news());
    let Some(Err(ConnectError::Refused { code, text, .. })) = dialing.poll() else {
        panic!("not refused")
    };
    assert_eq!((code, text.as_str()), (Refusal::WrongPattern, "calls only"));
}

#[test]
fn the_end_of_a_binding_leaves_its_sessions_and_tells_who_waits() {
    let place = Place::new();
    let house = place.bind().unwrap();
    let dialed = place.dial().unwrap();
    let seated = house.host.next();
    let waiting = place.connect();
    drop(house.bound);
    assert!(!place.socket().exists());
    assert_eq!(answer(&waiting), None);
    dialed.session.send(&Control::Forget { number: 1 }, None).unwrap();
    assert_eq!(taken(&seated, 1).len(), 1);
}

#[test]
fn a_survey_lists_the_living_and_removes_the_dead() {
    let place = Place::new();
    let house = place.bind().unwrap();
    let path = place.directory().join("dead");
    let socket = new_socket().unwrap();
    bind(&socket, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
    drop(socket);
    std::fs::write(place.directory().join("notes.txt"), "no socket").unwrap();

    let mut services = Vec::new();
    // Who is too late for one survey may answer the next.
    soon("an answer", || {
        services = survey::list_in(&place.directory()).unwrap();
        services.iter().all(|service| service.answered)
    });
    assert_eq!(services.len(), 1, "{services:?}");
    let service = &services[0];
    assert_eq!((service.name.as_str(), service.pid), ("greeter", std::process::id()));
    assert_eq!((service.answered, service.pattern), (true, survey::Pattern::Server));
    assert!(!path.exists(), "the stale socket is gone");
    assert!(place.directory().join("notes.txt").exists());
    drop(house);
    assert!(survey::list_in(&place.directory()).unwrap().is_empty());
    assert!(survey::list_in(&place.root.join("nowhere")).unwrap().is_empty());
}

#[test]
fn a_survey_lists_who_does_not_answer() {
    let place = Place::new();
    let impostor = place.impostor(Some(4));
    let services = survey::list_in(&place.directory()).unwrap();
    assert_eq!(services.len(), 1);
    assert!(!services[0].answered);
    assert_eq!(services[0].pid, std::process::id());
    drop(impostor);
}
