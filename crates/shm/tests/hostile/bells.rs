//! Spoiling doorbells. Whoever has a descriptor of one can empty what is behind it, or fill it and
//! let every further write wait: the flag for that belongs to all who have the same one.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use chaski_shm::Client;

use super::NAME;
use super::processes::child;
use super::processes::mail::Wish;

/// A client that asks, and sleeps until it is rung for. It empties its doorbell all the time, or
/// has filled it so that who rings waits.
pub(crate) fn client() -> ExitCode {
    let seed: u64 = child::told_number("CHASKI_FIRST").expect("a number");
    let mut client = Client::connect(NAME).expect("a server");
    let bells = watched();
    assert!(!bells.is_empty(), "it has a doorbell");
    if seed % 4 == 1 {
        std::thread::spawn(move || {
            loop {
                bells.iter().for_each(|bell| empty(*bell));
            }
        });
    } else {
        bells.iter().for_each(|bell| fill(*bell));
    }
    for turn in 0..100 {
        let wish = Wish { id: (1 << 60) + turn, len: 100, wanted: 100, parts: 0 };
        let _ = client.try_send(&wish.request());
        let _ = client.recv_timeout(Duration::from_millis(3));
    }
    ExitCode::SUCCESS
}

/// Descriptors for which something in this process waits: its doorbells, whatever they are. The
/// server's is not among them, lest this process wait itself.
fn watched() -> Vec<i32> {
    let infos = fs::read_dir("/proc/self/fdinfo").expect("/proc");
    let infos = infos.filter_map(|info| fs::read_to_string(info.ok()?.path()).ok());
    let infos: Vec<_> = infos.collect();
    let lines = infos.iter().flat_map(|info| info.lines());
    let fds = lines.filter_map(|line| line.strip_prefix("tfd:")?.split_whitespace().next());
    fds.filter_map(|fd| fd.parse().ok()).filter(|fd| !is_session(*fd)).collect()
}

/// The socket whose hang-up is the end of the connection.
fn is_session(fd: i32) -> bool {
    let (mut kind, mut len) = (0, size_of::<i32>() as u32);
    let to = (&raw mut kind).cast();
    // SAFETY: a number, for which there is room.
    let done = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, to, &mut len) };
    done == 0 && kind == libc::SOCK_SEQPACKET
}

fn empty(bell: i32) {
    let mut bytes = [0_u8; 4096];
    set_flags(bell, libc::O_NONBLOCK);
    // SAFETY: a descriptor of this process, and memory of ours.
    while unsafe { libc::read(bell, bytes.as_mut_ptr().cast(), bytes.len()) } > 0 {}
}

fn fill(bell: i32) {
    // An eventfd takes no more than there is room for, or nothing.
    empty(bell);
    let most = (u64::MAX - 1).to_ne_bytes();
    // SAFETY: a descriptor of this process, and memory of ours. A socket's other end is the
    // server's: what is sent there it never reads.
    unsafe {
        while libc::write(bell, most.as_ptr().cast(), most.len()) > 0 {}
        libc::shutdown(bell, libc::SHUT_RD);
    }
    set_flags(bell, 0);
}

fn set_flags(fd: i32, flags: i32) {
    // SAFETY: numbers.
    unsafe { libc::fcntl(fd, libc::F_SETFL, flags) };
}
