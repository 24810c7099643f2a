//! Peers that say what they should not, or too much: they are hung up on, and nobody else notices.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::Instant;

use chaski_local::consumer::wire::{Answer, PACKET_MAX, PARTITIONS_MAX, Reason, Request, VERSION};
use chaski_local::{ConsumeError, LocalConsumer, Position};
use chaski_shm::Admit;
use chaski_shm::packets::{Connection, Received};

use super::{Home, NAME, PATIENCE, produce, raise_descriptor_limit, read_to};

fn connect(home: &Home) -> Connection {
    let (name, directory) = (format!("{NAME}.log"), home.sockets());
    let admit = Admit::same_user();
    Connection::connect(&name, Some(&directory), &admit, PATIENCE).expect("connected")
}

/// The next answer; None: it has hung up.
fn hear(connection: &Connection) -> Option<Answer> {
    let mut buffer = [0; PACKET_MAX];
    loop {
        match connection.receive(&mut buffer) {
            Received::Packet(bytes, _) => return Some(Answer::decode(bytes).expect("an answer").1),
            Received::Nothing => assert!(connection.wait(PATIENCE).expect("polled"), "no answer"),
            Received::Gone => return None,
            Received::Oversized => panic!("an answer too long"),
        }
    }
}

fn say(connection: &Connection, request: &Request<'_>) {
    connection.send(&request.encode(1), &[]).expect("sent");
}

fn greeted(home: &Home) -> Connection {
    let connection = connect(home);
    say(&connection, &Request::Hello { version: VERSION });
    assert!(matches!(hear(&connection), Some(Answer::Welcome { .. })));
    connection
}

fn is_refused(answer: Option<Answer>) -> bool {
    matches!(answer, Some(Answer::Failed { reason: Reason::Refused, .. }))
}

#[test]
fn what_makes_no_sense_is_refused_and_others_are_served() {
    let home = Home::new();
    let (_server, client) = home.serving("t");
    let mut honest = home.reading("t");

    let strange = connect(&home);
    strange.send(b"GET / HTTP/1.1\r\n\r\n", &[]).expect("sent");
    assert!(is_refused(hear(&strange)));
    assert_eq!(hear(&strange), None);

    let hasty = connect(&home);
    say(&hasty, &Request::Locate { handle: 0, offset: 0 });
    assert!(is_refused(hear(&hasty)));
    assert_eq!(hear(&hasty), None);

    let old = connect(&home);
    say(&old, &Request::Hello { version: VERSION + 1 });
    assert!(is_refused(hear(&old)));

    let long = greeted(&home);
    long.send(&[1; PACKET_MAX + 1], &[]).expect("sent");
    assert_eq!(hear(&long), None);

    let wrong = greeted(&home);
    for request in [
        Request::Locate { handle: 7, offset: 0 },
        Request::Seek { handle: 7, to: Position::Latest },
        Request::Commit { group: "g", offsets: vec![(7, 0)] },
        Request::Committed { handle: 7, group: "g" },
    ] {
        say(&wrong, &request);
        assert!(is_refused(hear(&wrong)), "{request:?}");
    }
    say(&wrong, &Request::Close { handle: 7 });
    // A partition that it does not have is nothing to wait for.
    say(&wrong, &Request::Sleep(vec![(7, i64::MAX)]));
    assert_eq!(hear(&wrong), Some(Answer::Awake));
    // Descriptors are of no interest.
    let null = File::open("/dev/null").expect("there");
    let hello = Request::Hello { version: VERSION }.encode(1);
    wrong.send(&hello, &[null.as_fd(); 4]).expect("sent");
    assert!(matches!(hear(&wrong), Some(Answer::Welcome { .. })));

    produce(&client, "t", 0..100);
    read_to(&mut honest, "t", 100);
}

#[test]
fn one_that_takes_no_answers_is_let_go() {
    let home = Home::new();
    let (_server, client) = home.serving("t");
    produce(&client, "t", 0..10);
    let deaf = greeted(&home);
    let at = Position::Earliest;
    say(&deaf, &Request::Open { topic: "t", topic_id: [0; 16], partition: 0, at });
    let Some(Answer::Opened { handle, .. }) = hear(&deaf) else { panic!("there is a topic") };
    // Each answer brings a descriptor, which is under way until it is taken.
    let deadline = Instant::now() + PATIENCE;
    let locate = Request::Locate { handle, offset: 0 }.encode(1);
    while !deaf.send(&locate, &[]).is_err_and(|e| e.kind() != std::io::ErrorKind::WouldBlock) {
        assert!(Instant::now() < deadline, "it is still served");
        std::thread::yield_now();
    }
    read_to(&mut home.reading("t"), "t", 10);
}

#[test]
fn there_are_so_many_partitions_and_so_many_consumers() {
    raise_descriptor_limit();
    let home = Home::new();
    let server = home.start();
    let client = server.client();
    let partitions = PARTITIONS_MAX as u32 + 1;
    client.create_topic("t", Some(partitions), &[]).expect("made");
    produce(&client, "t", 0..10);
    let mut consumer = home.connect();
    for partition in 0..PARTITIONS_MAX as i32 {
        consumer.assign("t", partition, Position::Earliest).expect("assigned");
    }
    let one_more = consumer.assign("t", PARTITIONS_MAX as i32, Position::Earliest);
    assert!(matches!(one_more, Err(ConsumeError::Refused(_))));
    // The broker counts for itself.
    let greedy = greeted(&home);
    let open = |partition| {
        let at = Position::Latest;
        say(&greedy, &Request::Open { topic: "t", topic_id: [0; 16], partition, at });
        hear(&greedy)
    };
    for _ in 0..PARTITIONS_MAX {
        assert!(matches!(open(0), Some(Answer::Opened { .. })));
    }
    assert!(matches!(open(0), Some(Answer::Failed { reason: Reason::Busy, .. })));
    read_to(&mut consumer, "t", 10);

    let mut held: Vec<LocalConsumer> = Vec::new();
    let error = loop {
        match home.try_connect() {
            Ok(consumer) => held.push(consumer),
            Err(error) => break error,
        }
        assert!(held.len() < 300, "no end");
    };
    assert!(matches!(error, ConsumeError::Refused(_)), "{error}");
    // Who leaves makes room, as soon as the broker has seen it.
    held.clear();
    let deadline = Instant::now() + PATIENCE;
    while home.try_connect().is_err() {
        assert!(Instant::now() < deadline, "there is no room any more");
    }
}
