//! A child that was forked has its parent's sockets, and none of the threads that serve them.

use std::process::Command;
use std::time::Duration;

use chaski_zmq::{BindError, Context, Forked, Pull, Push, SendFailure};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use crate::peer::PATIENCE;

/// The test below, in a process where nothing else runs.
#[test]
fn a_forked_child_gets_errors_and_can_begin_anew() {
    let me = std::env::current_exe().unwrap();
    let output = Command::new(me)
        .args(["--exact", "fork::child", "--ignored", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
#[ignore = "it is run by the test above, in a process of its own"]
fn child() {
    let pull = Pull::new();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = Push::new();
    push.connect(&at).unwrap();
    push.send("parent").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "parent");
    // SAFETY: the threads of the context hold no lock now that the child needs: it uses what it
    // inherited only to be refused, which happens before any lock is taken.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => std::process::exit(in_child(&pull, &push)),
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
        }
    }
    push.send("still").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "still");
}

/// 0 if all is as it should be, else what is not.
fn in_child(pull: &Pull, push: &Push) -> i32 {
    if pull.recv_timeout(Duration::from_millis(1)).is_ok() {
        return 1;
    }
    if !matches!(pull.bind("tcp://127.0.0.1:*"), Err(BindError::Forked(_))) {
        return 2;
    }
    if !matches!(push.send("child"), Err(error) if *error.failure() == SendFailure::Forked(Forked))
    {
        return 3;
    }
    // A context of its own works.
    let (pull, push) = (Pull::new(), Push::new());
    if Context::default().check().is_err() {
        return 4;
    }
    let Ok(at) = pull.bind("tcp://127.0.0.1:*") else { return 5 };
    if push.connect(&at).is_err() || push.send("child").is_err() {
        return 6;
    }
    match pull.recv_timeout(PATIENCE) {
        Ok(message) if message[0] == "child" => 0,
        _ => 7,
    }
}
