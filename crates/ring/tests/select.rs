//! Waiting for several receivers: the right one, no wake-up lost, each message once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use chaski_ring::select::Source;
use chaski_ring::{RecvError, mpmc, mpsc, oneshot, select, spsc};

/// Small under miri, which runs a few thousand times slower.
const MANY: u64 = if cfg!(miri) { 50 } else { 20_000 };

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<F: Future + Unpin>(future: &mut F, count: &Arc<Count>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(count));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

#[test]
fn finds_the_ready_one_of_any_kind() {
    let (mut a, ra) = spsc::channel(4);
    let (b, rb) = mpsc::channel(4);
    let (c, rc) = mpmc::channel(4);
    let (d, rd) = oneshot::channel();
    let sources: [&dyn Source; 4] = [&ra, &rb, &rc, &rd];
    assert_eq!(select::try_ready(&sources), None);
    assert_eq!(select::ready_timeout(&sources, Duration::from_millis(1)), None);
    c.send("c").unwrap();
    assert_eq!(select::ready(&sources), 2);
    assert_eq!(rc.recv(), Ok("c"));
    b.send(2).unwrap();
    assert_eq!(select::ready(&sources), 1);
    let sources: [&dyn Source; 3] = [&ra, &rd, &rc];
    d.send(0.5).unwrap();
    assert_eq!(select::try_ready(&sources), Some(1));
    a.send('a').unwrap();
    assert_eq!(select::try_ready(&[&ra, &rc]), Some(0));
    drop(c);
    assert_eq!(select::ready(&[&rc]), 0, "closed is ready");
}

#[test]
fn takes_turns_among_those_that_are_ready() {
    let receivers: Vec<_> = (0..4)
        .map(|n| {
            let (tx, rx) = mpmc::channel(1);
            tx.send(n).unwrap();
            rx
        })
        .collect();
    let sources: Vec<&dyn Source> = receivers.iter().map(|rx| rx as &dyn Source).collect();
    let mut seen = [0; 4];
    for _ in 0..40 {
        seen[select::ready(&sources)] += 1;
    }
    assert_eq!(seen, [10; 4]);
}

#[test]
fn sleeps_until_any_sends() {
    let (mut a, ra) = spsc::channel(1);
    let (b, rb) = mpsc::channel::<u8>(1);
    let sender = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        a.send(1).unwrap();
        a
    });
    assert_eq!(select::ready(&[&rb, &ra]), 1);
    sender.join().unwrap();
    let closer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        drop(b);
    });
    assert_eq!(select::ready_timeout(&[&rb], Duration::from_secs(600)), Some(0));
    closer.join().unwrap();
}

#[test]
fn a_wake_up_that_is_not_used_goes_to_the_next() {
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let (ta, ra) = mpmc::channel(4);
    let (_tb, rb) = mpmc::channel::<u8>(4);
    let sources: [&dyn Source; 2] = [&ra, &rb];
    let mut selecting = select::ready_async(&sources);
    let mut receiving = Box::pin(ra.recv_async());
    assert!(poll(&mut selecting, &first).is_pending());
    assert!(poll(&mut receiving, &second).is_pending());
    ta.send(1).unwrap();
    assert_eq!(first.0.load(Ordering::SeqCst), 1);
    assert_eq!(second.0.load(Ordering::SeqCst), 0);
    drop(selecting);
    assert_eq!(second.0.load(Ordering::SeqCst), 1, "passed on by the cancelled one");
    assert_eq!(poll(&mut receiving, &second), Poll::Ready(Ok(1)));
}

#[test]
fn a_wake_up_of_a_source_that_was_not_chosen_goes_to_the_next() {
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let (ta, ra) = mpmc::channel(4);
    let (tb, rb) = mpmc::channel(4);
    let sources: [&dyn Source; 2] = [&ra, &rb];
    let mut selecting = select::ready_async(&sources);
    let mut other_a = Box::pin(ra.recv_async());
    let mut other_b = Box::pin(rb.recv_async());
    assert!(poll(&mut selecting, &first).is_pending());
    assert!(poll(&mut other_a, &second).is_pending());
    assert!(poll(&mut other_b, &second).is_pending());
    ta.send(1).unwrap();
    tb.send(2).unwrap();
    assert_eq!(second.0.load(Ordering::SeqCst), 0, "both went to who came first");
    assert!(poll(&mut selecting, &first).is_ready());
    assert_eq!(second.0.load(Ordering::SeqCst), 2, "both were passed on");
    assert_eq!(poll(&mut other_a, &second), Poll::Ready(Ok(1)));
    assert_eq!(poll(&mut other_b, &second), Poll::Ready(Ok(2)));
}

#[test]
fn a_cancelled_wait_leaves_no_waker_behind() {
    let count = Arc::new(Count::default());
    let (tx, rx) = mpmc::channel::<u8>(4);
    let (_ty, ry) = mpsc::channel::<u8>(4);
    let sources: [&dyn Source; 2] = [&rx, &ry];
    let mut selecting = select::ready_async(&sources);
    assert!(poll(&mut selecting, &count).is_pending());
    assert!(poll(&mut selecting, &count).is_pending());
    assert_eq!(Arc::strong_count(&count), 3);
    drop(selecting);
    assert_eq!(Arc::strong_count(&count), 1);
    tx.send(1).unwrap();
    assert_eq!(count.0.load(Ordering::SeqCst), 0);
}

#[test]
fn two_that_select_one_oneshot_both_learn_of_it() {
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let (tx, rx) = oneshot::channel();
    let sources: [&dyn Source; 1] = [&rx];
    let mut a = select::ready_async(&sources);
    let mut b = select::ready_async(&sources);
    assert!(poll(&mut a, &first).is_pending());
    assert!(poll(&mut b, &second).is_pending());
    assert_eq!(first.0.load(Ordering::SeqCst), 1, "replaced, so it must look again");
    tx.send(1).unwrap();
    assert_eq!(second.0.load(Ordering::SeqCst), 1);
    assert!(poll(&mut a, &first).is_ready() && poll(&mut b, &second).is_ready());
}

#[test]
fn the_macro_receives_from_what_is_there() {
    let (mut a, mut ra) = spsc::channel(4);
    let (b, mut rb) = mpsc::channel::<String>(4);
    let (c, rc) = mpmc::channel::<u8>(4);
    let mut log = Vec::new();
    let mut once = |log: &mut Vec<String>| {
        select! {
            recv(ra) -> number => log.push(format!("{number:?}")),
            recv(rb) -> text => { log.push(text.unwrap()) }
            recv(rc) -> other => match other {
                Ok(byte) => log.push(format!("byte {byte}")),
                Err(RecvError) => log.push("c is closed".into()),
            },
            default => log.push("nothing".into()),
        }
    };
    once(&mut log);
    a.send(1).unwrap();
    once(&mut log);
    b.send("two".into()).unwrap();
    once(&mut log);
    c.send(3).unwrap();
    once(&mut log);
    drop(c);
    once(&mut log);
    assert_eq!(log, ["nothing", "Ok(1)", "two", "byte 3", "c is closed"]);
}

#[test]
fn the_macro_waits_as_long_as_it_is_told() {
    let (tx, rx) = mpmc::channel::<u8>(4);
    let timeout = Duration::from_millis(1);
    let got = select! {
        recv(rx) -> byte => byte.ok(),
        default(timeout) => None,
    };
    assert_eq!(got, None);
    tx.send(9).unwrap();
    let got = select! { recv(rx) -> byte => byte.ok(), default(timeout) => None };
    assert_eq!(got, Some(9));
    tx.send(10).unwrap();
    assert_eq!(select! { recv(rx) -> byte => byte }, Ok(10));
}

#[test]
fn control_flow_in_an_arm_is_the_programs_own() {
    fn first_even(rx: &mut mpsc::Receiver<u32>) -> Result<u32, RecvError> {
        loop {
            select! {
                recv(rx) -> number => {
                    if number? % 2 == 1 {
                        continue;
                    }
                    break Ok(number?);
                }
            }
        }
    }
    let (tx, mut rx) = mpsc::channel(8);
    tx.send_all([1, 3, 4]).unwrap();
    assert_eq!(first_even(&mut rx), Ok(4));
    drop(tx);
    assert_eq!(first_even(&mut rx), Err(RecvError));
}

/// Two selecting threads and a plain receiver share two channels: each message is received once,
/// and all of them are received, so nobody sleeps over one.
#[test]
fn nothing_is_lost_between_receivers_that_compete() {
    let (ta, ra) = mpmc::channel(8);
    let (tb, rb) = mpmc::channel(8);
    let mut receivers = Vec::new();
    for _ in 0..2 {
        let (ra, rb) = (ra.clone(), rb.clone());
        receivers.push(thread::spawn(move || {
            let (mut sum, mut open) = (0, 2);
            while open == 2 {
                select! {
                    recv(ra) -> n => match n { Ok(n) => sum += n, Err(_) => open -= 1 },
                    recv(rb) -> n => match n { Ok(n) => sum += n, Err(_) => open -= 1 },
                }
            }
            sum + ra.iter().sum::<u64>() + rb.iter().sum::<u64>()
        }));
    }
    receivers.push(thread::spawn(move || ra.iter().sum::<u64>()));
    drop(rb);
    let senders = [ta, tb].map(|tx| {
        thread::spawn(move || {
            for n in 0..MANY {
                tx.send(n).unwrap();
                if n % 64 == 0 {
                    thread::yield_now();
                }
            }
        })
    });
    for sender in senders {
        sender.join().unwrap();
    }
    let sum: u64 = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
    assert_eq!(sum, MANY * (MANY - 1));
}
