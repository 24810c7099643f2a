//! A disk without room while gateways run: nothing is lost that a sender was not told of, and all
//! goes on when there is room.

use std::sync::Arc;

use chaski_broker::gateway::{Acks, GatewayKind, GatewayState};
use chaski_zmq::{Kind, Message};
use tempfile::TempDir;

use super::small_disk::SmallDisk;
use super::*;

fn on_a_small_disk() -> (Server, Client, Arc<SmallDisk>, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = SmallDisk::roomy();
    let server = Builder::new().data_dir(dir.path()).disk(disk.clone()).start().expect("started");
    let client = server.client();
    (server, client, disk, dir)
}

#[test]
fn senders_wait_while_the_disk_is_full_and_nothing_is_lost() {
    for acks in [Acks::One, Acks::All] {
        let (_server, client, disk, _dir) = on_a_small_disk();
        let mut spec = bound(GatewayKind::Pull, "t");
        spec.acks = acks;
        let push = socket(Kind::Push, &add(&client, spec));
        numbers(0..500).for_each(|n| push.send(n).expect("sent"));
        push.flush();
        eventually("they are stored", || status(&client).messages == 500);
        disk.set_room(2000);
        numbers(500..3000).for_each(|n| push.send(n).expect("sent"));
        push.flush();
        eventually("it is told", || status(&client).errors > 1);
        let full = status(&client);
        assert_eq!((full.state, full.drops), (GatewayState::Running, 0));
        assert!(full.last_error.expect("a reason").contains("no room"));
        assert!(full.messages < 3000 && full.lag > Some(0), "the rest waits: {acks:?}");
        disk.set_room(1 << 30);
        let values: Vec<String> = records(&client, "t", 3000).into_iter().map(|r| r.2).collect();
        assert!(values.iter().cloned().eq(numbers(0..3000)), "in order and once: {acks:?}");
        eventually("all are counted", || status(&client).messages == 3000);
        let after = status(&client);
        assert_eq!((after.drops, after.lag, after.peers[0].received), (0, Some(0), 3000));
    }
}

#[test]
fn a_dealer_is_told_that_the_disk_is_full_and_may_ask_again() {
    let (_server, client, disk, _dir) = on_a_small_disk();
    let mut spec = bound(GatewayKind::Router, "t");
    spec.acks = Acks::All;
    let dealer = socket(Kind::Dealer, &add(&client, spec));
    let ask = |n: usize| {
        let n = n.to_string();
        dealer.send(Message::from_iter([&*n, "", &*n])).expect("sent");
        frames(&dealer.recv().expect("answered"))
    };
    assert_eq!(ask(0)[2..], ["ok", "0", "0"]);
    disk.set_room(0);
    let refused = ask(1);
    assert_eq!(refused[..4], ["1", "", "error", "KAFKA_STORAGE_ERROR"]);
    assert!(refused[4].contains("no room"), "{refused:?}");
    disk.set_room(1 << 30);
    eventually("there is room again", || ask(1)[2] == "ok");
    let found = records(&client, "t", 2);
    assert_eq!((&*found[0].2, &*found[1].2), ("0", "1"));
    eventually("all are counted", || status(&client).messages == 2);
    let after = status(&client);
    assert_eq!(after.messages + after.drops, after.peers[0].received, "each was answered");
}

#[test]
fn what_waits_for_room_when_the_gateway_stops_is_counted() {
    let (_server, client, disk, _dir) = on_a_small_disk();
    let push = socket(Kind::Push, &add(&client, bound(GatewayKind::Pull, "t")));
    push.send("stored").expect("sent");
    eventually("it is stored", || status(&client).messages == 1);
    disk.set_room(0);
    push.send("not stored").expect("sent");
    eventually("it is told", || status(&client).errors > 0);
    client.gateways().remove("g").expect("it ends all the same");
    assert!(client.gateways().get("g").is_none());
}
