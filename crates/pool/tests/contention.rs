//! Workers join and leave while producers pick.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use chaski_pool::partition::{Consistent, Partitioner, Turn, WorkerId, Workers};

const PRODUCERS: u32 = 3;
const PICKS: u32 = 20_000;

fn ids(numbers: std::ops::Range<u32>) -> Vec<WorkerId> {
    numbers.map(WorkerId::new).collect()
}

/// Workers 0 to 3 stay, 4 to 7 come and go. Whatever a producer knows of it, a key goes to its
/// owner among those that stay, or to one that is there for a while; and to a producer that knows
/// only those that stay, nothing ever moves.
#[test]
fn a_ring_that_changes_moves_no_key_between_those_that_stay() {
    let settled = Consistent::new();
    ids(0..4).into_iter().for_each(|worker| settled.add(worker));
    let ring = Consistent::new();
    ids(0..4).into_iter().for_each(|worker| ring.add(worker));

    let running = AtomicUsize::new(PRODUCERS as usize);
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let (ring, settled, running) = (&ring, &settled, &running);
            scope.spawn(move || {
                let known = ids(if producer == 0 { 0..4 } else { 0..8 });
                let turn = Turn::new();
                let workers = Workers::new(&known, &|_| 0, &turn).unwrap();
                for key in 0..PICKS {
                    let slot = ring.pick(&key, &workers);
                    let owner = settled.pick(&key, &workers);
                    assert!(slot == owner || (4..known.len()).contains(&slot), "{key}: {slot}");
                }
                running.fetch_sub(1, Ordering::Relaxed);
            });
        }
        for round in 0.. {
            if running.load(Ordering::Relaxed) == 0 || thread::panicking() {
                break;
            }
            let guest = WorkerId::new(4 + round % 4);
            if round / 4 % 2 == 0 { ring.add(guest) } else { ring.remove(guest) }
        }
    });
}

/// Two threads change the ring at once, and no change is lost.
#[test]
fn changes_from_several_threads_all_arrive() {
    let ring = Consistent::new();
    thread::scope(|scope| {
        for start in [0, 20, 40] {
            let ring = &ring;
            scope.spawn(move || {
                ids(start..start + 20).into_iter().for_each(|worker| ring.add(worker));
                ids(start..start + 10).into_iter().for_each(|worker| ring.remove(worker));
            });
        }
    });
    let expected = [ids(10..20), ids(30..40), ids(50..60)].concat();
    assert_eq!(ring.workers(), expected);
    let sum: f64 = ring.shares().iter().map(|(_, share)| share).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
}
