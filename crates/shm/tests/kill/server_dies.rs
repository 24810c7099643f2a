//! The server dies, the clients go on.

use std::time::{Duration, Instant};

use chaski_shm::Server;

use super::account::Account;
use super::asking::Caller;
use super::deaths::{self, Stage as _};
use super::processes::census::{Census, private_bytes};
use super::processes::child::{Actor, Ended};
use super::processes::dice::Dice;
use super::processes::place::Place;
use super::processes::runner::progress;
use super::{NAME, rounds};

/// Clients that live on.
const CALLERS: usize = 3;

/// Requests that a server answers before it ends in good order, unless it dies.
const REQUESTS: &str = "40";

/// How long a client waits for another server, where it is not to wait for ever, and how much
/// later one may come, in microseconds.
const PATIENCE: usize = 20_000;

/// The numbers of the requests of clients that come and go.
const GUESTS: u64 = 1 << 56;

/// Bytes that survivors may hold more of, after a hundred deaths and more.
const GROWTH_MAX: usize = 8 << 20;

/// No other server comes, or comes when it is nearly too late: clients are told which requests may
/// have been worked on and which were not.
pub(crate) fn nobody_comes() {
    let mut stage = Stage::new(Dice::thrown_for("nobody_comes"));
    for round in 0..rounds() / 10 {
        stage.come_late(round as u64);
    }
    assert!(stage.account.not_taken > 0);
    stage.end();
}

/// Clients of this process, and where their servers come and go.
pub(crate) struct Stage {
    pub(crate) place: Place,
    pub(crate) dice: Dice,
    callers: Vec<Caller>,
    account: Account,
    deaths: u64,
    guests: u64,
    /// What this process held when all was quiet for the first time.
    quiet: Option<(Census, usize)>,
    before: Census,
}

impl Stage {
    fn server(place: &Place, told: &[(&str, &str)]) -> Actor {
        let journal = place.log("journal");
        let journal = ("CHASKI_JOURNAL", journal.to_str().expect("ASCII"));
        Actor::start("serve", &[&[journal], told].concat())
    }

    /// A client of a few requests, in a process of its own.
    fn guest(&mut self) -> Actor {
        self.guests += 1;
        let first = (GUESTS + (self.guests << 32)).to_string();
        let journal = self.place.log("journal");
        let journal = ("CHASKI_JOURNAL", journal.to_str().expect("ASCII"));
        Actor::start("ask", &[journal, ("CHASKI_FIRST", &first), ("CHASKI_REQUESTS", "3")])
    }

    /// A client whose server dies, and the next may come too late for it.
    fn come_late(&mut self, round: u64) {
        let mut server = Stage::server(&self.place, &[]);
        let patience = Duration::from_micros(1 + self.dice.below(PATIENCE) as u64);
        let (journal, dice) = (self.place.log("journal"), Dice::new(self.dice.word()));
        let first = (CALLERS as u64 + 1 + round) << 32;
        let mut caller = Caller::with_patience(&journal, first, dice, patience);
        while caller.heard < 3 {
            while caller.try_send() {}
            caller.hear(Duration::from_millis(1));
        }
        server.kill();
        while caller.try_send() {}
        // Hears of the death now, and of the next server later.
        caller.hear(Duration::from_micros(100));
        std::thread::sleep(Duration::from_micros(self.dice.below(PATIENCE) as u64));
        let mut server = Stage::server(&self.place, &[]);
        while caller.waiting() > 0 {
            caller.hear(Duration::from_millis(1));
            progress();
        }
        drop(caller);
        self.settle_with(&mut server, "nobody comes");
        self.deaths += 1;
    }

    /// Starts a server for whoever wants to do more with it than to let it serve.
    pub(crate) fn enter(&mut self, told: &[(&str, &str)]) -> Actor {
        self.deaths += 1;
        Stage::server(&self.place, told)
    }

    pub(crate) fn deaths(&self) -> u64 {
        self.deaths
    }

    /// Every client sends what it may, and hears what there is.
    pub(crate) fn ask(&mut self) {
        for caller in &mut self.callers {
            while caller.try_send() {}
            while caller.hear(Duration::ZERO) {}
        }
        let first = self.dice.below(CALLERS);
        self.callers[first].hear(Duration::from_micros(200));
        progress();
    }

    /// How much the clients have heard.
    fn heard(&self) -> u64 {
        self.callers.iter().map(|caller| caller.heard).sum()
    }

    /// What a server leaves behind is at most its socket.
    fn ended(&self) {
        let files = self.place.files();
        assert!(files.iter().all(|file| file == NAME), "{files:?}");
    }

    /// The server answers everything that is left, and the account is checked.
    fn settle_with(&mut self, server: &mut Actor, occasion: &str) {
        while self.callers.iter().any(|caller| caller.waiting() > 0) {
            for caller in &mut self.callers {
                caller.hear(Duration::from_millis(1));
                assert!(!caller.is_over, "{occasion}: it was to wait");
            }
            progress();
            assert!(server.ended().is_none(), "{occasion}: a server that was to live");
        }
        self.count(occasion);
        server.kill();
        self.ended();
        self.account.check(occasion, |id| id < GUESTS);
    }

    /// Clients with a server, and nothing under way, hold what they held the first time.
    fn count(&mut self, occasion: &str) {
        let callers = &mut self.callers;
        let mut hear = || {
            for caller in &mut *callers {
                caller.hear(Duration::ZERO);
            }
        };
        let (census, _) =
            self.quiet.get_or_insert_with(|| (Census::at_rest_with(&mut hear), private_bytes()));
        census.come_back(occasion, CALLERS, hear);
    }
}

impl deaths::Stage for Stage {
    fn new(mut dice: Dice) -> Stage {
        let place = Place::new();
        // The thread in the background comes with the first name, and stays.
        drop(Server::bind("first"));
        let before = Census::at_rest();
        let journal = place.log("journal");
        let mut server = Stage::server(&place, &[]);
        let connect = |n| Caller::connect(&journal, n << 32, Dice::new(dice.word()));
        let callers = (1..=CALLERS as u64).map(connect).collect();
        server.kill();
        let account = Account::of(&journal);
        Stage { place, dice, callers, account, deaths: 0, guests: 0, quiet: None, before }
    }

    fn play(&mut self, told: &[(&str, &str)]) -> bool {
        let told = [told, &[("CHASKI_REQUESTS", REQUESTS)]].concat();
        let mut server = Stage::server(&self.place, &told);
        let _guest = self.guest();
        let ended = loop {
            self.ask();
            if let Some(ended) = server.ended() {
                break ended;
            }
        };
        self.ended();
        self.deaths += u64::from(ended == Ended::Killed);
        ended == Ended::Killed
    }

    fn play_for_a_while(&mut self) {
        let mut server = Stage::server(&self.place, &[]);
        // Half of them while they bind, the others some time after the first response.
        if self.dice.one_in(2) {
            let heard = self.heard();
            while self.heard() == heard {
                self.ask();
            }
        }
        let end = Instant::now() + Duration::from_micros(self.dice.below(6000) as u64);
        while Instant::now() < end {
            self.ask();
        }
        server.kill();
        self.ended();
        self.deaths += 1;
    }

    fn settle(&mut self, occasion: &str) {
        let mut server = Stage::server(&self.place, &[]);
        self.settle_with(&mut server, occasion);
    }

    fn end(mut self) {
        self.settle("the end");
        Stage::server(&self.place, &[]).stop();
        assert!(self.place.files().is_empty(), "{:?}", self.place.files());
        let private = self.quiet.as_ref().expect("it was quiet").1;
        let grown = private_bytes().saturating_sub(private);
        assert!(grown < GROWTH_MAX, "{grown} bytes more than in the beginning");
        let Account { answered, in_doubt, not_taken, .. } = self.account;
        println!(
            "{} deaths: {answered} answered, {in_doubt} in doubt, {not_taken} not taken",
            self.deaths
        );
        assert!(answered > 0);
        let Stage { place, callers, account, before, .. } = self;
        drop((callers, account, place));
        before.come_back("the end", 0, || {});
    }
}
