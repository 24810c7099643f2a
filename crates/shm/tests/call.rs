//! Request and response between the threads of one process, through the same door as between
//! processes.

use std::thread;
use std::time::{Duration, Instant};

use chaski_shm::{Client, ConnectError, Error, Server, Wait};

/// Longer than anything takes that works.
const LONG: Duration = Duration::from_secs(60);

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn server(directory: &tempfile::TempDir) -> Server {
    Server::builder().directory(directory.path().join("shm")).bind("test").unwrap()
}

fn client(directory: &tempfile::TempDir) -> Client {
    let builder = Client::builder().directory(directory.path().join("shm"));
    builder.connect_within(LONG).connect("test").unwrap()
}

/// Answers until a request is empty.
fn echo(mut server: Server) {
    let mut payload = Vec::new();
    loop {
        let ticket = server.recv_into(&mut payload).unwrap();
        server.reply(ticket, &payload).unwrap();
        if payload.is_empty() {
            return;
        }
    }
}

#[test]
fn a_request_is_answered() {
    let directory = directory();
    let server = server(&directory);
    let serving = thread::spawn(move || echo(server));
    let mut client = client(&directory);
    assert_eq!(client.call(b"hello").unwrap(), b"hello");
    assert_eq!(client.call(&[7; 3000]).unwrap(), [7; 3000]);
    assert_eq!(client.call(b"").unwrap(), b"");
    serving.join().unwrap();
}

#[test]
fn payloads_of_any_length_come_back() {
    let directory = directory();
    let server = server(&directory);
    let serving = thread::spawn(move || echo(server));
    let mut client = client(&directory);
    for len in [1, 16_376, 16_377, 65_536, 1_000_000, 9_999_999] {
        let payload: Vec<u8> = (0..len).map(|n| (n * 7 % 251) as u8).collect();
        assert_eq!(client.call(&payload).unwrap(), payload, "{len} bytes");
    }
    let error = client.call(&vec![0; 100_000_000]).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    client.call(b"").unwrap();
    serving.join().unwrap();
}

#[test]
fn a_ring_of_a_size_that_there_is_not_is_refused_with_the_limits() {
    for bytes in [0, 2048, 5000, 2 << 30] {
        // Nobody is there; that is not what it fails of.
        let error = Client::builder().ring_bytes(bytes).connect("test").unwrap_err();
        assert!(matches!(error, ConnectError::Ring(bad) if bad.bytes == bytes), "{error}");
        let said = format!("a ring of {bytes} bytes; it must be a power of two from 4096 to");
        assert!(error.to_string().starts_with(&said), "{error}");
    }
}

#[test]
fn many_clients_are_served_at_once() {
    const CLIENTS: usize = 40;
    let directory = directory();
    let mut server = server(&directory);
    let serving = thread::spawn(move || {
        let mut payload = Vec::new();
        for _ in 0..CLIENTS * 100 {
            let ticket = server.recv_into(&mut payload).unwrap();
            server.reply(ticket, &payload).unwrap();
        }
        server
    });
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| client(&directory)).collect();
    for round in 0..100_u32 {
        for (number, client) in (0_u32..).zip(&mut clients) {
            client.send(&[number.to_le_bytes(), round.to_le_bytes()].concat()).unwrap();
        }
        for (number, client) in (0_u32..).zip(&mut clients) {
            let response = client.recv().unwrap();
            assert_eq!(response[..], [number.to_le_bytes(), round.to_le_bytes()].concat());
        }
    }
    drop(clients);
    let mut server = serving.join().unwrap();
    let mut left = 0;
    while left < CLIENTS {
        let _ = server.recv_timeout(Duration::from_millis(5));
        left += server.departures().count();
    }
    assert_eq!(server.clients(), 0);
}

#[test]
fn sleepers_are_woken() {
    let directory = directory();
    let mut server = Server::builder()
        .directory(directory.path().join("shm"))
        .wait(Wait::Block)
        .bind("test")
        .unwrap();
    let serving = thread::spawn(move || {
        for _ in 0..300 {
            let request = server.recv().unwrap();
            let payload = request.to_vec();
            if payload[0].is_multiple_of(3) {
                thread::sleep(Duration::from_millis(2));
            }
            request.reply(&payload).unwrap();
        }
    });
    let mut client = Client::builder()
        .directory(directory.path().join("shm"))
        .wait(Wait::Block)
        .connect_within(LONG)
        .connect("test")
        .unwrap();
    for n in 0..300_u32 {
        if n % 7 == 0 {
            thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(client.call(&n.to_le_bytes()).unwrap(), n.to_le_bytes());
    }
    serving.join().unwrap();
}

#[test]
fn answers_come_in_the_order_of_the_server_and_in_parts() {
    let directory = directory();
    let mut server = server(&directory);
    let serving = thread::spawn(move || {
        let first = server.recv().unwrap().defer();
        let second = server.recv().unwrap().defer();
        server.reply(second, b"second").unwrap();
        for part in 0..100_u8 {
            // It may take the other thread longer to make room than a server waits.
            let deadline = Instant::now() + LONG;
            while let Err(error) = server.try_reply_part(&first, &[part; 4000]) {
                assert!(matches!(error, Error::Full) && Instant::now() < deadline, "{error}");
                thread::yield_now();
            }
        }
        server.reply(first, b"end").unwrap();
        drop(server.recv().unwrap());
        let mut request = server.recv().unwrap();
        for part in 0..3 {
            request.reply_part(&[part; 7]).unwrap();
        }
        request.reply(b"!").unwrap();
        // The responses alone must do, not the hang-up.
        server.recv().unwrap().reply(b"bye").unwrap();
    });
    let mut client = client(&directory);
    let first = client.send(b"1").unwrap();
    let second = client.send(b"2").unwrap();
    let response = client.recv().unwrap();
    assert_eq!((response.id(), &response[..]), (second, &b"second"[..]));
    for part in 0..100_u8 {
        let response = client.recv().unwrap();
        assert!(response.id() == first && !response.is_last());
        assert_eq!(response[..], [part; 4000]);
    }
    let response = client.recv().unwrap();
    assert!(response.id() == first && response.is_last() && &response[..] == b"end");
    let dropped = client.call(b"3").unwrap_err();
    assert!(matches!(dropped, Error::Unanswered { .. }), "{dropped}");
    let joined = [&[0; 7][..], &[1; 7], &[2; 7], b"!"].concat();
    assert_eq!(client.call(b"4").unwrap(), joined);
    assert_eq!(client.call(b"5").unwrap(), b"bye");
    serving.join().unwrap();
}

#[test]
fn a_client_that_does_not_read_is_waited_for_without_harm_to_others() {
    let directory = directory();
    let server = server(&directory);
    let serving = thread::spawn(move || echo(server));
    let (mut slow, mut quick) = (client(&directory), client(&directory));
    let sent = (0..200).map_while(|_| slow.try_send(&[1; 5000]).ok()).count();
    for n in 0..1000_u32 {
        assert_eq!(quick.call(&n.to_le_bytes()).unwrap(), n.to_le_bytes());
    }
    for _ in 0..sent {
        assert_eq!(slow.recv().unwrap()[..], [1; 5000]);
    }
    quick.call(b"").unwrap();
    serving.join().unwrap();
}

#[test]
fn the_next_server_finds_what_the_last_had_not_taken() {
    let directory = directory();
    let mut first = server(&directory);
    let builder = Client::builder().directory(directory.path().join("shm"));
    let builder = builder.connect_within(LONG).reconnect_within(LONG);
    let mut client = builder.connect("test").unwrap();
    let ids: Vec<_> = (0..4_u8).map(|n| client.send(&[n; 20_000]).unwrap()).collect();
    // One is answered, one is taken and not answered, two are left.
    first.recv().unwrap().reply(b"first").unwrap();
    let _ = first.recv().unwrap().defer();
    drop(first);

    let mut second = server(&directory);
    let serving = thread::spawn(move || {
        for n in 2..5_u8 {
            let request = second.recv().unwrap();
            assert_eq!(request[..], [n; 20_000]);
            request.reply(&[n]).unwrap();
        }
        second
    });
    assert_eq!(client.recv().unwrap()[..], *b"first");
    let in_doubt = client.recv().unwrap_err();
    assert!(matches!(in_doubt, Error::InDoubt { request } if request == ids[1]), "{in_doubt}");
    for (n, id) in (2..4_u8).zip(&ids[2..]) {
        let response = client.recv().unwrap();
        assert_eq!((response.id(), &response[..]), (*id, &[n][..]));
    }
    assert_eq!(client.call(&[4; 20_000]).unwrap(), [4]);
    drop(serving.join().unwrap());
}

#[test]
fn without_a_next_server_everything_is_told() {
    let directory = directory();
    let server = server(&directory);
    let mut client = Client::builder()
        .directory(directory.path().join("shm"))
        .connect_within(LONG)
        .reconnect_within(Duration::from_millis(50))
        .connect("test")
        .unwrap();
    let id = client.send(b"never taken").unwrap();
    drop(server);
    let left = client.recv().unwrap_err();
    assert!(matches!(left, Error::NotTaken { request } if request == id), "{left}");
    assert!(matches!(client.recv().unwrap_err(), Error::Closed));
    assert!(matches!(client.send(b"no").unwrap_err(), Error::Closed));
}

#[test]
fn loans_are_written_and_read_where_they_lie() {
    let directory = directory();
    let path = directory.path().join("shm");
    // SAFETY: the only client is this crate's.
    let mut server =
        unsafe { Server::builder().trust_clients() }.directory(&path).bind("test").unwrap();
    const LENS: [usize; 6] = [0, 5, 16_000, 20_000, 300_000, 5];
    let serving = thread::spawn(move || {
        for round in 0..20 * LENS.len() {
            let len = LENS[round % LENS.len()];
            let request = server.recv().unwrap();
            assert_eq!(request[..], vec![round as u8; len]);
            let ticket = request.defer();
            let mut reply = server.loan(ticket, len).unwrap();
            reply.fill(!(round as u8));
            reply.send().unwrap();
        }
    });
    let mut client = client(&directory);
    for round in 0..20 * LENS.len() {
        let len = LENS[round % LENS.len()];
        client.loan(len).unwrap().fill(77); // and not sent
        let mut loan = client.loan(len).unwrap();
        loan.fill(round as u8);
        let id = loan.send().unwrap();
        let response = client.recv().unwrap();
        assert_eq!((response.id(), &response[..]), (id, &vec![!(round as u8); len][..]));
    }
    serving.join().unwrap();
}

#[test]
fn requests_can_be_sent_without_an_end_of_reading_in_between() {
    let directory = directory();
    let server = server(&directory);
    let serving = thread::spawn(move || echo(server));
    let mut client = client(&directory);
    // Both rings hold a fraction of it.
    let ids: Vec<_> = (0..250_u8).map(|n| client.send(&[n; 2000]).unwrap()).collect();
    // A response that is waited for comes before those that came earlier.
    assert_eq!(client.call(b"now").unwrap(), b"now");
    assert_eq!(client.outstanding(), 250);
    for (n, id) in (0..250_u8).zip(ids) {
        let response = client.recv().unwrap();
        assert_eq!((response.id(), &response[..]), (id, &[n; 2000][..]));
    }
    assert_eq!(client.outstanding(), 0);
    client.call(b"").unwrap();
    serving.join().unwrap();
}

#[test]
fn a_response_that_cannot_be_sent_is_said_to_be_none() {
    let directory = directory();
    let path = directory.path().join("shm");
    let mut server = Server::builder().directory(&path).large_bytes(100_000).bind("test").unwrap();
    let serving = thread::spawn(move || {
        let error = server.recv().unwrap().reply(&[0; 200_000]).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        // Its client takes no more than that: no fault of the server's.
        server.recv().unwrap().reply(&[0; 90_000]).unwrap();
        server.recv().unwrap().reply(b"fits").unwrap();
        let ticket = server.recv().unwrap().defer();
        drop(server.loan(ticket, 5).unwrap());
        server
    });
    let builder = Client::builder().directory(&path).connect_within(LONG).large_bytes(70_000);
    let mut client = builder.connect("test").unwrap();
    for _ in 0..2 {
        let unanswered = client.call(b"?").unwrap_err();
        assert!(matches!(unanswered, Error::Unanswered { .. }), "{unanswered}");
    }
    assert_eq!(client.call(b"?").unwrap(), b"fits");
    assert!(matches!(client.call(b"?").unwrap_err(), Error::Unanswered { .. }));
    drop(serving.join().unwrap());
}

#[test]
fn an_alarm_ends_the_wait_of_a_server_that_comes_or_is_under_way() {
    const LONG: Duration = Duration::from_secs(120);
    let directory = directory();
    let mut server = server(&directory);
    let (alarm, mut payload) = (server.alarm(), Vec::new());
    let began = Instant::now();
    assert!(server.try_recv_into(&mut payload).is_none());
    alarm.ring();
    server.wait(LONG).unwrap();
    assert!(server.try_recv_into(&mut payload).is_none(), "which takes the ring");
    let ringing = thread::spawn(move || alarm.ring());
    server.wait(LONG).unwrap();
    ringing.join().unwrap();
    assert!(began.elapsed() < LONG, "nobody waited to the end");

    let mut client = client(&directory);
    client.send(b"hello").unwrap();
    let ticket = loop {
        server.wait(LONG).unwrap();
        if let Some(ticket) = server.try_recv_into(&mut payload) {
            break ticket;
        }
    };
    server.reply(ticket, &payload).unwrap();
    assert_eq!(*client.recv().unwrap(), *b"hello");
}
