//! Panics in every function of a worker, and what they cost.

mod common;

use std::num::NonZero;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use chaski_pool::partition::{Consistent, LeastLoaded, RoundRobin};
use chaski_pool::{
    AskError, Batch, BoxError, Context, During, Event, Handle, Pool, Refusal, Restart, Seat,
    Status, Worker, WorkerId, worker,
};
use common::{Bomb, Job, LONG, Ledger, Notebook, Wholesale, drain, events, hold, next};

fn died(event: Event) -> Option<(u32, u64)> {
    match event {
        Event::Died { worker, left, .. } => Some((worker.number(), left)),
        _ => None,
    }
}

fn panicked(event: Event) -> Option<(During, String, u64, bool)> {
    match event {
        Event::Panicked { during, message, handled, restarting, .. } => {
            Some((during, message, handled, restarting))
        }
        _ => None,
    }
}

/// Has a worker die, by its first panic.
fn kill(handle: &Handle<u32, Job>, worker: u32) {
    let asked = handle.ask_worker(WorkerId::new(worker), |reply| {
        drop::<chaski_pool::Reply<()>>(reply);
        Job::Panic
    });
    assert_eq!(asked, Err(AskError::NoReply));
    while handle.stats()[worker as usize].status != Status::Dead {
        thread::yield_now();
    }
}

#[test]
fn a_panic_costs_one_message_and_the_state() {
    let ledger = Ledger::new(200);
    let (listener, events) = events();
    let pool = Pool::builder()
        .workers(1)
        .restart(Restart::Always)
        .on_event(listener)
        .start(Notebook { ledger: Arc::clone(&ledger), ..Notebook::default() })
        .unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    let (held, holder) = hold();
    handle.send(&0, Job::Hold(held)).unwrap();
    holder.entered();
    for number in 0..200 {
        if number % 10 == 3 {
            handle.send(&0, Job::Panic).unwrap();
        }
        handle.send(&0, Job::Note(number)).unwrap();
    }
    drop(holder);
    let notes = handle.ask(&0, Job::Notes).unwrap();
    assert!(notes.into_iter().eq(193..200), "the state began anew after each panic");
    assert_eq!(next(&events, panicked), (During::Handle, "on demand".to_owned(), 4, true));
    let first = next(&events, |event| match event {
        Event::Restarted { restarts, .. } => Some(restarts),
        _ => None,
    });
    assert_eq!(first, 1);
    drain(pool);
    assert!((0..200).all(|number| ledger.handled(number) == 1));
    let stats = handle.stats()[0];
    assert_eq!((stats.lost, stats.panics, stats.restarts, stats.left), (20, 20, 20, 0));
    assert_eq!(stats.handled, 202);
}

#[test]
fn too_many_panics_end_the_worker_and_its_queue_comes_back() {
    let ledger = Ledger::new(100);
    let (listener, events) = events();
    let pool = Pool::builder()
        .workers(1)
        .restart(Restart::AtMost { times: 2, within: LONG })
        .on_event(listener)
        .start(Notebook { ledger: Arc::clone(&ledger), ..Notebook::default() })
        .unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    let (held, holder) = hold();
    handle.send(&0, Job::Hold(held)).unwrap();
    holder.entered();
    for number in 0..100 {
        handle.send(&0, Job::Note(number)).unwrap();
        if number % 10 == 9 {
            handle.send(&0, Job::Panic).unwrap();
        }
    }
    drop(holder);
    assert_eq!(next(&events, died), (0, 77), "70 notes and 7 panics");
    for number in 0..100 {
        let expected = if number < 30 { (1, 0) } else { (0, 1) };
        assert_eq!((ledger.handled(number), ledger.undelivered(number)), expected, "{number}");
    }
    let refused = handle.send(&0, Job::Note(0)).unwrap_err();
    assert_eq!(refused.reason, Refusal::Dead(WorkerId::new(0)));
    assert_eq!(refused.to_string(), "worker 0 is dead");
    assert_eq!(handle.stats()[0].status, Status::Dead);
    drain(pool);
}

#[test]
fn who_asks_a_dead_worker_or_one_that_panics_is_told() {
    let pool = Pool::builder().workers(1).restart(Restart::Never);
    let pool = pool.start(Notebook::default()).unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    kill(&handle, 0);
    let dead = Err(AskError::NotSent(Refusal::Dead(WorkerId::new(0))));
    assert_eq!(handle.ask(&0, Job::Notes), dead);
    assert_eq!(handle.ask_timeout(&0, LONG, Job::Notes), dead);
    assert_eq!(handle.ask_worker(WorkerId::new(0), Job::Notes), dead);
}

#[test]
fn who_waits_in_the_queue_of_a_worker_that_dies_is_told() {
    let pool = Pool::builder().workers(1).queue(4).restart(Restart::Never);
    let pool = pool.start(Notebook::default()).unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    let (held, holder) = hold();
    handle.send(&0, Job::Hold(held)).unwrap();
    holder.entered();
    handle.send(&0, Job::Panic).unwrap();
    let asking = thread::spawn({
        let handle = handle.clone();
        move || handle.ask(&0, Job::Notes)
    });
    while handle.stats()[0].depth < 2 {
        thread::yield_now();
    }
    while handle.try_send(&0, Job::Note(0)).is_ok() {}
    let sending = thread::spawn(move || handle.send(&0, Job::Note(0)).map_err(|e| e.reason));
    drop(holder);
    assert_eq!(asking.join().unwrap(), Err(AskError::NoReply));
    // It was waiting, or it came when the worker was dead; or there was room for a moment.
    let sent = sending.join().unwrap();
    assert!(matches!(sent, Ok(()) | Err(Refusal::Dead(_))), "{sent:?}");
}

#[test]
fn partitioners_go_on_without_the_dead() {
    fn survivors(pool: Pool<u32, Job>) -> usize {
        let handle = pool.handle();
        kill(&handle, 1);
        (0..100).filter(|key| handle.send(key, Job::Note(*key)).is_ok()).count()
    }
    let builder = || Pool::builder().workers(3).restart(Restart::Never);
    let notebook = Notebook::default;
    assert_eq!(survivors(builder().partitioner(Consistent::new()).start(notebook()).unwrap()), 100);
    assert_eq!(survivors(builder().partitioner(RoundRobin::new()).start(notebook()).unwrap()), 100);
    assert_eq!(
        survivors(builder().partitioner(LeastLoaded::new()).start(notebook()).unwrap()),
        100
    );
    let by_hash = survivors(builder().start(notebook()).unwrap());
    assert!((50..90).contains(&by_hash), "{by_hash}: its own keys are refused, no others");
}

/// Drains its batches, and looks at no message.
struct Careless;

impl Worker for Careless {
    type State = ();
    type Message = Job;

    fn build(&self, _: &Seat) -> Result<(), BoxError> {
        Ok(())
    }

    fn handle(&self, (): &mut (), _: Job, _: &Context) {}

    fn handle_batch(&self, (): &mut (), batch: &mut Batch<Job>, _: &Context) {
        // The iterator's own drop leaves the messages where they are.
        let _ = batch.drain().size_hint();
    }
}

#[test]
fn messages_that_panic_when_a_batch_is_cleared_cost_nothing_else() {
    let (listener, events) = events();
    let pool = Pool::builder().workers(1).restart(Restart::Never).on_event(listener);
    let pool = pool.start(Careless).unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    (0..3).for_each(|key| handle.send(&key, Job::Bomb(Bomb(true))).unwrap());
    for _ in 0..3 {
        assert_eq!(next(&events, panicked).0, During::Undelivered);
    }
    drain(pool);
    assert_eq!(handle.stats()[0].handled, 3);
}

/// Waits with each message it gives up.
struct Reluctant(Mutex<mpsc::Receiver<()>>, mpsc::Sender<()>);

impl Worker for Reluctant {
    type State = ();
    type Message = Job;

    fn build(&self, _: &Seat) -> Result<(), BoxError> {
        Ok(())
    }

    fn handle(&self, (): &mut (), job: Job, _: &Context) {
        match job {
            Job::Hold(held) => held.wait(),
            _ => panic!("on demand"),
        }
    }

    fn undelivered(&self, _: Job, _: WorkerId) {
        let _ = self.1.send(());
        let _ = self.0.lock().unwrap().recv();
    }
}

#[test]
fn what_is_being_given_up_at_the_deadline_counts_as_left() {
    let (release, released) = mpsc::channel();
    let (entered, has_entered) = mpsc::channel();
    let pool = Pool::builder().workers(1).restart(Restart::Never);
    let pool = pool.start(Reluctant(Mutex::new(released), entered)).unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    let (held, holder) = hold();
    handle.send(&0, Job::Hold(held)).unwrap();
    holder.entered();
    handle.send(&0, Job::Panic).unwrap();
    (0..5).for_each(|number| handle.send(&0, Job::Note(number)).unwrap());
    drop(holder);
    has_entered.recv_timeout(LONG).unwrap();
    let given_up = handle.stats()[0].left;
    let report = pool.remove_worker(WorkerId::new(0), Duration::ZERO).unwrap();
    assert_eq!((given_up + report.left, report.stuck), (5, 1));
    drop(release);
}

#[test]
fn messages_without_a_key_find_those_that_are_alive() {
    let refused = |pool: Pool<u32, Job>, dead: u32| {
        let handle = pool.handle();
        (0..dead).for_each(|worker| kill(&handle, worker));
        let refused = (0..1000).filter(|n| handle.send(n, Job::Note(*n)).is_err()).count();
        drain(pool);
        refused
    };
    let builder = |workers| Pool::builder().workers(workers).restart(Restart::Never);
    let runs = RoundRobin::in_runs_of(NonZero::new(10).unwrap());
    let pool = builder(2).partitioner(runs).start(Notebook::default()).unwrap();
    assert_eq!(refused(pool, 1), 0);
    let two = LeastLoaded::two_choices();
    let pool = builder(8).partitioner(two).start(Notebook::default()).unwrap();
    assert_eq!(refused(pool, 6), 0);
    let pool = builder(8).partitioner(Box::new(two)).start(Notebook::default()).unwrap();
    assert_eq!(refused(pool, 8), 1000, "nobody is left");
}

#[test]
fn a_dead_worker_can_be_removed_and_replaced() {
    let pool = Pool::builder().workers(2).restart(Restart::Never);
    let pool = pool.start(Notebook::default()).unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    kill(&handle, 0);
    let report = pool.remove_worker(WorkerId::new(0), LONG).unwrap();
    assert_eq!((report.handled, report.left, report.stuck), (0, 0, 0));
    assert_eq!(pool.add_worker().unwrap(), WorkerId::new(2));
    assert!((0..100).all(|key| handle.send(&key, Job::Note(key)).is_ok()));
}

#[test]
fn a_state_that_cannot_be_built_again_ends_the_worker() {
    for build_panics in [false, true] {
        let (listener, events) = events();
        let pool = Pool::builder()
            .workers(1)
            .restart(Restart::Always)
            .on_event(listener)
            .start(Notebook {
                builds: Some(Arc::new(AtomicU32::new(2))),
                build_panics,
                ..Notebook::default()
            })
            .unwrap();
        let handle: Handle<u32, Job> = pool.handle();
        handle.send(&0, Job::Panic).unwrap();
        handle.send(&0, Job::Panic).unwrap();
        if build_panics {
            let during = next(&events, |event| panicked(event).filter(|it| it.0 == During::Build));
            assert_eq!(during.1, "no more states");
        } else {
            let reason = next(&events, |event| match event {
                Event::NotRestarted { reason, .. } => Some(reason),
                _ => None,
            });
            assert_eq!(reason, "no more states");
        }
        assert_eq!(next(&events, died), (0, 0));
        assert_eq!(handle.stats()[0].restarts, 1);
    }
}

#[test]
fn messages_that_panic_when_dropped() {
    let (listener, events) = events();
    let pool = Pool::builder().workers(1).restart(Restart::Never).on_event(listener);
    let pool = pool.start(Notebook::default()).unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    let (held, holder) = hold();
    handle.send(&0, Job::Hold(held)).unwrap();
    holder.entered();
    handle.send(&0, Job::Panic).unwrap();
    for _ in 0..3 {
        handle.send(&0, Job::Bomb(Bomb(true))).unwrap();
    }
    drop(holder);
    assert_eq!(next(&events, panicked).0, During::Handle);
    for _ in 0..3 {
        assert_eq!(next(&events, panicked).0, During::Undelivered);
    }
    assert_eq!(next(&events, died), (0, 3));
}

#[test]
fn panics_in_tick_stop_and_the_drop_of_the_state() {
    struct Fragile;
    struct State(Bomb);
    impl Worker for Fragile {
        type State = State;
        type Message = bool;

        fn build(&self, seat: &Seat) -> Result<State, BoxError> {
            Ok(State(Bomb(seat.restarts == 0)))
        }

        fn handle(&self, state: &mut State, defuse: bool, _: &Context) {
            state.0.0 &= !defuse;
        }

        fn tick(&self, _: &mut State, context: &Context) {
            assert_ne!(context.restarts(), 0, "the first tick");
        }

        fn stop(&self, state: State, _: &Context) {
            drop(state);
            panic!("at the end");
        }
    }
    let (listener, events) = events();
    let pool = Pool::builder()
        .workers(1)
        .tick(Duration::from_millis(1))
        .on_event(listener)
        .start::<_, u32>(Fragile)
        .unwrap();
    let (during, message, ..) = next(&events, panicked);
    assert_eq!((during, message.contains("the first tick")), (During::Tick, true), "{message}");
    assert_eq!(next(&events, panicked).0, During::Stop, "the old state's drop");
    drain(pool);
    let (during, message, ..) = next(&events, panicked);
    assert_eq!((during, &*message), (During::Stop, "at the end"));
    next(&events, |event| matches!(event, Event::Stopped { .. }).then_some(()));
}

#[test]
fn a_batch_taken_whole_is_lost_whole() {
    let (sizes, _seen) = mpsc::channel();
    let ledger = Ledger::new(100);
    let pool = Pool::builder().workers(1).restart(Restart::Always);
    let pool = pool.start(Wholesale { sizes, ledger: Arc::clone(&ledger) }).unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    let (held, holder) = hold();
    handle.send(&0, Job::Hold(held)).unwrap();
    holder.entered();
    (0..5).for_each(|number| handle.send(&0, Job::Note(number)).unwrap());
    handle.send(&0, Job::Panic).unwrap();
    (5..9).for_each(|number| handle.send(&0, Job::Note(number)).unwrap());
    drop(holder);
    let report = pool.drain(LONG);
    let stats = handle.stats()[0];
    assert_eq!((report.left, stats.handled, stats.lost), (0, 1, 10));
}

#[test]
fn payloads_without_a_text_and_listeners_that_panic() {
    let told = Arc::new(AtomicU32::new(0));
    let listener = {
        let told = Arc::clone(&told);
        move |event| {
            told.fetch_add(1, Ordering::Relaxed);
            if let Event::Panicked { message, .. } = event {
                assert_eq!(message, "a panic without a text");
            }
            panic!("the listener");
        }
    };
    let odd = worker(|_| (), |(), (), _| std::panic::panic_any(Bomb(true)));
    let pool = Pool::builder().workers(1).on_event(listener).start(odd).unwrap();
    (0..3_u32).for_each(|key| pool.handle().send(&key, ()).unwrap());
    drain(pool);
    assert_eq!(told.load(Ordering::Relaxed), 1 + 3 * 2 + 1);
}
