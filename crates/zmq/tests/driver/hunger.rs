//! A process that has no descriptors left: listeners rest, say so, and go on.

use std::process::Command;
use std::time::Duration;

use chaski_zmq::{Pull, Push, What};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::peer::{PATIENCE, Raw, await_event};

/// The test below, in a process of its own: the limit is the process's.
#[test]
fn a_listener_rests_when_descriptors_run_out() {
    let me = std::env::current_exe().unwrap();
    let output = Command::new(me)
        .args(["--exact", "hunger::child", "--ignored", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "it is run by the test above, in a process of its own"]
fn child() {
    let pull = Pull::new();
    let monitor = pull.monitor();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..limit }).unwrap();
    // Each takes two of this process's descriptors: its own, and the one that is accepted.
    let mut crowd = Vec::new();
    while let Some(Ok(stream)) = (crowd.len() < 100)
        .then(|| std::net::TcpStream::connect(at.as_str().strip_prefix("tcp://").unwrap()))
    {
        crowd.push(stream);
    }
    await_event(&monitor, |what| matches!(what, What::AcceptPaused(_)));
    // It spins on nothing meanwhile: a rest is announced a few times, not thousands.
    std::thread::sleep(Duration::from_millis(350));
    let paused = std::iter::from_fn(|| monitor.try_recv())
        .filter(|event| matches!(event.what, What::AcceptPaused(_)))
        .count();
    assert!(paused < 20, "{paused}");
    drop(crowd);
    let mut raw = Raw::connect(&at);
    std::io::Write::write_all(&mut raw.stream, &Raw::handshake("PUSH")).unwrap();
    std::io::Write::write_all(&mut raw.stream, b"\x00\x02ok").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "ok");
    // What cannot be had is an error.
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).unwrap();
    assert!(Push::builder().build().is_err());
    assert!(pull.bind("tcp://127.0.0.1:*").is_err());
    setrlimit(Resource::Nofile, limit).unwrap();
    assert!(pull.bind("tcp://127.0.0.1:*").is_ok());
}
