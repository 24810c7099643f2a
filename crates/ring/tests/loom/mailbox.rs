//! Every interleaving of small programs over the mailbox, by loom's model checker.
//!
//! A lost wake-up shows as a deadlock: loom fails a model in which no thread can go on.

use chaski_ring::{Doze, Mailbox};
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// What a consumer sleeps on: a permit that stays until it is taken, as an eventfd does.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// A producer and its count, in a cell by which loom sees a read that the write does not happen
/// before.
struct Message(UnsafeCell<(usize, usize)>);

impl Message {
    fn new(producer: usize, n: usize) -> Self {
        Message(UnsafeCell::new((producer, n)))
    }

    fn get(&self) -> (usize, usize) {
        // SAFETY: the cell is in one thread's hands at a time, and nobody writes to it.
        self.0.with(|cell| unsafe { *cell })
    }
}

#[derive(Default)]
struct Inbox {
    mailbox: Mailbox<Message>,
    doze: Doze,
    bell: Bell,
}

/// Runs `producers` that send `each` messages in the given way, against a consumer that rests in
/// the given way; checks that all come, once, in order.
fn model(producers: usize, each: usize, send: fn(&Inbox, Message), rest: fn(&Inbox)) {
    let mut builder = loom::model::Builder::new();
    if producers > 1 {
        // All interleavings of two producers are too many; those with few involuntary switches are
        // where bugs are found (M. Musuvathi and S. Qadeer, PLDI 2007).
        let _bound = builder.preemption_bound.get_or_insert(4);
    }
    builder.check(move || {
        let inbox = Arc::new(Inbox::default());
        let threads: Vec<_> = (0..producers)
            .map(|producer| {
                let inbox = Arc::clone(&inbox);
                thread::spawn(move || {
                    (0..each).for_each(|n| send(&inbox, Message::new(producer, n)))
                })
            })
            .collect();
        let mut next = vec![0; producers];
        let mut got = Vec::new();
        while next.iter().sum::<usize>() < producers * each {
            inbox.mailbox.drain(&mut got);
            if got.is_empty() {
                rest(&inbox);
            }
            for (producer, n) in got.drain(..).map(|message| message.get()) {
                assert_eq!(n, next[producer], "lost, doubled or out of order");
                next[producer] += 1;
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(inbox.mailbox.is_empty());
    });
}

fn ring_when_first(inbox: &Inbox, message: Message) {
    if inbox.mailbox.push(message) {
        inbox.bell.ring();
    }
}

fn ring_when_asleep(inbox: &Inbox, message: Message) {
    let _first = inbox.mailbox.push(message);
    if inbox.doze.must_wake() {
        inbox.bell.ring();
    }
}

fn sleep_announced(inbox: &Inbox) {
    inbox.doze.announce();
    if inbox.mailbox.is_empty() {
        inbox.bell.wait();
    }
    inbox.doze.awake();
}

#[test]
fn the_first_push_wakes_one_producer() {
    model(1, 3, ring_when_first, |inbox| inbox.bell.wait());
}

#[test]
fn the_first_push_wakes_two_producers() {
    model(2, 1, ring_when_first, |inbox| inbox.bell.wait());
}

#[test]
fn the_announced_sleeper_is_woken_one_producer() {
    model(1, 2, ring_when_asleep, sleep_announced);
}

#[test]
fn the_announced_sleeper_is_woken_two_producers() {
    model(2, 1, ring_when_asleep, sleep_announced);
}

/// What a model drops without draining it is freed: loom reports leaks of its own objects, and the
/// `Arc` here is one.
#[test]
fn a_drop_frees_what_nobody_took() {
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::new());
        let other = Arc::clone(&mailbox);
        let message = Arc::new(());
        let sent = Arc::clone(&message);
        let thread = thread::spawn(move || {
            let _first = other.push(sent);
        });
        let mut got = Vec::new();
        mailbox.drain(&mut got);
        thread.join().unwrap();
        drop((got, mailbox));
        assert_eq!(Arc::strong_count(&message), 1);
    });
}
