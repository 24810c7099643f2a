//! What a third party learns of a service, while its own threads do something else.

use std::time::Duration;

use chaski_shm::survey::{Pattern, list_in};
use chaski_shm::{Client, Server};

/// Longer than anything takes that works.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_survey_tells_what_each_client_sent_and_took() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("shm");
    let mut server = Server::builder().directory(&directory).bind("greeter").unwrap();
    let builder = || Client::builder().directory(&directory).connect_within(LONG);
    let connect = || builder().connect("greeter").unwrap();
    let (mut busy, mut idle) = (connect(), connect());
    for _ in 0..3 {
        busy.send(b"hello").unwrap();
        let request = server.recv().unwrap();
        request.reply(b"hello, you").unwrap();
        busy.recv().unwrap();
    }
    idle.send(b"anybody?").unwrap();

    // The server is asked though nobody calls it now. If it is too late for one survey, it may
    // answer the next.
    let services = (0..60)
        .map(|_| list_in(&directory).unwrap())
        .find(|services| services.iter().all(|service| service.answered))
        .expect("an answer");
    assert_eq!(services.len(), 1);
    let service = &services[0];
    assert!(service.answered);
    assert_eq!((service.name.as_str(), service.pattern), ("greeter", Pattern::Server));
    assert_eq!(service.pid, std::process::id());
    assert_ne!(service.generation, 0);
    let mut seen: Vec<_> = service.connections.iter().collect();
    seen.sort_by_key(|connection| connection.incoming.sent);
    let [idle, busy] = seen[..] else { panic!("two clients, but {seen:?}") };
    assert_eq!((busy.incoming.sent, busy.incoming.received, busy.incoming.depth), (3, 3, 0));
    assert_eq!((busy.outgoing.sent, busy.outgoing.received), (3, 3));
    assert_eq!((idle.incoming.sent, idle.incoming.received, idle.incoming.depth), (1, 0, 1));
    for connection in [idle, busy] {
        assert_eq!(connection.pid, u64::from(std::process::id()));
        assert!(connection.incoming.capacity >= connection.incoming.fill);
    }

    drop(server);
    assert!(list_in(&directory).unwrap().is_empty(), "nothing is left of it");
}
