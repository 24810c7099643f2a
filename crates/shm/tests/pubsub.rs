//! Publish and subscribe between the threads of one process, through the same door as between
//! processes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chaski_shm::{
    BindError, ConnectError, Error, Leave, Policy, Publisher, PublisherBuilder, Refusal,
    Subscriber, SubscriberBuilder, Wait, survey,
};

/// Longer than anything takes that works.
const LONG: Duration = Duration::from_secs(60);

/// A directory for sockets, gone when the test ends.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("shm")
    }

    fn publisher(&self) -> PublisherBuilder {
        Publisher::builder().directory(self.path())
    }

    fn subscriber(&self) -> SubscriberBuilder {
        let builder = Subscriber::builder().directory(self.path());
        builder.connect_within(LONG).reconnect_within(LONG)
    }

    /// The services, once all have answered: who is too late for one survey may answer the next.
    fn services(&self) -> Vec<survey::Service> {
        (0..60)
            .map(|_| survey::list_in(&self.path()).unwrap())
            .find(|services| services.iter().all(|service| service.answered))
            .expect("an answer")
    }

    /// A subscriber of the policy, that wants this much history.
    fn join(&self, policy: Policy, history: usize) -> Subscriber {
        self.subscriber().policy(policy).history(history).connect("news").unwrap()
    }
}

/// A publisher that allows everything.
fn open_publisher(place: &Place) -> Publisher {
    place.publisher().policies(ALL).ring_bytes(4096).history(1000).bind("news").unwrap()
}

const ALL: [Policy; 3] = [Policy::DropOldest, Policy::Disconnect, Policy::Block];

/// A message that tells its number, of a length that varies with it.
fn message(number: u64) -> Vec<u8> {
    let len = 8 + (number * 7 % 60) as usize;
    number.to_le_bytes().iter().copied().cycle().take(len).collect()
}

/// The number of a message, if all of it is as it was made.
fn number(payload: &[u8]) -> u64 {
    let number = u64::from_le_bytes(payload[..8].try_into().unwrap());
    assert_eq!(payload, message(number));
    number
}

/// What can be received without waiting: the numbers, and what was lost in between.
fn drain(subscriber: &mut Subscriber) -> (Vec<u64>, u64) {
    let (mut numbers, mut lost) = (Vec::new(), 0);
    loop {
        match subscriber.try_recv() {
            Ok(Some(news)) => {
                assert_eq!(news.sequence(), number(&news));
                numbers.push(news.sequence());
            }
            Ok(None) => return (numbers, lost),
            Err(Error::Lagged { lost: more }) => lost += more,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until something is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn every_subscriber_gets_every_message() {
    let place = Place::new();
    let mut publisher = open_publisher(&place);
    let mut subscribers = ALL.map(|policy| place.join(policy, 0));
    assert_eq!(publisher.subscribers(), 3);
    for n in 0..1000 {
        publisher.publish(&message(n)).unwrap();
        for subscriber in &mut subscribers {
            let news = subscriber.recv().unwrap();
            assert_eq!((news.sequence(), number(&news)), (n, n));
        }
    }
    for subscriber in &mut subscribers {
        assert!(subscriber.try_recv().unwrap().is_none());
        let nothing = subscriber.recv_timeout(Duration::from_millis(1)).unwrap_err();
        assert!(matches!(nothing, Error::TimedOut));
        assert!(subscriber.is_connected() && subscriber.lost() == 0);
    }
    let stats = publisher.stats();
    assert_eq!((stats.published, stats.cut_off), (1000, 0));
}

#[test]
fn staged_messages_are_seen_together() {
    let place = Place::new();
    let mut publisher = open_publisher(&place);
    let mut subscriber = place.join(Policy::DropOldest, 0);
    (0..5).for_each(|n| publisher.stage(&message(n)).unwrap());
    assert_eq!(drain(&mut subscriber), (vec![], 0));
    publisher.flush();
    assert_eq!(drain(&mut subscriber), ((0..5).collect(), 0));
    publisher.publish_all((5..20).map(message)).unwrap();
    assert_eq!(drain(&mut subscriber), ((5..20).collect(), 0));
    publisher.stage(&message(20)).unwrap();
    drop(publisher);
    wait_until("a publisher that ends publishes what it staged", || {
        drain(&mut subscriber).0 == [20]
    });
}

#[test]
fn who_falls_behind_loses_the_oldest_and_is_told_how_many() {
    let place = Place::new();
    let mut publisher = open_publisher(&place);
    let mut slow = place.join(Policy::DropOldest, 0);
    let mut quick = place.join(Policy::DropOldest, 0);
    let mut published = 0;
    for round in 1..40 {
        for _ in 0..round * 13 {
            publisher.try_publish(&message(published)).unwrap();
            published += 1;
            assert_eq!(drain(&mut quick), (vec![published - 1], 0));
        }
        let before = slow.lost();
        let (numbers, lost) = drain(&mut slow);
        assert_eq!(numbers.last(), Some(&(published - 1)), "the newest is never lost");
        assert_eq!(numbers.len() as u64 + lost, round * 13, "the count is exact");
        assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]), "{numbers:?}");
        assert_eq!(slow.lost() - before, lost);
    }
    assert!(slow.lost() > 0, "a ring of 4 KiB was gone round");
    let services = place.services();
    let drops: Vec<_> = services[0].connections.iter().map(|peer| peer.drops).collect();
    assert_eq!(drops, [slow.lost(), 0]);
}

#[test]
fn who_is_to_be_cut_off_loses_nothing_before() {
    let place = Place::new();
    let mut publisher = open_publisher(&place);
    let mut slow = place.join(Policy::Disconnect, 0);
    let mut quick = place.join(Policy::Disconnect, 0);
    let mut published = 0;
    while publisher.stats().cut_off == 0 {
        publisher.try_publish(&message(published)).unwrap();
        assert_eq!(number(&quick.recv().unwrap()), published);
        published += 1;
    }
    let left: Vec<_> = publisher.departures().collect();
    assert_eq!(left.len(), 1);
    // All but the one that there was no room for.
    assert_eq!((left[0].why, left[0].unread), (Leave::Slow, published - 1));
    let mut received = 0;
    let error = loop {
        match slow.recv() {
            Ok(news) => {
                assert_eq!(number(&news), received);
                received += 1;
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::CutOff), "{error}");
    assert!(received < published);
    assert!(matches!(slow.recv(), Err(Error::Closed)));
    publisher.publish(&message(published)).unwrap();
    assert_eq!(number(&quick.recv().unwrap()), published, "the other notices nothing");
    assert_eq!(publisher.subscribers(), 1);
}

#[test]
fn a_publisher_waits_for_those_it_may_not_overtake() {
    let place = Place::new();
    let mut publisher = open_publisher(&place);
    let mut subscriber = place.join(Policy::Block, 0);
    let mut published = 0;
    let error = loop {
        match publisher.try_publish(&message(published)) {
            Ok(()) => published += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full), "{error}");
    let short = Duration::from_millis(2);
    let error = publisher.publish_timeout(&message(published), short).unwrap_err();
    assert!(matches!(error, Error::TimedOut), "{error}");
    let rest = published..published + 5000;
    let publishing = thread::spawn(move || {
        rest.for_each(|n| publisher.publish(&message(n)).unwrap());
        publisher
    });
    for n in 0..published + 5000 {
        let news = subscriber.recv().unwrap();
        assert_eq!((news.sequence(), number(&news)), (n, n));
    }
    let mut publisher = publishing.join().unwrap();
    assert!(publisher.stats().stalls > 0);
    assert_eq!(publisher.stats().published, published + 5000);
}

#[test]
fn a_publisher_that_waits_goes_on_when_the_subscriber_leaves() {
    let place = Place::new();
    let mut publisher = open_publisher(&place);
    for wait in [Wait::Block, Wait::default()] {
        let builder = place.subscriber().policy(Policy::Block).wait(wait);
        let subscriber = builder.connect("news").unwrap();
        while publisher.try_publish(&message(0)).is_ok() {}
        let leaving = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            drop(subscriber);
        });
        publisher.publish(&message(0)).unwrap();
        leaving.join().unwrap();
        assert_eq!(publisher.departures().count(), 1);
    }
}

#[test]
fn late_comers_get_the_history_they_ask_for_as_far_as_there_is_one() {
    let place = Place::new();
    let mut publisher = place.publisher().history(8).ring_bytes(4096).bind("news").unwrap();
    assert_eq!(drain(&mut place.join(Policy::DropOldest, 8)), (vec![], 0));
    (0..5).for_each(|n| publisher.publish(&message(n)).unwrap());
    assert_eq!(drain(&mut place.join(Policy::DropOldest, 0)), (vec![], 0));
    assert_eq!(drain(&mut place.join(Policy::DropOldest, 2)), (vec![3, 4], 0));
    assert_eq!(drain(&mut place.join(Policy::DropOldest, 100)), ((0..5).collect(), 0));
    (5..1000).for_each(|n| publisher.publish(&message(n)).unwrap());
    assert_eq!(drain(&mut place.join(Policy::Disconnect, 100)), ((992..1000).collect(), 0));
    // Of messages of half a ring there is one at most to be had.
    let long = vec![0; publisher.payload_max()];
    (0..3).for_each(|_| publisher.publish(&long).unwrap());
    let mut late = place.join(Policy::DropOldest, 100);
    assert_eq!(late.recv().unwrap().sequence(), 1002);
    assert!(late.try_recv().unwrap().is_none());
}

#[test]
fn who_comes_needs_nothing_of_the_publishers_thread() {
    let place = Place::new();
    let mut publisher = open_publisher(&place);
    (0..10).for_each(|n| publisher.publish(&message(n)).unwrap());
    publisher.stage(&message(10)).unwrap();
    // From here on no method of it is called, and yet 30 come, read, and go; ten at a time.
    let mut subscribers = Vec::new();
    for n in 0..30 {
        let mut subscriber = place.join(ALL[n % 3], 5);
        assert_eq!(drain(&mut subscriber), ((6..11).collect(), 0), "what was staged is there, too");
        subscribers.push(subscriber);
        if subscribers.len() == 10 {
            subscribers.clear();
        }
    }
    let mut subscribers = ALL.map(|policy| place.join(policy, 0));
    publisher.publish(&message(11)).unwrap();
    for subscriber in &mut subscribers {
        assert_eq!(number(&subscriber.recv().unwrap()), 11);
    }
    wait_until("those that left are let go", || publisher.subscribers() == 3);
}

/// While a publisher goes round its small ring as quickly as it can, each that joins and may lose
/// nothing gets all from its start on, without a gap.
#[test]
fn no_message_is_lost_between_the_start_and_the_first_look() {
    let place = Place::new();
    let mut publisher = open_publisher(&place);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let publishing = thread::spawn(move || {
        let mut published = 0;
        while !stopped.load(Ordering::Relaxed) {
            publisher.publish(&message(published)).unwrap();
            published += 1;
        }
        publisher
    });
    for round in 0..60 {
        let mut subscriber = place.join(Policy::Block, round % 40);
        let first = subscriber.recv().unwrap().sequence();
        for n in 1..500 {
            let news = subscriber.recv().unwrap();
            assert_eq!((news.sequence(), number(&news)), (first + n, first + n));
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut publisher = publishing.join().unwrap();
    wait_until("all have left", || publisher.subscribers() == 0);
    assert_eq!(publisher.stats().cut_off, 0);
}

#[test]
fn sleepers_are_woken() {
    let place = Place::new();
    let mut publisher = place.publisher().bind("news").unwrap();
    let listen = |_| {
        let mut subscriber = place.subscriber().wait(Wait::Block).connect("news").unwrap();
        thread::spawn(move || {
            for n in 0.. {
                let news = subscriber.recv().unwrap();
                if news.is_empty() {
                    return assert!(n >= 300);
                }
                assert_eq!(number(&news), n);
            }
        })
    };
    let listening: Vec<_> = (0..8).map(listen).collect();
    let begun = Instant::now();
    // How many sleep whenever there is something is for the scheduler to say.
    let mut n = 0;
    while n < 300 || publisher.stats().wakes == 0 {
        if n % 3 == 0 {
            thread::sleep(Duration::from_millis(2));
        }
        publisher.publish(&message(n)).unwrap();
        assert!(begun.elapsed() < LONG, "nobody is ever woken");
        n += 1;
    }
    publisher.publish(b"").unwrap();
    listening.into_iter().for_each(|thread| thread.join().unwrap());
}

/// A publisher that waits for the subscriber after each message: every wake there is may be lost
/// only to the belt, and then this takes a quarter of a second a round.
#[test]
fn a_conversation_of_sleepers_goes_on() {
    let place = Place::new();
    let mut there = place.publisher().bind("there").unwrap();
    let mut back = place.publisher().bind("back").unwrap();
    let mut from_there = place.subscriber().wait(Wait::Block).connect("there").unwrap();
    let mut from_back = place.subscriber().wait(Wait::Block).connect("back").unwrap();
    let answering = thread::spawn(move || {
        for n in 0..3000 {
            assert_eq!(number(&from_there.recv().unwrap()), n);
            back.publish(&message(n)).unwrap();
        }
    });
    for n in 0..3000 {
        there.publish(&message(n)).unwrap();
        assert_eq!(number(&from_back.recv().unwrap()), n);
    }
    answering.join().unwrap();
}

#[test]
fn a_hundred_subscribers() {
    let place = Place::new();
    let mut publisher = place.publisher().bind("news").unwrap();
    let mut subscribers: Vec<_> = (0..100).map(|_| place.join(Policy::DropOldest, 0)).collect();
    assert_eq!(publisher.subscribers(), 100);
    publisher.publish_all((0..500).map(message)).unwrap();
    for subscriber in &mut subscribers {
        assert_eq!(drain(subscriber), ((0..500).collect(), 0));
    }
    subscribers.truncate(40);
    wait_until("60 have left", || publisher.subscribers() == 40);
    subscribers.extend((0..60).map(|_| place.join(Policy::DropOldest, 0)));
    publisher.publish(&message(500)).unwrap();
    for subscriber in &mut subscribers {
        assert_eq!(number(&subscriber.recv().unwrap()), 500);
    }
    assert_eq!(publisher.departures().count(), 60);
}

#[test]
fn what_is_not_allowed_is_refused() {
    let place = Place::new();
    let publisher = place.publisher().subscribers_max(2).bind("news").unwrap();
    // One whose last question was not answered in time has been told nothing: it asks again.
    let refusal = |builder: &dyn Fn() -> SubscriberBuilder| {
        let short = || builder().connect_within(Duration::from_millis(500));
        (0..100)
            .find_map(|_| match short().connect("news").unwrap_err() {
                ConnectError::Refused { code, text, .. } => Some((code, text)),
                ConnectError::Silent { .. } => None,
                other => panic!("{other}"),
            })
            .expect("an answer")
    };
    let (code, text) = refusal(&|| place.subscriber().policy(Policy::Block));
    assert_eq!(code, Refusal::TooLarge);
    assert!(text.contains("\"block\" is not allowed"), "{text}");
    let _both = [place.join(Policy::DropOldest, 0), place.join(Policy::Disconnect, 0)];
    let (code, text) = refusal(&|| place.subscriber());
    assert_eq!(code, Refusal::Busy);
    assert!(text.contains("2 subscribers are connected"), "{text}");
    let caller = chaski_shm::Client::builder().directory(place.path()).connect_within(LONG);
    let error = caller.connect("news").unwrap_err();
    assert!(matches!(error, ConnectError::Refused { code: Refusal::WrongPattern, .. }), "{error}");
    drop(publisher);
    for bytes in [0, 2048, 5000, 2 << 30] {
        let error = place.publisher().ring_bytes(bytes).bind("news").unwrap_err();
        assert!(matches!(error, BindError::Ring(bad) if bad.bytes == bytes), "{bytes}: {error}");
    }
}

#[test]
fn a_payload_may_take_half_of_the_ring() {
    let place = Place::new();
    let mut publisher = open_publisher(&place);
    let mut subscriber = place.join(Policy::Block, 0);
    let max = publisher.payload_max();
    assert_eq!(max, 4096 / 2 - 16);
    for _ in 0..10 {
        publisher.publish(&vec![7; max]).unwrap();
        assert_eq!(*subscriber.recv().unwrap(), vec![7; max]);
    }
    let error = publisher.publish(&vec![7; max + 1]).unwrap_err();
    assert!(matches!(error, Error::TooLarge { len, max: at_most } if len > max && at_most == max));
    publisher.publish(b"").unwrap();
    assert!(subscriber.recv().unwrap().is_empty());
}

#[test]
fn another_publisher_of_the_name_takes_over() {
    let place = Place::new();
    let mut first = open_publisher(&place);
    let mut subscriber = place.join(Policy::DropOldest, 0);
    (0..3).for_each(|n| first.publish(&message(n)).unwrap());
    drop(first);
    let mut next = place.publisher().ring_bytes(8192).history(2).bind("news").unwrap();
    (0..7).for_each(|n| next.publish(&message(n)).unwrap());
    for n in 0..3 {
        assert_eq!(number(&subscriber.recv().unwrap()), n, "what the first had published");
    }
    let error = subscriber.recv().unwrap_err();
    assert!(matches!(error, Error::Restarted { missed: 5 }), "{error}");
    assert_eq!(subscriber.lost(), 5);
    for n in 5..7 {
        assert_eq!(number(&subscriber.recv().unwrap()), n, "what the next one remembers");
    }
    next.publish(&message(7)).unwrap();
    assert_eq!(number(&subscriber.recv().unwrap()), 7);
}

#[test]
fn nobody_comes_and_it_is_closed() {
    let place = Place::new();
    let publisher = open_publisher(&place);
    let builder = place.subscriber().reconnect_within(Duration::from_millis(20));
    let mut subscriber = builder.connect("news").unwrap();
    drop(publisher);
    assert!(matches!(subscriber.recv(), Err(Error::Closed)));
    assert!(matches!(subscriber.try_recv(), Err(Error::Closed)));
    assert!(!subscriber.is_connected());
}

#[test]
fn a_survey_tells_how_far_each_is() {
    let place = Place::new();
    let mut publisher = open_publisher(&place);
    let mut read = place.join(Policy::Block, 0);
    let _unread = place.join(Policy::DropOldest, 0);
    (0..20).for_each(|n| publisher.publish(&message(n)).unwrap());
    drain(&mut read);
    let services = place.services();
    let service = &services[0];
    assert_eq!((service.name.as_str(), service.pattern), ("news", survey::Pattern::Publisher));
    assert_eq!(service.pid, std::process::id());
    let [one, two] = &service.connections[..] else { panic!("{service:?}") };
    assert_eq!((one.outgoing.sent, one.outgoing.received, one.outgoing.depth), (20, 20, 0));
    assert_eq!(one.outgoing.sent_bytes, one.outgoing.received_bytes);
    assert_eq!((one.outgoing.fill, two.outgoing.received, two.outgoing.depth), (0, 0, 20));
    assert!(two.outgoing.fill > 20 * 16 && two.outgoing.fill <= two.outgoing.capacity);
    assert_eq!((one.drops, two.drops, one.dead), (0, 0, false));
}

#[test]
fn tasks_publish_and_subscribe() {
    let place = Place::new();
    let mut publisher = open_publisher(&place);
    let mut subscriber = place.join(Policy::Block, 0);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    let publishing = runtime.spawn(async move {
        for n in 0..2000 {
            publisher.publish_async(&message(n)).await.unwrap();
        }
        publisher
    });
    runtime.block_on(async {
        for n in 0..2000 {
            assert_eq!(number(&subscriber.recv_async().await.unwrap()), n);
        }
        assert_eq!(publishing.await.unwrap().stats().published, 2000);
    });
}
