//! The connection to the broker: requests and their answers, and the sleep until there is news.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use chaski_shm::Admit;
use chaski_shm::cells::CellsView;
use chaski_shm::packets::{Connection, Received};

use super::ConsumeError;
use super::error::Lost;
use super::wire::{Answer, PACKET_MAX, Reason, Request, SUFFIX, VERSION};

/// How long an answer may take: a broker that was stopped in the middle, not one that is busy.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Answers that may come before the one that is waited for. Few do: those to sleeps whose time was
/// over.
const OTHERS_MAX: usize = 1024;

/// How long to leave a broker alone that takes no more requests for now.
const REST: Duration = Duration::from_millis(1);

/// A connection that was welcomed.
#[derive(Debug)]
pub(super) struct Link {
    connection: Connection,
    cells: CellsView,
    /// Number of the next request.
    next: u32,
    asleep: Option<Asleep>,
}

/// A sleep that was not answered yet, though its time may be over: one like it goes on with it, so
/// that whoever looks in often does not say the same again and again.
#[derive(Debug)]
struct Asleep {
    number: u32,
    places: Vec<(u32, i64)>,
}

impl Link {
    /// Connects, and tries for up to `patience` where no broker is there yet.
    pub(super) fn connect(
        name: &str,
        directory: Option<&Path>,
        admit: &Admit,
        patience: Duration,
    ) -> Result<Link, ConsumeError> {
        let socket = format!("{name}{SUFFIX}");
        let connection = Connection::connect(&socket, directory, admit, patience)?;
        let disconnected = |Lost(why)| ConsumeError::Disconnected { name: name.to_owned(), why };
        let request = Request::Hello { version: VERSION };
        let (answer, fds) = ask(&connection, &request, 0, &mut None).map_err(disconnected)?;
        let (version, cells) = match answer {
            Answer::Welcome { version, cells } => (version, cells),
            Answer::Failed { reason: Reason::Stopped, why, .. } => {
                return Err(disconnected(Lost(why)));
            }
            Answer::Failed { why, .. } => return Err(ConsumeError::Refused(why)),
            _ => return Err(disconnected(Lost::nonsense())),
        };
        if version != VERSION {
            let why = format!("it speaks version {version}, this is {VERSION}");
            return Err(ConsumeError::Refused(why));
        }
        let [fd] = &fds[..] else { return Err(disconnected(Lost::nonsense())) };
        let cells = CellsView::open(fd.as_fd(), cells as usize);
        let cells = cells.map_err(|error| disconnected(Lost(error.to_string())))?;
        Ok(Link { connection, cells, next: 1, asleep: None })
    }

    /// The high watermark in a cell; 0 if there is no such cell.
    #[inline]
    pub(super) fn high_watermark(&self, cell: u32) -> i64 {
        self.cells.get(cell as usize).unwrap_or(0) as i64
    }

    /// The answer to a request.
    pub(super) fn ask(&mut self, request: &Request<'_>) -> Result<(Answer, Vec<OwnedFd>), Lost> {
        let number = self.number();
        ask(&self.connection, request, number, &mut self.asleep)
    }

    /// Says what needs no answer.
    pub(super) fn tell(&mut self, request: &Request<'_>) -> Result<(), Lost> {
        let number = self.number();
        match send(&self.connection, request, number, Some(Instant::now() + ANSWER_MAX))? {
            true => Ok(()),
            false => Err(Lost::silent()),
        }
    }

    /// Sleeps until one of the partitions has grown past the offset beside it, or is gone; false:
    /// the deadline came first.
    pub(super) fn sleep(
        &mut self,
        places: Vec<(u32, i64)>,
        deadline: Option<Instant>,
    ) -> Result<bool, Lost> {
        let number = match &self.asleep {
            Some(asleep) if asleep.places == places => asleep.number,
            _ => {
                let number = self.number();
                let request = Request::Sleep(places.clone());
                if !send(&self.connection, &request, number, deadline)? {
                    return Ok(false);
                }
                self.asleep = Some(Asleep { number, places });
                number
            }
        };
        Ok(hear(&self.connection, number, deadline, &mut self.asleep)?.is_some())
    }

    fn number(&mut self) -> u32 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        number
    }
}

impl Lost {
    /// It has not answered in time, or not even taken what it was asked.
    fn silent() -> Lost {
        Lost(format!("no answer within {ANSWER_MAX:?}"))
    }
}

fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

fn ask(
    connection: &Connection,
    request: &Request<'_>,
    number: u32,
    asleep: &mut Option<Asleep>,
) -> Result<(Answer, Vec<OwnedFd>), Lost> {
    let deadline = Some(Instant::now() + ANSWER_MAX);
    if !send(connection, request, number, deadline)? {
        return Err(Lost::silent());
    }
    hear(connection, number, deadline, asleep)?.ok_or_else(Lost::silent)
}

/// Sends a request, by the deadline if the broker is behind with those before.
fn send(
    connection: &Connection,
    request: &Request<'_>,
    number: u32,
    deadline: Option<Instant>,
) -> Result<bool, Lost> {
    let packet = request.encode(number);
    loop {
        match connection.send(&packet, &[]).map_err(|error| (error.kind(), error)) {
            Ok(()) => return Ok(true),
            // It may have said why before it hung up; whoever waits for the answer reads that.
            Err((io::ErrorKind::BrokenPipe, _)) => return Ok(true),
            Err((io::ErrorKind::WouldBlock, _)) if !is_over(deadline) => thread::sleep(REST),
            Err((io::ErrorKind::WouldBlock, _)) => return Ok(false),
            Err((_, error)) => return Err(Lost(error.to_string())),
        }
    }
}

/// The answer with this number; others are to what nobody waits for any more. None: the deadline
/// came first, whatever else the broker has to say.
fn hear(
    connection: &Connection,
    number: u32,
    deadline: Option<Instant>,
    asleep: &mut Option<Asleep>,
) -> Result<Option<(Answer, Vec<OwnedFd>)>, Lost> {
    let mut buffer = [0; PACKET_MAX];
    let mut others = 0;
    loop {
        match connection.receive(&mut buffer) {
            Received::Packet(bytes, fds) => {
                let (of, answer) = Answer::decode(bytes).ok_or_else(Lost::nonsense)?;
                // It comes once, whoever waits for what.
                asleep.take_if(|asleep| asleep.number == of);
                if of == number {
                    return Ok(Some((answer, fds)));
                }
                others += 1;
                if others > OTHERS_MAX {
                    return Err(Lost::nonsense());
                }
                if is_over(deadline) {
                    return Ok(None);
                }
            }
            Received::Nothing => {
                let left = deadline.map_or(Duration::MAX, |deadline| {
                    deadline.saturating_duration_since(Instant::now())
                });
                if !connection.wait(left).map_err(|error| Lost(error.to_string()))? {
                    return Ok(None);
                }
            }
            Received::Gone => return Err(Lost("it has hung up".to_owned())),
            Received::Oversized => {
                return Err(Lost("its answer is too long, or no descriptor is left".to_owned()));
            }
        }
    }
}
