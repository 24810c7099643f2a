//! Workers, states and listeners that call the pool they belong to.

mod common;

use std::sync::{Arc, Mutex, OnceLock, Weak, mpsc};
use std::thread;
use std::time::Duration;

use chaski_pool::{Event, Pool, WorkerId, worker};
use common::LONG;

#[test]
fn a_handler_may_remove_its_worker_and_drain_its_pool() {
    let shared: Arc<Mutex<Option<Pool<u32, u32>>>> = Arc::default();
    let (reports, done) = mpsc::channel();
    let inside = Arc::clone(&shared);
    let ending = worker(
        |_| (),
        move |(), number: u32, context| {
            let mut pool = inside.lock().unwrap();
            let report = match (number, pool.take()) {
                (0, Some(own)) => {
                    let report = own.remove_worker(context.worker(), Duration::MAX).unwrap();
                    *pool = Some(own);
                    report
                }
                (1, Some(own)) => own.drain(Duration::MAX),
                _ => return,
            };
            reports.send(report).unwrap();
        },
    );
    let pool = Pool::builder().workers(2).start(ending).unwrap();
    let handle = pool.handle();
    *shared.lock().unwrap() = Some(pool);
    handle.send(&0, 0).unwrap();
    let removed = done.recv_timeout(LONG).expect("the removal does not return");
    assert_eq!(removed.stuck, 1);
    handle.send(&0, 1).unwrap();
    let drained = done.recv_timeout(LONG).expect("the drain does not return");
    assert_eq!(drained.stuck, 1);
    assert!(handle.is_closed());
}

#[test]
fn a_listener_and_a_build_may_call_the_pool() {
    let shared: Arc<OnceLock<Pool<u32, u32>>> = Arc::default();
    let [building, listening]: [Weak<_>; 2] = [(); 2].map(|()| Arc::downgrade(&shared));
    let (built, builds) = mpsc::channel();
    let restarting = worker(
        move |_| {
            if let Some(pool) = building.upgrade().as_deref().and_then(OnceLock::get) {
                built.send(pool.restart_worker(WorkerId::new(0))).unwrap();
            }
        },
        |(), _: u32, _| (),
    );
    let listener = move |event| {
        if let Event::Started { worker, .. } = event
            && worker == WorkerId::new(1)
            && let Some(pool) = listening.upgrade().as_deref().and_then(OnceLock::get)
        {
            pool.add_worker().unwrap();
        }
    };
    let pool = Pool::builder().workers(1).on_event(listener).start(restarting).unwrap();
    let pool = shared.get_or_init(|| pool);
    assert_eq!(pool.add_worker().unwrap(), WorkerId::new(1));
    builds.recv_timeout(LONG).expect("the build does not return").unwrap();
    while pool.workers() != [0, 1, 2].map(WorkerId::new) {
        thread::yield_now();
    }
}
