//! What is told of consumers that read without the broker.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use chaski_broker::Builder;
use serde_json::Value;

use super::{Home, NAME, PATIENCE, produce, read_to};

/// A consumer without records gives up after this, and is asked again.
const REST: Duration = Duration::from_millis(50);

/// The body of an answer.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

/// A sample of `/metrics`; None: it is not there.
fn sample(address: SocketAddr, series: &str) -> Option<i64> {
    let text = get(address, "/metrics");
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(value.parse().expect("a whole number"))
}

/// Waits for a sample, and has something done meanwhile.
fn until(
    address: SocketAddr,
    series: &str,
    is_wanted: impl Fn(Option<i64>) -> bool,
    mut meanwhile: impl FnMut(),
) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        meanwhile();
        let told = sample(address, series);
        if is_wanted(told) {
            return;
        }
        assert!(Instant::now() < deadline, "{series} is still {told:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_consumers_say_of_themselves_is_counted() {
    let home = Home::new();
    let builder = Builder::new().data_dir(home.data()).http("127.0.0.1:0").set("shm.listen", NAME);
    let sockets = home.sockets();
    let builder = builder.set("shm.directory", sockets.to_str().expect("a path of text"));
    let server = builder.start().expect("started");
    let (client, address) = (server.client(), server.http_addr().expect("it listens"));
    client.create_topic("read", Some(1), &[]).expect("made");
    produce(&client, "read", 0..100);

    let (lag, readers) =
        ("chaski_local_lag{topic=\"read\",partition=\"0\"}", "chaski_local_readers");
    assert_eq!(sample(address, "chaski_local_consumers"), Some(0));
    assert_eq!(sample(address, lag), None);
    let mut consumer = home.reading("read");
    let labelled = format!("{readers}{{topic=\"read\",partition=\"0\"}}");
    assert_eq!(sample(address, &labelled), Some(1));
    assert_eq!(sample(address, lag), Some(100), "it has said nothing yet");

    read_to(&mut consumer, "read", 100);
    until(
        address,
        "chaski_local_sleeps_total",
        |told| told > Some(0),
        || {
            assert!(consumer.next(REST).expect("readable").is_none());
        },
    );
    until(address, lag, |told| told == Some(0), || {});
    until(address, "chaski_local_read_records_total", |told| told == Some(100), || {});
    assert!(sample(address, "chaski_local_segments_total") >= Some(1));
    until(address, "chaski_local_consumers", |told| told == Some(1), || {});

    // It sleeps, as far as the broker knows, and is woken.
    assert_eq!(sample(address, "chaski_local_wakes_total"), Some(0));
    produce(&client, "read", 100..101);
    until(address, "chaski_local_wakes_total", |told| told == Some(1), || {});
    let told: Value = serde_json::from_str(&get(address, "/api/rings")).expect("JSON");
    let reader = &told["readers"][0];
    assert_eq!((&told["readers_total"], &reader["pid"]), (&1.into(), &std::process::id().into()));
    assert_eq!((&reader["topic"], &reader["partition"]), (&"read".into(), &0.into()));
    assert_eq!(
        (&reader["offset"], &reader["records"], &reader["lag"]),
        (&100.into(), &100.into(), &1.into())
    );

    // To go back is not to read what lies between; to read it again is.
    consumer.seek("read", 0, chaski_local::Position::Earliest).expect("there");
    until(address, lag, |told| told == Some(101), || {});
    assert_eq!(sample(address, "chaski_local_read_records_total"), Some(100));
    read_to(&mut consumer, "read", 101);
    until(
        address,
        lag,
        |told| told == Some(0),
        || assert!(consumer.next(REST).expect("readable").is_none()),
    );
    until(address, "chaski_local_read_records_total", |told| told == Some(201), || {});
    drop(consumer);
    until(address, "chaski_local_consumers", |told| told == Some(0), || {});
    assert_eq!(sample(address, lag), None);
    server.stop().expect("stopped");
}
