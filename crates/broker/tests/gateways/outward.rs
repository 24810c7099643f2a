//! PUB and PUSH: from a topic to ZeroMQ.

use chaski_broker::gateway::{From, GatewayKind, TopicFrame};
use chaski_zmq::Kind;

use super::*;

/// A subscriber to these, whose subscriptions have arrived.
fn subscriber(client: &Client, endpoint: &str, topics: &[&str]) -> Socket {
    let sub = socket(Kind::Sub, endpoint);
    let before = status(client).peers.len();
    topics.iter().for_each(|topic| sub.subscribe(topic).expect("subscribed"));
    eventually("it is connected", || status(client).peers.len() >= before.max(1));
    sub
}

#[test]
fn a_topic_is_published_to_who_has_subscribed() {
    let (_server, client) = in_memory();
    let mut spec = bound(GatewayKind::Pub, "news");
    spec.frames = "position,key,value".parse().ok();
    let endpoint = add(&client, spec);
    let sub = subscriber(&client, &endpoint, &["news"]);
    // A subscription takes its way: published until one has come.
    let mut sent = 0;
    eventually("something comes", || {
        produce(&client, "news", "k", numbers(sent..sent + 1));
        sent += 1;
        sub.recv_timeout(Duration::from_millis(50)).is_ok()
    });
    produce(&client, "news", "k", ["last".to_owned()]);
    let last = std::iter::from_fn(|| sub.recv().ok()).find(|m| &m[3] == "last");
    let last = frames(&last.expect("it comes"));
    assert_eq!(last, ["news", &format!("0:{sent}"), "k", "last"]);
    eventually("all are counted", || status(&client).messages == sent as u64 + 1);
    assert_eq!(status(&client).lag, Some(0));
}

#[test]
fn a_late_joiner_gets_the_history_it_asks_for_and_its_end() {
    let (_server, client) = in_memory();
    client.create_topic("news", Some(1), &[]).expect("made");
    produce(&client, "news", "a", numbers(0..3000));
    produce(&client, "news", "b", numbers(3000..3010));
    let mut spec = bound(GatewayKind::Pub, "news");
    spec.history = true;
    spec.topic_frame = TopicFrame::Key;
    spec.hwm = 10;
    let endpoint = add(&client, spec);
    let sub = subscriber(&client, &endpoint, &["@earliest#1"]);
    for n in 0..3010 {
        let message = frames(&sub.recv().expect("one more"));
        let key = if n < 3000 { "a" } else { "b" };
        let expected = ["@earliest#1", &format!("0:{n}"), key, &n.to_string()];
        assert_eq!(message, expected, "nothing is dropped, however small the queue");
    }
    assert_eq!(frames(&sub.recv().expect("the end")), ["@earliest#1", "0:3010"]);
    sub.subscribe("b@-20").expect("subscribed");
    for n in 3000..3010 {
        assert_eq!(frames(&sub.recv().expect("one more"))[3], n.to_string());
    }
    assert_eq!(frames(&sub.recv().expect("the end")), ["b@-20", "0:3010"]);
    sub.subscribe("@0:3009").expect("subscribed");
    assert_eq!(frames(&sub.recv().expect("one more"))[3], "3009");
}

#[test]
fn a_slow_subscriber_loses_what_is_counted_and_holds_nobody_up() {
    let (_server, client) = in_memory();
    let mut spec = bound(GatewayKind::Pub, "news");
    spec.hwm = 1;
    let endpoint = add(&client, spec);
    // It holds one message itself: one that takes in all may be quicker than the gateway.
    let sub = Socket::builder(Kind::Sub).rcvhwm(1).build().expect("a socket");
    sub.subscribe("").expect("subscribed");
    sub.connect(&endpoint).expect("connecting");
    eventually("something comes", || {
        produce(&client, "news", "k", ["x".to_owned()]);
        sub.recv_timeout(Duration::from_millis(50)).is_ok()
    });
    // More than all buffers on the way hold.
    let big = "x".repeat(100_000);
    for _ in 0..60 {
        produce(&client, "news", "k", std::iter::repeat_n(big.clone(), 10));
    }
    eventually("the gateway is through", || status(&client).lag == Some(0));
    eventually("drops are seen", || status(&client).drops > 0);
    let before = status(&client).drops;
    drop(sub);
    eventually("the peer is gone", || status(&client).peers.is_empty());
    assert!(status(&client).drops >= before, "they are not forgotten with it");
}

#[test]
fn a_subscriber_that_is_behind_for_a_moment_is_waited_for() {
    let (_server, client) = in_memory();
    let mut spec = bound(GatewayKind::Pub, "news");
    spec.hwm = 1;
    spec.patience_ms = 60_000;
    let endpoint = add(&client, spec);
    let sub = subscriber(&client, &endpoint, &[""]);
    eventually("something comes", || {
        produce(&client, "news", "k", ["x".to_owned()]);
        sub.recv_timeout(Duration::from_millis(50)).is_ok()
    });
    // More than all buffers on the way hold.
    let big = "y".repeat(100_000);
    for n in 0..600 {
        produce(&client, "news", "k", [format!("{n} {big}")]);
    }
    let told = |message: Message| frames(&message)[1].split(' ').next().map(str::to_owned);
    let all = std::iter::from_fn(|| sub.recv().ok().and_then(told)).filter(|n| n != "x");
    assert!(all.take(600).eq(numbers(0..600)), "each of them, in order");
    eventually("all are counted", || status(&client).lag == Some(0));
    assert_eq!(status(&client).drops, 0);
}

/// Settled a little later, so that its offsets are committed while a test looks.
fn work(client: &Client) -> String {
    work_settled_after(client, 100)
}

fn work_settled_after(client: &Client, settle_ms: u64) -> String {
    client.create_topic("work", Some(1), &[]).expect("made");
    let mut spec = bound(GatewayKind::Push, "work");
    spec.group = Some("workers".to_owned());
    spec.from = From::Earliest;
    spec.settle_ms = settle_ms;
    add(client, spec)
}

fn committed(client: &Client) -> Option<i64> {
    client.committed("workers", "work").expect("told")[0].1
}

#[test]
fn work_is_shared_and_its_offset_committed_once_it_has_left() {
    let (_server, client) = in_memory();
    let endpoint = work(&client);
    eventually("where it begins is committed", || committed(&client) == Some(0));
    let workers = [socket(Kind::Pull, &endpoint), socket(Kind::Pull, &endpoint)];
    eventually("both are there", || status(&client).peers.len() == 2);
    produce(&client, "work", "k", numbers(0..1000));
    let mut done: Vec<usize> = Vec::new();
    eventually("all is done", || {
        for worker in &workers {
            while let Ok(message) = worker.try_recv() {
                done.push(frames(&message)[0].parse().expect("a number"));
            }
        }
        done.len() == 1000
    });
    done.sort_unstable();
    assert_eq!(done, (0..1000).collect::<Vec<_>>());
    eventually("it is committed", || committed(&client) == Some(1000));
    eventually("nothing is left", || status(&client).lag == Some(0));
    assert_eq!((status(&client).messages, status(&client).resent), (1000, 0));
}

#[test]
fn what_a_lost_worker_had_is_sent_to_another() {
    let (_server, client) = in_memory();
    // However late this thread is, nothing is settled before the worker is lost.
    let endpoint = work_settled_after(&client, 60_000);
    let lazy = Socket::builder(Kind::Pull).rcvhwm(1).build().expect("a socket");
    lazy.connect(&endpoint).expect("connecting");
    eventually("it is there", || status(&client).peers.len() == 1);
    produce(&client, "work", "k", numbers(0..100));
    eventually("some are on their way", || status(&client).messages > 0);
    drop(lazy);
    let worker = socket(Kind::Pull, &endpoint);
    let mut missing: std::collections::BTreeSet<String> = numbers(0..100).collect();
    while !missing.is_empty() {
        missing.remove(&frames(&worker.recv().expect("the rest comes"))[0]);
    }
    eventually("what came again is counted", || {
        let status = status(&client);
        status.resent > 0 && status.messages == 100 + status.resent
    });
    assert!(committed(&client).unwrap_or(0) < 100, "not all has settled");
}

#[test]
fn a_queue_without_workers_waits_and_commits_nothing() {
    let (_server, client) = in_memory();
    work(&client);
    produce(&client, "work", "k", numbers(0..10));
    eventually("it is seen", || status(&client).lag == Some(10));
    assert_eq!(committed(&client).unwrap_or(0), 0);
}
