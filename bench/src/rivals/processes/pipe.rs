//! Pipes, one in each direction, that hold as much as a channel should.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::Result;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use super::bytes::{Reader, Writer};
use super::link::Link;
use super::{Ends, Spec};

#[derive(Debug)]
pub struct Pipes;

impl Ends for Pipes {
    type Tx = Writer;
    type Rx = Reader;

    fn near(link: &Link, spec: Spec) -> Result<(Writer, Reader)> {
        let (their_inbox, there) = pipe(spec)?;
        let (inbox, back) = pipe(spec)?;
        link.give(&[back.as_fd(), their_inbox.as_fd()])?;
        Ok((Writer::new(there, spec)?, Reader::new(inbox, spec)?))
    }

    fn far(link: &Link, spec: Spec) -> Result<(Writer, Reader)> {
        let [back, inbox] = link.take()?;
        Ok((Writer::new(back, spec)?, Reader::new(inbox, spec)?))
    }
}

fn pipe(spec: Spec) -> Result<(OwnedFd, OwnedFd)> {
    let (reads, writes) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setpipe_size(&writes, spec.room)?;
    Ok((reads, writes))
}
