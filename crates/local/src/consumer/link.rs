//! The connection to the broker: requests and their answers, and the sleep until there is news.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use chaski_shm::Admit;
use chaski_shm::cells::CellsView;
use chaski_shm::packets::{Connection, Received};

use super::ConsumeError;
use super::error::Lost;
use super::wire::{Answer, PACKET_MAX, Reason, Request, SUFFIX, VERSION};

/// How long an answer may take: a broker that was stopped in the middle, not one that is busy.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A connection that was welcomed.
#[derive(Debug)]
pub(super) struct Link {
    connection: Connection,
    cells: CellsView,
    /// Number of the next request.
    next: u32,
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
        let (answer, fds) = ask(&connection, &request, 0).map_err(disconnected)?;
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
        Ok(Link { connection, cells, next: 1 })
    }

    /// The high watermark in a cell; 0 if there is no such cell.
    #[inline]
    pub(super) fn high_watermark(&self, cell: u32) -> i64 {
        self.cells.get(cell as usize).unwrap_or(0) as i64
    }

    /// The answer to a request.
    pub(super) fn ask(&mut self, request: &Request<'_>) -> Result<(Answer, Vec<OwnedFd>), Lost> {
        let number = self.number();
        ask(&self.connection, request, number)
    }

    /// Says what needs no answer.
    pub(super) fn tell(&mut self, request: &Request<'_>) -> Result<(), Lost> {
        let number = self.number();
        send(&self.connection, request, number)
    }

    /// Sleeps until one of the partitions has grown past the offset beside it, or is gone; false:
    /// the deadline came first.
    pub(super) fn sleep(
        &mut self,
        places: Vec<(u32, i64)>,
        deadline: Option<Instant>,
    ) -> Result<bool, Lost> {
        let number = self.number();
        send(&self.connection, &Request::Sleep(places), number)?;
        Ok(hear(&self.connection, number, deadline)?.is_some())
    }

    fn number(&mut self) -> u32 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        number
    }
}

fn ask(
    connection: &Connection,
    request: &Request<'_>,
    number: u32,
) -> Result<(Answer, Vec<OwnedFd>), Lost> {
    send(connection, request, number)?;
    let deadline = Instant::now() + ANSWER_MAX;
    let heard = hear(connection, number, Some(deadline))?;
    heard.ok_or_else(|| Lost(format!("no answer within {ANSWER_MAX:?}")))
}

fn send(connection: &Connection, request: &Request<'_>, number: u32) -> Result<(), Lost> {
    match connection.send(&request.encode(number), &[]) {
        Ok(()) => Ok(()),
        // It may have said why before it hung up; whoever waits for the answer reads that.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Lost(error.to_string())),
    }
}

/// The answer with this number; others are to what nobody waits for any more. None: the deadline
/// came first.
fn hear(
    connection: &Connection,
    number: u32,
    deadline: Option<Instant>,
) -> Result<Option<(Answer, Vec<OwnedFd>)>, Lost> {
    let mut buffer = [0; PACKET_MAX];
    loop {
        match connection.receive(&mut buffer) {
            Received::Packet(bytes, fds) => {
                let (of, answer) = Answer::decode(bytes).ok_or_else(Lost::nonsense)?;
                if of == number {
                    return Ok(Some((answer, fds)));
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
