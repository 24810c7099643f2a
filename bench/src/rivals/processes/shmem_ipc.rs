//! `shmem-ipc`: a ring of bytes in sealed memory and two eventfds, which the user hands over. It
//! knows no messages; those of one length need no mark.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use ::shmem_ipc::sharedring::{Receiver, Sender};
use anyhow::Result;

use super::link::Link;
use super::{Ends, Read, Receives, Sends, Spec, Wait};

/// The ring's own header.
const HEADER_BYTES: usize = 64;

/// Short messages are taken out together, up to so many bytes: each time costs a locked operation
/// on a line that the sender wants too.
const TAKEN_BYTES: usize = 16 * 1024;

#[derive(Debug)]
pub struct Rings;

pub struct Outbox {
    ring: Sender<u8>,
    spec: Spec,
}

pub struct Inbox {
    ring: Receiver<u8>,
    spec: Spec,
    buffer: Vec<u8>,
    /// Of the buffer, what is filled and not yet taken.
    from: usize,
    to: usize,
}

impl Ends for Rings {
    type Tx = Outbox;
    type Rx = Inbox;

    fn near(link: &Link, spec: Spec) -> Result<(Outbox, Inbox)> {
        let outbox = Outbox::give(link, spec)?;
        Ok((outbox, Inbox::take(link, spec)?))
    }

    fn far(link: &Link, spec: Spec) -> Result<(Outbox, Inbox)> {
        let inbox = Inbox::take(link, spec)?;
        Ok((Outbox::give(link, spec)?, inbox))
    }
}

impl Outbox {
    fn give(link: &Link, spec: Spec) -> Result<Outbox> {
        let ring = Sender::new(capacity(spec))?;
        let memory = ring.memfd().as_file().as_fd();
        link.give(&[memory, ring.empty_signal().as_fd(), ring.full_signal().as_fd()])?;
        Ok(Outbox { ring, spec })
    }

    /// Writes some of the bytes; how many.
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut written = 0;
        let fill = |room: *mut u8, length: usize| {
            written = length.min(bytes.len());
            // SAFETY: the ring shows as much room, which is this side's until the closure returns.
            unsafe { room.copy_from_nonoverlapping(bytes.as_ptr(), written) };
            written
        };
        match self.spec.peer {
            Wait::Spin | Wait::Adapt => self.ring.sender_mut().send(fill)?,
            Wait::Block => self.ring.send_raw(fill)?,
        };
        Ok(written)
    }
}

impl Sends for Outbox {
    fn offer(&mut self, message: &[u8]) -> Result<bool> {
        while self.ring.sender_mut().write_count()? < message.len() {
            match self.spec.wait {
                Wait::Spin | Wait::Adapt => return Ok(false),
                Wait::Block => self.ring.block_until_writable()?,
            };
        }
        let written = self.write(message)?;
        if written < message.len() {
            self.write(&message[written..])?;
        }
        Ok(true)
    }
}

impl Inbox {
    fn take(link: &Link, spec: Spec) -> Result<Inbox> {
        let [memory, empty, full] = link.take()?.map(|fd: OwnedFd| File::from(fd));
        let ring = Receiver::open(capacity(spec), memory, empty, full)?;
        let buffer = vec![0; spec.bytes.max(TAKEN_BYTES)];
        Ok(Inbox { ring, spec, buffer, from: 0, to: 0 })
    }

    /// Whether there is a whole message in the ring.
    fn arrived(&mut self) -> Result<bool> {
        while self.ring.receiver_mut().read_count()? < self.spec.bytes {
            match self.spec.wait {
                Wait::Spin | Wait::Adapt => return Ok(false),
                Wait::Block => self.ring.block_until_readable()?,
            };
        }
        Ok(true)
    }

    /// Fills the buffer with what there is, at least with one message; whether there was one.
    fn fill(&mut self) -> Result<bool> {
        if self.to > self.from {
            return Ok(true);
        }
        if !self.arrived()? {
            return Ok(false);
        }
        (self.from, self.to) = (0, 0);
        self.to = read(&mut self.ring, self.spec.peer, &mut self.buffer)?;
        while !self.to.is_multiple_of(self.spec.bytes) {
            // The rest of this message is, or soon will be, at the beginning of the ring.
            let end = self.to.next_multiple_of(self.spec.bytes);
            let rest = &mut self.buffer[self.to..end];
            self.to += read(&mut self.ring, self.spec.peer, rest)?;
        }
        Ok(true)
    }
}

/// Reads some bytes; how many.
fn read(ring: &mut Receiver<u8>, peer: Wait, into: &mut [u8]) -> Result<usize> {
    let mut taken = 0;
    let empty = |bytes: *const u8, length: usize| {
        taken = length.min(into.len());
        // SAFETY: the ring shows as many bytes, which are this side's until the closure returns.
        unsafe { bytes.copy_to_nonoverlapping(into.as_mut_ptr(), taken) };
        taken
    };
    match peer {
        Wait::Spin | Wait::Adapt => ring.receiver_mut().recv(empty)?,
        Wait::Block => ring.receive_raw(empty)?,
    };
    Ok(taken)
}

impl Receives for Inbox {
    fn show(&mut self, mut read: impl Read) -> Result<bool> {
        let arrived = self.fill()?;
        if arrived {
            let message = self.from..self.from + self.spec.bytes;
            self.from = message.end;
            read(&self.buffer[message])?;
        }
        Ok(arrived)
    }
}

/// A whole number of pages with the header, and of short messages without it.
fn capacity(spec: Spec) -> usize {
    spec.room - HEADER_BYTES
}
