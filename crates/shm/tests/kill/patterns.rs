//! The other patterns: who dies here sends or receives, publishes or subscribes, or rings; the
//! other side lives in this process and goes on with the next.

use std::cell::Cell;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chaski_shm::pipe::{self, Pipe};
use chaski_shm::{Error, Listener, Notifier, Publisher, Pull, Push, Server, Subscriber};

use rustix::event::{PollFd, PollFlags, poll};

use super::account::{Account, Event, Journal};
use super::processes::census::Census;
use super::processes::child::{self, Actor, Ended};
use super::processes::dice::Dice;
use super::processes::mail::Wish;
use super::processes::place::Place;
use super::processes::runner::progress;
use super::{NAME, steps};

/// Messages of a life, unless it ends early.
const MESSAGES: u64 = 20;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// How long the one that lives waits before it looks after the other.
const MOMENT: Duration = Duration::from_micros(300);

/// How long it tries to connect before it looks whether the other is still there.
const BRIEF: Duration = Duration::from_millis(10);

/// Senders die: what they were told is sent is received, whole and once.
pub(crate) fn senders() {
    let stage = Stage::new("push");
    let mut pull = Pull::bind(NAME).expect("the name is free");
    let (mut journal, mut heard) = (stage.journal(), 0);
    stage.lives(|ended| {
        match pull.recv_timeout(MOMENT) {
            Ok(message) => {
                let wish = Wish::of(&message).expect("a message as it was sent");
                journal.note(Event::Executed, wish.id);
                heard = wish.id >> 32;
                return false;
            }
            Err(Error::TimedOut) => {}
            Err(error) => panic!("receiving: {error}"),
        }
        // The doorman seats them in turn, and may be late: all are seated when the last one is.
        let are_seated = !stage.is_last() || heard == stage.lives.get();
        ended && pull.senders() == 0 && are_seated
    });
    assert!(stage.account().answered > 0);
    drop((pull, journal));
    stage.end();
}

/// Workers die: each message goes to one worker, and no more is lost than what each had in hand.
pub(crate) fn workers() {
    let stage = Stage::new("pull");
    let mut push = Push::bind(NAME).expect("the name is free");
    let mut dice = Dice::thrown_for("workers");
    let (mut journal, mut sent, mut lost) = (stage.journal(), 0, 0);
    stage.lives(|ended| {
        let wish = message(sent, &mut dice);
        journal.note(Event::Sent, wish.id);
        match push.send_timeout(&wish.request(), MOMENT) {
            Ok(()) => {}
            Err(Error::TimedOut) => journal.note(Event::Withdrawn, wish.id),
            Err(error) => panic!("sending: {error}"),
        }
        sent += 1;
        lost += push.departures().count() as u64;
        ended && push.receivers() == 0
    });
    lost += push.departures().count() as u64;
    // The last one takes what is left.
    let mut last = stage.start(&[("CHASKI_REQUESTS", "1000000")]);
    while push.flush(Duration::from_millis(10)).expect("nobody is gone for ever") > 0 {
        progress();
    }
    last.kill();
    drop(last);
    lost += 1;
    let account = stage.account();
    let unknown = account.sent - account.withdrawn - account.executed;
    println!("{} sent, {unknown} lost with {lost} workers", account.sent);
    assert!(unknown <= lost, "a worker has at most one message in hand");
    drop((push, journal, account));
    stage.end();
}

/// Publishers die: a subscriber gets whole messages, and finds the next publisher.
pub(crate) fn publishers() {
    let stage = Stage::new("publish");
    let mut subscriber: Option<Subscriber> = None;
    let mut heard = 0_u64;
    stage.lives(|ended| {
        let Some(one) = &mut subscriber else {
            // The last one publishes nothing before somebody has come.
            let within = if stage.is_last() && heard == 0 { LONG } else { BRIEF };
            subscriber = Subscriber::builder().connect_within(within).connect(NAME).ok();
            return ended;
        };
        match one.recv_timeout(MOMENT) {
            Ok(news) => {
                Wish::of(&news).expect("a message as it was published");
                heard += 1;
                return false;
            }
            Err(Error::Closed) => subscriber = None,
            // Behind, or nothing yet.
            Err(_) => {}
        }
        ended
    });
    println!("{heard} messages heard");
    assert!(heard > 0);
    drop(subscriber);
    stage.end();
}

/// Subscribers die: the publisher goes on, and forgets them.
pub(crate) fn subscribers() {
    let stage = Stage::new("subscribe");
    let mut publisher = Publisher::bind(NAME).expect("the name is free");
    let mut dice = Dice::thrown_for("subscribers");
    let mut id = 0;
    stage.lives(|ended| {
        let len = 16 + dice.below(3000);
        publisher.publish(&Wish { id, len, wanted: 8, parts: 0 }.request()).expect("nobody blocks");
        id += 1;
        std::thread::sleep(MOMENT / 10);
        ended && publisher.subscribers() == 0
    });
    drop(publisher);
    stage.end();
}

/// Notifiers die: the listener hears the others, and forgets them.
pub(crate) fn notifiers() {
    let stage = Stage::new("notify");
    let mut listener = Listener::bind(NAME).expect("the name is free");
    let mut rings = 0;
    stage.lives(|ended| {
        match listener.recv_timeout(MOMENT) {
            Ok(event) => {
                assert!(event.value <= MESSAGES && event.rings <= MESSAGES, "{event:?}");
                rings += event.rings;
            }
            Err(Error::TimedOut) => {
                // The last one rings, and may be seated late.
                return ended && listener.notifiers() == 0 && (!stage.is_last() || rings > 0);
            }
            Err(error) => panic!("listening: {error}"),
        }
        false
    });
    assert!(rings > 0);
    drop(listener);
    stage.end();
}

/// Those who connect a pipe die: what they were told is sent is received, whole and once, and each
/// end of a pipe is told.
pub(crate) fn pipes() {
    let stage = Stage::new("pipe");
    let mut listener = pipe::Listener::bind(NAME).expect("the name is free");
    let mut far = Far::new(stage.journal());
    stage.lives(|ended| {
        // More than one, where one died between its pipe and its end.
        while let Some(pipe) = listener.try_accept().expect("it listens") {
            far.pipes.push(pipe);
        }
        far.echo() && ended
    });
    assert!(stage.account().answered > 0);
    drop((listener, far));
    stage.end();
}

/// Those who listen for pipes die: who connects finds the next.
pub(crate) fn pipe_listeners() {
    let stage = Stage::new("pipe-listener");
    let mut far = Far::new(stage.journal());
    stage.lives(|ended| {
        if far.pipes.is_empty() && !ended {
            // The last one ends when it was answered.
            let within = if stage.is_last() && far.echoed == 0 { LONG } else { BRIEF };
            far.pipes.extend(Pipe::builder().connect_within(within).connect(NAME));
        }
        far.echo() && ended
    });
    assert!(stage.account().answered > 0);
    drop(far);
    stage.end();
}

/// The ends of pipes that live on: they send back what they receive, in two parts.
struct Far {
    pipes: Vec<Pipe>,
    journal: Journal,
    echoed: u64,
}

impl Far {
    fn new(journal: Journal) -> Far {
        Far { pipes: Vec::new(), journal, echoed: 0 }
    }

    /// Whether nobody is connected any more.
    fn echo(&mut self) -> bool {
        let Far { pipes, journal, echoed } = self;
        pipes.retain_mut(|pipe| {
            let record = match pipe.recv_timeout(MOMENT) {
                Ok(record) => record,
                Err(Error::TimedOut) => return true,
                Err(Error::Closed) => return false,
                Err(error) => panic!("receiving: {error}"),
            };
            let wish = Wish::of(&record).expect("a record as it was sent");
            journal.note(Event::Executed, wish.id);
            let (head, tail) = record.split_at(record.len() / 3);
            match pipe.send(&[head, tail]) {
                Ok(()) => {
                    *echoed += 1;
                    true
                }
                // What it had sent before is still to be received.
                Err(Error::Closed) => true,
                Err(error) => panic!("sending: {error}"),
            }
        });
        pipes.is_empty()
    }
}

/// The pipe of one that may die: each record comes back, waited for in a loop of its own.
fn ping(
    pipe: Pipe,
    ids: &mut Range<u64>,
    journal: &mut Journal,
    dice: &mut Dice,
) -> Result<(), Error> {
    let (mut sender, mut receiver) = pipe.split();
    let (bell, mut page) = (sender.bell(), Vec::new());
    for id in ids {
        let wish = message(id, dice);
        let request = wish.request();
        let parts = request.split_at(dice.below(request.len()));
        journal.note(Event::Sent, id);
        while sender.arm(request.len()) {
            sleep_on(&bell);
        }
        sender.try_send(&[parts.0, parts.1])?;
        page.clear();
        while receiver.try_append(&mut page)?.is_none() {
            if receiver.arm() {
                sleep_on(&bell);
            }
        }
        receiver.release();
        assert!(page == request, "what came back of {id:#x}");
        journal.note(Event::Answered, id);
    }
    Ok(())
}

/// Sleeps on a pipe's descriptor.
fn sleep_on(bell: &pipe::Bell) {
    let mut fds = [PollFd::new(bell, PollFlags::IN)];
    poll(&mut fds, None).expect("a descriptor");
    bell.clear();
}

/// A message, now and then one that does not fit into a ring.
fn message(id: u64, dice: &mut Dice) -> Wish {
    let len = 16 + if dice.one_in(12) { dice.below(150_000) } else { dice.below(2000) };
    Wish { id, len, wanted: 8, parts: 0 }
}

/// Where one side lives on, and the other comes and goes.
struct Stage {
    place: Place,
    role: &'static str,
    before: Census,
    lives: Cell<u64>,
    is_last: Cell<bool>,
}

impl Stage {
    fn new(role: &'static str) -> Stage {
        let place = Place::new();
        // The thread in the background comes with the first name, and stays.
        drop(Server::bind("first"));
        let before = Census::at_rest();
        Stage { place, role, before, lives: 1.into(), is_last: false.into() }
    }

    /// Lets one die at each step that it comes to, and a last one live. Meanwhile, and after it,
    /// `go_on` is called until it says that this one is done with; it is told whether the other has
    /// ended.
    fn lives(&self, mut go_on: impl FnMut(bool) -> bool) {
        for name in steps::wanted() {
            for times in [1, 17] {
                let fatal = format!("{name}:{times}");
                if self.life(&[("CHASKI_KILL_AT", &fatal)], &mut go_on) == Ended::Well {
                    break;
                }
                steps::was_fatal(&name);
            }
        }
        self.is_last.set(true);
        assert_eq!(self.life(&[], &mut go_on), Ended::Well);
    }

    fn life(&self, told: &[(&str, &str)], go_on: &mut impl FnMut(bool) -> bool) -> Ended {
        let mut victim = self.start(told);
        let ended = loop {
            go_on(false);
            progress();
            if let Some(ended) = victim.ended() {
                break ended;
            }
        };
        while !go_on(true) {}
        let files = self.place.files();
        assert!(files.iter().all(|file| file == NAME), "{told:?}: {files:?}");
        ended
    }

    /// Whether this is the one that lives.
    fn is_last(&self) -> bool {
        self.is_last.get()
    }

    fn start(&self, told: &[(&str, &str)]) -> Actor {
        self.lives.set(self.lives.get() + 1);
        let (journal, first) = (self.path(), (self.lives.get() << 32).to_string());
        let journal = ("CHASKI_JOURNAL", journal.to_str().expect("ASCII"));
        Actor::start(self.role, &[&[journal, ("CHASKI_FIRST", &first)], told].concat())
    }

    fn path(&self) -> PathBuf {
        self.place.log("journal")
    }

    fn journal(&self) -> Journal {
        Journal::open(&self.path())
    }

    fn account(&self) -> Account {
        let mut account = Account::of(&self.path());
        account.check(self.role, |_| false);
        account
    }

    fn end(self) {
        let Stage { place, before, role, .. } = self;
        drop(place);
        before.come_back(role, 0, || {});
    }
}

/// One of those that come and go, in a process of its own.
pub(crate) fn role(name: &str) -> ExitCode {
    let first: u64 = child::told_number("CHASKI_FIRST").expect("a number");
    let journal = child::told("CHASKI_JOURNAL").expect("a journal");
    let mut journal = Journal::open(journal.as_ref());
    let many = child::told_number("CHASKI_REQUESTS").unwrap_or(MESSAGES);
    let mut dice = Dice::new(first);
    match name {
        "push" => {
            let mut push = Push::builder().connect_within(LONG).connect(NAME).expect("it is there");
            for id in first..first + many {
                let wish = message(id, &mut dice);
                journal.note(Event::Sent, id);
                push.send(&wish.request()).expect("it receives");
                journal.note(Event::Answered, id);
            }
        }
        "pull" => {
            let mut pull = Pull::builder().connect_within(LONG).connect(NAME).expect("it is there");
            for _ in 0..many {
                let message = pull.recv().expect("it sends");
                journal.note(Event::Executed, Wish::of(&message).expect("as it was sent").id);
            }
        }
        "pipe" => {
            let pipe = Pipe::builder().connect_within(LONG).connect(NAME).expect("it is there");
            let mut ids = first..first.saturating_add(many);
            ping(pipe, &mut ids, &mut journal, &mut dice).expect("the other end lives");
        }
        "pipe-listener" => {
            let mut listener = pipe::Listener::bind(NAME).expect("the name is free");
            let mut ids = first..first.saturating_add(many);
            // Who could not wait for the end of the handshake is gone, and comes again.
            while !ids.is_empty() {
                let pipe = listener.accept().expect("it listens");
                match ping(pipe, &mut ids, &mut journal, &mut dice) {
                    Ok(()) | Err(Error::Closed) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        "publish" => {
            let mut publisher = Publisher::bind(NAME).expect("the name is free");
            // So that somebody hears it, if that one finds it at all.
            let begun = Instant::now();
            while publisher.subscribers() == 0 && begun.elapsed() < LONG {
                std::thread::sleep(MOMENT);
            }
            for id in first..first + many {
                let len = 16 + dice.below(3000);
                let wish = Wish { id, len, wanted: 8, parts: 0 };
                publisher.publish(&wish.request()).expect("nobody blocks");
                std::thread::sleep(MOMENT);
            }
        }
        "subscribe" => {
            let builder = Subscriber::builder().connect_within(LONG);
            let mut subscriber = builder.connect(NAME).expect("it is there");
            for _ in 0..many {
                // It may fall behind.
                if let Ok(news) = subscriber.recv() {
                    Wish::of(&news).expect("as it was published");
                }
            }
        }
        _ => {
            let builder = Notifier::builder().connect_within(LONG);
            let mut notifier = builder.connect(NAME).expect("it is there");
            for value in 1..=many {
                notifier.notify(value).expect("it listens");
            }
        }
    }
    ExitCode::SUCCESS
}
