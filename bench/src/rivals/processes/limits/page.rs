//! A Unix socket over which a process is handed a page of memory, and waits once for a word in it:
//! no connection through shared memory is made with less.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

use anyhow::Result;
use rustix::net::SocketType;

use super::line::{Words, number_of};
use crate::rivals::processes::link::Link;
use crate::rivals::processes::shared::Shared;
use crate::rivals::processes::unix::{self, Address};
use crate::rivals::processes::{Hosts, Opens, Read, Spec, Visits};
#[derive(Debug)]
pub struct Visitor(Address);

#[derive(Debug)]
pub struct Host(OwnedFd);

impl Opens for Visitor {
    fn open(links: &[&Link], _: Spec) -> Result<Visitor> {
        Address::heard(links[0]).map(Visitor)
    }
}

impl Opens for Host {
    fn open(links: &[&Link], _: Spec) -> Result<Host> {
        Address::listen(links[0], SocketType::SEQPACKET).map(Host)
    }
}

impl Visits for Visitor {
    fn visit(&mut self, request: &[u8], mut read: impl Read) -> Result<()> {
        let link = Link::over(self.0.connect(SocketType::SEQPACKET)?);
        let words = Shared::<Words>::take(&link)?;
        // ORDERING: the number is the message; there is nothing to order it with.
        words.there.0.store(number_of(request), Ordering::Relaxed);
        loop {
            let number = words.back.0.load(Ordering::Relaxed);
            if number != 0 {
                return read(&number.to_ne_bytes());
            }
            std::hint::spin_loop();
        }
    }
}

impl Hosts for Host {
    fn host(&mut self) -> Result<()> {
        let link = Link::over(unix::accept(&self.0)?);
        let (words, memory) = Shared::<Words>::create()?;
        link.give(&[memory.as_fd()])?;
        loop {
            let number = words.there.0.load(Ordering::Relaxed);
            if number != 0 {
                words.back.0.store(number, Ordering::Relaxed);
                return Ok(());
            }
            std::hint::spin_loop();
        }
    }
}
