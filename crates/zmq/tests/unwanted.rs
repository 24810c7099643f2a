//! What a SUB wants is decided when it asks, also of what had come by then.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chaski_zmq::{Sub, Xpub};

/// Longer than anything takes that is going to happen.
const LONG: Duration = Duration::from_secs(60);

/// An endpoint of each transport, which nobody else uses.
fn endpoints() -> [String; 4] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let near = |transport: &str| format!("{transport}://zmq-want-{}-{next}", std::process::id());
    ["tcp://127.0.0.1:*".to_owned(), "ipc://*".to_owned(), near("inproc"), near("shm")]
}

/// A publisher, and a subscriber to `a` and `b` of which it has heard; nobody drops anything.
fn pair(endpoint: String) -> (Xpub, Sub) {
    let publisher = Xpub::builder().sndhwm(0).rcvtimeo(LONG).build().unwrap();
    let subscriber = Sub::builder().rcvhwm(0).rcvtimeo(LONG).build().unwrap();
    subscriber.subscribe("a").unwrap();
    subscriber.subscribe("b").unwrap();
    subscriber.connect(publisher.bind(endpoint).unwrap()).unwrap();
    for _ in 0..2 {
        assert_eq!(publisher.recv().unwrap()[0][0], 1);
    }
    (publisher, subscriber)
}

#[test]
fn what_came_before_it_was_unsubscribed_is_not_received() {
    for endpoint in endpoints() {
        let (publisher, subscriber) = pair(endpoint);
        for topic in ["a1", "b1", "a2", "b2"] {
            publisher.send(topic).unwrap();
        }
        assert_eq!(subscriber.recv().unwrap()[0], "a1");
        subscriber.unsubscribe("b").unwrap();
        // Told to the publisher: what it sends from now on does not come.
        assert_eq!(publisher.recv().unwrap()[0], b"\0b");
        publisher.send("b3").unwrap();
        publisher.send("a3").unwrap();
        assert_eq!(subscriber.recv().unwrap()[0], "a2");
        assert_eq!(subscriber.recv().unwrap()[0], "a3");
    }
}

#[test]
fn much_that_is_not_wanted_hides_nothing_that_is() {
    for endpoint in endpoints() {
        let (publisher, subscriber) = pair(endpoint);
        publisher.send("a1").unwrap();
        for _ in 0..20_000 {
            publisher.send("b").unwrap();
        }
        publisher.send("a2").unwrap();
        assert_eq!(subscriber.recv().unwrap()[0], "a1");
        subscriber.unsubscribe("b").unwrap();
        assert_eq!(subscriber.recv().unwrap()[0], "a2");
    }
}
