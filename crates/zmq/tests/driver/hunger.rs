//! A process that has no descriptors left: listeners rest, say so, and go on.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use chaski_zmq::{Pull, Push, What};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Type};

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
    let begin = Instant::now();
    let pull = Pull::new();
    let monitor = pull.monitor();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let tcp = || socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let late: Vec<socket2::Socket> = (0..16).map(|_| tcp()).collect();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..limit }).unwrap();
    // Each takes two of this process's descriptors: its own, and the one that is accepted.
    let mut crowd = Vec::new();
    while let Some(Ok(stream)) = (crowd.len() < 100)
        .then(|| std::net::TcpStream::connect(at.as_str().strip_prefix("tcp://").unwrap()))
    {
        crowd.push(stream);
    }
    let rest = |what: &What| matches!(what, What::AcceptPaused(_));
    await_event(&monitor, rest);
    // However many come meanwhile, there is one rest at a time: no more than have had their time.
    let address: SocketAddr = at.as_str().strip_prefix("tcp://").unwrap().parse().unwrap();
    for socket in &late {
        socket.connect(&address.into()).unwrap();
    }
    let mut rests = 1;
    for _ in 0..3 {
        await_event(&monitor, rest);
        rests += 1;
    }
    rests += std::iter::from_fn(|| monitor.try_recv()).filter(|event| rest(&event.what)).count();
    let had = begin.elapsed().div_duration_f64(Duration::from_millis(100)) as usize;
    assert!(rests <= had + 1, "{rests} rests in the time of {had}");
    drop((crowd, late));
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
