//! A pipeline of three stages, a thread each: read lines, parse them, average what they say.
//!
//! Between two stages is a channel of one sender and one receiver. A slow stage holds back those
//! before it, since `send` waits when the channel is full, and the end of one stage ends the next:
//! when its sender is gone, `iter` drains the channel and stops.
//!
//!     cargo run --release -p chaski --example pipeline

use std::collections::BTreeMap;
use std::thread;

use chaski::channel::spsc::{self, Receiver, Sender};

/// Messages between two stages.
const ROOM: usize = 256;

struct Reading {
    sensor: u32,
    celsius: f64,
}

fn main() {
    for (sensor, mean) in means(100_000) {
        println!("sensor {sensor}: {mean:.2} degrees on average");
    }
}

/// Runs the pipeline over so many lines; the mean temperature of each sensor.
fn means(lines: u32) -> BTreeMap<u32, f64> {
    let (text_out, text_in) = spsc::channel(ROOM);
    let (readings_out, readings_in) = spsc::channel(ROOM);
    thread::scope(|scope| {
        scope.spawn(move || read(lines, text_out));
        scope.spawn(move || parse(text_in, readings_out));
        average(readings_in)
    })
}

/// Stage one stands for a file or a socket.
fn read(lines: u32, mut out: Sender<String>) {
    let line = |n: u32| format!("{} {}.5", n % 3, 20 + n % 3);
    // Fails only if the next stage has ended, and then there is nothing left to do.
    let _ = out.send_all((0..lines).map(line));
}

fn parse(mut lines: Receiver<String>, mut out: Sender<Reading>) {
    for line in lines.iter() {
        let Some(reading) = parse_line(&line) else { continue };
        if out.send(reading).is_err() {
            return;
        }
    }
}

fn parse_line(line: &str) -> Option<Reading> {
    let (sensor, celsius) = line.split_once(' ')?;
    Some(Reading { sensor: sensor.parse().ok()?, celsius: celsius.parse().ok()? })
}

fn average(mut readings: Receiver<Reading>) -> BTreeMap<u32, f64> {
    let mut sums: BTreeMap<u32, (f64, u32)> = BTreeMap::new();
    for Reading { sensor, celsius } in readings.iter() {
        let (sum, count) = sums.entry(sensor).or_default();
        *sum += celsius;
        *count += 1;
    }
    sums.into_iter().map(|(sensor, (sum, count))| (sensor, sum / f64::from(count))).collect()
}

#[test]
fn every_line_comes_through() {
    assert_eq!(means(3_000), BTreeMap::from([(0, 20.5), (1, 21.5), (2, 22.5)]));
}
