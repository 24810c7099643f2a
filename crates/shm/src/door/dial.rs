//! The connecting side of the handshake, in the background: who listens there, is it admitted, are
//! we welcome.
//!
//! A server that is not there yet, or no more, or has no room in its backlog, is tried again until
//! the deadline: after an eighth of the time that has passed, at least 1 and at most 100 ms.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::connected::Connected;
use super::directory::{Directory, Unusable};
use super::doorman::{Doorman, Order};
use super::packet::{self, Received};
use super::session::Session;
use super::{ConnectError, credentials, errno};
use crate::admit::{Admit, Peer};
use crate::name::Name;
use crate::porch::Porch;
use crate::step::step;
use crate::wire::{Answer, Hello, PACKET_MAX, Refusal, Unreadable, Welcome};

/// Rests between two tries.
const REST_MIN: Duration = Duration::from_millis(1);
const REST_MAX: Duration = Duration::from_millis(100);

/// A server opens its socket to others after it has bound it: so long a socket that is closed to
/// this user may still be opened.
const OPENING: Duration = Duration::from_millis(250);

/// A connection that is being made. Dropped, it is given up.
pub(crate) struct Dialing {
    outcome: Arc<Outcome>,
    ordered: Option<(Arc<Doorman>, u64)>,
}

/// A connection made: what the server said and gave.
#[derive(Debug)]
pub(crate) struct Dialed {
    pub(crate) session: Session,
    pub(crate) welcome: Welcome,
    /// As many as the server chose to send, at most four, and of any kind.
    pub(crate) fds: Vec<OwnedFd>,
}

type Outcome = Mutex<Option<Result<Dialed, ConnectError>>>;

impl Dialing {
    /// Begins, and knocks at the porch when there is something to [`poll`](Dialing::poll). However
    /// near the deadline is, it is tried once.
    pub(crate) fn begin(
        name: &Name,
        directory: Option<PathBuf>,
        admit: Admit,
        hello: Hello,
        fds: Vec<OwnedFd>,
        deadline: Instant,
        porch: Arc<Porch>,
    ) -> Dialing {
        let outcome = Arc::new(Outcome::default());
        let doorman = match Doorman::of_this_process() {
            Ok(doorman) => doorman,
            Err(errno) => {
                let error = ConnectError::System { what: "start a thread to connect", errno };
                return Dialing { outcome: Arc::new(Mutex::new(Some(Err(error)))), ordered: None };
            }
        };
        let now = Instant::now();
        let dial = Dial {
            outcome: Arc::clone(&outcome),
            name: name.clone(),
            directory: directory.unwrap_or_else(crate::name::directory),
            admit,
            hello: hello.encode(),
            fds,
            began: now,
            deadline,
            porch,
            state: State::Resting { until: now },
            trouble: ConnectError::NotFound { name: name.clone() },
        };
        let token = doorman.token();
        doorman.order(Order::Dial(token, Box::new(dial)));
        Dialing { outcome, ordered: Some((doorman, token)) }
    }

    /// The outcome, once.
    pub(crate) fn poll(&mut self) -> Option<Result<Dialed, ConnectError>> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        if outcome.is_some() {
            self.ordered = None;
        }
        outcome
    }
}

impl Drop for Dialing {
    fn drop(&mut self) {
        if let Some((doorman, token)) = self.ordered.take() {
            doorman.order(Order::StopDialling(token));
        }
    }
}

/// One connection to be made, as the doorman has it.
pub(super) struct Dial {
    outcome: Arc<Outcome>,
    name: Name,
    directory: PathBuf,
    admit: Admit,
    hello: Vec<u8>,
    fds: Vec<OwnedFd>,
    began: Instant,
    deadline: Instant,
    porch: Arc<Porch>,
    state: State,
    /// What it would be given up for now.
    trouble: ConnectError,
}

enum State {
    Resting { until: Instant },
    Asked { socket: Connected, peer: Peer },
}

/// What became of a try.
enum Try {
    Connected(Dialed),
    /// The answer is to come.
    Asked,
    /// It may go better later.
    Again(ConnectError),
    Failed(ConnectError),
}

/// All connections that are being made.
pub(super) struct Dials {
    dials: HashMap<u64, Box<Dial>>,
}

impl Dials {
    pub(super) fn new() -> Dials {
        Dials { dials: HashMap::new() }
    }

    pub(super) fn begin(&mut self, doorman: &Arc<Doorman>, token: u64, mut dial: Box<Dial>) {
        if !dial.advance(doorman, token, Dial::ask) {
            self.dials.insert(token, dial);
        }
    }

    pub(super) fn stop(&mut self, token: u64) {
        self.dials.remove(&token);
    }

    /// Handles what happened at one of ours; false if it is none.
    pub(super) fn on_event(&mut self, doorman: &Arc<Doorman>, token: u64) -> bool {
        let Some(dial) = self.dials.get_mut(&token) else { return false };
        if dial.advance(doorman, token, Dial::hear) {
            self.dials.remove(&token);
        }
        true
    }

    /// When there will be something to do without an event.
    pub(super) fn next(&self) -> Option<Instant> {
        self.dials.values().map(|dial| dial.next()).min()
    }

    pub(super) fn tick(&mut self, doorman: &Arc<Doorman>, now: Instant) {
        self.dials.retain(|token, dial| {
            if now < dial.next() {
                return true;
            }
            if now >= dial.deadline {
                dial.give_up();
                return false;
            }
            !dial.advance(doorman, *token, Dial::ask)
        });
    }
}

impl Dial {
    fn next(&self) -> Instant {
        match self.state {
            State::Resting { until } => until.min(self.deadline),
            State::Asked { .. } => self.deadline,
        }
    }

    /// Takes the next step; true if it was the last.
    fn advance(
        &mut self,
        doorman: &Arc<Doorman>,
        token: u64,
        next: impl FnOnce(&mut Dial, &Arc<Doorman>, u64) -> Try,
    ) -> bool {
        match next(self, doorman, token) {
            Try::Connected(dialed) => self.finish(Ok(dialed)),
            Try::Failed(error) => self.finish(Err(error)),
            Try::Asked => return false,
            Try::Again(trouble) => {
                let now = Instant::now();
                let rest = (now - self.began) / 8;
                self.state = State::Resting { until: now + rest.clamp(REST_MIN, REST_MAX) };
                self.trouble = trouble;
                return false;
            }
        }
        true
    }

    fn finish(&self, outcome: Result<Dialed, ConnectError>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.porch.knock();
    }

    fn give_up(&mut self) {
        let error = match &self.state {
            State::Resting { .. } => self.trouble.clone(),
            State::Asked { peer, .. } => {
                ConnectError::Silent { name: self.name.clone(), peer: peer.clone() }
            }
        };
        self.finish(Err(error));
    }

    /// Connects and says hello.
    fn ask(&mut self, doorman: &Arc<Doorman>, token: u64) -> Try {
        let asked = self.reach(doorman).and_then(|socket| self.say_hello(socket, token));
        match asked {
            Ok(asked) => {
                self.state = asked;
                Try::Asked
            }
            Err(outcome) => outcome,
        }
    }

    /// A connection to whoever listens.
    fn reach(&self, doorman: &Arc<Doorman>) -> Result<Connected, Try> {
        let not_found = || Try::Again(ConnectError::NotFound { name: self.name.clone() });
        let directory =
            Directory::open(&self.directory, &self.admit).map_err(|unusable| match unusable {
                Unusable::Bad(bad) => Try::Failed(bad.into()),
                Unusable::System(Errno::NOENT) => not_found(),
                Unusable::System(errno) => {
                    Try::Failed(system("open the directory of the service", errno))
                }
            })?;
        let socket = directory.connect(&self.name).map_err(|errno| match errno {
            Errno::NOENT | Errno::CONNREFUSED => not_found(),
            Errno::AGAIN => Try::Again(ConnectError::Busy { name: self.name.clone() }),
            Errno::ACCESS if self.began.elapsed() < OPENING => Try::Again(system("connect", errno)),
            errno => Try::Failed(system("connect", errno)),
        })?;
        step("dial.connected");
        Ok(Connected::new(doorman, socket))
    }

    /// Says hello to whoever it is, if that is one to be believed.
    fn say_hello(&self, mut socket: Connected, token: u64) -> Result<State, Try> {
        let peer = credentials::peer(socket.as_fd())
            .map_err(|e| Try::Failed(system("tell who listens", errno(e))))?;
        if !self.admit.admits(&peer) {
            return Err(Try::Failed(ConnectError::NotAdmitted { name: self.name.clone(), peer }));
        }
        let fds: Vec<_> = self.fds.iter().map(AsFd::as_fd).collect();
        match packet::send(&socket, &self.hello, &fds) {
            Ok(()) => step("dial.hello_sent"),
            // It hung up, perhaps with an answer; that is read like any other.
            Err(Errno::PIPE | Errno::CONNRESET) => {}
            Err(errno @ (Errno::TOOMANYREFS | Errno::NOBUFS | Errno::NOMEM)) => {
                return Err(Try::Again(system("send descriptors", errno)));
            }
            Err(errno) => return Err(Try::Failed(system("send to the service", errno))),
        }
        socket.watch(token).map_err(|errno| Try::Failed(system("watch a socket", errno)))?;
        Ok(State::Asked { socket, peer })
    }

    /// Reads the answer if it is there.
    fn hear(&mut self, doorman: &Arc<Doorman>, _: u64) -> Try {
        let State::Asked { socket, .. } = &self.state else { return Try::Asked };
        let name = self.name.clone();
        let mut buffer = [0; PACKET_MAX];
        let (answer, fds) = match packet::receive(socket, &mut buffer) {
            Received::Packet(bytes, fds) => (Answer::decode(bytes), fds),
            Received::Nothing => return Try::Asked,
            Received::Gone => return Try::Again(ConnectError::HungUp { name }),
            Received::Oversized => {
                let why = "it is too long, or its descriptors cannot be taken".into();
                return Try::Failed(ConnectError::Malformed { name, why });
            }
        };
        match answer {
            Ok(Answer::Welcome(welcome)) => self.welcome(doorman, welcome, fds),
            Ok(Answer::Refused(refused)) => {
                let error = ConnectError::Refused { name, code: refused.code, text: refused.text };
                match refused.code {
                    Refusal::Busy => Try::Again(error),
                    _ => Try::Failed(error),
                }
            }
            Ok(Answer::Survey { .. }) => {
                let why = "it answers what was not asked".into();
                Try::Failed(ConnectError::Malformed { name, why })
            }
            Err(error) => Try::Failed(malformed(name, error)),
        }
    }

    fn welcome(&mut self, doorman: &Arc<Doorman>, welcome: Welcome, fds: Vec<OwnedFd>) -> Try {
        step("dial.welcomed");
        let resting = State::Resting { until: self.deadline };
        let State::Asked { socket, peer } = std::mem::replace(&mut self.state, resting) else {
            return Try::Asked;
        };
        match Session::open(doorman, socket.into_socket(), peer, Arc::clone(&self.porch)) {
            Ok(session) => Try::Connected(Dialed { session, welcome, fds }),
            Err(errno) => Try::Failed(system("watch a socket", errno)),
        }
    }
}

fn malformed(name: Name, error: Unreadable) -> ConnectError {
    ConnectError::Malformed { name, why: error.to_string() }
}

fn system(what: &'static str, errno: Errno) -> ConnectError {
    ConnectError::System { what, errno }
}
