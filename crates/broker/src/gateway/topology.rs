//! Loops: a message that leaves by a gateway and comes back by another into the topic it left.
//!
//! ```text
//!   topic a -> pub, bound to tcp://*:7000 .. sub, connected to tcp://127.0.0.1:7000 -> topic a
//! ```
//! One message in such a loop becomes endlessly many, so the gateway that would close it is
//! refused. What is seen are the endpoints that gateways of this broker bind and connect: a loop
//! through another program is not.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use chaski_zmq::Endpoint;
use chaski_zmq::endpoint::{Address, Host, HostPort};

use super::spec::{Direction, GatewayKind, GatewaySpec, TopicFrame};

/// A gateway, and where it is in truth.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub(super) spec: &'a GatewaySpec,
    /// Where it is bound; as it was asked for if it is not yet.
    pub(super) bound: &'a [String],
}

/// Why `new` may not be added: the loop it would close, in words.
pub(super) fn find_loop(existing: &[Place<'_>], new: &Place<'_>) -> Option<String> {
    let mut all: Vec<&Place<'_>> = existing.iter().collect();
    all.push(new);
    let start = all.len() - 1;
    let mut visited = vec![false; all.len()];
    let mut path = vec![start];
    reaches(&all, start, start, &mut visited, &mut path).then(|| describe(&all, &path))
}

/// Whether what passes `at` comes to `goal`; `path` then says how. Depth is bounded by the number
/// of gateways.
fn reaches(
    all: &[&Place<'_>],
    at: usize,
    goal: usize,
    visited: &mut [bool],
    path: &mut Vec<usize>,
) -> bool {
    for next in 0..all.len() {
        if !feeds(all[at], all[next]) {
            continue;
        }
        if next == goal {
            return true;
        }
        if std::mem::replace(&mut visited[next], true) {
            continue;
        }
        path.push(next);
        if reaches(all, next, goal, visited, path) {
            return true;
        }
        path.pop();
    }
    false
}

/// Whether what passes the first goes on to the second: by a topic, or by ZeroMQ.
fn feeds(from: &Place<'_>, to: &Place<'_>) -> bool {
    match (from.spec.kind.direction(), to.spec.kind.direction()) {
        (Direction::In, Direction::Out) => {
            from.spec.names_topics() || from.spec.topic == to.spec.topic
        }
        (Direction::Out, Direction::In) => talk(from.spec, to.spec) && meet(from, to),
        _ => false,
    }
}

fn talk(out: &GatewaySpec, into: &GatewaySpec) -> bool {
    match (out.kind, into.kind) {
        (GatewayKind::Push, GatewayKind::Pull) => true,
        (GatewayKind::Pub, GatewayKind::Sub) => wants(into, out),
        _ => false,
    }
}

/// Whether any subscription may match what is published.
fn wants(sub: &GatewaySpec, publisher: &GatewaySpec) -> bool {
    let topic = publisher.topic.as_deref().unwrap_or_default();
    let matches = |wish: &String| topic.starts_with(wish.as_str()) || wish.starts_with(topic);
    publisher.topic_frame == TopicFrame::Key
        || sub.subscribe.is_empty()
        || sub.subscribe.iter().any(matches)
}

fn meet(a: &Place<'_>, b: &Place<'_>) -> bool {
    let any = |bound: &[String], connected: &[String]| {
        bound.iter().any(|bound| connected.iter().any(|to| same(bound, to)))
    };
    any(a.bound, &b.spec.connect) || any(b.bound, &a.spec.connect)
}

/// Whether who connects to one arrives at the other.
fn same(bound: &str, connected: &str) -> bool {
    let (Ok(bound), Ok(connected)) = (bound.parse::<Endpoint>(), connected.parse::<Endpoint>())
    else {
        return false;
    };
    match (bound.address(), connected.address()) {
        (Address::Tcp(bound), Address::Tcp(to)) => same_tcp(&bound.to, &to.to),
        (bound, to) => bound == to,
    }
}

fn same_tcp(bound: &HostPort, to: &HostPort) -> bool {
    if bound.port != to.port || bound.port == 0 {
        return false;
    }
    if bound.host == to.host {
        return true;
    }
    match (ip(&bound.host), ip(&to.host)) {
        (Some(bound), Some(to)) if bound == to => true,
        // All addresses of this machine; or those of an interface, of which we know the name only.
        (Some(bound), to) if bound.is_unspecified() => is_here(to),
        (None, to) => is_here(to),
        _ => false,
    }
}

/// The address of a host, where that needs no look-up.
fn ip(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Any => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        Host::V4(ip) => Some(IpAddr::V4(*ip)),
        Host::V6(ip, _) => Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(*ip), IpAddr::V4)),
        Host::Name(name) if name.eq_ignore_ascii_case("localhost") => {
            Some(IpAddr::V4(Ipv4Addr::LOCALHOST))
        }
        Host::Name(name) => {
            let system = rustix::system::uname();
            let own = system.nodename().to_str().is_ok_and(|own| own.eq_ignore_ascii_case(name));
            own.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST))
        }
    }
}

/// Whether an address is one of this machine. Only those can be bound.
fn is_here(ip: Option<IpAddr>) -> bool {
    ip.is_some_and(|ip| ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok())
}

fn describe(all: &[&Place<'_>], path: &[usize]) -> String {
    let mut words = Vec::new();
    for &at in path {
        let spec = all[at].spec;
        let topic = spec.topic.as_deref().unwrap_or("the topic that a message names");
        let name = format!("{} `{}`", spec.kind, spec.name);
        match spec.kind.direction() {
            Direction::In => words.extend([name, format!("topic `{topic}`")]),
            Direction::Out => words.push(name),
        }
    }
    words.push(words[0].clone());
    format!("its messages would go round for ever: {}", words.join(" -> "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(name: &str, kind: GatewayKind, topic: &str, bind: &str) -> GatewaySpec {
        GatewaySpec::new(name, kind, topic).bind(bind)
    }

    fn into(name: &str, kind: GatewayKind, topic: &str, connect: &str) -> GatewaySpec {
        GatewaySpec::new(name, kind, topic).connect(connect)
    }

    /// Whether the last of these closes a loop; no other may.
    fn closes(specs: &[GatewaySpec]) -> Option<String> {
        let place = |spec| Place { spec, bound: &[] };
        let mut places: Vec<Place<'_>> = Vec::new();
        let mut found = None;
        for spec in specs {
            assert_eq!(found, None, "an earlier one closes a loop already");
            let new = Place { bound: &spec.bind, ..place(spec) };
            found = find_loop(&places, &new);
            places.push(new);
        }
        found
    }

    use GatewayKind::{Pub, Pull, Push, Sub};

    #[test]
    fn a_topic_that_feeds_itself_is_refused_whichever_comes_last() {
        let publisher = out("o", Pub, "a", "tcp://*:7000");
        let subscriber = into("i", Sub, "a", "tcp://127.0.0.1:7000");
        let why = closes(&[publisher.clone(), subscriber.clone()]).expect("a loop");
        assert!(why.ends_with("sub `i` -> topic `a` -> pub `o` -> sub `i`"), "{why}");
        let why = closes(&[subscriber, publisher]).expect("a loop");
        assert!(why.ends_with("pub `o` -> sub `i` -> topic `a` -> pub `o`"), "{why}");
    }

    #[test]
    fn a_loop_through_several_topics_and_kinds_is_seen() {
        let there = out("ab", Pub, "a", "tcp://127.0.0.1:1");
        let b = into("b", Sub, "b", "tcp://localhost:1");
        let back = GatewaySpec::new("ba", Push, "b").connect("ipc:///run/x");
        let a = out("a", Pull, "a", "ipc:///run/x");
        assert!(closes(&[there.clone(), b.clone(), back.clone(), a.clone()]).is_some());
        let elsewhere = GatewaySpec { topic: Some("c".to_owned()), ..a.clone() };
        assert_eq!(closes(&[there.clone(), b.clone(), back.clone(), elsewhere]), None);
        let any = GatewaySpec { frames: "topic,value".parse().ok(), topic: None, ..a };
        assert!(closes(&[there, b, back, any]).is_some(), "it may name any topic");
    }

    #[test]
    fn what_does_not_meet_is_no_loop() {
        let publisher = out("o", Pub, "a", "tcp://127.0.0.1:7000");
        let at = |endpoint: &str| into("i", Sub, "a", endpoint);
        assert_eq!(closes(&[publisher.clone(), at("tcp://127.0.0.1:7001")]), None);
        assert_eq!(closes(&[publisher.clone(), at("tcp://192.0.2.1:7000")]), None);
        assert_eq!(closes(&[publisher.clone(), into("i", Sub, "b", "tcp://127.0.0.1:7000")]), None);
        let mut other = at("tcp://127.0.0.1:7000");
        other.subscribe = vec!["b".to_owned()];
        assert_eq!(closes(&[publisher.clone(), other.clone()]), None);
        other.subscribe.push("a@earliest".to_owned());
        assert!(closes(&[publisher, other]).is_some());
    }

    #[test]
    fn all_addresses_of_the_machine_are_one_place() {
        for (bound, to, are) in [
            ("tcp://*:1", "tcp://localhost:1", true),
            ("tcp://0.0.0.0:1", "tcp://127.0.0.1:1", true),
            ("tcp://[::]:1", "tcp://[::1]:1", true),
            ("tcp://*:1", "tcp://192.0.2.1:1", false),
            ("tcp://127.0.0.1:1", "tcp://127.0.0.2:1", false),
            ("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", false),
            ("ipc:///a", "ipc:///a", true),
            ("ipc:///a", "ipc:///b", false),
        ] {
            assert_eq!(same(bound, to), are, "{bound} and {to}");
        }
    }
}
