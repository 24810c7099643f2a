//! An eventfd in each direction. Of each message only the first word travels, as the count.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::Result;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io;

use super::limits::line::number_of;
use super::link::Link;
use super::{Calls, Opens, Read, Serves, Spec};

#[derive(Debug)]
pub struct Asking(Bells);

#[derive(Debug)]
pub struct Answering(Bells);

#[derive(Debug)]
struct Bells {
    there: OwnedFd,
    back: OwnedFd,
}

impl Opens for Asking {
    fn open(links: &[&Link], _: Spec) -> Result<Asking> {
        let there = eventfd(0, EventfdFlags::CLOEXEC)?;
        let back = eventfd(0, EventfdFlags::CLOEXEC)?;
        links[0].give(&[there.as_fd(), back.as_fd()])?;
        Ok(Asking(Bells { there, back }))
    }
}

impl Opens for Answering {
    fn open(links: &[&Link], _: Spec) -> Result<Answering> {
        let [there, back] = links[0].take()?;
        Ok(Answering(Bells { there, back }))
    }
}

impl Calls for Asking {
    fn call(&mut self, request: &[u8], mut read: impl Read) -> Result<()> {
        ring(&self.0.there, number_of(request).into())?;
        let number = sleep(&self.0.back)? as u32;
        read(&number.to_ne_bytes())
    }
}

impl Serves for Answering {
    fn serve(&mut self) -> Result<()> {
        ring(&self.0.back, sleep(&self.0.there)?)
    }
}

fn ring(bell: &OwnedFd, count: u64) -> Result<()> {
    io::write(bell, &count.to_ne_bytes())?;
    Ok(())
}

fn sleep(bell: &OwnedFd) -> Result<u64> {
    let mut count = [0; 8];
    io::read(bell, &mut count)?;
    Ok(u64::from_ne_bytes(count))
}
