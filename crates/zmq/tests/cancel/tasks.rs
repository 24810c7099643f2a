//! Inside tokio, which polls and drops futures by `select!` and by aborting tasks.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use chaski_zmq::{Kind, Message, Pull, Push};

use crate::pairs::{Numbered, PAIRS, number};
use crate::receiving::unique;
use crate::{MOMENT, endpoints};

const COUNT: u64 = 40;

/// Is ready when it is polled for the last of so many times.
async fn competitor(mut polls: usize) {
    poll_fn(|cx| {
        polls = polls.saturating_sub(1);
        if polls == 0 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Both ends select with a competitor that comes first and is ready at the first to the fourth
/// poll: what is sent is what is received.
async fn select_at_both_ends(pair: Arc<Numbered>) {
    let sending = Arc::clone(&pair);
    let sender = tokio::spawn(async move {
        let (mut sent, mut tries) = (Vec::new(), 0_usize);
        for n in 0.. {
            tries += 1;
            tokio::select! {
                biased;
                () = competitor(tries % 4 + 1) => tokio::task::yield_now().await,
                result = sending.sender.send_async(sending.message(n)) => {
                    result.unwrap();
                    sent.push(n);
                }
            }
            if sent.len() as u64 == COUNT {
                break;
            }
        }
        sent
    });
    let (mut received, mut tries) = (Vec::new(), 0_usize);
    while received.len() as u64 != COUNT {
        tries += 1;
        tokio::select! {
            biased;
            () = competitor(tries % 4 + 1) => tokio::task::yield_now().await,
            message = pair.receiver.recv_async() => received.push(number(&message.unwrap())),
        }
    }
    assert_eq!(received, sender.await.unwrap());
    let more = tokio::time::timeout(MOMENT, pair.receiver.recv_async()).await;
    assert!(more.is_err(), "more came than was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn select_accounts_for_each_message() {
    for at in endpoints() {
        for kinds in PAIRS {
            let pair = tokio::task::block_in_place(|| Numbered::new(kinds, &unique(&at, kinds)));
            select_at_both_ends(Arc::new(pair)).await;
        }
    }
}

#[tokio::test]
async fn select_accounts_for_each_message_on_one_thread() {
    for kinds in [(Kind::Push, Kind::Pull), (Kind::Dealer, Kind::Router)] {
        for at in endpoints() {
            let pair =
                Numbered::new(kinds, &format!("{}-one", unique(&at, kinds)).replace("*-one", "*"));
            select_at_both_ends(Arc::new(pair)).await;
        }
    }
    select_at_both_ends(Arc::new(Numbered::sealed((Kind::Dealer, Kind::Router)))).await;
}

/// A task that is aborted has received what it says it has, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_are_aborted_have_taken_what_they_counted() {
    for at in endpoints() {
        let (pull, push) = (Arc::new(Pull::new()), Push::new());
        push.connect(pull.bind(at).unwrap()).unwrap();
        let (sum, count) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let receive = || {
            let (pull, sum, count) = (Arc::clone(&pull), Arc::clone(&sum), Arc::clone(&count));
            tokio::spawn(async move {
                loop {
                    // Between the two there is no await at which it could be aborted.
                    let message: Message = pull.recv_async().await.unwrap();
                    let n = u64::from_be_bytes(message[0][..].try_into().unwrap());
                    sum.fetch_add(n, Ordering::SeqCst);
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        let mut tasks: Vec<_> = (0..4).map(|_| receive()).collect();
        for n in 1..=400_u64 {
            push.send_async(&n.to_be_bytes()).await.unwrap();
            if n % 4 == 0 {
                let at = (n / 4 % 4) as usize;
                tasks[at].abort();
                tasks[at] = receive();
                tokio::task::yield_now().await;
            }
        }
        while count.load(Ordering::SeqCst) < 400 {
            tokio::task::yield_now().await;
        }
        assert_eq!(sum.load(Ordering::SeqCst), 400 * 401 / 2);
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
