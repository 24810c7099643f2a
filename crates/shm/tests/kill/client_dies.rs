//! A client dies: the server lets go of it, and serves the others.

use std::time::{Duration, Instant};

use chaski_shm::Server;

use super::account::Account;
use super::processes::census::{Census, private_bytes};
use super::processes::child::{Actor, Ended};
use super::processes::dice::Dice;
use super::processes::place::Place;
use super::processes::runner::progress;
use super::serving::Answerer;
use super::{NAME, deaths};

/// Requests that a client makes before it ends in good order, unless it dies.
const REQUESTS: &str = "40";

/// Answers after which the server is replaced, in rounds in which it is, and how often.
const REPLACED_AFTER: u64 = 6;
const REPLACEMENTS: usize = 2;

/// Bytes that the server may hold more of, after a hundred deaths and more.
const GROWTH_MAX: usize = 8 << 20;

/// The numbers of the requests of the client that lives.
const HONEST: u64 = 1 << 60;

/// A server of this process, a client that lives, and those that come and go.
pub(crate) struct Stage {
    pub(crate) place: Place,
    pub(crate) dice: Dice,
    server: Option<Answerer>,
    honest: Actor,
    account: Account,
    lives: u64,
    deaths: u64,
    quiet: Option<(Census, usize)>,
    before: Census,
}

impl Stage {
    /// Starts a client.
    pub(crate) fn enter(&mut self, told: &[(&str, &str)]) -> Actor {
        self.lives += 1;
        assert!(self.lives << 32 < HONEST);
        client(&self.place, self.lives << 32, told)
    }

    /// Starts a client that ends after some requests; whether it was killed before that.
    fn play_once(&mut self, told: &[(&str, &str)], replace: bool) -> bool {
        let mut replacements = if replace { REPLACEMENTS } else { 0 };
        let mut victim = self.enter(&[told, &[("CHASKI_REQUESTS", REQUESTS)]].concat());
        let ended = loop {
            self.serve();
            if replacements > 0 && self.server().answered >= REPLACED_AFTER {
                replacements -= 1;
                self.replace();
            }
            if let Some(ended) = victim.ended() {
                break ended;
            }
        };
        self.deaths += u64::from(ended == Ended::Killed);
        ended == Ended::Killed
    }

    pub(crate) fn died(&mut self) {
        self.deaths += 1;
    }

    /// Answers some of what is there.
    pub(crate) fn serve(&mut self) {
        self.server().serve(Duration::from_micros(200));
        progress();
    }

    fn server(&mut self) -> &mut Answerer {
        self.server.as_mut().expect("there is always one but in `replace`")
    }

    /// Ends the server in good order, with requests in its rings, and starts another.
    fn replace(&mut self) {
        self.server = None;
        assert!(self.place.files().is_empty(), "{:?}", self.place.files());
        self.server = Some(Answerer::bind(&self.place.log("journal")));
    }
}

impl deaths::Stage for Stage {
    fn new(dice: Dice) -> Stage {
        let place = Place::new();
        // The thread in the background comes with the first name, and stays.
        drop(Server::bind("first"));
        let before = Census::at_rest();
        let server = Some(Answerer::bind(&place.log("journal")));
        let honest = client(&place, HONEST, &[]);
        let account = Account::of(&place.log("journal"));
        Stage { place, dice, server, honest, account, lives: 0, deaths: 0, quiet: None, before }
    }

    /// Some steps a client comes to only if its server is replaced.
    fn play(&mut self, told: &[(&str, &str)]) -> bool {
        self.play_once(told, false) || self.play_once(told, true)
    }

    fn play_for_a_while(&mut self) {
        let mut victim = self.enter(&[]);
        // Half of them while they connect, the others some time after that.
        if self.dice.one_in(2) {
            while self.server().clients() < 2 {
                self.serve();
            }
        }
        let end = Instant::now() + Duration::from_micros(self.dice.below(6000) as u64);
        while Instant::now() < end {
            self.serve();
        }
        victim.kill();
        self.deaths += 1;
    }

    /// Serves until only the client that lives is connected.
    fn settle(&mut self, occasion: &str) {
        let begun = Instant::now();
        loop {
            self.serve();
            assert!(self.honest.ended().is_none(), "{occasion}: the client that was to live");
            let _ = self.server().server().departures().count();
            if self.server().clients() == 1 {
                break;
            }
            let clients = self.server().clients();
            assert!(begun.elapsed() < Duration::from_secs(60), "{occasion}: {clients} clients");
        }
        assert_eq!(self.place.files(), [NAME], "{occasion}");
        let quiet = self.quiet.take();
        let quiet =
            quiet.unwrap_or_else(|| (Census::at_rest_with(|| self.serve()), private_bytes()));
        quiet.0.come_back(occasion, 1, || self.serve());
        self.quiet = Some(quiet);
    }

    fn end(mut self) {
        self.settle("the end");
        let private = self.quiet.as_ref().expect("it was quiet").1;
        let grown = private_bytes().saturating_sub(private);
        assert!(grown < GROWTH_MAX, "{grown} bytes more than in the beginning");
        self.honest.end_input();
        while self.honest.ended().is_none() {
            self.serve();
        }
        let Stage { place, server, honest, mut account, before, deaths, .. } = self;
        drop((server, honest));
        assert!(place.files().is_empty(), "{:?}", place.files());
        account.check("the end", |id| id >= HONEST);
        let Account { answered, in_doubt, not_taken, .. } = account;
        println!(
            "{deaths} deaths: {answered} answered, {in_doubt} in doubt, {not_taken} not taken"
        );
        assert!(answered > 0);
        drop((place, account));
        before.come_back("the end", 0, || {});
    }
}

fn client(place: &Place, first: u64, told: &[(&str, &str)]) -> Actor {
    let (journal, first) = (place.log("journal"), first.to_string());
    let journal = ("CHASKI_JOURNAL", journal.to_str().expect("ASCII"));
    Actor::start("ask", &[&[journal, ("CHASKI_FIRST", &first)], told].concat())
}
