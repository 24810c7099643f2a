//! A receive that is dropped has taken nothing.

use std::thread;

use crate::pairs::{Numbered, PAIRS, number};
use crate::{MOMENT, drop_until_ready, endpoints};

const COUNT: u64 = 60;

/// Sends numbered messages from a thread while receives are dropped; how many were.
fn receive_all(pair: &Numbered) -> usize {
    let mut dropped = 0;
    thread::scope(|scope| {
        scope.spawn(|| (0..COUNT).for_each(|n| pair.sender.send(pair.message(n)).unwrap()));
        for expected in 0..COUNT {
            let (message, drops) = drop_until_ready(|| pair.receiver.recv_async());
            assert_eq!(number(&message.unwrap()), expected);
            dropped += drops;
        }
    });
    dropped
}

/// The same, as many at a time as are there.
fn receive_in_batches(pair: &Numbered) {
    thread::scope(|scope| {
        scope.spawn(|| (0..COUNT).for_each(|n| pair.sender.send(pair.message(n)).unwrap()));
        let mut messages = Vec::new();
        for max in (1..=3).cycle() {
            let before = messages.len();
            let mut taken = std::mem::take(&mut messages);
            let ready = crate::drop_after(max, pair.receiver.recv_many_async(&mut taken, max));
            let count = ready.map_or(0, Result::unwrap);
            // What was dropped has added nothing.
            assert!(taken.len() == before + count && count <= max);
            messages = taken;
            if messages.len() == COUNT as usize {
                break;
            }
        }
        assert!(messages.iter().map(number).eq(0..COUNT));
    });
}

fn nothing_more(pair: &Numbered) {
    let kinds = (pair.sender.kind(), pair.receiver.kind());
    assert!(pair.receiver.recv_timeout(MOMENT).is_err(), "{kinds:?} received what was not sent");
}

#[test]
fn nothing_is_lost_by_receives_that_are_dropped() {
    for at in endpoints() {
        for kinds in PAIRS {
            let pair = Numbered::new(kinds, &unique(&at, kinds));
            receive_all(&pair);
            receive_in_batches(&pair);
            nothing_more(&pair);
        }
    }
}

#[test]
fn nothing_sealed_is_lost() {
    for kinds in PAIRS.into_iter().filter(|(sender, _)| *sender == chaski_zmq::Kind::Dealer) {
        let pair = Numbered::sealed(kinds);
        receive_all(&pair);
        receive_in_batches(&pair);
        nothing_more(&pair);
    }
}

/// Nobody sends: every receive waits, is polled and dropped, and what comes then is for the next.
#[test]
fn receives_dropped_while_nobody_sends_keep_nothing_from_the_next() {
    for at in endpoints() {
        for kinds in PAIRS {
            let pair = Numbered::new(kinds, &unique(&at, kinds));
            for n in 0..4 {
                for polls in 1..=crate::POLLS_MAX {
                    assert!(crate::drop_after(polls, pair.receiver.recv_async()).is_none());
                }
                pair.sender.send(pair.message(n)).unwrap();
                assert_eq!(pair.take(), n);
            }
        }
    }
}

/// A name for each pair where a name is what an endpoint is.
pub(crate) fn unique(at: &str, kinds: (chaski_zmq::Kind, chaski_zmq::Kind)) -> String {
    match at.ends_with('*') {
        true => at.to_owned(),
        false => format!("{at}-{}-{}", kinds.0, kinds.1),
    }
}
