//! A doorbell between two processes: one waits for it, the other rings.
//!
//! ```text
//!   who sleeps                           who wakes it
//!   Bell: an end of a socket pair <----- Button: the other end
//!     is read until it is empty            sends a byte, never waits
//! ```
//!
//! An eventfd would do with less, but it is one open file for both sides. So either can fill it and
//! take `O_NONBLOCK` off, and the other's next ring waits for ever; a look at the flag before each
//! ring only makes it a race. Whether a send on a socket waits is said by the call, each end has
//! its own flags, and nothing that is done to the other end makes `MSG_DONTWAIT` wait. It costs
//! about 2 us more for each sleep.
//!
//! # A full socket
//!
//! takes no further byte, and loses no wake. What fills it was not read; who sleeps reads each bell
//! of which it is told, before it looks at its rings; so of this one it is still to be told, and
//! its next sleep ends at once.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair, sockopt,
};

use crate::admit::Peer;
use crate::door;

/// Reads of one bell, each of [`READ`] bytes: one is what honest peers need. Who sends faster than
/// it is read wakes this side again, and no more.
const READS_MAX: usize = 16;
const READ: usize = 256;

/// The end that is waited for.
#[derive(Debug)]
pub(crate) struct Bell(OwnedFd);

impl Bell {
    /// A new doorbell, and what rings it, to be given away.
    pub(crate) fn new() -> io::Result<(Bell, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (bell, button) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        Ok((Bell(bell), button))
    }

    /// Forgets how often it rang.
    pub(super) fn hush(&self) {
        let mut bytes = [0; READ];
        for _ in 0..READS_MAX {
            match recv(&self.0, &mut bytes[..], RecvFlags::DONTWAIT) {
                Ok((READ, _)) => {}
                // Empty now, or the peer is gone.
                _ => return,
            }
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The end that rings, made by the peer. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Button(Arc<OwnedFd>);

/// What a peer sent as its doorbell is none, or that of somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("descriptor of something that is no doorbell of its sender's")]
pub(crate) struct NoButton;

impl Button {
    /// Takes what a peer sent as its doorbell. A byte that this process sends has the weight of
    /// its credentials, so it goes to nobody else.
    pub(crate) fn new(fd: OwnedFd, of: &Peer) -> Result<Button, NoButton> {
        let is_stream = sockopt::socket_domain(&fd) == Ok(AddressFamily::UNIX)
            && sockopt::socket_type(&fd) == Ok(SocketType::STREAM);
        // Of a socket pair it is the process that made it.
        let is_theirs = || door::peer_of(fd.as_fd()).is_ok_and(|maker| maker.pid == of.pid);
        if is_stream && is_theirs() { Ok(Button(Arc::new(fd))) } else { Err(NoButton) }
    }

    /// Rings. Never waits, raises no signal. A peer may have spoilt its bell so that this fails,
    /// which is its loss.
    pub(crate) fn ring(&self) {
        let _ = send(&*self.0, &[1], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeWriter, pipe};
    use std::time::Duration;

    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fs::{OFlags, fcntl_setfl};
    use rustix::io::fcntl_dupfd_cloexec;

    use super::*;
    use crate::porch::Porch;

    fn this_process() -> Peer {
        Peer { pid: std::process::id(), uid: 0, gid: 0, groups: [].into() }
    }

    /// Sends until no more is taken, and makes both ends wait from then on.
    fn fill(bell: &Bell, button: &OwnedFd) {
        while send(button, &[2; 4096], SendFlags::DONTWAIT).is_ok() {}
        for end in [bell.as_fd(), button.as_fd()] {
            fcntl_setfl(end, OFlags::empty()).unwrap();
        }
    }

    #[test]
    fn a_peer_that_fills_its_bell_does_not_make_the_ringer_wait() {
        let (bell, button) = Bell::new().unwrap();
        let kept = fcntl_dupfd_cloexec(&button, 0).unwrap();
        let button = Button::new(button, &this_process()).unwrap();
        fill(&bell, &kept);
        button.ring();
        // Nor does one that hangs up.
        drop((bell, kept));
        button.ring();
    }

    #[test]
    fn a_bell_that_is_gone_raises_no_signal() {
        let (bell, button) = Bell::new().unwrap();
        let button = Button::new(button, &this_process()).unwrap();
        drop(bell);
        // SAFETY: sets of signals that live as long as the calls, and the mask of this thread
        // alone, which ends with the test. A signal that is blocked waits, even if it is ignored.
        let raised = unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGPIPE);
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            button.ring();
            libc::sigpending(&mut set);
            libc::sigismember(&set, libc::SIGPIPE)
        };
        assert_eq!(raised, 0);
    }

    #[test]
    fn a_full_bell_loses_no_wake() {
        let porch = Porch::new().unwrap();
        let (bell, button) = Bell::new().unwrap();
        let button = Button::new(button, &this_process()).unwrap();
        porch.watch(bell, 7).unwrap();
        let rings = |limit| {
            let mut rang = false;
            porch.sleep(limit, |key| rang |= key == 7).unwrap();
            rang
        };
        for _ in 0..3 {
            // Far more than a socket takes, while nobody sleeps.
            (0..10_000).for_each(|_| button.ring());
            assert!(rings(None));
            assert!(!rings(Some(Duration::ZERO)), "it is told once");
            button.ring();
            assert!(rings(None), "there is room again");
        }
    }

    #[test]
    fn what_is_no_doorbell_is_refused() {
        let none =
            |fd: OwnedFd| assert_eq!(Button::new(fd, &this_process()).unwrap_err(), NoButton);
        none(eventfd(0, EventfdFlags::CLOEXEC).unwrap());
        let (_reader, writer): (_, PipeWriter) = pipe().unwrap();
        none(writer.into());
        none(std::fs::File::open("/dev/null").unwrap().into());
        let flags = SocketFlags::CLOEXEC;
        let packets = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        none(packets.0);
        none(std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into());
        let (_bell, button) = Bell::new().unwrap();
        let other = Peer { pid: std::process::id() + 1, ..this_process() };
        assert_eq!(Button::new(button, &other).unwrap_err(), NoButton);
    }
}
