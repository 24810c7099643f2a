//! A pool from its start to its end.

mod common;

use std::num::NonZero;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use chaski_pool::partition::{Consistent, Custom, RoundRobin};
use chaski_pool::{
    BoxError, Context, Event, Handle, Placement, Pool, Refusal, Seat, StartError, Status, Topology,
    Wait, Worker, WorkerId, worker,
};
use common::{Holder, Job, LONG, Ledger, Notebook, Wholesale, drain, events, hold, next};

fn id(number: u32) -> WorkerId {
    WorkerId::new(number)
}

/// One worker, held in a handler.
fn held(notebook: Notebook) -> (Pool<u32, Job>, Handle<u32, Job>, Holder) {
    let pool = Pool::builder().workers(1).start(notebook).unwrap();
    let handle = pool.handle();
    let (held, holder) = hold();
    handle.send(&0, Job::Hold(held)).unwrap();
    holder.entered();
    (pool, handle, holder)
}

#[test]
fn a_key_stays_with_its_worker_and_in_order() {
    let pool = Pool::builder().workers(3).start(Notebook::default()).unwrap();
    let handle = pool.handle();
    for number in 0..3000_u32 {
        handle.send(&(number % 10), Job::Note(number)).unwrap();
    }
    let mut all = Vec::new();
    for worker in pool.workers() {
        let notes = handle.ask_worker(worker, Job::Notes).unwrap();
        for key in 0..10 {
            let of_key: Vec<_> = notes.iter().filter(|number| *number % 10 == key).collect();
            assert!(of_key.is_sorted());
            assert!(of_key.is_empty() || of_key.len() == 300, "a key went to two workers");
        }
        all.extend(notes);
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(0..3000));
}

#[test]
fn a_drain_handles_what_is_queued_and_refuses_the_rest() {
    let ledger = Ledger::new(100);
    let (pool, handle, holder) =
        held(Notebook { ledger: Arc::clone(&ledger), ..Notebook::default() });
    (0..100).for_each(|number| handle.send(&0, Job::Note(number)).unwrap());
    assert_eq!(ledger.total_handled(), 0);
    let draining = thread::spawn(move || pool.drain(LONG));
    while !handle.is_closed() {
        thread::yield_now();
    }
    let refused = handle.send(&0, Job::Note(0)).unwrap_err();
    assert_eq!(refused.reason, Refusal::Closed);
    assert!(matches!(refused.message, Job::Note(0)));
    assert_eq!(handle.send_urgent(id(0), Job::Panic).unwrap_err().reason, Refusal::Closed);
    drop(holder);
    let report = draining.join().unwrap();
    assert_eq!((report.handled, report.left, report.stuck), (101, 0, 0));
    assert!((0..100).all(|number| ledger.handled(number) == 1));
}

#[test]
fn a_drain_ends_at_its_deadline_while_a_handler_blocks() {
    let ledger = Ledger::new(50);
    let (pool, handle, holder) =
        held(Notebook { ledger: Arc::clone(&ledger), ..Notebook::default() });
    (0..50).for_each(|number| handle.send(&0, Job::Note(number)).unwrap());
    let report = pool.drain(Duration::from_millis(20));
    assert_eq!((report.handled, report.left, report.stuck), (0, 51, 1));
    // The handler returns after all: what it left behind is given up, each message once.
    drop(holder);
    while ledger.total_undelivered() < 50 {
        thread::yield_now();
    }
    assert!((0..50).all(|number| (ledger.handled(number), ledger.undelivered(number)) == (0, 1)));
}

#[test]
fn a_producer_that_waits_for_room_is_refused_when_the_pool_drains() {
    let pool = Pool::builder().workers(1).queue(2).start(Notebook::default()).unwrap();
    let handle = pool.handle();
    let (held, holder) = hold();
    handle.send(&0, Job::Hold(held)).unwrap();
    holder.entered();
    while handle.try_send(&0, Job::Note(0)).is_ok() {}
    let waiting = thread::spawn(move || handle.send(&0, Job::Note(7)).map_err(|e| e.reason));
    let report = pool.drain(Duration::from_millis(20));
    assert_eq!(waiting.join().unwrap(), Err(Refusal::Closed));
    assert_eq!(report.stuck, 1);
    drop(holder);
}

#[test]
fn a_drop_stops_after_the_message_in_hand() {
    let ledger = Ledger::new(50);
    let (pool, handle, holder) =
        held(Notebook { ledger: Arc::clone(&ledger), ..Notebook::default() });
    (0..50).for_each(|number| handle.send(&0, Job::Note(number)).unwrap());
    let dropping = thread::spawn(move || drop(pool));
    while !handle.is_closed() {
        thread::yield_now();
    }
    // The worker may see the close before the stop, but not finish before the pool has said it.
    while handle.stats()[0].status == Status::Running {
        thread::yield_now();
    }
    thread::sleep(Duration::from_millis(10));
    drop(holder);
    dropping.join().unwrap();
    assert_eq!(ledger.total_handled() + ledger.total_undelivered(), 50);
    let stats = handle.stats();
    assert_eq!(stats[0].left + stats[0].handled, 51);
}

#[test]
fn a_handler_can_see_that_it_is_to_stop() {
    let (held, holder) = hold();
    let pool = Pool::builder().workers(1).start(Notebook::default()).unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    let (reply, answer) = chaski_pool::reply();
    handle.send(&0, Job::IsStopping(held, reply)).unwrap();
    holder.entered();
    assert_eq!(pool.drain(Duration::ZERO).stuck, 1);
    drop(holder);
    assert_eq!(answer.wait(), Ok(true));
}

#[test]
fn an_idle_pool_drains_and_drops() {
    for wait in [Wait::Park, Wait::Adaptive, Wait::Yield, Wait::Spin] {
        let builder = || Pool::builder().workers(2).wait(wait);
        let idle: Pool<u32, Job> = builder().start(Notebook::default()).unwrap();
        drain(idle);
        drop(builder().start::<_, u32>(Notebook::default()).unwrap());
    }
}

#[test]
fn a_pool_may_be_dropped_by_its_own_handler() {
    let (dropped, seen) = mpsc::channel();
    let dropper = worker(
        |_| (),
        move |(), pool: Pool<u32, ()>, _| {
            drop(pool);
            dropped.send(()).unwrap();
        },
    );
    let pool: Pool<u32, Pool<u32, ()>> = Pool::builder().workers(1).start(dropper).unwrap();
    let inner = Pool::builder().workers(1).start(worker(|_| (), |(), (), _| ())).unwrap();
    pool.handle().send(&0, inner).unwrap();
    seen.recv_timeout(LONG).unwrap();
    drain(pool);
}

#[test]
fn settings_of_nothing_are_refused() {
    let start = |builder: chaski_pool::Builder| builder.start::<_, u32>(Notebook::default()).err();
    for (builder, name) in [
        (Pool::builder().workers(0), "workers"),
        (Pool::builder().queue(0), "queue"),
        (Pool::builder().batch(0), "batch"),
        (Pool::builder().concurrency(0), "concurrency"),
        (Pool::builder().tick(Duration::ZERO), "tick"),
    ] {
        let refused = start(builder).expect("started");
        assert_eq!(refused.to_string(), format!("{name} must not be 0"));
    }
    let nowhere = start(Pool::builder().placement(Placement::Cpus(vec![100_000])));
    assert!(matches!(nowhere, Some(StartError::Placement(_))), "{nowhere:?}");
}

#[test]
fn settings_beyond_all_bounds_mean_as_much_as_there_is() {
    let builder = || Pool::builder().workers(1).batch(usize::MAX).tick(Duration::MAX);
    let pool = builder().start(worker(|_| 0, |sum, number: u32, _| *sum += number)).unwrap();
    let handle: Handle<u32, u32> = pool.handle();
    (0..100).for_each(|number| handle.send(&number, number).unwrap());
    drain(pool);
    assert_eq!(handle.stats()[0].handled, 100);
}

#[test]
fn a_worker_that_cannot_start_stops_the_others() {
    for build_panics in [false, true] {
        let (listener, events) = events();
        let notebook = Notebook {
            builds: Some(Arc::new(AtomicU32::new(2))),
            build_panics,
            ..Notebook::default()
        };
        let started =
            Pool::builder().workers(3).on_event(listener).start::<_, u32>(notebook).unwrap_err();
        match started {
            StartError::Build { source, .. } if !build_panics => {
                assert_eq!(source.to_string(), "no more states");
            }
            StartError::BuildPanicked { message, .. } if build_panics => {
                assert_eq!(message, "no more states");
            }
            other => panic!("{other:?}"),
        }
        let stopped: Vec<Event> =
            events.iter().filter(|event| matches!(event, Event::Stopped { .. })).collect();
        assert_eq!(stopped.len(), 2);
    }
}

#[test]
fn states_are_built_on_their_pinned_threads() {
    struct Where;
    impl Worker for Where {
        /// Not `Send`.
        type State = (std::rc::Rc<()>, thread::ThreadId, Seat);
        type Message = chaski_pool::Reply<(bool, Seat, Option<String>)>;

        fn build(&self, seat: &Seat) -> Result<Self::State, BoxError> {
            Ok((std::rc::Rc::new(()), thread::current().id(), *seat))
        }

        fn handle(&self, state: &mut Self::State, reply: Self::Message, context: &Context) {
            let here = thread::current();
            assert_eq!(context.cpu(), state.2.cpu);
            drop(reply.send((here.id() == state.1, state.2, here.name().map(str::to_owned))));
        }
    }
    let pool = Pool::builder()
        .workers(2)
        .placement(Placement::Spread)
        .name("where")
        .stack_size(256 << 10)
        .start::<_, u32>(Where)
        .unwrap();
    let machine = Topology::detect();
    for worker in pool.workers() {
        let (same, seat, name) = pool.handle().ask_worker(worker, |reply| reply).unwrap();
        assert!(same);
        assert_eq!(name, Some(format!("where-{}", worker.number())));
        assert_eq!(seat.worker, worker);
        // In a sandbox that allows no pinning, there is none.
        assert!(seat.cpu.is_none_or(|cpu| machine.cpus().contains(&cpu)));
    }
}

#[test]
fn ticks_come_to_idle_and_to_busy_workers_and_only_if_asked_for() {
    struct Ticking(mpsc::Sender<u32>);
    impl Worker for Ticking {
        type State = u32;
        type Message = ();

        fn build(&self, _: &Seat) -> Result<u32, BoxError> {
            Ok(0)
        }

        fn handle(&self, ticks: &mut u32, (): (), _: &Context) {
            self.0.send(*ticks).unwrap();
        }

        fn tick(&self, ticks: &mut u32, _: &Context) {
            *ticks += 1;
            self.0.send(*ticks).unwrap();
        }
    }
    let (sender, ticks) = mpsc::channel();
    let period = Duration::from_millis(1);
    let pool = Pool::builder().workers(1).tick(period).start(Ticking(sender)).unwrap();
    for expected in 1..4 {
        assert_eq!(ticks.recv_timeout(LONG), Ok(expected), "idle");
    }
    let busy: Handle<u32, ()> = pool.handle();
    let until = Instant::now() + LONG;
    while ticks.try_iter().all(|tick| tick < 10) && Instant::now() < until {
        let _ = busy.try_send(&0, ());
    }
    assert!(Instant::now() < until, "busy");
    drain(pool);

    let (sender, ticks) = mpsc::channel();
    let pool = Pool::builder().workers(1).start(Ticking(sender)).unwrap();
    pool.handle().send(&0_u32, ()).unwrap();
    assert_eq!(ticks.recv_timeout(LONG), Ok(0));
    drop(pool);
    assert_eq!(ticks.recv(), Err(mpsc::RecvError));
}

#[test]
fn messages_come_in_batches_and_the_batch_may_be_taken_whole() {
    let (sizes, seen) = mpsc::channel();
    let ledger = Ledger::new(100);
    let pool = Pool::builder()
        .workers(1)
        .queue(1024)
        .batch(64)
        .start(Wholesale { sizes, ledger: Arc::clone(&ledger) })
        .unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    let (held, holder) = hold();
    handle.send(&0, Job::Hold(held)).unwrap();
    holder.entered();
    (0..100).for_each(|number| handle.send(&0, Job::Note(number)).unwrap());
    drop(holder);
    let report = pool.drain(LONG);
    assert_eq!((report.left, ledger.total_handled()), (0, 100));
    assert_eq!(seen.iter().collect::<Vec<_>>(), [1, 64, 36]);
}

#[test]
fn what_handle_batch_leaves_is_handled() {
    struct Picky(Arc<Ledger>);
    impl Worker for Picky {
        type State = u32;
        type Message = u32;

        fn build(&self, _: &Seat) -> Result<u32, BoxError> {
            Ok(0)
        }

        fn handle(&self, _: &mut u32, number: u32, _: &Context) {
            self.0.note_handled(number);
        }

        fn handle_batch(&self, _: &mut u32, batch: &mut chaski_pool::Batch<u32>, _: &Context) {
            batch.next().into_iter().for_each(|number| self.0.note_handled(number));
        }
    }
    let ledger = Ledger::new(1000);
    let pool = Pool::builder().workers(2).start(Picky(Arc::clone(&ledger))).unwrap();
    (0..1000_u32).for_each(|number| pool.handle().send(&number, number).unwrap());
    let report = pool.drain(LONG);
    assert_eq!((report.left, report.stuck), (0, 0));
    assert!((0..1000).all(|number| ledger.handled(number) == 1));
}

#[test]
fn the_arena_is_empty_for_each_batch_and_counted() {
    let arenas = worker(
        |_| (),
        |(), reply: chaski_pool::Reply<usize>, context: &Context| {
            let before = context.arena().used_bytes();
            context.arena().alloc_slice(&[7_u8; 5000]);
            let _ = reply.send(before);
        },
    );
    let pool = Pool::builder().workers(1).start(arenas).unwrap();
    for _ in 0..3 {
        assert_eq!(pool.handle().ask(&0_u32, |reply| reply), Ok(0));
    }
    let handle = pool.handle();
    drain(pool);
    let stats = handle.stats()[0];
    assert!((5000..10_000).contains(&stats.arena_high_water_bytes), "{stats:?}");
    assert!(stats.arena_bytes >= 5000, "{stats:?}");
}

#[test]
fn figures_add_up() {
    let (listener, _events) = events();
    let pool = Pool::builder()
        .workers(2)
        .partitioner(RoundRobin::new())
        .on_event(listener)
        .start(Notebook::default())
        .unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    (0..200).for_each(|number| handle.send(&0, Job::Note(number)).unwrap());
    handle.send_to(id(1), Job::Panic).unwrap();
    let live = pool.stats();
    assert_eq!(live.len(), 2);
    assert!(live.worker(id(1)).is_some() && live.worker(id(2)).is_none());
    drain(pool);
    let stats = handle.stats();
    assert_eq!(stats.total(|worker| worker.received), 201);
    assert_eq!(stats.total(|worker| worker.handled), 200);
    assert_eq!(stats.total(|worker| worker.lost), 1);
    assert_eq!((stats[1].panics, stats[1].restarts), (1, 1));
    assert_eq!(stats.total(|worker| worker.depth), 0);
    assert!(stats.iter().all(|worker| (1..=101).contains(&worker.batches)));
    assert!(stats.iter().all(|worker| worker.high_water <= 1024 + 128));
    assert!(stats.iter().all(|worker| (0.0..=1.0).contains(&worker.busy_share())));
    assert!(stats.iter().all(|worker| worker.status == Status::Leaving));
}

#[test]
fn a_busy_worker_counts_its_time() {
    let sleeper = worker(|_| (), |(), (), _| thread::sleep(Duration::from_millis(5)));
    let pool = Pool::builder().workers(1).start(sleeper).unwrap();
    let handle: Handle<u32, ()> = pool.handle();
    (0..4).for_each(|_| handle.send(&0, ()).unwrap());
    drain(pool);
    let stats = handle.stats()[0];
    assert!(stats.busy >= Duration::from_millis(20) && stats.busy <= stats.uptime, "{stats:?}");
}

#[test]
fn a_partitioner_that_points_beside_the_workers_is_an_error() {
    let beside = Custom::new(|_: &u32, workers| workers.count());
    let pool = Pool::builder().workers(2).partitioner(beside).start(Notebook::default()).unwrap();
    let refused = pool.handle().send(&0, Job::Panic).unwrap_err();
    assert_eq!(refused.reason, Refusal::NoSlot { slot: 2, workers: 2 });
    assert_eq!(refused.to_string(), "the partitioner picked slot 2 of 2");
    let unknown = pool.handle().send_to(id(9), Job::Panic).unwrap_err();
    assert_eq!(unknown.reason, Refusal::Unknown(id(9)));
}

#[test]
fn keys_of_all_kinds() {
    let pool = Pool::builder().workers(2).start(Notebook::default()).unwrap();
    pool.handle().send("text", Job::Note(1)).unwrap();
    let pool = Pool::builder().workers(2).partitioner(Consistent::new());
    let pool = pool.start(Notebook::default()).unwrap();
    pool.handle().send(&b"bytes"[..], Job::Note(1)).unwrap();
    let runs = RoundRobin::in_runs_of(NonZero::new(2).unwrap());
    let pool = Pool::builder().workers(2).partitioner(runs).start(Notebook::default()).unwrap();
    pool.handle().send(&(), Job::Note(1)).unwrap();
}

#[test]
fn the_state_is_handed_back_at_the_end() {
    struct Summing(mpsc::Sender<u64>);
    impl Worker for Summing {
        type State = u64;
        type Message = u64;

        fn build(&self, _: &Seat) -> Result<u64, BoxError> {
            Ok(0)
        }

        fn handle(&self, sum: &mut u64, number: u64, _: &Context) {
            *sum += number;
        }

        fn stop(&self, sum: u64, _: &Context) {
            self.0.send(sum).unwrap();
        }
    }
    let (sender, sums) = mpsc::channel();
    let pool = Pool::builder().workers(3).start(Summing(sender)).unwrap();
    (0..=1000_u64).for_each(|number| pool.handle().send(&number, number).unwrap());
    drain(pool);
    assert_eq!(sums.iter().sum::<u64>(), 500_500);
}

#[test]
fn workers_are_told_of_from_start_to_stop() {
    let (listener, events) = events();
    let pool: Pool<u32, Job> =
        Pool::builder().workers(1).on_event(listener).start(Notebook::default()).unwrap();
    next(&events, |event| {
        matches!(event, Event::Started { worker, .. } if worker == id(0)).then_some(())
    });
    drain(pool);
    next(&events, |event| matches!(event, Event::Stopped { left: 0, .. }).then_some(()));
}
