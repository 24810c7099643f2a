//! What needs a process of its own: because it counts descriptors or uses them up, or because the
//! process is killed. Each is an ignored test that another one runs.

use std::env;
use std::process::{Child, Command, Stdio};

use rustix::net::connect;
use rustix::process::{Resource, getrlimit, setrlimit};

use super::*;

/// Where a process apart finds its place.
const PLACE: &str = "CHASKI_TEST_PLACE";

/// A process that runs an ignored test of this file.
fn process(test: &str) -> Command {
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", &format!("{module}::{test}"), "--ignored"]);
    command
}

fn succeeds(test: &str) {
    let output = process(test).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn sessions() -> usize {
    doorman::Doorman::of_this_process().unwrap().sessions()
}

#[test]
fn a_thousand_connections_leave_nothing() {
    succeeds("connect_a_thousand_times");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn connect_a_thousand_times() {
    let place = Place::new();
    let house = place.bind().unwrap();
    let segment = Control::Segment { number: 0, len: 4096 };
    let once = |untaken: bool| {
        let hello = Hello { history: 4, ..Hello::new(Kind::Call) };
        let (mut dialing, porch) = place.begin(hello, vec![bell(), bell()], PATIENCE);
        soon("an outcome", || porch.has_news());
        let dialed = dialing.poll().unwrap().unwrap();
        let seated = house.host.next();
        house.host.brought.lock().unwrap().clear();
        if untaken {
            dialed.session.send(&segment, Some(bell().as_fd())).unwrap();
        }
        drop(seated);
    };
    once(false);
    soon("the first ones end", || sessions() == 0);
    let before = descriptors();
    for round in 0..1000 {
        once(round % 2 == 0);
    }
    // Fewer will do: the doorman may have had some left to close when they were counted.
    soon("their end", || sessions() == 0 && descriptors() <= before);

    // All at once, and both ends of one died last.
    let dialed: Vec<_> = (0..100).map(|_| place.dial().unwrap()).collect();
    soon("all seats", || house.host.sessions.lock().unwrap().len() == 100);
    assert_eq!(sessions(), 200);
    drop(dialed);
    house.host.sessions.lock().unwrap().clear();
    soon("their end", || sessions() == 0 && descriptors() <= before);

    // And of those who keep no rule, or leave in the middle.
    for round in 0..300 {
        let socket = place.connect();
        let fds = [bell(), bell()];
        let hello = Hello { policy: 1, ..Hello::new(Kind::Pull) }.encode();
        let bytes: &[u8] = if round % 2 == 0 { &hello } else { b"nonsense" };
        if round % 3 != 0 {
            packet::send(&socket, bytes, &[fds[0].as_fd(), fds[1].as_fd()]).unwrap();
        }
    }
    drop(place.begin(Hello::new(Kind::Call), vec![bell()], PATIENCE));
    let gone = || {
        house.host.brought.lock().unwrap().clear();
        house.host.sessions.lock().unwrap().clear();
        descriptors() <= before
    };
    soon("nothing left", gone);
}

#[test]
fn without_descriptors_callers_are_told_and_later_served() {
    succeeds("use_up_all_descriptors");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn use_up_all_descriptors() {
    let place = Place::new();
    let house = place.bind().unwrap();
    let before = descriptors();
    place.dial().unwrap();
    house.host.next();
    soon("sessions end", || sessions() == 0 && descriptors() <= before);
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(100);
    setrlimit(Resource::Nofile, limit).unwrap();

    let directory = Directory::open(&place.directory(), &Admit::default()).unwrap();
    let address = directory.address(&place.name).unwrap();
    let clients: Vec<_> = (0..8).map(|_| new_socket().unwrap()).collect();
    let used: Vec<_> = std::iter::from_fn(|| eventfd(0, EventfdFlags::CLOEXEC).ok()).collect();
    assert!(!used.is_empty());
    for client in &clients {
        connect(client, &address).unwrap();
        let refused = refusal(client);
        assert_eq!(refused.code, Refusal::Busy);
        assert!(refused.text.contains("no file descriptor"), "{refused}");
    }
    drop(used);
    place.dial().unwrap();
}

#[test]
fn descriptors_that_cannot_be_taken_in_are_refused() {
    succeeds("have_no_room_for_descriptors");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn have_no_room_for_descriptors() {
    let place = Place::new();
    let _house = place.bind().unwrap();
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(100);
    setrlimit(Resource::Nofile, limit).unwrap();
    // On a machine so busy that its time to say hello is over, once more.
    soon("a hello in time", || {
        let client = place.connect();
        soon("it is accepted", || sessions() == 0 && place.dial_for(PATIENCE).is_ok());
        let used: Vec<_> = std::iter::from_fn(|| eventfd(0, EventfdFlags::CLOEXEC).ok()).collect();
        let fds = [used[0].as_fd(); 4];
        say_with(&client, &Hello::new(Kind::Call).encode(), &fds);
        let refused = refusal(&client);
        let late = hostile::is_late(&refused);
        assert!(late || refused.code == Refusal::Malformed, "{refused}");
        !late
    });
    place.dial().unwrap();
}

#[test]
fn a_forked_child_leaves_its_parents_sockets_alone() {
    succeeds("fork_and_drop_all");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn fork_and_drop_all() {
    let place = Place::new();
    let house = place.bind().unwrap();
    let dialed = place.dial().unwrap();
    let seated = house.host.next();
    // SAFETY: the child has copies of everything but the other threads; it drops values whose
    // drops take no locks, and ends without running anything else.
    let child = unsafe { libc::fork() };
    if child == 0 {
        seated.close();
        drop((house, dialed, seated));
        // SAFETY: ends the process.
        unsafe { libc::_exit(0) };
    }
    let child = rustix::process::Pid::from_raw(child).unwrap();
    rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty()).unwrap();
    assert!(place.socket().exists());
    assert!(!dialed.session.is_closed() && !seated.is_closed());
    dialed.session.send(&Control::Forget { number: 1 }, None).unwrap();
    assert_eq!(seated.take().len(), 1);
    place.dial().unwrap();
    drop(dialed);
    soon("the hang-up", || seated.is_closed());
}

/// Lets another process run an ignored test of this file in a place.
fn neighbour(place: &Place, test: &str, settings: &[(&str, &str)]) -> Child {
    let mut command = process(test);
    command.env(PLACE, &place.root).envs(settings.iter().copied());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The place this process was given.
fn given_place() -> Place {
    Place::at(Path::new(&env::var_os(PLACE).unwrap()))
}

#[test]
#[ignore = "run by another test, in a process of its own, which is killed"]
fn bind_over_and_over() {
    let place = given_place();
    loop {
        drop(place.bind());
    }
}

#[test]
#[ignore = "run by another test, in a process of its own, which is killed"]
fn serve() {
    let house = given_place().bind().unwrap();
    loop {
        drop(house.host.next());
        sleep(Duration::from_millis(1));
    }
}

#[test]
#[ignore = "run by another test, in a process of its own, which is killed"]
fn hold_a_session() {
    let house = given_place().bind().unwrap();
    let _session = house.host.next();
    sleep(PATIENCE);
}

#[test]
#[ignore = "run by another test, in a process of its own, which is killed"]
fn dial_over_and_over() {
    let place = given_place();
    loop {
        let hello = Hello { history: 4, ..Hello::new(Kind::Call) };
        let (mut dialing, porch) = place.begin(hello, vec![bell(), bell()], PATIENCE);
        soon("an outcome", || porch.has_news());
        drop(dialing.poll());
    }
}

#[test]
fn a_binder_killed_anywhere_leaves_the_name_free() {
    let place = Place::new();
    for round in 0..30 {
        let mut binder = neighbour(&place, "bind_over_and_over", &[]);
        soon("the directory", || place.directory().exists());
        sleep(Duration::from_micros(round * 317));
        binder.kill().unwrap();
        binder.wait().unwrap();
        let house = place.bind().unwrap();
        place.dial().unwrap();
        house.host.next();
        drop(house);
        let left = std::fs::read_dir(place.directory()).unwrap().count();
        assert_eq!(left, 0, "nothing is left in the directory");
    }
}

#[test]
fn the_death_of_a_process_is_a_hang_up_and_its_name_free() {
    let place = Place::new();
    let mut server = neighbour(&place, "hold_a_session", &[]);
    let dialed = place.dial().unwrap();
    assert_eq!(dialed.session.peer().pid, server.id());
    assert!(!dialed.session.is_closed());
    server.kill().unwrap();
    soon("the hang-up", || dialed.session.is_closed());
    server.wait().unwrap();
    let house = place.bind().unwrap();
    place.dial().unwrap();
    house.host.next();
}

#[test]
fn clients_killed_in_the_middle_leave_no_session() {
    let place = Place::new();
    let house = place.bind().unwrap();
    for round in 0..20 {
        let mut client = neighbour(&place, "dial_over_and_over", &[]);
        house.host.next();
        sleep(Duration::from_micros(round * 211));
        client.kill().unwrap();
        client.wait().unwrap();
        soon("all sessions end", || {
            let mut sessions = house.host.sessions.lock().unwrap();
            sessions.retain(|session| !session.is_closed());
            sessions.is_empty()
        });
    }
    place.dial().unwrap();
}

/// Each place between two steps that another process can see.
#[cfg(feature = "kill-points")]
#[test]
fn a_process_that_dies_at_any_step_stops_nobody() {
    let binder = [
        "bind.directory_made",
        "bind.directory_widened",
        "bind.locked",
        "bind.stale_removed",
        "bind.bound",
        "bind.mode_set",
        "bind.listening",
        "unbind.removed",
        "unbind.shut",
    ];
    for step in binder {
        let place = Place::new();
        if step == "bind.stale_removed" {
            drop(place.impostor(None));
        }
        let fatal = format!("{step}:1");
        let test =
            if step == "bind.directory_widened" { "bind_wide" } else { "bind_over_and_over" };
        let mut binder = neighbour(&place, test, &[("CHASKI_KILL_AT", &fatal)]);
        assert!(!binder.wait().unwrap().success(), "it died at {step}");
        let house = place.bind().unwrap();
        place.dial().unwrap();
        house.host.next();
        drop(house);
        assert_eq!(std::fs::read_dir(place.directory()).unwrap().count(), 0, "{step}");
    }
    for step in ["greet.accepted", "greet.hello_read", "greet.welcome_sent", "greet.seated"] {
        let place = Place::new();
        let mut server = neighbour(&place, "serve", &[("CHASKI_KILL_AT", &format!("{step}:1"))]);
        let (mut dialing, _porch) = place.begin(Hello::new(Kind::Call), Vec::new(), PATIENCE);
        assert!(!server.wait().unwrap().success(), "it died at {step}");
        // It gets through, to the one that died or to the next.
        let house = place.bind().unwrap();
        let mut dialed = None;
        soon("a connection", || {
            dialed = dialed.take().or_else(|| dialing.poll());
            dialed.is_some()
        });
        let session = dialed.unwrap().unwrap().session;
        soon("one end", || session.is_closed() || !house.host.sessions.lock().unwrap().is_empty());
    }
    for step in
        ["dial.connected", "dial.hello_sent", "dial.welcomed", "control.sent", "session.shut"]
    {
        let place = Place::new();
        let house = place.bind().unwrap();
        let fatal = format!("{step}:1");
        let mut client = neighbour(&place, "dial_and_leave", &[("CHASKI_KILL_AT", &fatal)]);
        assert!(!client.wait().unwrap().success(), "it died at {step}");
        place.dial().unwrap();
        soon("all sessions end", || {
            let mut sessions = house.host.sessions.lock().unwrap();
            sessions.retain(|session| !session.is_closed());
            sessions.is_empty()
        });
    }
}

#[cfg(feature = "kill-points")]
#[test]
#[ignore = "run by another test, in a process of its own, which is killed"]
fn bind_wide() {
    let _house = given_place().bind_as(Admit::users([1]), Arc::default()).unwrap();
}

#[cfg(feature = "kill-points")]
#[test]
#[ignore = "run by another test, in a process of its own, which is killed"]
fn dial_and_leave() {
    let session = given_place().dial().unwrap().session;
    session.send(&Control::Segment { number: 0, len: 4096 }, Some(bell().as_fd())).unwrap();
    session.close();
}
