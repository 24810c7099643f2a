//! The victim, and what it goes through.

use std::time::Duration;

use chaski_shm::{Client, ConnectError, Error, Leave, Server};

use super::NAME;
use super::processes::census::Census;
use super::processes::child::{Actor, Ended};
use super::processes::dice::Dice;
use super::processes::mail::Wish;
use super::processes::place::Place;
use super::processes::runner::progress;

/// Requests of honest clients that are answered meanwhile.
const HONEST: u64 = 3000;

/// Hostile clients that are found out meanwhile.
const CORRUPT: u64 = 3;

/// Requests with numbers from here on are of hostile clients.
const HOSTILE: u64 = 1 << 60;

/// The longest response that is given to a hostile client.
const WANTED_MAX: usize = 1 << 20;

/// Words over everything a client can write: indices, headers, lengths, the board, the ledger.
pub(crate) fn of_clients() {
    let dice = Dice::thrown_for("of_clients");
    let mut stage = Stage::new(2, "scribbling-client", 2, dice);
    while stage.honest < HONEST || stage.corrupt < CORRUPT {
        stage.serve();
    }
    stage.end();
}

/// Doorbells that are emptied, or filled and made to block.
pub(crate) fn of_bells() {
    let dice = Dice::thrown_for("of_bells");
    let mut stage = Stage::new(1, "bells", 2, dice);
    stage.delay = Duration::from_micros(300);
    while stage.honest < HONEST || stage.gone < 20 {
        stage.serve();
    }
    stage.end();
}

/// A server of this process, with honest clients and others.
pub(crate) struct Stage {
    pub(crate) place: Place,
    server: Server,
    good: Vec<Actor>,
    bad: Vec<(Actor, u64)>,
    role: &'static str,
    /// How long hostile clients wait for a response.
    delay: Duration,
    dice: Dice,
    /// Requests of honest clients.
    pub(crate) honest: u64,
    /// Clients that left, by what was found out about them.
    corrupt: u64,
    gone: u64,
    before: Census,
}

impl Stage {
    pub(crate) fn new(good: u64, role: &'static str, bad: u64, mut dice: Dice) -> Stage {
        let place = Place::new();
        // The thread in the background comes with the first name, and stays.
        drop(Server::bind("first"));
        let before = Census::at_rest();
        let server = Server::bind(NAME).expect("the name is free");
        let good = (1..=good).map(|n| start("honest", n << 32)).collect();
        let bad = (0..bad).map(|_| dice.word() | 1).map(|n| (start(role, n), n)).collect();
        let (honest, corrupt, gone) = (0, 0, 0);
        let delay = Duration::ZERO;
        Stage { place, server, good, bad, role, delay, dice, honest, corrupt, gone, before }
    }

    /// Answers what is there, and counts.
    pub(crate) fn serve(&mut self) {
        self.serve_one();
        for departure in self.server.departures() {
            progress();
            match departure.why {
                Leave::Corrupt => self.corrupt += 1,
                _ => self.gone += 1,
            }
        }
        for (actor, _) in &mut self.bad {
            if actor.ended().is_some() {
                let seed = self.dice.word() | 1;
                *actor = start(self.role, seed);
            }
        }
    }

    fn serve_one(&mut self) {
        let request = match self.server.recv_timeout(Duration::from_millis(1)) {
            Ok(request) => request,
            Err(Error::TimedOut) => return,
            Err(error) => panic!("{error}"),
        };
        let wish = Wish::of(&request).filter(|wish| wish.wanted <= WANTED_MAX);
        match wish {
            Some(wish) if wish.id < HOSTILE => {
                request.reply(&wish.response()).expect("an honest client listens");
                self.honest += 1;
                progress();
            }
            Some(wish) => {
                // So that it sleeps by then, and has to be rung for.
                std::thread::sleep(self.delay);
                // Whatever becomes of it.
                drop(request.reply(&wish.response()));
            }
            None => drop(request),
        }
    }

    /// Everybody leaves, and nothing is left.
    pub(crate) fn end(mut self) {
        println!("{} honest requests; {} corrupt, {} gone", self.honest, self.corrupt, self.gone);
        self.bad.clear();
        for mut actor in std::mem::take(&mut self.good) {
            actor.end_input();
            let ended = loop {
                self.serve();
                if let Some(ended) = actor.ended() {
                    break ended;
                }
            };
            assert_eq!(ended, Ended::Well);
        }
        while self.server.clients() > 0 {
            self.serve();
        }
        let Stage { place, server, before, .. } = self;
        drop(server);
        assert!(place.files().is_empty(), "{:?}", place.files());
        drop(place);
        before.come_back("the end", 0, || {});
    }
}

/// A client of this process, and a server that scribbles over everything it can write.
pub(crate) fn of_a_server() {
    let mut dice = Dice::thrown_for("of_a_server");
    let place = Place::new();
    drop(Server::bind("first"));
    let before = Census::at_rest();
    let mut server = start("scribbling-server", dice.word() | 1);
    let mut client = None;
    let (mut answers, mut endings) = (0, 0);
    while answers < 1000 || endings < 3 {
        if server.ended().is_some() {
            server = start("scribbling-server", dice.word() | 1);
        }
        // One that spoils the handshake is refused, and the next one tried.
        client = client.or_else(|| connect(Duration::from_millis(50)).ok());
        let Some(one) = &mut client else { continue };
        match ask(one, &mut dice) {
            Ok(()) => answers += 1,
            // Another server of the name may come, and it waits for that.
            Err(Error::Corrupt(_)) => endings += 1,
            Err(Error::Closed) => {
                endings += 1;
                client = None;
            }
            Err(_) => {}
        }
        progress();
    }
    println!("{answers} answers, {endings} connections that were spoilt");
    drop(server);
    // An honest server, and the same client if it still looks for one.
    let server = start("honest-server", 0);
    let mut client = client.unwrap_or_else(patient);
    while client.outstanding() > 0 {
        let heard = client.recv_timeout(Duration::from_millis(50)).map(drop);
        progress();
        if let Err(Error::Closed) = heard {
            client = patient();
        }
    }
    // It may have given up meanwhile, or before the honest one came.
    if client.call(&Wish { id: 0, len: 16, wanted: 8, parts: 0 }.request()).is_err() {
        client = patient();
    }
    for id in 1..200 {
        let wish = Wish { parts: 0, ..Wish::random(id, &mut dice) };
        let response = client.call(&wish.request()).expect("a server that serves");
        assert!(*response == wish.response(), "the response to {id:#x}");
        progress();
    }
    drop(client);
    server.stop();
    assert!(place.files().is_empty(), "{:?}", place.files());
    drop(place);
    before.come_back("the end", 0, || {});
}

fn patient() -> Client {
    connect(Duration::from_secs(60)).expect("an honest server comes")
}

fn connect(limit: Duration) -> Result<Client, ConnectError> {
    let builder = Client::builder().connect_within(limit);
    builder.reconnect_within(Duration::from_millis(500)).connect(NAME)
}

/// Sends something, and hears something, or nothing.
fn ask(client: &mut Client, dice: &mut Dice) -> Result<(), Error> {
    let wish = Wish { parts: 0, ..Wish::random(dice.word() / 64, dice) };
    let asked = client.try_send(&wish.request());
    let _ = client.recv_timeout(Duration::from_millis(1))?;
    asked.map(drop)
}

fn start(role: &str, first: u64) -> Actor {
    Actor::start(role, &[("CHASKI_FIRST", &first.to_string())])
}
