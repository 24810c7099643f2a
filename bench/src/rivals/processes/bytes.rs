//! Messages of one length over a descriptor that carries a stream of bytes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Result, bail};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{self, Errno, write};

use super::{Read, Receives, Sends, Spec, Wait};

/// As many messages are read at once as fit into this, and at least one.
const BUFFER_BYTES: usize = 16 * 1024;

#[derive(Debug)]
pub struct Writer(OwnedFd);

/// Takes as many messages as there are with one call.
#[derive(Debug)]
pub struct Reader {
    stream: OwnedFd,
    bytes: usize,
    buffer: Vec<u8>,
    /// Of the buffer, what is filled and not yet taken.
    from: usize,
    to: usize,
}

impl Writer {
    pub fn new(stream: OwnedFd, spec: Spec) -> Result<Writer> {
        set_waiting(&stream, spec.wait)?;
        Ok(Writer(stream))
    }
}

impl Reader {
    pub fn new(stream: OwnedFd, spec: Spec) -> Result<Reader> {
        set_waiting(&stream, spec.wait)?;
        let buffer = vec![0; spec.bytes.max(BUFFER_BYTES)];
        Ok(Reader { stream, bytes: spec.bytes, buffer, from: 0, to: 0 })
    }

    /// Reads until there is a whole message; whether there is.
    fn fill(&mut self) -> Result<bool> {
        while self.to - self.from < self.bytes {
            if self.from > 0 {
                self.buffer.copy_within(self.from..self.to, 0);
                (self.from, self.to) = (0, self.to - self.from);
            }
            match io::read(&self.stream, &mut self.buffer[self.to..]) {
                Ok(0) => bail!("the other side is gone"),
                Ok(count) => self.to += count,
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

impl Sends for Writer {
    fn offer(&mut self, message: &[u8]) -> Result<bool> {
        let mut written = 0;
        while written < message.len() {
            match write(&self.0, &message[written..]) {
                Ok(count) => written += count,
                Err(Errno::AGAIN) if written == 0 => return Ok(false),
                Err(Errno::AGAIN) => std::hint::spin_loop(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

impl Receives for Reader {
    fn show(&mut self, mut read: impl Read) -> Result<bool> {
        let whole = self.fill()?;
        if whole {
            let message = self.from..self.from + self.bytes;
            self.from = message.end;
            read(&self.buffer[message])?;
        }
        Ok(whole)
    }
}

impl AsFd for Reader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Calls on the descriptor sleep, or fail where they would.
pub fn set_waiting(descriptor: &OwnedFd, wait: Wait) -> Result<()> {
    let mut flags = fcntl_getfl(descriptor)?;
    flags.set(OFlags::NONBLOCK, wait != Wait::Block);
    Ok(fcntl_setfl(descriptor, flags)?)
}
