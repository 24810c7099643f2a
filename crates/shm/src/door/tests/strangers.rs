//! Processes of other users. The kernel keeps the user of each thread, so one thread that gives up
//! root's rights is another user's process for all that matters here; without root's rights to give
//! up there is nothing to try.

use std::thread;

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::*;

const STRANGER: u32 = 54_321;
const GROUP: u32 = 54_322;
const EXTRA_GROUP: u32 = 54_323;

/// Runs something as another user; false if this process may not.
#[must_use]
fn as_stranger(act: impl FnOnce() + Send) -> bool {
    if !geteuid().is_root() {
        return false;
    }
    thread::scope(|scope| {
        let acted = scope.spawn(|| {
            let (user, group) = (Uid::from_raw(STRANGER), Gid::from_raw(GROUP));
            set_thread_groups(&[Gid::from_raw(EXTRA_GROUP)]).unwrap();
            set_thread_res_gid(group, group, group).unwrap();
            set_thread_res_uid(user, user, user).unwrap();
            act();
        });
        acted.join().unwrap();
    });
    true
}

/// A place that anybody can pass through to.
fn passable() -> Place {
    let place = Place::new();
    set_mode(&place.root, 0o755);
    place
}

fn try_connect(place: &Place) -> rustix::io::Result<OwnedFd> {
    let everyone = Admit::by(|_| true);
    match Directory::open(&place.directory(), &everyone) {
        Ok(directory) => directory.connect(&place.name),
        Err(Unusable::System(errno)) => Err(errno),
        Err(Unusable::Bad(bad)) => panic!("{bad}"),
    }
}

#[test]
fn a_stranger_comes_not_even_to_the_socket_by_default() {
    let place = passable();
    let _house = place.bind().unwrap();
    let tried = as_stranger(|| assert_eq!(try_connect(&place).unwrap_err(), Errno::ACCESS));
    assert_eq!(tried, geteuid().is_root());
    // Nor where another service has opened the directory.
    set_mode(&place.directory(), 0o711);
    let _ = as_stranger(|| assert_eq!(try_connect(&place).unwrap_err(), Errno::ACCESS));
}

#[test]
fn a_stranger_that_reaches_the_socket_is_turned_away_by_its_credentials() {
    let place = passable();
    let _house = place.bind_as(Admit::users([1]), Arc::default()).unwrap();
    let _ = as_stranger(|| {
        let socket = try_connect(&place).unwrap();
        // The answer may come before it has said a word, and comes even so.
        let _ = packet::send(&socket, &Hello::new(Kind::Call).encode(), &[]);
        let refused = refusal(&socket);
        assert_eq!(refused.code, Refusal::NotAdmitted);
        assert!(refused.text.contains("user 54321 is not admitted"), "{refused}");
    });
}

#[test]
fn a_stranger_enters_as_user_member_or_by_decision() {
    for admit in [
        Admit::users([STRANGER]),
        Admit::groups([GROUP]),
        Admit::groups([EXTRA_GROUP]),
        Admit::by(|peer| peer.uid == STRANGER && *peer.groups == [EXTRA_GROUP]),
    ] {
        let place = passable();
        let house = place.bind_as(admit.clone(), Arc::default()).unwrap();
        let entered = as_stranger(|| {
            let socket = try_connect(&place).unwrap();
            say(&socket, &Hello::new(Kind::Call).encode());
            assert!(matches!(answer(&socket), Some(Answer::Welcome(_))), "{admit:?}");
            // But surveys speak of other clients.
            let socket = try_connect(&place).unwrap();
            say(&socket, &Hello::new(Kind::Survey).encode());
            assert_eq!(refusal(&socket).code, Refusal::NotAdmitted);
        });
        if entered {
            let session = house.host.next();
            assert_eq!((session.peer().uid, session.peer().gid), (STRANGER, GROUP));
        }
    }
}

/// A place whose directory is a stranger's, and the stranger listening in it; `None` without
/// root's rights.
fn strangers_place() -> Option<(Place, OwnedFd)> {
    let place = passable();
    place.make_directory();
    set_mode(&place.directory(), 0o711);
    if geteuid().is_root() {
        rustix::fs::chown(place.directory(), Some(Uid::from_raw(STRANGER)), None).unwrap();
    }
    let mut impostor = None;
    as_stranger(|| impostor = Some(place.impostor(Some(4)))).then(|| (place, impostor.unwrap()))
}

#[test]
fn a_client_does_not_go_to_a_strangers_directory() {
    let Some((place, _impostor)) = strangers_place() else { return };
    let error = place.dial().unwrap_err();
    assert!(matches!(error, ConnectError::Directory(_)));
    assert!(error.to_string().contains("belongs to user 54321"), "{error}");
    assert!(matches!(place.bind(), Err(BindError::Directory(_))));
}

#[test]
fn a_client_says_nothing_to_a_server_that_it_does_not_believe() {
    let Some((place, impostor)) = strangers_place() else { return };
    let choosy = Admit::by(|peer| peer.uid != STRANGER);
    let error = place.dial_as(choosy, Duration::ZERO).unwrap_err();
    let ConnectError::NotAdmitted { peer, .. } = error else { panic!("not {error}") };
    assert_eq!(peer.uid, STRANGER);
    let socket = rustix::net::accept(&impostor).unwrap();
    assert_eq!(answer(&socket), None, "not even a hello");
    // Whoever was told to believe it does.
    let (mut dialing, _porch) =
        place.begin_as(Admit::users([STRANGER]), Hello::new(Kind::Call), Vec::new(), PATIENCE);
    let mut socket = None;
    soon("a client", || {
        socket = rustix::net::accept(&impostor).ok();
        socket.is_some()
    });
    say(socket.as_ref().unwrap(), &Answer::Welcome(welcome(0)).encode());
    let mut outcome = None;
    soon("a session", || {
        outcome = dialing.poll();
        outcome.is_some()
    });
    assert_eq!(outcome.unwrap().unwrap().session.peer().gid, GROUP);
}
