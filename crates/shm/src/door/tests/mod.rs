//! The door, with real sockets in a directory of each test's own.

mod apart;
mod binding;
mod hostile;
mod meeting;
mod strangers;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::net::{bind, listen};
use tempfile::TempDir;

use super::directory::{Directory, Unusable, new_socket};
use super::packet::{self, Received};
use super::*;
use crate::admit::Admit;
use crate::name::Name;
use crate::porch::Porch;
use crate::wire::{Answer, Control, Flags, Kind, PACKET_MAX, Refusal};

/// Longer than anything here takes, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that happens on another thread.
#[track_caller]
fn soon(what: &str, mut true_yet: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !true_yet() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(1));
    }
}

/// A directory, and a name in it.
struct Place {
    root: PathBuf,
    name: Name,
    /// Removes the root in the end.
    _temporary: Option<TempDir>,
}

impl Place {
    fn new() -> Place {
        let temporary = tempfile::tempdir().unwrap();
        let place = Place::at(temporary.path());
        Place { _temporary: Some(temporary), ..place }
    }

    /// A place whose root somebody else has made.
    fn at(root: &Path) -> Place {
        Place { root: root.into(), name: Name::new("greeter").unwrap(), _temporary: None }
    }

    fn directory(&self) -> PathBuf {
        self.root.join("services")
    }

    fn socket(&self) -> PathBuf {
        self.directory().join(self.name.as_str())
    }

    fn make_directory(&self) {
        std::fs::create_dir(self.directory()).unwrap();
        set_mode(&self.directory(), 0o700);
    }

    fn bind(&self) -> Result<House, BindError> {
        self.bind_as(Admit::default(), Arc::new(Plain::default()))
    }

    fn bind_as(&self, admit: Admit, host: Arc<Plain>) -> Result<House, BindError> {
        let porch = Porch::new().unwrap();
        let asked = Arc::new(host.clone());
        let bound = Bound::bind(&self.name, Some(self.directory()), admit, porch.clone(), asked)?;
        Ok(House { bound, host, porch })
    }

    fn begin_as(
        &self,
        admit: Admit,
        hello: Hello,
        fds: Vec<OwnedFd>,
        patience: Duration,
    ) -> (Dialing, Arc<Porch>) {
        let porch = Porch::new().unwrap();
        let (directory, deadline) = (Some(self.directory()), Instant::now() + patience);
        let dialing =
            Dialing::begin(&self.name, directory, admit, hello, fds, deadline, porch.clone());
        (dialing, porch)
    }

    fn begin(&self, hello: Hello, fds: Vec<OwnedFd>, patience: Duration) -> (Dialing, Arc<Porch>) {
        self.begin_as(Admit::default(), hello, fds, patience)
    }

    fn dial_as(&self, admit: Admit, patience: Duration) -> Result<Dialed, ConnectError> {
        let (mut dialing, porch) =
            self.begin_as(admit, Hello::new(Kind::Call), Vec::new(), patience);
        let mut outcome = None;
        soon("an outcome", || {
            if porch.has_news() {
                outcome = dialing.poll();
            }
            outcome.is_some()
        });
        outcome.unwrap()
    }

    fn dial_for(&self, patience: Duration) -> Result<Dialed, ConnectError> {
        self.dial_as(Admit::default(), patience)
    }

    fn dial(&self) -> Result<Dialed, ConnectError> {
        self.dial_for(PATIENCE)
    }

    /// A connection without any of the courtesies.
    fn connect(&self) -> OwnedFd {
        let directory = Directory::open(&self.directory(), &Admit::default()).unwrap();
        directory.connect(&self.name).unwrap()
    }

    /// A stale socket in the place of a service: what died had listened on it.
    fn stale(&self) {
        // Not by closing alone: a process that is just being started, by a test beside this one,
        // has a copy for a moment.
        rustix::net::shutdown(self.impostor(Some(1)), rustix::net::Shutdown::Both).unwrap();
    }

    /// A socket in the place of a service, that listens if there is a backlog.
    fn impostor(&self, backlog: Option<i32>) -> OwnedFd {
        if !self.directory().exists() {
            self.make_directory();
        }
        let directory = Directory::open(&self.directory(), &Admit::default()).unwrap();
        let socket = new_socket().unwrap();
        bind(&socket, &directory.address(&self.name).unwrap()).unwrap();
        if let Some(backlog) = backlog {
            listen(&socket, backlog).unwrap();
        }
        socket
    }
}

/// A bound name with its host and its porch.
struct House {
    bound: Bound,
    host: Arc<Plain>,
    porch: Arc<Porch>,
}

/// A host that welcomes everyone.
#[derive(Default)]
struct Plain {
    sessions: Mutex<Vec<Session>>,
    brought: Mutex<Vec<OwnedFd>>,
    /// Those who bring this policy are answered with a panic.
    panics_at: Option<u8>,
}

impl Plain {
    /// The next session that was seated.
    #[track_caller]
    fn next(&self) -> Session {
        let mut next = None;
        soon("a session", || {
            next = self.sessions.lock().unwrap().pop();
            next.is_some()
        });
        next.unwrap()
    }
}

/// The host as the doorman has it.
impl Host for Arc<Plain> {
    fn greet(
        &self,
        _: &Peer,
        hello: &Hello,
        fds: Vec<OwnedFd>,
        _: &Session,
    ) -> Result<Greeting, Refused> {
        assert_ne!(self.panics_at, Some(hello.policy), "as asked");
        self.brought.lock().unwrap().extend(fds);
        if hello.kind != Kind::Call {
            return Err(Refused::new(Refusal::WrongPattern, "calls only"));
        }
        let host = Arc::clone(self);
        Ok(Greeting {
            welcome: welcome(hello.history.into()),
            fds: (0..hello.history).map(|_| bell()).collect(),
            seat: Box::new(move |session| host.sessions.lock().unwrap().push(session)),
        })
    }

    fn survey(&self) -> survey::Service {
        survey::Service { pattern: survey::Pattern::Server, ..survey::Service::default() }
    }
}

fn welcome(start: u64) -> Welcome {
    let flags = Flags::default();
    Welcome { generation: 7, flags, capacity: 4096, slot: 1, start, payload_max: 9 }
}

fn bell() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC).unwrap()
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode_of(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// What comes next out of a raw socket: an answer, or `None` when the other side hung up.
#[track_caller]
fn answer(socket: &OwnedFd) -> Option<Answer> {
    let mut heard = None;
    soon("an answer", || {
        let mut buffer = [0; PACKET_MAX];
        heard = match packet::receive(socket, &mut buffer) {
            Received::Packet(bytes, _) => Some(Some(Answer::decode(bytes).unwrap())),
            Received::Gone => Some(None),
            Received::Nothing => None,
            Received::Oversized => panic!("an oversized answer"),
        };
        heard.is_some()
    });
    heard.unwrap()
}

#[track_caller]
fn refusal(socket: &OwnedFd) -> Refused {
    match answer(socket) {
        Some(Answer::Refused(refused)) => refused,
        other => panic!("not refused, but {other:?}"),
    }
}

fn say(socket: &OwnedFd, bytes: &[u8]) {
    say_with(socket, bytes, &[]);
}

fn say_with(socket: &OwnedFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    let sent = packet::send(socket, bytes, fds);
    assert!(matches!(sent, Ok(_) | Err(Errno::PIPE)), "{sent:?}");
}
