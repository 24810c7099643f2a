//! Pipes to peers that scribble, and one to a peer that does not, all in one loop that sleeps on
//! their descriptors.

use chaski_shm::pipe::{Bell, Listener, PipeReceiver, PipeSender};
use chaski_shm::{Error, Server};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::NAME;
use super::processes::census::Census;
use super::processes::child::Actor;
use super::processes::dice::Dice;
use super::processes::mail::Wish;
use super::processes::place::Place;
use super::processes::runner::progress;

/// Records that come back from the honest one meanwhile.
const HONEST: u64 = 1500;

/// Pipes that are found spoilt meanwhile.
const CORRUPT: u64 = 3;

/// The longest sleep: a peer need not ring.
const NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

/// Words over everything that the other end can write.
pub(crate) fn of_peers() {
    let mut dice = Dice::thrown_for("of_peers");
    let place = Place::new();
    // The thread in the background comes with the first name, and stays.
    drop(Server::bind("first"));
    let before = Census::at_rest();
    let mut listener = Listener::bind(NAME).expect("the name is free");
    let mut honest = Actor::start("echoing-pipe", &[]);
    let mut echo = End::of(listener.accept().expect("it comes").split());
    let mut start = || Actor::start("scribbling-pipe", &[("CHASKI_FIRST", &dice_word(&mut dice))]);
    let mut bad = [start(), start()];
    let mut ends = Vec::<End>::new();
    let (mut corrupt, mut gone) = (0, 0);
    while echo.answered < HONEST || corrupt < CORRUPT {
        progress();
        for actor in &mut bad {
            if actor.ended().is_some() {
                *actor = start();
            }
        }
        while let Some(pipe) = listener.try_accept().expect("it listens") {
            ends.push(End::of(pipe.split()));
        }
        echo.ask().expect("an honest peer");
        ends.retain_mut(|end| match end.bear() {
            Ok(()) => true,
            Err(Error::Corrupt(_)) => {
                corrupt += 1;
                false
            }
            Err(Error::Closed) => {
                gone += 1;
                false
            }
            Err(error) => panic!("{error}"),
        });
        let may_sleep = echo.receiver.arm() & ends.iter_mut().all(|end| end.receiver.arm());
        if may_sleep {
            let all = ends.iter().chain([&echo]);
            let mut fds: Vec<_> = all.map(|end| PollFd::new(&end.bell, PollFlags::IN)).collect();
            poll(&mut fds, Some(&NAP)).expect("descriptors");
        }
        ends.iter().chain([&echo]).for_each(|end| end.bell.clear());
    }
    println!("{} came back; {corrupt} corrupt, {gone} gone", echo.answered);
    drop((bad, ends));
    drop(echo);
    honest.wait();
    drop((listener, honest));
    assert!(place.files().is_empty(), "{:?}", place.files());
    drop(place);
    before.come_back("the end", 0, || {});
}

fn dice_word(dice: &mut Dice) -> String {
    (dice.word() | 1).to_string()
}

/// This end of a pipe.
struct End {
    sender: PipeSender,
    receiver: PipeReceiver,
    bell: Bell,
    dice: Dice,
    into: Vec<u8>,
    asked: Option<Vec<u8>>,
    answered: u64,
}

impl End {
    fn of((sender, receiver): (PipeSender, PipeReceiver)) -> End {
        let (bell, dice) = (sender.bell(), Dice::new(1));
        End { sender, receiver, bell, dice, into: Vec::new(), asked: None, answered: 0 }
    }

    /// Sends something to be sent back, and checks each byte of what comes.
    fn ask(&mut self) -> Result<(), Error> {
        if self.asked.is_none() {
            let request = Wish::random(self.answered, &mut self.dice).request();
            self.sender.try_send(&[&request])?;
            self.asked = Some(request);
        }
        while self.receiver.try_recv(&mut self.into)?.is_some() {
            assert!(self.asked.take().is_some_and(|asked| asked == self.into), "another record");
            self.answered += 1;
        }
        Ok(())
    }

    /// Takes some of what there is, and sends something, if there is room.
    fn bear(&mut self) -> Result<(), Error> {
        for _ in 0..self.dice.below(20) {
            if self.receiver.try_append(&mut self.into)?.is_none() {
                break;
            }
        }
        self.into.clear();
        self.receiver.release();
        let len = self.dice.below(30_000);
        match self.sender.try_send(&[&vec![3; len], b"-"]) {
            // What it had sent is still to be taken.
            Ok(()) | Err(Error::Full | Error::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
