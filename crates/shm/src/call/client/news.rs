//! All that is not a response in one piece: parts, servers that die, servers that come.

use super::super::outstanding::RequestId;
use super::super::untold::{Outcome, Told};
use super::super::{DROPPED, MORE, PLACE};
use super::{Client, State};
use crate::error::{Corrupt, Error};
use crate::link::Taken;
use crate::reach::Reached;
use crate::wait::after;

impl Client {
    /// What else is told next, if anything is. Its payload is then in `self.payload`.
    #[cold]
    pub(super) fn poll_other(&mut self) -> Result<Option<Told>, Error> {
        if let Some(tag) = self.odd.take() {
            return self.answered(tag).map(Some);
        }
        self.advance();
        if let Some((told, payload)) = self.untold.pop() {
            self.payload = payload;
            return Ok(Some(told));
        }
        match self.state {
            State::Closed => Err(Error::Closed),
            _ => Ok(None),
        }
    }

    /// A record of the server.
    pub(super) fn answered(&mut self, tag: u16) -> Result<Told, Error> {
        let place = tag & PLACE;
        let Some(id) = self.outstanding.at(place) else { return Err(self.spoilt(tag)) };
        if tag & MORE != 0 {
            return Ok(Told { id, outcome: Outcome::Part });
        }
        let _ = self.outstanding.answered(place);
        if tag & DROPPED != 0 {
            return Ok(Told { id, outcome: Outcome::Failed(Error::Unanswered { request: id }) });
        }
        Ok(Told { id, outcome: Outcome::Last })
    }

    #[cold]
    pub(super) fn spoilt(&mut self, tag: u16) -> Error {
        let corrupt = Corrupt::Tag(tag);
        if let State::Up(link) = &self.state {
            link.spoilt(corrupt);
        }
        Error::Corrupt(corrupt)
    }

    /// Deals with a server that is gone, and with one that was found.
    pub(super) fn advance(&mut self) {
        self.reach.porch().take_news();
        match &mut self.state {
            State::Up(link) if link.session().is_closed() => self.lose_server(),
            // The news may be mail: memory that the server takes back.
            State::Up(link) => return link.tend(),
            State::Closed => return,
            State::Searching => {}
        }
        match self.reach.poll() {
            Reached::NotYet => {}
            Reached::Link(link) => self.state = State::Up(*link),
            Reached::Nobody => self.give_up(),
        }
    }

    /// Keeps what the dead server had answered, sorts the other requests into those that it had
    /// taken and those that the next one will find, and looks for that.
    fn lose_server(&mut self) {
        let State::Up(mut link) = std::mem::replace(&mut self.state, State::Searching) else {
            return;
        };
        // As much as it can have published: a server that hung up and lives could go on for ever.
        for _ in 0..link.records_max() {
            let Taken::Record(tag) = link.recv(&mut self.payload) else { break };
            let Ok(told) = self.answered(tag) else { break };
            self.untold.push(told, std::mem::take(&mut self.payload));
        }
        let head = link.stopped_at().filter(|head| self.outstanding.could_stop_at(*head));
        let in_doubt = match head {
            Some(head) => self.outstanding.taken(head),
            // It wrote nonsense, or this side hung up and it may live: anything may happen to them,
            // and the ring begins anew.
            None => self.outstanding.restart(),
        };
        self.tell_all(in_doubt, |request| Error::InDoubt { request });
        self.reach.search(link, head, after(self.reconnect_within));
    }

    fn give_up(&mut self) {
        self.state = State::Closed;
        let left = self.outstanding.clear();
        self.tell_all(left, |request| Error::NotTaken { request });
    }

    fn tell_all(&mut self, requests: Vec<RequestId>, why: impl Fn(RequestId) -> Error) {
        for id in requests {
            self.untold.push(Told { id, outcome: Outcome::Failed(why(id)) }, Vec::new());
        }
    }

    /// Takes the responses that have come, and keeps them: a server whose responses nobody reads
    /// takes no requests. Whether there were any.
    pub(super) fn make_way(&mut self) -> Result<bool, Error> {
        self.advance();
        if let State::Closed = self.state {
            return Err(Error::Closed);
        }
        let mut taken = false;
        while let State::Up(link) = &mut self.state
            && link.is_ready()
        {
            if self.untold.is_full() {
                return Err(Error::Full);
            }
            let Taken::Record(tag) = link.recv(&mut self.payload) else { break };
            let told = self.answered(tag)?;
            self.untold.push(told, std::mem::take(&mut self.payload));
            taken = true;
        }
        Ok(taken)
    }
}
