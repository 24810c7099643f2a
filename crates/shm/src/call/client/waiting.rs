//! What a client waits for.

use super::State;
use crate::reach::Reach;
use crate::wait::Sleeper;

/// Waits for room, for a record of the server, or for news of it.
pub(super) struct Sending<'a> {
    state: &'a mut State,
    reach: &'a Reach,
    len: usize,
    rang: bool,
}

impl<'a> Sending<'a> {
    pub(super) fn new(state: &'a mut State, reach: &'a Reach, len: usize) -> Sending<'a> {
        Sending { state, reach, len, rang: false }
    }
}

impl Sleeper for Sending<'_> {
    fn look(&mut self) -> bool {
        let ready = match self.state {
            State::Up(link) => link.is_ready() || link.has_room(self.len),
            State::Searching => false,
            State::Closed => true,
        };
        ready || self.rang || self.reach.porch().has_news()
    }

    fn lie_down(&mut self) {
        if let State::Up(link) = self.state {
            link.doze();
            link.doze_for_room();
        }
    }

    fn get_up(&mut self) {
        if let State::Up(link) = self.state {
            link.awake();
            link.awake_for_room();
        }
    }

    /// The server rings once a sleep, perhaps for less room than is wanted: lie down anew.
    fn rung(&mut self, _key: u32) {
        self.rang = true;
    }
}

/// Waits for a record of the server, or for news of it.
pub(super) struct Listening<'a>(pub(super) &'a mut State, pub(super) &'a Reach);

impl Sleeper for Listening<'_> {
    #[inline]
    fn look(&mut self) -> bool {
        let ready = match self.0 {
            State::Up(link) => link.is_ready(),
            State::Searching => false,
            State::Closed => true,
        };
        ready || self.1.porch().has_news()
    }

    fn lie_down(&mut self) {
        if let State::Up(link) = self.0 {
            link.doze();
        }
    }

    fn get_up(&mut self) {
        if let State::Up(link) = self.0 {
            link.awake();
        }
    }
}
