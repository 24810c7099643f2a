//! A producer's connection to the broker: requests out, answers in, and what a broker that died
//! leaves open.
//!
//! Nothing here waits for ever. A request that finds no room waits for answers, which make room,
//! as long as the producer's timeout says; if that passes, later requests do not wait again until
//! an answer has come.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chaski_shm::{Client, Error, RequestId};

use super::wire::{self, Reason, Response};

/// The longest wait in one piece: a broker that comes back is noticed after it at the latest.
const SLICE: Duration = Duration::from_millis(10);

/// Answers looked at in one go that belong to no batch: a broker that makes no sense could send
/// them without end. Those of requests that are forgotten are among them.
const STRAY_MAX: usize = 1024;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The log has the batch.
    Appended(wire::Appended),
    /// It has not.
    Refused { reason: Reason, partitions: u32, why: String },
    /// Taken and not answered.
    InDoubt,
    /// Not taken, and nobody is left who could.
    NotTaken,
    /// Answered with what makes no sense.
    Unreadable(String),
}

/// Why a request was not sent.
#[derive(Debug)]
pub(super) enum Unsent {
    /// No room was made in time.
    Busy,
    /// Nobody is there any more.
    Closed,
    /// Longer than the broker takes.
    TooLarge { len: usize, max: usize },
    /// The system refused something.
    System(String),
}

/// A request without an answer.
#[derive(Debug)]
struct Flight {
    request: RequestId,
    batch: u64,
    /// Its bytes, if it is to be sent again when it is in doubt.
    copy: Option<Vec<u8>>,
    /// It was in doubt before, and sent again: whoever refuses it now does not know.
    doubted: bool,
}

pub(super) struct Line {
    client: Client,
    timeout: Duration,
    /// In the order they were sent.
    flights: VecDeque<Flight>,
    /// In doubt, and to be sent again as soon as there is room.
    again: VecDeque<(u64, Vec<u8>)>,
    /// Answers that came while something else was waited for; no more than there were flights.
    answers: VecDeque<(u64, Answer)>,
    /// The last wait for room was in vain.
    stuck: bool,
}

impl Line {
    pub(super) fn new(client: Client, timeout: Duration) -> Line {
        Line {
            client,
            timeout,
            flights: VecDeque::new(),
            again: VecDeque::new(),
            answers: VecDeque::new(),
            stuck: false,
        }
    }

    /// Requests whose answer has not come, or has not been asked for.
    pub(super) fn in_flight(&self) -> usize {
        self.flights.len() + self.again.len() + self.answers.len()
    }

    /// Sends a request of `len` bytes, which `write` puts where the broker will read them.
    pub(super) fn send(
        &mut self,
        batch: u64,
        len: usize,
        write: impl FnOnce(&mut [u8]),
    ) -> Result<(), Unsent> {
        let mut deadline = None;
        loop {
            match self.client.loan(len) {
                Ok(mut room) => {
                    write(&mut room);
                    let request = room.send().map_err(unsent)?;
                    let doubted = false;
                    self.flights.push_back(Flight { request, batch, copy: None, doubted });
                    return Ok(());
                }
                Err(Error::Full | Error::TooMany { .. }) => self.wait_for_room(&mut deadline)?,
                Err(error) => return Err(unsent(error)),
            }
        }
    }

    /// The same with a request that is kept, to be sent again if it comes to be in doubt.
    pub(super) fn send_kept(&mut self, batch: u64, bytes: Vec<u8>) -> Result<(), Unsent> {
        self.send(batch, bytes.len(), |room| room.copy_from_slice(&bytes))?;
        if let Some(flight) = self.flights.back_mut() {
            flight.copy = Some(bytes);
        }
        Ok(())
    }

    /// The next answer, if there is one, or comes before the deadline: whose, and what.
    pub(super) fn next(&mut self, deadline: Option<Instant>) -> Option<(u64, Answer)> {
        if let Some(answer) = self.answers.pop_front() {
            return Some(answer);
        }
        self.hear(deadline)
    }

    /// Nobody asks for what is under way any more.
    pub(super) fn forget(&mut self) {
        self.flights.clear();
        self.again.clear();
        self.answers.clear();
    }

    /// Waits for an answer, which may make room. The first wait of a request begins to count time.
    #[cold]
    fn wait_for_room(&mut self, deadline: &mut Option<Instant>) -> Result<(), Unsent> {
        let now = Instant::now();
        let was_stuck = self.stuck;
        let patience = if was_stuck { Duration::ZERO } else { self.timeout };
        let deadline = *deadline.get_or_insert(now + patience);
        match self.hear(Some(deadline.min(now + SLICE))) {
            Some(answer) => self.answers.push_back(answer),
            // Answers to what is forgotten have made room.
            None if was_stuck && !self.stuck => {}
            None if now >= deadline => {
                self.stuck = true;
                return Err(Unsent::Busy);
            }
            None => {}
        }
        Ok(())
    }

    /// The next answer of the broker.
    fn hear(&mut self, deadline: Option<Instant>) -> Option<(u64, Answer)> {
        let mut strays = 0;
        while strays < STRAY_MAX {
            self.send_again();
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let told = match left.filter(|left| !left.is_zero()) {
                None => self.client.try_recv(),
                Some(left) => self.client.recv_timeout(left.min(SLICE)).map(Some),
            };
            let (request, answer) = match told {
                Ok(Some(response)) => {
                    self.stuck = false;
                    (response.id(), Answer::read(&response, response.is_last()))
                }
                Ok(None) | Err(Error::TimedOut) => {
                    // A slice may be over, and more of them left.
                    if left.is_none_or(|left| left <= SLICE) {
                        return None;
                    }
                    continue;
                }
                Err(Error::Closed) => {
                    let flight = self.flights.pop_front();
                    let doubt = flight.map(|flight| (flight.batch, Answer::InDoubt));
                    // Those that were to be sent again have just been given up.
                    return doubt.or_else(|| self.answers.pop_front());
                }
                Err(error) => match error.request() {
                    Some(request) if matches!(error, Error::NotTaken { .. }) => {
                        (request, Answer::NotTaken)
                    }
                    Some(request) => (request, Answer::InDoubt),
                    // The connection has been closed for what the broker wrote, or the system
                    // is short of something: the next look says what became of the requests.
                    None => {
                        strays += 1;
                        continue;
                    }
                },
            };
            if let Some(answer) = self.landed(request, answer) {
                self.stuck = false;
                return Some(answer);
            }
            strays += 1;
        }
        None
    }

    /// Takes the answer to a request; None if it is to be sent again, or is nobody's.
    fn landed(&mut self, request: RequestId, answer: Answer) -> Option<(u64, Answer)> {
        let at = self.flights.iter().position(|flight| flight.request == request)?;
        let Flight { batch, copy, doubted, .. } = self.flights.remove(at)?;
        match (answer, copy) {
            (Answer::InDoubt, Some(bytes)) => {
                self.again.push_back((batch, bytes));
                None
            }
            (Answer::NotTaken | Answer::Refused { .. }, _) if doubted => {
                Some((batch, Answer::InDoubt))
            }
            (answer, _) => Some((batch, answer)),
        }
    }

    /// Sends what was in doubt, as far as there is room.
    fn send_again(&mut self) {
        while let Some((batch, bytes)) = self.again.pop_front() {
            let sent = match self.client.loan(bytes.len()) {
                Ok(mut room) => {
                    room.copy_from_slice(&bytes);
                    room.send()
                }
                Err(error) => Err(error),
            };
            match sent {
                Ok(request) => {
                    let (copy, doubted) = (Some(bytes), true);
                    self.flights.push_back(Flight { request, batch, copy, doubted });
                }
                // Nobody is there, or the next one takes less than the one before.
                Err(Error::Closed | Error::TooLarge { .. }) => {
                    self.answers.push_back((batch, Answer::InDoubt))
                }
                Err(_) => return self.again.push_front((batch, bytes)),
            }
        }
    }
}

impl Answer {
    /// What a response says; `whole` if there is no more of it.
    fn read(bytes: &[u8], whole: bool) -> Answer {
        if !whole {
            return Answer::Unreadable("in several parts".to_owned());
        }
        match Response::decode(bytes) {
            Ok(Response::Appended(appended)) => Answer::Appended(appended),
            Ok(Response::Refused(refused)) => Answer::Refused {
                reason: refused.reason,
                partitions: refused.partitions,
                why: refused.why.to_owned(),
            },
            Ok(Response::Topic(_)) => Answer::Unreadable("a topic for a batch".to_owned()),
            Err(error) => Answer::Unreadable(error.to_string()),
        }
    }
}

fn unsent(error: Error) -> Unsent {
    match error {
        Error::Closed => Unsent::Closed,
        Error::TooLarge { len, max } => Unsent::TooLarge { len, max },
        Error::Full | Error::TooMany { .. } | Error::Corrupt(_) => Unsent::Busy,
        other => Unsent::System(other.to_string()),
    }
}
