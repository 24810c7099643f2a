//! What goes before data, and what comes back.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use chaski_pool::{AskError, Handle, Pool, Refusal, URGENT_CAPACITY, Wait, WorkerId, worker};
use common::{Job, LONG, Ledger, Notebook, drain, hold};

fn id(number: u32) -> WorkerId {
    WorkerId::new(number)
}

#[test]
fn urgent_messages_come_before_what_is_queued() {
    let pool = Pool::builder().workers(1).start(Notebook::default()).unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    let (held, holder) = hold();
    handle.send(&0, Job::Hold(held)).unwrap();
    holder.entered();
    (0..10).for_each(|number| handle.send(&0, Job::Note(number)).unwrap());
    handle.send_urgent(id(0), Job::Note(100)).unwrap();
    handle.send_urgent(id(0), Job::Note(101)).unwrap();
    drop(holder);
    let notes = handle.ask(&0, Job::Notes).unwrap();
    assert!(notes.into_iter().eq([100, 101].into_iter().chain(0..10)));
}

/// The batch is in the worker's hands already.
#[test]
fn urgent_messages_come_between_two_of_a_batch() {
    let pool = Pool::builder().workers(1).start(Notebook::default()).unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    let ((first, at_first), (second, at_second)) = (hold(), hold());
    handle.send(&0, Job::Hold(first)).unwrap();
    at_first.entered();
    handle.send(&0, Job::Note(0)).unwrap();
    handle.send(&0, Job::Hold(second)).unwrap();
    handle.send(&0, Job::Note(1)).unwrap();
    drop(at_first);
    at_second.entered();
    handle.send_urgent(id(0), Job::Note(100)).unwrap();
    drop(at_second);
    assert_eq!(handle.ask(&0, Job::Notes).unwrap(), [0, 100, 1]);
}

#[test]
fn urgent_messages_wake_a_worker_that_sleeps() {
    for wait in [Wait::Park, Wait::Adaptive] {
        let pool = Pool::builder().workers(1).wait(wait).start(Notebook::default()).unwrap();
        let handle: Handle<u32, Job> = pool.handle();
        for _ in 0..200 {
            let (reply, answer) = chaski_pool::reply();
            handle.send_urgent(id(0), Job::Notes(reply)).unwrap();
            assert_eq!(answer.wait(), Ok(vec![]));
        }
        drain(pool);
        let stats = handle.stats()[0];
        assert_eq!((stats.handled, stats.received), (200, 200));
    }
}

/// The smallest queue is full half of the time, so that bells find no room.
#[test]
fn no_urgent_message_is_slept_over() {
    const URGENT: u32 = 20_000;
    let ledger = Ledger::new(URGENT);
    let notebook = Notebook { ledger: Arc::clone(&ledger), ..Notebook::default() };
    let pool: Pool<u32, Job> =
        Pool::builder().workers(1).queue(1).wait(Wait::Park).start(notebook).unwrap();
    thread::scope(|scope| {
        let data = pool.handle();
        scope.spawn(move || {
            for _ in 0..URGENT {
                let _ = data.try_send(&0, Job::Note(URGENT));
                std::hint::spin_loop();
            }
        });
        let urgent = pool.handle();
        scope.spawn(move || {
            for number in 0..URGENT {
                while urgent.send_urgent(id(0), Job::Note(number)).is_err() {
                    thread::yield_now();
                }
                // The last of a row has nobody behind it to wake the worker.
                if number % 16 == 0 {
                    while ledger.handled(number) == 0 {
                        thread::yield_now();
                    }
                }
            }
        });
    });
    drain(pool);
}

#[test]
fn urgent_messages_are_bounded() {
    let pool = Pool::builder().workers(1).start(Notebook::default()).unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    let (held, holder) = hold();
    handle.send(&0, Job::Hold(held)).unwrap();
    holder.entered();
    let sent = (0..1000).take_while(|n| handle.send_urgent(id(0), Job::Note(*n)).is_ok()).count();
    assert!((URGENT_CAPACITY..URGENT_CAPACITY * 5 / 4).contains(&sent), "{sent}");
    let refused = handle.send_urgent(id(0), Job::Panic).unwrap_err();
    assert_eq!(refused.reason, Refusal::Full(id(0)));
    drop(holder);
    drain(pool);
    assert_eq!(handle.stats()[0].handled as usize, 1 + sent);
}

#[test]
fn a_restart_that_was_asked_for_builds_the_state_anew() {
    let pool = Pool::builder().workers(1).restart(chaski_pool::Restart::Never);
    let pool = pool.start(Notebook::default()).unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    handle.send(&0, Job::Note(1)).unwrap();
    assert_eq!(handle.ask(&0, Job::Notes).unwrap(), [1]);
    pool.restart_worker(id(0)).unwrap();
    while handle.stats()[0].restarts == 0 {
        thread::yield_now();
    }
    handle.send(&0, Job::Note(2)).unwrap();
    assert_eq!(handle.ask(&0, Job::Notes).unwrap(), [2]);
}

#[test]
fn broadcasts_reach_everyone_who_lives() {
    let sum = Arc::new(AtomicU32::new(0));
    let adder = {
        let sum = Arc::clone(&sum);
        worker(
            |_| (),
            move |(), number: u32, _| {
                assert_ne!(number, 0, "the end of a worker");
                sum.fetch_add(number, Ordering::Relaxed);
            },
        )
    };
    let pool = Pool::builder().workers(3).restart(chaski_pool::Restart::Never);
    let pool: Pool<u32, u32> = pool.start(adder).unwrap();
    let handle = pool.handle();
    let (all, urgent) = (handle.broadcast(1), handle.broadcast_urgent(10));
    assert_eq!((all.sent, urgent.sent), (3, 3));
    handle.send_to(id(1), 0).unwrap();
    while handle.stats()[1].status != chaski_pool::Status::Dead {
        thread::yield_now();
    }
    let some = handle.broadcast(100);
    assert_eq!((some.sent, some.refused), (2, vec![(id(1), Refusal::Dead(id(1)))]));
    drain(pool);
    assert_eq!(sum.load(Ordering::Relaxed), 233);
    let none = handle.broadcast_urgent(1000);
    assert_eq!((none.sent, none.refused.len()), (0, 3));
}

#[test]
fn an_answer_that_does_not_come_in_time() {
    let pool = Pool::builder().workers(1).start(Notebook::default()).unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    let (held, holder) = hold();
    handle.send(&0, Job::Hold(held)).unwrap();
    let late = handle.ask_timeout(&0, Duration::from_millis(2), Job::Notes);
    assert_eq!(late, Err(AskError::Timeout));
    drop(holder);
    assert_eq!(handle.ask_timeout(&0, LONG, Job::Notes), Ok(vec![]));
}

#[test]
fn who_asks_a_pool_that_is_dropped_is_told() {
    let pool = Pool::builder().workers(1).start(Notebook::default()).unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    let (held, holder) = hold();
    handle.send(&0, Job::Hold(held)).unwrap();
    holder.entered();
    let asking = thread::spawn({
        let handle = handle.clone();
        move || handle.ask(&0, Job::Notes)
    });
    while handle.stats()[0].depth == 0 {
        thread::yield_now();
    }
    assert_eq!(pool.drain(Duration::ZERO).stuck, 1);
    drop(holder);
    assert_eq!(asking.join().unwrap(), Err(AskError::NoReply));
    assert_eq!(handle.ask(&0, Job::Notes), Err(AskError::NotSent(Refusal::Closed)));
}

#[test]
fn workers_ask_each_other() {
    struct Doubling;
    impl chaski_pool::Worker for Doubling {
        type State = Option<Handle<u32, Question>>;
        type Message = Question;

        fn build(
            &self,
            _: &chaski_pool::Seat,
        ) -> Result<Option<Handle<u32, Question>>, chaski_pool::BoxError> {
            Ok(None)
        }

        fn handle(
            &self,
            next: &mut Option<Handle<u32, Question>>,
            question: Question,
            context: &chaski_pool::Context,
        ) {
            match question {
                Question::Meet(handle) => *next = Some(handle),
                Question::Double(number, reply) if context.worker() == id(0) => {
                    let other = next.as_ref().expect("introduced");
                    let doubled = other.ask_worker(id(1), |r| Question::Double(number, r));
                    let _ = reply.send(doubled.unwrap());
                }
                Question::Double(number, reply) => drop(reply.send(2 * number).ok()),
            }
        }
    }
    enum Question {
        Meet(Handle<u32, Question>),
        Double(u32, chaski_pool::Reply<u32>),
    }
    let pool: Pool<u32, Question> = Pool::builder().workers(2).start(Doubling).unwrap();
    let handle = pool.handle();
    handle.send_to(id(0), Question::Meet(handle.clone())).unwrap();
    assert_eq!(handle.ask_worker(id(0), |reply| Question::Double(21, reply)), Ok(42));
    drain(pool);
}
