//! Responses that do not fit their client's ring: kept aside until it reads, within limits.

use std::collections::VecDeque;

use super::super::{DROPPED, PLACE};
use super::Server;
use crate::error::Error;
use crate::hall::{Hall, Key, Leave};
use crate::link::Link;
use crate::wait::Sleeper;

/// Response bytes kept for a client that does not read, before it is cut off.
const BACKLOG_BYTES: usize = 16 * 1024 * 1024;
/// What a response that is kept counts beside its payload.
const ENTRY: usize = 64;

/// Responses that did not fit their client's ring, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    pub(super) responses: VecDeque<(u16, Vec<u8>)>,
    bytes: usize,
}

impl Server {
    /// Keeps a response until there is room, and takes no requests from its client until then.
    #[cold]
    pub(super) fn put_aside(&mut self, key: Key, tag: u16, payload: &[u8]) -> Result<(), Error> {
        let Some((link, backlog)) = self.hall.get(key) else { return Err(Error::Closed) };
        if link.session().is_closed() {
            return Err(Error::Closed);
        }
        if backlog.bytes + payload.len() > BACKLOG_BYTES && !backlog.responses.is_empty() {
            self.hall.cut_off(key, Leave::Slow);
            return Err(Error::Closed);
        }
        backlog.bytes += payload.len() + ENTRY;
        backlog.responses.push_back((tag, payload.to_vec()));
        if backlog.responses.len() == 1 {
            link.doze_for_room();
            self.hall.pause(key);
            self.behind.push(key);
        }
        Ok(())
    }

    /// Sends what was kept aside, as far as there is room now.
    pub(super) fn catch_up(&mut self) {
        let mut at = 0;
        while let Some(&key) = self.behind.get(at) {
            let done = self.hall.get(key).is_none_or(|(link, backlog)| backlog.send(link));
            if done {
                self.behind.swap_remove(at);
                self.hall.resume(key);
            } else {
                at += 1;
            }
        }
    }
}

impl Backlog {
    /// Whether the oldest of them might fit now.
    fn may_go(&self, link: &mut Link) -> bool {
        self.responses.front().is_none_or(|(_, payload)| link.has_room(payload.len()))
    }

    /// Sends what there is room for; whether that was all.
    fn send(&mut self, link: &mut Link) -> bool {
        while let Some((tag, payload)) = self.responses.front() {
            let sent = match link.send(*tag, payload) {
                // It cannot be sent, now or later: say so.
                Err(Error::TooLarge { .. } | Error::System { .. }) => {
                    link.send(*tag & PLACE | DROPPED, &[])
                }
                sent => sent,
            };
            // Any other error means that there is nobody to send it to.
            if let Err(Error::Full) = sent {
                link.doze_for_room();
                return false;
            }
            self.bytes -= payload.len() + ENTRY;
            self.responses.pop_front();
        }
        link.awake_for_room();
        true
    }
}

/// Waits for requests, and for room for what was kept aside.
pub(super) struct Serving<'a> {
    pub(super) hall: &'a mut Hall<Backlog>,
    pub(super) behind: &'a [Key],
}

impl Serving<'_> {
    fn may_catch_up(&mut self) -> bool {
        let Serving { hall, behind } = self;
        let mut keys = behind.iter();
        keys.any(|key| hall.get(*key).is_none_or(|(link, backlog)| backlog.may_go(link)))
    }
}

impl Sleeper for Serving<'_> {
    #[inline]
    fn look(&mut self) -> bool {
        self.hall.look() || !self.behind.is_empty() && self.may_catch_up()
    }

    fn look_everywhere(&mut self) -> bool {
        self.hall.look_everywhere() || self.may_catch_up()
    }

    fn lie_down(&mut self) {
        for key in self.behind {
            if let Some((link, _)) = self.hall.get(*key) {
                link.doze_for_room();
            }
        }
        self.hall.lie_down();
    }

    fn get_up(&mut self) {
        self.hall.get_up();
    }

    fn rung(&mut self, key: u32) {
        self.hall.rung(key);
    }
}
