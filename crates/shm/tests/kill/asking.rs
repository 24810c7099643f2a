//! The side that asks: in this process as one that lives, in a child as one that may die.

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use chaski_shm::{Client, Error, RequestId};

use super::account::{Event, Journal};
use super::processes::child;
use super::processes::dice::Dice;
use super::processes::mail::Wish;
use super::{NAME, gate};

/// Longer than any test: who waits for a server is not to give up.
const LONG: Duration = Duration::from_secs(600);

/// How many requests a client has under way.
const WINDOW: usize = 8;

/// So few bytes of large payloads that segments of one length must give way to those of another.
const LARGE: usize = 264 * 1024;

/// A client, and the requests it waits for.
pub(crate) struct Caller {
    client: Client,
    journal: Journal,
    dice: Dice,
    next: u64,
    waiting: HashMap<RequestId, Waiting>,
    /// How many requests have come to their ends.
    pub(crate) heard: u64,
    /// No server came within the limit.
    pub(crate) is_over: bool,
}

struct Waiting {
    wish: Wish,
    parts: usize,
}

impl Caller {
    /// Connects. Its requests are numbered from `first`.
    pub(crate) fn connect(journal: &Path, first: u64, dice: Dice) -> Caller {
        Caller::with_patience(journal, first, dice, LONG)
    }

    /// As [`Caller::connect`]. Of its servers, each but the first must come within a limit.
    pub(crate) fn with_patience(
        journal: &Path,
        first: u64,
        dice: Dice,
        patience: Duration,
    ) -> Caller {
        let builder = Client::builder().connect_within(LONG).reconnect_within(patience);
        let client = builder.large_bytes(LARGE).connect(NAME).expect("a server comes");
        Caller {
            client,
            journal: Journal::open(journal),
            dice,
            next: first,
            waiting: HashMap::new(),
            heard: 0,
            is_over: false,
        }
    }

    /// Sends a request if there is room for it, in the ring and in the window.
    pub(crate) fn try_send(&mut self) -> bool {
        if self.waiting.len() >= WINDOW {
            return false;
        }
        let wish = Wish::random(self.next, &mut self.dice);
        let request = wish.request();
        self.next += 1;
        self.journal.note(Event::Sent, wish.id);
        match gate::through("send", || self.client.try_send(&request)) {
            Ok(id) => {
                let before = self.waiting.insert(id, Waiting { wish, parts: 0 });
                assert!(before.is_none(), "{id} is under way already");
                true
            }
            Err(Error::Full | Error::Closed) => {
                self.journal.note(Event::Withdrawn, wish.id);
                false
            }
            Err(error) => panic!("sending: {error}"),
        }
    }

    /// Hears of one request, within a limit; whether it did.
    pub(crate) fn hear(&mut self, limit: Duration) -> bool {
        let (request, event) = match gate::through("recv", || self.client.recv_timeout(limit)) {
            Ok(response) => {
                let id = response.id();
                let waiting = self.waiting.get_mut(&id).expect("it was asked, and not told yet");
                assert!(*response == waiting.wish.response(), "the response to {id}");
                if !response.is_last() {
                    waiting.parts += 1;
                    return true;
                }
                assert_eq!(waiting.parts, waiting.wish.parts, "parts of {id}");
                (id, Event::Answered)
            }
            Err(Error::InDoubt { request }) => (request, Event::InDoubt),
            Err(Error::NotTaken { request }) => (request, Event::NotTaken),
            Err(Error::TimedOut) => return false,
            Err(Error::Closed) => {
                self.is_over = true;
                return false;
            }
            Err(error) => panic!("receiving: {error}"),
        };
        let told = self.waiting.remove(&request).expect("it was asked, and not told yet");
        self.journal.note(event, told.wish.id);
        self.heard += 1;
        true
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// A client in a process of its own: asks so many times (without end if it is not told), and ends
/// in good order.
pub(crate) fn role() -> ExitCode {
    let (journal, first) = (child::told("CHASKI_JOURNAL"), child::told_number("CHASKI_FIRST"));
    let (journal, first) = (journal.expect("a journal"), first.expect("a number"));
    let many: u64 = child::told_number("CHASKI_REQUESTS").unwrap_or(u64::MAX);
    gate::set_up();
    let connect = || Caller::connect(Path::new(&journal), first, Dice::new(first + 1));
    // The thread in the background starts with the first connection, and can be caught from then.
    if gate::is("connect") {
        drop(gate::through("connect", connect));
    }
    let mut caller = gate::through("connect", connect);
    let mut end = first.saturating_add(many);
    while caller.next < end || caller.waiting() > 0 {
        assert!(!caller.is_over);
        while caller.next < end && caller.try_send() {}
        caller.hear(Duration::from_millis(20));
        if child::input_ended() {
            end = caller.next;
        }
    }
    ExitCode::SUCCESS
}
