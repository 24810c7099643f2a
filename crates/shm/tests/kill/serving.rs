//! The side that answers: in this process as one that lives, in a child as one that may die.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use chaski_shm::{Error, Request, Server, Ticket};

use super::account::{Event, Journal};
use super::processes::child;
use super::processes::mail::Wish;
use super::{NAME, gate};

/// Requests that are taken before the first of them is answered.
const BATCH: usize = 4;

/// A server, and where it notes what it works on.
pub(crate) struct Answerer {
    server: Server,
    journal: Journal,
    pub(crate) answered: u64,
}

impl Answerer {
    pub(crate) fn bind(journal: &Path) -> Answerer {
        let bind = || gate::through("bind", || Server::bind(NAME));
        let server = gate::through("greet", bind).expect("the name is free");
        Answerer { server, journal: Journal::open(journal), answered: 0 }
    }

    /// Takes what is there, waiting so long for the first, and answers it, the last first.
    pub(crate) fn serve(&mut self, limit: Duration) {
        let first = match gate::through("recv", || self.server.recv_timeout(limit)) {
            Ok(request) => read(request),
            Err(Error::TimedOut) => return,
            Err(error) => panic!("receiving: {error}"),
        };
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Some(request) = self.server.try_recv().expect("receiving cannot fail")
        {
            batch.push(read(request));
        }
        for (ticket, wish) in batch.into_iter().rev() {
            self.answer(ticket, wish);
        }
    }

    fn answer(&mut self, ticket: Ticket, wish: Wish) {
        self.journal.note(Event::Executed, wish.id);
        let response = wish.response();
        for _ in 0..wish.parts {
            gone_or_well(self.server.reply_part(&ticket, &response));
        }
        gone_or_well(gate::through("reply", || self.server.reply(ticket, &response)));
        self.answered += 1;
    }

    pub(crate) fn clients(&mut self) -> usize {
        self.server.clients()
    }

    pub(crate) fn server(&mut self) -> &mut Server {
        &mut self.server
    }
}

/// A request, whose bytes are all as they should be, and where the answer goes.
fn read(request: Request<'_>) -> (Ticket, Wish) {
    let wish = Wish::of(&request).expect("a request as its client wrote it");
    (request.defer(), wish)
}

/// A client that has died need not be answered.
fn gone_or_well(replied: Result<(), Error>) {
    assert!(matches!(replied, Ok(()) | Err(Error::Closed)), "{replied:?}");
}

/// A server in a process of its own: answers so many requests (without end if it is not told), and
/// ends in good order.
pub(crate) fn role() -> ExitCode {
    let journal = child::told("CHASKI_JOURNAL").expect("a journal");
    let many: u64 = child::told_number("CHASKI_REQUESTS").unwrap_or(u64::MAX);
    gate::set_up();
    // The thread in the background starts with the first name, and can be caught from then.
    if gate::is("greet") {
        drop(Server::bind("first").expect("the name is free"));
    }
    let mut answerer = Answerer::bind(Path::new(&journal));
    while answerer.answered < many && !child::input_ended() {
        answerer.serve(Duration::from_millis(20));
    }
    ExitCode::SUCCESS
}
