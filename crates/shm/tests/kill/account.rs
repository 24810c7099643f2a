//! The journal that all processes of a test append to, and the account that is made of it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Event {
    /// Its client is about to send it.
    Sent = 1,
    /// Its client could not send it after all.
    Withdrawn,
    /// A server has it, and is about to answer it.
    Executed,
    /// Its client has all of the response.
    Answered,
    /// Its client was told that it may have been worked on.
    InDoubt,
    /// Its client was told that it was not worked on.
    NotTaken,
}

impl Event {
    const ALL: [Event; 6] = [
        Event::Sent,
        Event::Withdrawn,
        Event::Executed,
        Event::Answered,
        Event::InDoubt,
        Event::NotTaken,
    ];
}

/// Where a process notes what happens, 16 bytes an event. One write each, which is there or not,
/// wherever its writer dies.
#[derive(Debug)]
pub(crate) struct Journal(File);

impl Journal {
    pub(crate) fn open(path: &Path) -> Journal {
        let file = OpenOptions::new().create(true).append(true).read(true).open(path);
        Journal(file.expect("the journal can be opened"))
    }

    pub(crate) fn note(&mut self, event: Event, id: u64) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(event as u64).to_le_bytes());
        bytes[8..].copy_from_slice(&id.to_le_bytes());
        let written = self.0.write(&bytes).expect("the journal can be written");
        assert_eq!(written, bytes.len());
    }
}

/// How often each thing happened to a request.
#[derive(Debug, Clone, Copy, Default)]
struct Fate {
    sent: u32,
    withdrawn: u32,
    executed: u32,
    answered: u32,
    in_doubt: u32,
    not_taken: u32,
}

impl Fate {
    /// How often its client was told.
    fn told(&self) -> u32 {
        self.answered + self.in_doubt + self.not_taken
    }
}

/// What was read of a journal.
#[derive(Debug)]
pub(crate) struct Account {
    journal: File,
    open: BTreeMap<u64, Fate>,
    /// Requests whose account is closed, by what became of them.
    pub(crate) sent: u64,
    pub(crate) withdrawn: u64,
    pub(crate) executed: u64,
    pub(crate) answered: u64,
    pub(crate) in_doubt: u64,
    pub(crate) not_taken: u64,
}

impl Account {
    pub(crate) fn of(path: &Path) -> Account {
        let Journal(journal) = Journal::open(path);
        Account {
            journal,
            open: BTreeMap::new(),
            sent: 0,
            withdrawn: 0,
            executed: 0,
            answered: 0,
            in_doubt: 0,
            not_taken: 0,
        }
    }

    /// Checks what was written since the last call. Nothing is under way any more. Requests with a
    /// number of `lives` or above belong to clients that live: they must have been told.
    pub(crate) fn check(&mut self, occasion: &str, lives: impl Fn(u64) -> bool) {
        self.read();
        for (id, fate) in std::mem::take(&mut self.open) {
            let say = || format!("{occasion}: request {id:#x}: {fate:?}");
            assert!(fate.sent == 1, "{}", say());
            assert!(fate.executed <= 1, "worked on twice: {}", say());
            assert!(fate.told() <= 1, "told twice: {}", say());
            assert!(fate.answered == 0 || fate.executed == 1, "{}", say());
            assert!(fate.not_taken == 0 || fate.executed == 0, "{}", say());
            if fate.withdrawn == 1 {
                assert!(fate.told() + fate.executed == 0, "{}", say());
            } else if lives(id) {
                assert!(fate.told() == 1, "never told: {}", say());
            }
            self.sent += u64::from(fate.sent);
            self.withdrawn += u64::from(fate.withdrawn);
            self.executed += u64::from(fate.executed);
            self.answered += u64::from(fate.answered);
            self.in_doubt += u64::from(fate.in_doubt);
            self.not_taken += u64::from(fate.not_taken);
        }
    }

    fn read(&mut self) {
        let mut bytes = Vec::new();
        self.journal.read_to_end(&mut bytes).expect("the journal can be read");
        let (events, rest) = bytes.as_chunks::<8>();
        assert!(rest.is_empty(), "half an event");
        for event in events.chunks_exact(2) {
            let [kind, id] = [event[0], event[1]].map(u64::from_le_bytes);
            let kind = Event::ALL.into_iter().find(|event| *event as u64 == kind);
            let fate = self.open.entry(id).or_default();
            *match kind.expect("an event") {
                Event::Sent => &mut fate.sent,
                Event::Withdrawn => &mut fate.withdrawn,
                Event::Executed => &mut fate.executed,
                Event::Answered => &mut fate.answered,
                Event::InDoubt => &mut fate.in_doubt,
                Event::NotTaken => &mut fate.not_taken,
            } += 1;
        }
    }
}
