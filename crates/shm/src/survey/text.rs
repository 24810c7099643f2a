//! A survey as text: a word, then pairs of `key=value`, a line for the service and one for each
//! connection. Keys that are missing count as zero and unknown ones are ignored, so that a survey
//! can be read by an older or a newer version.
//!
//! ```text
//! service pattern=server generation=7 age_ms=1500 connections_max=64 departed=0
//! peer slot=0 pid=17 uid=1000 out.capacity=65536 out.fill=0 ... in.sent=9 ... dead=0
//! ```

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use super::{Connection, Pattern, Ring, Service};

/// The most connections that are read.
const CONNECTIONS_MAX: usize = 16_384;

pub(super) fn encode(service: &Service) -> String {
    let mut text = String::with_capacity(128 + service.connections.len() * 512);
    text.push_str("service");
    pair(&mut text, "", "pattern", service.pattern);
    pair(&mut text, "", "generation", service.generation);
    pair(&mut text, "", "age_ms", service.age.as_millis());
    pair(&mut text, "", "connections_max", service.connections_max);
    pair(&mut text, "", "departed", service.departed);
    text.push('\n');
    for connection in &service.connections {
        encode_connection(&mut text, connection);
    }
    text
}

fn encode_connection(text: &mut String, connection: &Connection) {
    text.push_str("peer");
    pair(text, "", "slot", connection.slot);
    pair(text, "", "pid", connection.pid);
    pair(text, "", "uid", connection.uid);
    encode_ring(text, "out.", &connection.outgoing);
    encode_ring(text, "in.", &connection.incoming);
    pair(text, "", "drops", connection.drops);
    pair(text, "", "large_bytes", connection.large_bytes);
    pair(text, "", "dead", u8::from(connection.dead));
    text.push('\n');
}

fn encode_ring(text: &mut String, way: &str, ring: &Ring) {
    pair(text, way, "capacity", ring.capacity);
    pair(text, way, "fill", ring.fill);
    pair(text, way, "depth", ring.depth);
    pair(text, way, "sent", ring.sent);
    pair(text, way, "sent_bytes", ring.sent_bytes);
    pair(text, way, "received", ring.received);
    pair(text, way, "received_bytes", ring.received_bytes);
    pair(text, way, "stalls", ring.stalls);
    pair(text, way, "receiver_wakes", ring.receiver_wakes);
    pair(text, way, "sender_wakes", ring.sender_wakes);
    pair(text, way, "receiver_sleeps", u8::from(ring.receiver_sleeps));
    pair(text, way, "sender_sleeps", u8::from(ring.sender_sleeps));
}

fn pair(text: &mut String, way: &str, key: &str, value: impl std::fmt::Display) {
    // A String takes everything.
    let _ = write!(text, " {way}{key}={value}");
}

/// Reads what a service says of itself. Name, process and user stay as they are: they are not its
/// to say.
pub(super) fn decode(text: &str, service: &mut Service) {
    for line in text.lines() {
        let mut words = line.split(' ');
        let what = words.next();
        let fields = Fields(words.filter_map(|word| word.split_once('=')).collect());
        match what {
            Some("service") => decode_service(&fields, service),
            Some("peer") if service.connections.len() < CONNECTIONS_MAX => {
                service.connections.push(decode_connection(&fields));
            }
            _ => {}
        }
    }
}

fn decode_service(fields: &Fields<'_>, service: &mut Service) {
    let word = fields.0.get("pattern").copied().unwrap_or_default();
    let pattern = Pattern::KNOWN.into_iter().find(|pattern| pattern.as_str() == word);
    service.pattern = pattern.unwrap_or(Pattern::Unknown);
    service.generation = fields.number("", "generation");
    service.age = Duration::from_millis(fields.number("", "age_ms"));
    service.connections_max = fields.number("", "connections_max");
    service.departed = fields.number("", "departed");
}

fn decode_connection(fields: &Fields<'_>) -> Connection {
    Connection {
        slot: fields.number("", "slot"),
        pid: fields.number("", "pid"),
        uid: fields.number("", "uid"),
        outgoing: decode_ring(fields, "out."),
        incoming: decode_ring(fields, "in."),
        drops: fields.number("", "drops"),
        large_bytes: fields.number("", "large_bytes"),
        dead: fields.number("", "dead") != 0,
    }
}

fn decode_ring(fields: &Fields<'_>, way: &str) -> Ring {
    Ring {
        capacity: fields.number(way, "capacity"),
        fill: fields.number(way, "fill"),
        depth: fields.number(way, "depth"),
        sent: fields.number(way, "sent"),
        sent_bytes: fields.number(way, "sent_bytes"),
        received: fields.number(way, "received"),
        received_bytes: fields.number(way, "received_bytes"),
        stalls: fields.number(way, "stalls"),
        receiver_wakes: fields.number(way, "receiver_wakes"),
        sender_wakes: fields.number(way, "sender_wakes"),
        receiver_sleeps: fields.number(way, "receiver_sleeps") != 0,
        sender_sleeps: fields.number(way, "sender_sleeps") != 0,
    }
}

/// The pairs of a line.
struct Fields<'a>(HashMap<&'a str, &'a str>);

impl Fields<'_> {
    fn number(&self, way: &str, key: &str) -> u64 {
        let value = match way {
            "" => self.0.get(key),
            way => self.0.get(format!("{way}{key}").as_str()),
        };
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ring(seed: u64) -> Ring {
        Ring {
            capacity: seed,
            fill: seed + 1,
            depth: seed + 2,
            sent: seed + 3,
            sent_bytes: seed + 4,
            received: seed + 5,
            received_bytes: seed + 6,
            stalls: seed + 7,
            receiver_wakes: seed + 8,
            sender_wakes: seed + 9,
            receiver_sleeps: seed.is_multiple_of(2),
            sender_sleeps: !seed.is_multiple_of(2),
        }
    }

    #[test]
    fn a_service_comes_back() {
        let connection = |slot| Connection {
            slot,
            pid: 20 + slot,
            uid: 1000,
            outgoing: ring(100 + slot),
            incoming: ring(200 + slot),
            drops: 30,
            large_bytes: u64::MAX,
            dead: slot == 1,
        };
        for pattern in Pattern::KNOWN.into_iter().chain([Pattern::Unknown]) {
            let said = Service {
                pattern,
                generation: 77,
                age: Duration::from_millis(1234),
                connections_max: 64,
                departed: 5,
                connections: (0..3).map(connection).collect(),
                ..Service::default()
            };
            let mut read = Service::default();
            decode(&encode(&said), &mut read);
            assert_eq!(read, said);
        }
    }

    #[test]
    fn what_is_unknown_is_ignored_and_what_is_missing_is_zero() {
        let mut read = Service { name: "kept".into(), ..Service::default() };
        decode(
            "service pattern=oracle name=forged\nweather fine\npeer pid=x later=1 uid=3\n",
            &mut read,
        );
        assert_eq!((read.name.as_str(), read.pattern), ("kept", Pattern::Unknown));
        assert_eq!(read.connections, [Connection { uid: 3, ..Connection::default() }]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(
            text in "(service|peer|x)?( (pid|pattern|in.sent|=|[a-z=0-9 \n]{0,9})){0,20}"
        ) {
            let mut read = Service::default();
            decode(&text, &mut read);
            prop_assert!(read.connections.len() <= text.lines().count());
        }
    }
}
