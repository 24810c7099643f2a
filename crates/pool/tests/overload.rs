//! Queues that are full, under each policy.

mod common;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use chaski_pool::{AskError, Handle, Policy, Pool, Refusal, WorkerId};
use common::{Holder, Job, Ledger, Notebook, drain, hold};

const CAPACITY: u32 = 16;

/// One worker that is held, with a queue of 16.
fn held(policy: Policy, ledger: &Arc<Ledger>) -> (Pool<u32, Job>, Handle<u32, Job>, Holder) {
    let notebook = Notebook { ledger: Arc::clone(ledger), ..Notebook::default() };
    let pool = Pool::builder().workers(1).queue(CAPACITY as usize).policy(policy);
    let pool = pool.start(notebook).unwrap();
    let handle = pool.handle();
    let (held, holder) = hold();
    handle.send(&0, Job::Hold(held)).unwrap();
    holder.entered();
    (pool, handle, holder)
}

/// Sends numbers until one is refused, and returns that one.
fn fill(handle: &Handle<u32, Job>) -> u32 {
    let refused = (0..).find_map(|number| handle.try_send(&0, Job::Note(number)).err()).unwrap();
    assert_eq!(refused.reason, Refusal::Full(WorkerId::new(0)));
    match refused.message {
        Job::Note(number) => number,
        _ => panic!("another message came back"),
    }
}

#[test]
fn block_waits_for_room() {
    let ledger = Ledger::new(1000);
    let (pool, handle, holder) = held(Policy::Block, &ledger);
    let first = fill(&handle);
    assert!((CAPACITY..CAPACITY + CAPACITY / 8 + 1).contains(&first), "{first}");
    let soon = handle.send_timeout(&0, Job::Note(first), Duration::from_millis(2)).unwrap_err();
    assert_eq!(soon.reason, Refusal::Timeout(WorkerId::new(0)));
    let asked = handle.ask_timeout(&0, Duration::from_millis(2), Job::Notes);
    assert_eq!(asked, Err(AskError::NotSent(Refusal::Timeout(WorkerId::new(0)))));
    let sending = thread::spawn(move || {
        (first..1000).for_each(|number| handle.send(&0, Job::Note(number)).unwrap());
    });
    drop(holder);
    sending.join().unwrap();
    drain(pool);
    assert!((0..1000).all(|number| ledger.handled(number) == 1));
}

#[test]
fn fail_gives_the_message_back() {
    let ledger = Ledger::new(100);
    let (pool, handle, holder) = held(Policy::Fail, &ledger);
    let first = fill(&handle);
    let refused = handle.send(&0, Job::Note(first)).unwrap_err();
    assert_eq!(refused.reason, Refusal::Full(WorkerId::new(0)));
    assert_eq!(refused.to_string(), "the queue of worker 0 is full");
    drop(holder);
    drain(pool);
    assert!((0..first).all(|number| ledger.handled(number) == 1));
    assert_eq!(ledger.total_handled(), first);
}

#[test]
fn drop_oldest_keeps_the_newest_in_order() {
    let ledger = Ledger::new(1000);
    let (pool, handle, holder) = held(Policy::DropOldest, &ledger);
    (0..1000).for_each(|number| handle.send(&0, Job::Note(number)).unwrap());
    let stats = handle.stats()[0];
    let kept = stats.depth as u32;
    assert!((CAPACITY..=CAPACITY + CAPACITY / 8).contains(&kept), "{kept}");
    assert_eq!(stats.dropped, u64::from(1000 - kept));
    drop(holder);
    // The question takes a place in the queue as any other message does.
    let asked = loop {
        if handle.stats()[0].depth == 0 {
            break handle.ask(&0, Job::Notes).unwrap();
        }
        thread::yield_now();
    };
    assert!(asked.into_iter().eq(1000 - kept..1000));
    drain(pool);
}

#[test]
fn a_question_that_is_pushed_out_is_answered_with_nothing() {
    let ledger = Ledger::new(0);
    let (_pool, handle, holder) = held(Policy::DropOldest, &ledger);
    let asking = thread::spawn({
        let handle = handle.clone();
        move || handle.ask(&0, Job::Notes)
    });
    while handle.stats()[0].depth == 0 {
        thread::yield_now();
    }
    (0..100).for_each(|number| handle.send(&0, Job::Note(number)).unwrap());
    assert_eq!(asking.join().unwrap(), Err(AskError::NoReply));
    drop(holder);
}

#[test]
fn under_drop_oldest_every_message_is_handled_or_dropped() {
    const PRODUCERS: u32 = 3;
    const EACH: u32 = 20_000;
    let ledger = Ledger::new(PRODUCERS * EACH);
    let notebook = Notebook { ledger: Arc::clone(&ledger), ..Notebook::default() };
    let pool = Pool::builder().workers(2).queue(8).policy(Policy::DropOldest);
    let pool: Pool<u32, Job> = pool.start(notebook).unwrap();
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let handle = pool.handle();
            scope.spawn(move || {
                for number in producer * EACH..(producer + 1) * EACH {
                    handle.send(&number, Job::Note(number)).unwrap();
                }
            });
        }
        // Orders ring bells, which are pushed out like messages.
        for _ in 0..100 {
            pool.restart_worker(WorkerId::new(0)).unwrap();
            thread::yield_now();
        }
    });
    let handle = pool.handle();
    drain(pool);
    let stats = handle.stats();
    let dropped = stats.total(|worker| worker.dropped);
    assert_eq!(stats.total(|worker| worker.handled) + dropped, u64::from(PRODUCERS * EACH));
    assert!((0..PRODUCERS * EACH).all(|number| ledger.handled(number) <= 1));
}
