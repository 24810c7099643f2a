//! One process publishes a thermometer's readings, any number of others follow it, each at its own
//! pace: one that misses some is told how many.
//!
//! They meet at a name. A follower that comes late begins with the last reading; kill the
//! thermometer and start it again, and its followers find the next one.
//!
//!     cargo run --release -p chaski --example shm_publish_subscribe             # in two processes
//!     cargo run --release -p chaski --example shm_publish_subscribe -- measure  # in one terminal
//!     cargo run --release -p chaski --example shm_publish_subscribe -- follow   # in others

use std::env;
use std::error::Error;
use std::process::Command;
use std::thread;
use std::time::Duration;

use chaski::shm::{self, Publisher, PublisherBuilder, Subscriber, SubscriberBuilder};

const NAME: &str = "example-thermometer";

fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1).as_deref() {
        Some("measure") => measure(thermometer().bind(NAME)?, u64::MAX),
        Some("follow") => follow(follower().connect(NAME)?, u64::MAX).map(|_| ()),
        _ => {
            let mut measuring = Command::new(env::current_exe()?).arg("measure").spawn()?;
            let followed = follower().connect(NAME).map_err(Into::into);
            let followed = followed.and_then(|follower| follow(follower, 20));
            measuring.kill()?;
            measuring.wait()?;
            followed.map(|seen| println!("{} readings seen, {} missed", seen.read, seen.missed))
        }
    }
}

/// Keeps the last reading for those who come late.
fn thermometer() -> PublisherBuilder {
    Publisher::builder().history(1)
}

/// Connecting waits for the thermometer for a while, so it does not matter which is started first.
fn follower() -> SubscriberBuilder {
    Subscriber::builder().history(1)
}

/// Publishes so many readings, ten a second, whether or not anybody follows.
fn measure(mut thermometer: Publisher, readings: u64) -> Result<(), Box<dyn Error>> {
    for reading in 0..readings {
        let degrees = 20.0 + (reading as f64 / 10.0).sin();
        thermometer.publish(&degrees.to_le_bytes())?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// What a follower has seen.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    read: u64,
    missed: u64,
}

/// Follows until so many readings were read, or nobody measures any more.
fn follow(mut thermometer: Subscriber, readings: u64) -> Result<Seen, Box<dyn Error>> {
    let mut seen = Seen::default();
    while seen.read < readings {
        match thermometer.recv() {
            Ok(news) => {
                let degrees = f64::from_le_bytes(news[..].try_into()?);
                println!("reading {}: {degrees:.2} degrees", news.sequence());
                seen.read += 1;
            }
            Err(shm::Error::Lagged { lost }) => seen.missed += lost,
            Err(shm::Error::Restarted { missed }) => {
                println!("another thermometer has been put in the place of the first");
                seen.missed += missed;
            }
            Err(shm::Error::Closed) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(seen)
}

#[test]
fn a_follower_begins_with_the_last_reading_and_misses_none_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut thermometer = thermometer().directory(directory.path()).bind(NAME).unwrap();
    for degrees in [19.5_f64, 20.0] {
        thermometer.publish(&degrees.to_le_bytes()).unwrap();
    }
    let patience = Duration::from_millis(1);
    let follower = follower().directory(directory.path()).reconnect_within(patience);
    let follower = follower.connect(NAME).unwrap();
    let following = thread::spawn(move || follow(follower, u64::MAX).unwrap());
    measure(thermometer, 3).unwrap();
    assert_eq!(following.join().unwrap(), Seen { read: 4, missed: 0 });
}
