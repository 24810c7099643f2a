//! A send that is dropped has sent nothing, and one that is ready has sent all of its message.

use chaski_zmq::{Kind, Socket};

use crate::pairs::{Numbered, PAIRS};
use crate::receiving::unique;
use crate::{LONG, MOMENT, POLLS_MAX, drop_after, endpoints};

/// Sends at a queue that is full again and again, drops what waits, and receives what is said to
/// have been sent: that, and nothing else, arrives.
fn account(pair: &Numbered) {
    let kinds = (pair.sender.kind(), pair.receiver.kind());
    let (mut sent, mut received, mut dropped) = (Vec::new(), Vec::new(), 0);
    for n in 0..120 {
        let polls = n as usize % POLLS_MAX + 1;
        match drop_after(polls, pair.sender.send_async(pair.message(n))) {
            Some(result) => {
                result.unwrap();
                sent.push(n);
            }
            None => {
                dropped += 1;
                if dropped % 2 == 0 && received.len() < sent.len() {
                    received.push(pair.take());
                }
            }
        }
    }
    while received.len() < sent.len() {
        received.push(pair.take());
    }
    assert_eq!(received, sent, "{kinds:?}");
    assert!(pair.receiver.recv_timeout(MOMENT).is_err(), "{kinds:?} sent what was dropped");
    assert!(dropped > 0, "{kinds:?} never waited");
}

/// Whether this kind waits where nobody has room. A RADIO drops, as it has no option not to.
fn waits(kinds: (Kind, Kind)) -> bool {
    kinds.0 != Kind::Radio
}

#[test]
fn what_arrives_is_what_was_said_to_be_sent() {
    for at in endpoints() {
        for kinds in PAIRS.into_iter().filter(|&kinds| waits(kinds)) {
            account(&Numbered::new(kinds, &unique(&at, kinds)));
        }
    }
}

#[test]
fn what_arrives_sealed_is_what_was_said_to_be_sent() {
    for kinds in [(Kind::Dealer, Kind::Dealer), (Kind::Dealer, Kind::Router)] {
        account(&Numbered::sealed(kinds));
    }
}

/// Without any peer there is nobody to have room.
#[test]
fn a_send_that_nobody_can_take_and_that_is_dropped_goes_to_nobody() {
    let kinds = [(Kind::Push, Kind::Pull), (Kind::Dealer, Kind::Dealer), (Kind::Pair, Kind::Pair)];
    let single = [(Kind::Client, Kind::Server), (Kind::Scatter, Kind::Gather)];
    let single = single.into_iter().chain([(Kind::Channel, Kind::Channel)]);
    for kinds in kinds.into_iter().chain(single).chain([(Kind::Req, Kind::Rep)]) {
        for at in endpoints() {
            let (sender, receiver) = (Socket::new(kinds.0), Socket::new(kinds.1));
            let at = sender.bind(unique(&at, kinds)).unwrap();
            for polls in 1..=POLLS_MAX {
                assert!(drop_after(polls, sender.send_async("dropped")).is_none(), "{kinds:?}");
            }
            receiver.connect(&at).unwrap();
            crate::wait(sender.send_async("sent")).unwrap();
            assert_eq!(receiver.recv_timeout(LONG).unwrap()[0], *"sent", "{kinds:?}");
            assert!(receiver.try_recv().is_err());
        }
    }
}
