//! A name has one owner, whoever else tries and whoever died before.

use std::os::unix::fs::{FileTypeExt, symlink};
use std::sync::Barrier;
use std::thread;

use super::*;

fn in_use(outcome: &Result<House, BindError>) -> bool {
    matches!(outcome, Err(BindError::InUse { .. }))
}

#[test]
fn a_name_is_bound_once_and_free_again_after() {
    let place = Place::new();
    let house = place.bind().unwrap();
    assert_eq!(mode_of(&place.directory()), 0o700);
    assert_eq!(mode_of(&place.socket()), 0o600);
    assert!(in_use(&place.bind()));
    drop(house);
    assert!(!place.socket().exists());
    let again = place.bind().unwrap();
    place.dial().unwrap();
    again.host.next();
}

#[test]
fn a_stale_socket_is_replaced() {
    let place = Place::new();
    place.stale();
    let _house = place.bind().unwrap();
    place.dial().unwrap();
    // One that was bound and never listened looks alike.
    let other = Place::new();
    drop(other.impostor(None));
    other.bind().unwrap();
}

#[test]
fn a_full_backlog_is_alive() {
    let place = Place::new();
    let impostor = place.impostor(Some(0));
    let directory = Directory::open(&place.directory(), &Admit::default()).unwrap();
    let waiting: Vec<_> = std::iter::from_fn(|| directory.connect(&place.name).ok()).collect();
    assert!(!waiting.is_empty());
    assert_eq!(directory.connect(&place.name).unwrap_err(), Errno::AGAIN);
    assert!(in_use(&place.bind()));
    assert!(place.socket().exists());
    rustix::net::shutdown(impostor, rustix::net::Shutdown::Both).unwrap();
    place.bind().unwrap();
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let place = Place::new();
    place.make_directory();
    std::fs::write(place.socket(), "precious").unwrap();
    assert!(matches!(place.bind(), Err(BindError::NoSocket { .. })));
    assert_eq!(std::fs::read(place.socket()).unwrap(), b"precious");
    // Neither is what a link leads to.
    std::fs::remove_file(place.socket()).unwrap();
    symlink("/dev/null", place.socket()).unwrap();
    assert!(matches!(place.bind(), Err(BindError::NoSocket { .. })));
}

#[test]
fn of_many_who_find_a_stale_socket_one_gets_the_name() {
    for _ in 0..40 {
        let place = Place::new();
        place.stale();
        let start = Barrier::new(4);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let bind = || {
                start.wait();
                // On a busy machine one may wait for the lock for longer than it has patience.
                let mut tries = (0..20).map(|_| place.bind());
                tries.find(|outcome| !matches!(outcome, Err(BindError::Locked { .. }))).unwrap()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(bind)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let bound = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!((bound, outcomes.iter().filter(|o| in_use(o)).count()), (1, 3));
        place.dial().unwrap();
    }
}

#[test]
fn only_ones_own_socket_is_removed() {
    let place = Place::new();
    let house = place.bind().unwrap();
    // Somebody removed it by hand, and another took the name.
    std::fs::remove_file(place.socket()).unwrap();
    let other = place.bind().unwrap();
    drop(house);
    assert!(place.socket().exists());
    place.dial().unwrap();
    other.host.next();
}

#[test]
fn a_lock_is_waited_for_but_not_for_ever() {
    let place = Place::new();
    place.make_directory();
    let held = Directory::open_to_list(&place.directory()).unwrap();
    let lock = held.lock(Duration::ZERO).unwrap().unwrap();
    assert!(matches!(place.bind(), Err(BindError::Locked { .. })));
    thread::scope(|scope| {
        let binding = scope.spawn(|| place.bind());
        drop(lock);
        binding.join().unwrap().unwrap();
    });
}

#[test]
fn an_unsafe_directory_is_refused_by_both_sides() {
    let refused = |place: &Place, why: &str| {
        let Err(BindError::Directory(bad)) = place.bind() else { panic!("bound: {why}") };
        assert!(bad.to_string().contains(why), "{bad}");
        assert_eq!(bad.path(), place.directory());
        let Err(ConnectError::Directory(bad)) = place.dial() else { panic!("dialled: {why}") };
        assert!(bad.to_string().contains(why), "{bad}");
        let listed = survey::list_in(&place.directory());
        assert!(matches!(listed, Err(survey::ListError::Directory(_))));
    };
    let linked = Place::new();
    std::fs::create_dir(linked.root.join("elsewhere")).unwrap();
    symlink(linked.root.join("elsewhere"), linked.directory()).unwrap();
    refused(&linked, "symbolic link");

    let file = Place::new();
    std::fs::write(file.directory(), "").unwrap();
    refused(&file, "no directory");

    for mode in [0o770, 0o702, 0o1777] {
        let open = Place::new();
        open.make_directory();
        set_mode(&open.directory(), mode);
        refused(&open, &format!("(mode {mode:04o})"));
    }
}

#[test]
fn files_are_as_open_as_the_policy_asks() {
    let group = rustix::process::getegid().as_raw();
    for (admit, directory, socket) in [
        (Admit::same_user(), 0o700, 0o600),
        (Admit::groups([group]), 0o711, 0o660),
        (Admit::users([1]), 0o711, 0o666),
        (Admit::by(|_| false), 0o711, 0o666),
    ] {
        let place = Place::new();
        let house = place.bind_as(admit.clone(), Arc::default()).unwrap();
        assert_eq!(mode_of(&place.directory()), directory, "{admit:?}");
        assert_eq!(mode_of(&place.socket()), socket, "{admit:?}");
        drop(house);
        // It is not narrowed for the next, who may not be the only one.
        let _house = place.bind().unwrap();
        assert_eq!(mode_of(&place.directory()), directory, "{admit:?}");
        assert_eq!(mode_of(&place.socket()), 0o600);
    }
}

#[test]
fn a_directory_may_have_a_long_path() {
    let mut place = Place::new();
    place.name = Name::new(&"n".repeat(64)).unwrap();
    let mut deep = place.root.clone();
    for _ in 0..3 {
        deep.push("d".repeat(60));
        std::fs::create_dir(&deep).unwrap();
    }
    let services = deep.join("services");
    let porch = Porch::new().unwrap();
    let host = Arc::new(Arc::new(Plain::default()));
    let bind = || {
        let directory = Some(services.clone());
        Bound::bind(&place.name, directory, Admit::default(), porch.clone(), host.clone())
    };
    let bound = bind().unwrap();
    let socket = services.join(place.name.as_str());
    assert!(std::fs::metadata(&socket).unwrap().file_type().is_socket());
    assert!(matches!(bind(), Err(BindError::InUse { .. })));
    assert_eq!(survey::list_in(&services).unwrap().len(), 1);
    drop(bound);
    assert!(!socket.exists());
}
