//! The wire over which two processes of a turn get to know each other: a socket that keeps messages
//! apart and carries descriptors. Nothing that is measured travels on it.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg,
    socketpair,
};

/// Most descriptors in one message.
const DESCRIPTORS_MAX: usize = 8;

/// Longest text in one message.
const TEXT_MAX: usize = 32 * 1024;

/// One end of the wire.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
    turn: u32,
}

impl Link {
    /// The end that the turn has handed over as the standard input.
    pub fn inherited(turn: u32) -> Result<Link> {
        Ok(Link { socket: rustix::stdio::stdin().try_clone_to_owned()?, turn })
    }

    /// A wire to a stranger, through which descriptors shall go.
    pub fn over(socket: OwnedFd) -> Link {
        Link { socket, turn: 0 }
    }

    /// The end that the turn with this process id has handed to one of its own threads.
    pub fn of_turn(socket: OwnedFd, turn: u32) -> Link {
        Link { socket, turn }
    }

    /// One end, and the other as a descriptor that can be handed over.
    pub fn pair(turn: u32) -> Result<(Link, OwnedFd)> {
        let (socket, other) = wire()?;
        Ok((Link { socket, turn }, other))
    }

    /// Makes two others acquainted.
    pub fn join(one: &Link, other: &Link) -> Result<()> {
        let (this_end, that_end) = wire()?;
        one.give(&[this_end.as_fd()])?;
        other.give(&[that_end.as_fd()])
    }

    /// The process id of the turn: a name that nobody else uses meanwhile.
    pub fn turn(&self) -> u32 {
        self.turn
    }

    /// To somebody with whom the other side has joined this one.
    pub fn take_link(&self) -> Result<Link> {
        let [socket] = self.take()?;
        Ok(Link { socket, turn: self.turn })
    }

    pub fn give(&self, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fits = ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        ensure!(fits, "too many descriptors for one message");
        sendmsg(&self.socket, &[IoSlice::new(b"f")], &mut ancillary, SendFlags::empty())?;
        Ok(())
    }

    pub fn take<const N: usize>(&self) -> Result<[OwnedFd; N]> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let into = &mut [IoSliceMut::new(&mut byte)];
        recvmsg(&self.socket, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        let mut taken = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                taken.extend(descriptors);
            }
        }
        taken.try_into().ok().context("the other side gave other descriptors")
    }

    pub fn say(&self, text: &[u8]) -> Result<()> {
        send(&self.socket, text, SendFlags::empty())?;
        Ok(())
    }

    /// What the other side says next; an error if it is gone.
    pub fn hear(&self) -> Result<Vec<u8>> {
        self.listen(RecvFlags::empty())?.context("the other side is gone")
    }

    /// What the other side has said, if anything.
    pub fn heard(&self) -> Result<Option<Vec<u8>>> {
        self.listen(RecvFlags::DONTWAIT)
    }

    fn listen(&self, flags: RecvFlags) -> Result<Option<Vec<u8>>> {
        let mut text = vec![0; TEXT_MAX];
        match recv(&self.socket, &mut text, flags) {
            Ok((0, _)) => Ok(None),
            Ok((length, _)) => {
                text.truncate(length);
                Ok(Some(text))
            }
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns when the other side has come here as well.
    pub fn meet(&self) -> Result<()> {
        self.say(b"here")?;
        let heard = self.hear()?;
        ensure!(heard == b"here", "the other side is elsewhere");
        Ok(())
    }
}

fn wire() -> Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}
