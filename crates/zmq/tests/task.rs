//! Sockets awaited: on any executor, by several tasks at once, and by futures that are dropped.

use std::collections::BTreeSet;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use chaski_zmq::{Dealer, Message, Pull, Push, Rep, Req, Router};

/// The smallest executor: polls when the thread is unparked.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    fn woken(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }
}

fn poll_once<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

#[test]
fn any_executor_will_do() {
    let rep = Rep::new();
    let endpoint = rep.bind("tcp://127.0.0.1:*").unwrap();
    let server = thread::spawn(move || {
        wait(async {
            for _ in 0..200 {
                let request = rep.recv_async().await.unwrap();
                rep.send_async(request).await.unwrap();
            }
        });
    });
    let req = Req::new();
    req.connect(&endpoint).unwrap();
    wait(async {
        for round in 0..200 {
            req.send_async(format!("{round}")).await.unwrap();
            assert_eq!(req.recv_async().await.unwrap(), Message::from(format!("{round}")));
        }
    });
    server.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_share_a_socket() {
    const EACH: u64 = 5_000;
    let pull = Arc::new(Pull::new());
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = Arc::new(Push::builder().sndhwm(10).build().unwrap());
    push.connect(&endpoint).unwrap();
    let receivers: Vec<_> = (0..3)
        .map(|_| {
            let pull = Arc::clone(&pull);
            tokio::spawn(async move {
                let mut sum = 0;
                for _ in 0..EACH {
                    let message = pull.recv_async().await.unwrap();
                    sum += u64::from_le_bytes(message[0][..].try_into().unwrap());
                }
                sum
            })
        })
        .collect();
    let senders: Vec<_> = (0..3)
        .map(|_| {
            let push = Arc::clone(&push);
            tokio::spawn(async move {
                for number in 1..=EACH {
                    push.send_async(&number.to_le_bytes()).await.unwrap();
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let mut sum = 0;
    for receiver in receivers {
        sum += receiver.await.unwrap();
    }
    assert_eq!(sum, 3 * EACH * (EACH + 1) / 2);
}

#[tokio::test]
async fn a_task_and_a_thread_talk_through_one_router() {
    let router = Arc::new(Router::new());
    let endpoint = router.bind("tcp://127.0.0.1:*").unwrap();
    let echo = Arc::clone(&router);
    // It receives while others send through the same socket.
    let thread = thread::spawn(move || {
        for _ in 0..500 {
            let message = echo.recv().unwrap();
            echo.send(message).unwrap();
        }
    });
    let dealer = Dealer::new();
    dealer.connect(&endpoint).unwrap();
    for round in 0..500 {
        dealer.send_async(format!("{round}")).await.unwrap();
        assert_eq!(dealer.recv_async().await.unwrap(), Message::from(format!("{round}")));
    }
    thread.join().unwrap();
}

#[test]
fn a_receive_that_is_dropped_has_taken_nothing() {
    let pull = Pull::new();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let sender = thread::spawn(move || {
        let push = Push::new();
        push.connect(&endpoint).unwrap();
        for number in 0..2_000_u64 {
            push.send(&number.to_le_bytes()).unwrap();
            if number % 16 == 0 {
                thread::yield_now();
            }
        }
        push.close(None);
    });
    let mut expected = 0_u64;
    let mut dropped = 0;
    while expected < 2_000 {
        let count = Arc::new(Count::default());
        let mut future = Box::pin(pull.recv_async());
        match poll_once(future.as_mut(), &count.waker()) {
            Poll::Ready(message) => {
                assert_eq!(message.unwrap()[0], expected.to_le_bytes());
                expected += 1;
            }
            // The only await point there is: dropped here, woken or not.
            Poll::Pending => {
                dropped += 1;
                if dropped % 2 == 0 {
                    thread::sleep(Duration::from_micros(50));
                }
                drop(future);
            }
        }
    }
    sender.join().unwrap();
}

#[test]
fn a_send_that_is_dropped_has_queued_nothing() {
    let push = Push::builder().sndhwm(3).build().unwrap();
    let waker = Arc::new(Count::default()).waker();
    // Without a peer at all, and with one whose queue is full.
    let mut future = Box::pin(push.send_async("nobody"));
    assert!(poll_once(future.as_mut(), &waker).is_pending());
    drop(future);
    let pull = Pull::new();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    drop(pull);
    push.connect(&endpoint).unwrap();
    let mut kept = BTreeSet::new();
    for number in 0..6 {
        let mut future = Box::pin(push.send_async(format!("{number}")));
        match poll_once(future.as_mut(), &waker) {
            Poll::Ready(sent) => {
                sent.unwrap();
                kept.insert(number);
            }
            Poll::Pending => drop(future),
        }
    }
    assert_eq!(kept, BTreeSet::from([0, 1, 2]));
    assert_eq!(push.peers()[0].queued, 3);
}

#[test]
fn a_wake_up_that_is_not_used_is_passed_on() {
    let pull = Pull::new();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let wakers: Vec<Arc<Count>> = (0..3).map(|_| Arc::default()).collect();
    let mut futures: Vec<_> = (0..3).map(|_| Some(Box::pin(pull.recv_async()))).collect();
    for (future, waker) in futures.iter_mut().flatten().zip(&wakers) {
        assert!(poll_once(future.as_mut(), &waker.waker()).is_pending());
    }
    let push = Push::new();
    push.connect(&endpoint).unwrap();
    push.send("one").unwrap();
    // Whoever is woken first is dropped, and so is the next; the last one receives.
    for left in (0..3).rev() {
        let woken = loop {
            let woken = |at: &usize| futures[*at].is_some() && wakers[*at].woken();
            match (0..3).find(woken) {
                Some(at) => break at,
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        let mut future = futures[woken].take().unwrap();
        if left == 0 {
            assert_eq!(wait(future.as_mut()).unwrap(), Message::from("one"));
        }
    }
}

#[tokio::test]
async fn select_loses_nothing() {
    let pull = Pull::new();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = Push::new();
    push.connect(&endpoint).unwrap();
    let sender = tokio::spawn(async move {
        for number in 0..300_u64 {
            push.send_async(&number.to_le_bytes()).await.unwrap();
            if number % 7 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        push.close(None);
    });
    let mut expected = 0_u64;
    while expected < 300 {
        tokio::select! {
            message = pull.recv_async() => {
                assert_eq!(message.unwrap()[0], expected.to_le_bytes());
                expected += 1;
            }
            () = tokio::time::sleep(Duration::from_micros(100)) => {}
        }
    }
    sender.await.unwrap();
}

#[test]
fn a_runtime_without_io_leaves_the_watching_to_us() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let pull = Pull::new();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let sending = thread::spawn(move || {
        let push = Push::new();
        push.connect(&endpoint).unwrap();
        for number in 0..20_u8 {
            push.send(&[number]).unwrap();
            // So that the receiver goes to sleep now and then.
            thread::sleep(Duration::from_millis(1));
        }
        push.close(None);
    });
    for number in 0..20_u8 {
        assert_eq!(runtime.block_on(pull.recv_async()).unwrap()[0], [number]);
    }
    sending.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_look_before_they_wait_get_what_comes_early_and_late() {
    let pull = Pull::builder().spin_tasks(true).build().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = Push::new();
    push.connect(&endpoint).unwrap();
    let receiver = tokio::spawn(async move {
        let mut numbers = Vec::new();
        while numbers.len() < 300 {
            let message = pull.recv_async().await.unwrap();
            numbers.push(u32::from_le_bytes(message[0].as_slice().try_into().unwrap()));
        }
        numbers
    });
    for number in 0..300_u32 {
        push.send_async(number.to_le_bytes().as_slice()).await.unwrap();
        if number % 100 == 0 {
            // Longer than anybody looks.
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    assert_eq!(receiver.await.unwrap(), (0..300).collect::<Vec<_>>());
}
