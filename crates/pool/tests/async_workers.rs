//! Workers whose handlers await.

mod common;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use chaski_pool::{
    Answer, AskError, AsyncWorker, BoxError, During, Event, Handle, Policy, Pool, Refusal, Reply,
    Restart, Seat, TaskContext, Worker, WorkerId, reply, worker,
};
use common::{Held, LONG, Ledger, drain, events, hold, next};

fn id(number: u32) -> WorkerId {
    WorkerId::new(number)
}

/// What the test lets go, and whether a handler may still come to wait for it.
enum Job {
    Note(u32),
    /// Notes the number when the answer comes, or when there will be none.
    NoteAfter(u32, Answer<()>),
    Notes(Reply<Vec<u32>>),
    Running(Reply<(u32, u32)>),
    /// Blocks the thread until it is let go.
    Hold(Held),
    /// Panics at once, or after the answer.
    Panic(Option<Answer<()>>),
    /// Wakes itself so many times before it ends.
    Yields(u32, Reply<()>),
}

#[derive(Default)]
struct State {
    notes: RefCell<Vec<u32>>,
    running: Cell<u32>,
    most: Cell<u32>,
}

#[derive(Default)]
struct Notebook {
    ledger: Arc<Ledger>,
    begun: Arc<AtomicU32>,
    ended: Arc<AtomicU32>,
}

impl AsyncWorker for Notebook {
    type State = State;
    type Message = Job;

    async fn build(&self, _: &Seat) -> Result<State, BoxError> {
        yield_once().await;
        Ok(State::default())
    }

    async fn handle(&self, state: &State, job: Job, _: &TaskContext) {
        self.begun.fetch_add(1, Ordering::Relaxed);
        state.running.set(state.running.get() + 1);
        state.most.set(state.most.get().max(state.running.get()));
        match job {
            Job::Note(number) => self.note(state, number),
            Job::NoteAfter(number, answer) => {
                let _ = answer.await;
                self.note(state, number);
            }
            Job::Notes(reply) => drop(reply.send(state.notes.borrow().clone())),
            Job::Running(reply) => {
                let _ = reply.send((state.running.get(), state.most.get()));
            }
            Job::Hold(held) => held.wait(),
            Job::Panic(answer) => {
                if let Some(answer) = answer {
                    let _ = answer.await;
                }
                panic!("on demand");
            }
            Job::Yields(count, reply) => {
                for _ in 0..count {
                    yield_once().await;
                }
                let _ = reply.send(());
            }
        }
        state.running.set(state.running.get() - 1);
    }

    async fn tick(&self, state: &State, _: &TaskContext) {
        yield_once().await;
        state.notes.borrow_mut().push(u32::MAX);
    }

    async fn stop(&self, _: State, _: &TaskContext) {
        yield_once().await;
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    fn undelivered(&self, job: Job, _: WorkerId) {
        if let Job::Note(number) = job {
            self.ledger.note_undelivered(number);
        }
    }
}

impl Notebook {
    fn note(&self, state: &State, number: u32) {
        self.ledger.note_handled(number);
        state.notes.borrow_mut().push(number);
    }
}

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs a future on the thread of a test.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future: Pin<Box<F>> = Box::pin(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn start(concurrency: usize, notebook: Notebook) -> (Pool<u32, Job>, Handle<u32, Job>) {
    let pool = Pool::builder().workers(1).concurrency(concurrency).start_async(notebook).unwrap();
    let handle = pool.handle();
    (pool, handle)
}

#[test]
fn handlers_that_wait_let_others_run() {
    let (pool, handle) = start(4, Notebook::default());
    let (first, wait_first) = reply();
    let (second, wait_second) = reply();
    handle.send(&0, Job::NoteAfter(1, wait_first)).unwrap();
    handle.send(&0, Job::NoteAfter(2, wait_second)).unwrap();
    handle.send(&0, Job::Note(3)).unwrap();
    assert_eq!(handle.ask(&0, Job::Notes).unwrap(), [3]);
    second.send(()).unwrap();
    while handle.ask(&0, Job::Notes).unwrap() != [3, 2] {}
    first.send(()).unwrap();
    while handle.ask(&0, Job::Notes).unwrap() != [3, 2, 1] {}
    drain(pool);
}

#[test]
fn an_urgent_message_goes_before_those_that_were_taken_and_not_begun() {
    let (pool, handle) = start(64, Notebook::default());
    let (first, first_holder) = hold();
    handle.send(&0, Job::Hold(first)).unwrap();
    first_holder.entered();
    let (second, second_holder) = hold();
    handle.send(&0, Job::Hold(second)).unwrap();
    (1..=2).for_each(|number| handle.send(&0, Job::Note(number)).unwrap());
    drop(first_holder);
    second_holder.entered();
    let (question, answer) = reply();
    handle.send_urgent(id(0), Job::Notes(question)).unwrap();
    drop(second_holder);
    assert_eq!(block_on(answer).unwrap(), []);
    assert_eq!(handle.ask(&0, Job::Notes).unwrap(), [1, 2]);
    drain(pool);
}

#[test]
fn no_more_handlers_run_than_are_allowed() {
    let notebook = Notebook::default();
    let begun = Arc::clone(&notebook.begun);
    let (pool, handle) = start(3, notebook);
    let gates: Vec<_> = (0..10)
        .map(|number| {
            let (gate, wait) = reply();
            handle.send(&0, Job::NoteAfter(number, wait)).unwrap();
            gate
        })
        .collect();
    while begun.load(Ordering::Relaxed) < 3 {
        thread::yield_now();
    }
    assert_eq!(handle.stats()[0].handled, 0);
    gates.into_iter().for_each(drop);
    let (running, most) = handle.ask(&0, Job::Running).unwrap();
    assert!(running >= 1 && most == 3, "{running} {most}");
    drain(pool);
}

#[test]
fn one_at_a_time_keeps_the_order() {
    let (pool, handle) = start(1, Notebook::default());
    for number in 0..100 {
        let (gate, wait) = reply();
        handle.send(&0, Job::NoteAfter(number, wait)).unwrap();
        thread::spawn(move || gate.send(()));
    }
    assert!(handle.ask(&0, Job::Notes).unwrap().into_iter().eq(0..100));
    drain(pool);
}

#[test]
fn a_drain_waits_for_handlers_up_to_its_deadline() {
    let ended = Arc::new(AtomicU32::new(0));
    let notebook = || Notebook { ended: Arc::clone(&ended), ..Notebook::default() };
    let (pool, handle) = start(8, notebook());
    let (gate, wait) = reply();
    handle.send(&0, Job::NoteAfter(1, wait)).unwrap();
    let draining = thread::spawn(move || pool.drain(LONG));
    while !handle.is_closed() {
        thread::yield_now();
    }
    gate.send(()).unwrap();
    let report = draining.join().unwrap();
    assert_eq!((report.handled, report.left, report.stuck), (1, 0, 0));
    assert_eq!(ended.load(Ordering::Relaxed), 1);

    let (pool, handle) = start(2, notebook());
    let gates: Vec<_> = (0..5)
        .map(|number| {
            let (gate, wait) = reply();
            handle.send(&0, Job::NoteAfter(number, wait)).unwrap();
            gate
        })
        .collect();
    let report = pool.drain(Duration::from_millis(5));
    assert_eq!((report.handled, report.left), (0, 5));
    assert!(gates.iter().all(Reply::is_closed) || report.stuck == 1, "handlers were dropped");
}

#[test]
fn a_panic_costs_one_message_and_other_handlers_go_on() {
    let (listener, events) = events();
    let ledger = Ledger::new(10);
    let notebook = Notebook { ledger: Arc::clone(&ledger), ..Notebook::default() };
    let pool = Pool::builder().workers(1).restart(Restart::Always).on_event(listener);
    let pool: Pool<u32, Job> = pool.start_async(notebook).unwrap();
    let handle = pool.handle();
    let ((gate, wait), (late_gate, late_wait)) = (reply(), reply());
    handle.send(&0, Job::NoteAfter(0, wait)).unwrap();
    handle.send(&0, Job::Panic(None)).unwrap();
    handle.send(&0, Job::Note(1)).unwrap();
    handle.send(&0, Job::Panic(Some(late_wait))).unwrap();
    assert_eq!(handle.ask(&0, Job::Notes).unwrap(), [1], "a new state");
    late_gate.send(()).unwrap();
    for _ in 0..2 {
        next(&events, |event| match event {
            Event::Panicked { during: During::Handle, restarting: true, .. } => Some(()),
            _ => None,
        });
        next(&events, |event| matches!(event, Event::Restarted { .. }).then_some(()));
    }
    assert_eq!(handle.ask(&0, Job::Notes).unwrap(), [] as [u32; 0], "a third state");
    gate.send(()).unwrap();
    drain(pool);
    assert_eq!((ledger.handled(0), ledger.handled(1)), (1, 1));
    let stats = handle.stats()[0];
    assert_eq!((stats.lost, stats.restarts), (2, 2));
}

#[test]
fn death_drops_the_handlers_and_gives_up_the_queue() {
    let (listener, events) = events();
    let ledger = Ledger::new(10);
    let notebook = Notebook { ledger: Arc::clone(&ledger), ..Notebook::default() };
    let pool = Pool::builder().workers(1).concurrency(2).restart(Restart::Never);
    let pool: Pool<u32, Job> = pool.on_event(listener).start_async(notebook).unwrap();
    let handle = pool.handle();
    let ((gate, wait), (panic_gate, panic_wait)) = (reply(), reply());
    handle.send(&0, Job::NoteAfter(9, wait)).unwrap();
    handle.send(&0, Job::Panic(Some(panic_wait))).unwrap();
    (0..5).for_each(|number| handle.send(&0, Job::Note(number)).unwrap());
    panic_gate.send(()).unwrap();
    let left = next(&events, |event| match event {
        Event::Died { left, .. } => Some(left),
        _ => None,
    });
    assert_eq!(left, 6);
    assert_eq!(gate.send(()), Err(()), "the handler is gone");
    assert!((0..5).all(|number| ledger.undelivered(number) == 1));
    assert_eq!(handle.ask(&0, Job::Notes), Err(AskError::NotSent(Refusal::Dead(id(0)))));
}

#[test]
fn urgent_messages_and_restarts_reach_a_worker_whose_handlers_all_wait() {
    let (pool, handle) = start(2, Notebook::default());
    let (gate, wait) = reply();
    handle.send(&0, Job::NoteAfter(1, wait)).unwrap();
    for _ in 0..100 {
        let (question, answer) = reply();
        handle.send_urgent(id(0), Job::Notes(question)).unwrap();
        assert_eq!(answer.wait(), Ok(vec![]));
    }
    handle.send(&0, Job::Note(2)).unwrap();
    assert_eq!(handle.ask(&0, Job::Notes).unwrap(), [2]);
    pool.restart_worker(id(0)).unwrap();
    while handle.stats()[0].restarts == 0 {
        thread::yield_now();
    }
    assert_eq!(handle.ask(&0, Job::Notes).unwrap(), [] as [u32; 0]);
    gate.send(()).unwrap();
    drain(pool);
}

#[test]
fn handlers_that_never_rest_starve_nobody() {
    let (pool, handle) = start(4, Notebook::default());
    let (long, done) = reply();
    handle.send(&0, Job::Yields(1_000_000, long)).unwrap();
    assert_eq!(handle.ask(&0, Job::Notes).unwrap(), [] as [u32; 0]);
    assert_eq!(done.wait(), Ok(()));
    drain(pool);
}

#[test]
fn ticks_run_among_the_handlers() {
    let pool = Pool::builder().workers(1).tick(Duration::from_millis(1));
    let pool: Pool<u32, Job> = pool.start_async(Notebook::default()).unwrap();
    let handle = pool.handle();
    while handle.ask(&0, Job::Notes).unwrap().len() < 3 {}
    drain(pool);
}

#[test]
fn tasks_send_and_ask_without_blocking() {
    let (pool, handle) = start(16, Notebook::default());
    block_on(async {
        for number in 0..2000 {
            handle.send_async(&0, Job::Note(number)).await.unwrap();
        }
        let notes = handle.ask_async(&0, Job::Notes).await.unwrap();
        assert!(notes.into_iter().eq(0..2000));
        handle.send_to_async(id(0), Job::Note(1)).await.unwrap();
        let unknown = handle.send_to_async(id(7), Job::Note(1)).await.unwrap_err();
        assert_eq!(unknown.reason, Refusal::Unknown(id(7)));
    });
    drain(pool);
    let closed = block_on(handle.ask_async(&0, Job::Notes));
    assert_eq!(closed, Err(AskError::NotSent(Refusal::Closed)));
}

#[test]
fn tasks_are_told_at_once_under_the_other_policies() {
    let sleeper = || {
        worker(
            |_| (),
            |(), answer: Option<Answer<()>>, _| {
                if let Some(answer) = answer {
                    let _ = answer.wait();
                }
            },
        )
    };
    for policy in [Policy::Fail, Policy::DropOldest] {
        let pool = Pool::builder().workers(1).queue(2).policy(policy);
        let pool: Pool<u32, Option<Answer<()>>> = pool.start(sleeper()).unwrap();
        let handle = pool.handle();
        let (gate, wait) = reply();
        handle.send(&0, Some(wait)).unwrap();
        let refused = (0..100).find_map(|_| block_on(handle.send_async(&0, None)).err());
        match policy {
            Policy::Fail => assert_eq!(refused.unwrap().reason, Refusal::Full(id(0))),
            _ => assert!(refused.is_none()),
        }
        drop(gate);
    }
}

/// One worker of a pool, and one of another, ask each other a million times.
#[test]
fn pools_ask_each_other() {
    struct Relay(Handle<u32, (u32, Reply<u32>)>);
    impl AsyncWorker for Relay {
        type State = ();
        type Message = (u32, Reply<u32>);

        async fn build(&self, _: &Seat) -> Result<(), BoxError> {
            Ok(())
        }

        async fn handle(&self, (): &(), (number, reply): Self::Message, _: &TaskContext) {
            let doubled = self.0.ask_async(&number, |reply| (number, reply)).await;
            let _ = reply.send(doubled.unwrap() + 1);
        }
    }
    let doubler = worker(
        |_| (),
        |(), (number, reply): (u32, Reply<u32>), _| {
            let _ = reply.send(2 * number);
        },
    );
    let behind: Pool<u32, (u32, Reply<u32>)> = Pool::builder().workers(2).start(doubler).unwrap();
    let front = Pool::builder().workers(2).concurrency(100);
    let front: Pool<u32, (u32, Reply<u32>)> = front.start_async(Relay(behind.handle())).unwrap();
    thread::scope(|scope| {
        for producer in 0..3 {
            let handle = front.handle();
            scope.spawn(move || {
                let answers: Vec<_> = (0..3000)
                    .map(|number| {
                        let (reply, answer) = reply();
                        let number = number * 3 + producer;
                        handle.send(&number, (number, reply)).unwrap();
                        (number, answer)
                    })
                    .collect();
                for (number, answer) in answers {
                    assert_eq!(answer.wait(), Ok(2 * number + 1));
                }
            });
        }
    });
    drain(front);
}

/// The bounds of a handle: it can be shared and sent, and so can its futures.
#[test]
fn handles_go_anywhere() {
    fn anywhere<T: Send + Sync>(value: T) -> T {
        value
    }
    fn sent<T: Send>(value: T) -> T {
        value
    }
    let quiet = worker(|_| std::rc::Rc::new(()), |_, _: Cell<u32>, _| ());
    let pool: Pool<str, Cell<u32>> = anywhere(Pool::builder().workers(1).start(quiet).unwrap());
    let handle = anywhere(pool.handle());
    block_on(sent(handle.send_async("key", Cell::new(1)))).unwrap();
    let asked = sent(handle.ask_async("key", |_: Reply<u32>| Cell::new(1)));
    assert_eq!(block_on(asked), Err(AskError::NoReply));
    fn is_worker<W: Worker>(_: &W) {}
    is_worker(&worker(|_| (), |(), (): (), _| ()));
}
