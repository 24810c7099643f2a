//! A child that was forked has its parent's sockets, and none of the threads that serve them.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chaski_zmq::{
    BindError, Context, Forked, OptionError, Options, Pull, Push, SendFailure, Socket, SocketOption,
};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

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
    children_use_what_a_thread_has_locked();
}

/// Forks while another thread is, most of the time, within a lock of a socket.
fn children_use_what_a_thread_has_locked() {
    let over = AtomicBool::new(false);
    for _ in 0..20 {
        let socket = Pull::new();
        let setting = &socket;
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    setting.set(SocketOption::Rcvhwm(7)).unwrap();
                }
            });
            // SAFETY: the child uses a copy of the socket's handle, which asks first whose it is
            // and takes no lock of the parent's, and exits.
            match unsafe { fork() }.unwrap() {
                ForkResult::Child => {
                    // SAFETY: the other thread, which borrows it, does not exist here.
                    let copy = unsafe { std::ptr::read(setting) };
                    let told = is_told_of_fork(copy.as_ref());
                    drop(copy);
                    // SAFETY: nothing is to be run at the end of a copy.
                    unsafe { nix::libc::_exit(i32::from(!told)) }
                }
                ForkResult::Parent { child } => {
                    let ended = end_of(child);
                    over.store(true, Ordering::Relaxed);
                    assert_eq!(ended, WaitStatus::Exited(child, 0));
                }
            }
        });
        over.store(false, Ordering::Relaxed);
    }
}

/// Whether a socket of the parent's says so or has nothing to say, whatever is locked.
fn is_told_of_fork(socket: &Socket) -> bool {
    socket.set(SocketOption::Rcvhwm(8)) == Err(OptionError::Forked(Forked))
        && *socket.options() == Options::default()
        && socket.peers().is_empty()
        && socket.topics_count() == 0
        && socket.monitor().recv().is_none()
}

/// How a child ended, which may hang.
fn end_of(child: Pid) -> WaitStatus {
    let begin = Instant::now();
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)).unwrap() {
            WaitStatus::StillAlive if begin.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(1));
            }
            ended => return ended,
        }
    }
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
