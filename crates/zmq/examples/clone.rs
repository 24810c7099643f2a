//! A table that many hold: a server orders all changes, and whoever joins late gets a snapshot
//! first (the guide's "clone").
//!
//! ```text
//!   changes    PUSH ----> PULL |        |
//!   snapshot   DEALER <-> ROUTER server |  a number for every change
//!   updates    SUB <---- PUB   |        |
//! ```
//!
//! A copy subscribes, and waits until it hears something: from then on it misses no update. Only
//! then it asks for the snapshot, and passes over updates that this has already.
//!
//! `cargo run -p chaski-zmq --example clone`

use std::collections::BTreeMap;
use std::error::Error;
use std::thread;
use std::time::Duration;

use chaski_zmq::{Dealer, Endpoint, Message, PollItem, Pub, Pull, Push, Router, Sub, poll};

/// How often the server says that it lives.
const PULSE: Duration = Duration::from_millis(20);
const WRITERS: u64 = 2;
const CHANGES: u64 = 100;
/// The number of the last change there will be.
const LAST: u64 = WRITERS * CHANGES;

type Table = BTreeMap<String, String>;

/// Where a server is to be found.
#[derive(Clone)]
struct Addresses {
    changes: Endpoint,
    snapshot: Endpoint,
    updates: Endpoint,
}

struct Server {
    changes: Pull,
    snapshot: Router,
    updates: Pub,
    table: BTreeMap<String, (u64, String)>,
    sequence: u64,
}

impl Server {
    fn bind() -> Result<(Self, Addresses), Box<dyn Error>> {
        let (changes, snapshot, updates) = (Pull::new(), Router::new(), Pub::new());
        let addresses = Addresses {
            changes: changes.bind("tcp://127.0.0.1:*")?,
            snapshot: snapshot.bind("tcp://127.0.0.1:*")?,
            updates: updates.bind("tcp://127.0.0.1:*")?,
        };
        let table = BTreeMap::new();
        Ok((Server { changes, snapshot, updates, table, sequence: 0 }, addresses))
    }

    /// Serves until so many copies have said that they have everything.
    fn run(mut self, copies: usize) -> Result<(), Box<dyn Error>> {
        let mut complete = 0;
        while complete < copies {
            let mut items = [PollItem::readable(&self.changes), PollItem::readable(&self.snapshot)];
            poll(&mut items, PULSE)?;
            let (changed, asked) = (items[0].is_readable(), items[1].is_readable());
            if changed {
                let change = self.changes.recv()?;
                self.change(&change)?;
            }
            if asked {
                let request = self.snapshot.recv()?;
                match &request[1] {
                    what if what == "SNAPSHOT" => self.send_snapshot(&request)?,
                    _ => complete += 1,
                }
            }
            if !changed && !asked {
                self.updates.send(update("", self.sequence, ""))?;
            }
        }
        Ok(())
    }

    fn change(&mut self, change: &Message) -> Result<(), Box<dyn Error>> {
        self.sequence += 1;
        let (key, value) = (text(change, 0), text(change, 1));
        self.updates.send(update(&key, self.sequence, &value))?;
        self.table.insert(key, (self.sequence, value));
        Ok(())
    }

    fn send_snapshot(&self, request: &Message) -> Result<(), Box<dyn Error>> {
        let to = || Message::from(request[0].clone());
        for (key, (sequence, value)) in &self.table {
            let mut entry = to();
            entry.extend(update(key, *sequence, value));
            self.snapshot.send(entry)?;
        }
        let mut end = to();
        end.extend(update("", self.sequence, ""));
        self.snapshot.send(end)?;
        Ok(())
    }
}

/// A change as it goes over the wire; without a key it only tells how far the server has come.
fn update(key: &str, sequence: u64, value: &str) -> Message {
    Message::from(key).with(&sequence.to_be_bytes()).with(value)
}

fn text(message: &Message, frame: usize) -> String {
    String::from_utf8_lossy(&message[frame]).into_owned()
}

fn sequence(message: &Message) -> u64 {
    message[1][..].try_into().map_or(0, u64::from_be_bytes)
}

/// A copy of the table: complete when it has the last change.
fn copy(server: &Addresses) -> Result<Table, Box<dyn Error>> {
    let (updates, snapshot) = (Sub::new(), Dealer::new());
    updates.subscribe("")?;
    updates.connect(&server.updates)?;
    snapshot.connect(&server.snapshot)?;
    let mut heard = vec![updates.recv()?];

    snapshot.send("SNAPSHOT")?;
    let mut table = Table::new();
    let mut at = loop {
        let entry = snapshot.recv()?;
        if entry[0].is_empty() {
            break sequence(&entry);
        }
        table.insert(text(&entry, 0), text(&entry, 2));
    };
    loop {
        for update in heard.drain(..).filter(|update| !update[0].is_empty()) {
            if sequence(&update) > at {
                assert_eq!(sequence(&update), at + 1, "an update was missed");
                at += 1;
                table.insert(text(&update, 0), text(&update, 2));
            }
        }
        if at == LAST {
            snapshot.send("COMPLETE")?;
            return Ok(table);
        }
        heard.push(updates.recv()?);
    }
}

fn write(server: &Addresses, writer: u64) -> Result<(), Box<dyn Error>> {
    let changes = Push::new();
    changes.connect(&server.changes)?;
    for n in 0..CHANGES {
        changes.send(Message::from_iter([format!("key {}", n % 10), format!("{writer}: {n}")]))?;
    }
    Ok(())
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let (server, addresses) = Server::bind()?;
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.run(3).map_err(|error| error.to_string()));
        let copying = || scope.spawn(|| copy(&addresses).map_err(|error| error.to_string()));
        let early = copying();
        for writer in 0..WRITERS {
            write(&addresses, writer)?;
        }
        let (late, later) = (copying(), copying());
        let tables = [early, late, later].map(|copy| copy.join().expect("a copy"));
        serving.join().expect("the server")?;
        let [early, late, later] = tables;
        let table = early?;
        assert!(table == late? && table == later?, "the copies differ");
        println!("three copies of {} entries, {LAST} changes", table.len());
        Ok(())
    })
}
