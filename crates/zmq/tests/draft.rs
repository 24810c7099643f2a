//! The kinds without multipart (RFC 41, 48, 49, 51, 52), over every transport.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chaski_zmq::{
    Channel, Client, Dealer, Dish, Gather, Kind, Message, Misuse, Peer, Radio, RecvError, Router,
    Scatter, SendError, SendFailure, Server, Socket,
};

/// Longer than anything takes that is going to happen.
const LONG: Duration = Duration::from_secs(60);

/// Long enough for what should not happen to be seen now and then.
const MOMENT: Duration = Duration::from_millis(20);

/// An endpoint of each transport, which nobody else uses.
fn endpoints() -> [String; 4] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("zmq-draft-{}-{next}", std::process::id());
    let near = ["inproc", "shm"].map(|transport| format!("{transport}://{name}"));
    let [inproc, shm] = near;
    ["tcp://127.0.0.1:*".to_owned(), "ipc://*".to_owned(), inproc, shm]
}

/// Waits until something has come about.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A message for the peer of this number.
fn to(routing_id: u32, body: &str) -> Message {
    let mut message = Message::from(body);
    message.set_routing_id(routing_id);
    message
}

fn unroutable(sent: Result<(), SendError>) -> bool {
    let failure = SendFailure::Misuse(Misuse::Unroutable);
    sent.is_err_and(|error| *error.failure() == failure)
}

#[test]
fn a_server_answers_each_client_by_its_number() {
    for endpoint in endpoints() {
        let server = Server::new();
        let at = server.bind(endpoint).unwrap();
        let clients: Vec<Client> = (0..3).map(|_| Client::new()).collect();
        for (n, client) in clients.iter().enumerate() {
            client.connect(&at).unwrap();
            client.send(format!("{n}")).unwrap();
        }
        let mut asked: Vec<Message> =
            clients.iter().map(|_| server.recv_timeout(LONG).unwrap()).collect();
        asked.sort_by_key(|request| request[0].to_vec());
        let mut numbers: Vec<u32> = asked.iter().map(Message::routing_id).collect();
        // Last come, first served: the order has nothing to do with who gets what.
        for request in asked.iter().rev() {
            server.send(request.clone()).unwrap();
        }
        for (n, client) in clients.iter().enumerate() {
            let reply = client.recv_timeout(LONG).unwrap();
            assert_eq!(reply, Message::from(format!("{n}")), "{at}");
            assert_eq!(reply.routing_id(), 0, "a number of the server's means nothing here");
        }
        numbers.sort_unstable();
        numbers.dedup();
        assert!(numbers.len() == 3 && !numbers.contains(&0), "{numbers:?}");
    }
}

#[test]
fn a_number_stays_the_same_from_message_to_message() {
    for endpoint in endpoints() {
        let (server, client) = (Server::new(), Client::new());
        client.connect(server.bind(endpoint).unwrap()).unwrap();
        client.send("first").unwrap();
        let number = server.recv_timeout(LONG).unwrap().routing_id();
        assert_eq!(server.peers()[0].routing_id, number);
        for n in 0..100 {
            // A server need not be asked to speak.
            server.send(to(number, &format!("{n}"))).unwrap();
            assert_eq!(client.recv_timeout(LONG).unwrap(), Message::from(format!("{n}")));
            client.send("more").unwrap();
            assert_eq!(server.recv_timeout(LONG).unwrap().routing_id(), number);
        }
    }
}

#[test]
fn a_message_to_nobody_or_to_somebody_gone_is_an_error() {
    for endpoint in endpoints() {
        let (server, client) = (Server::new(), Client::new());
        assert!(unroutable(server.send("to the number 0")));
        let at = server.bind(endpoint).unwrap();
        client.connect(&at).unwrap();
        client.send("here").unwrap();
        let number = server.recv_timeout(LONG).unwrap().routing_id();
        assert!(unroutable(server.send(to(number.wrapping_add(1), "nobody"))));
        client.close(Duration::ZERO);
        let gone = || unroutable(server.try_send(to(number, "gone")));
        until(&format!("the client is gone from {at}"), gone);
        // And stays so.
        let refused = server.send(to(number, "gone")).unwrap_err();
        assert_eq!(refused.into_message(), Some(to(number, "gone")));
    }
}

/// The same for the other kind that addresses its peers; here the name is not a number.
#[test]
fn a_mandatory_router_does_not_wait_for_a_peer_that_is_gone() {
    for endpoint in endpoints() {
        let router = Router::builder().router_mandatory(true).build().unwrap();
        let dealer = Dealer::builder().routing_id("here").build().unwrap();
        let at = router.bind(endpoint).unwrap();
        dealer.connect(&at).unwrap();
        dealer.send("hello").unwrap();
        assert_eq!(router.recv_timeout(LONG).unwrap()[0], *"here");
        dealer.close(Duration::ZERO);
        let gone = || unroutable(router.try_send(Message::from_iter(["here", "gone"])));
        until(&format!("the dealer is gone from {at}"), gone);
    }
}

#[test]
fn a_server_waits_for_a_client_that_is_full() {
    for endpoint in endpoints() {
        let server = Server::builder().sndhwm(2).sndbuf(4096).build().unwrap();
        let client = Client::builder().rcvhwm(2).rcvbuf(4096).build().unwrap();
        let other = Client::new();
        let at = server.bind(endpoint).unwrap();
        for (name, client) in [("slow", &client), ("other", &other)] {
            client.connect(&at).unwrap();
            client.send(name).unwrap();
        }
        let names = [(); 2].map(|()| server.recv_timeout(LONG).unwrap());
        let number = |name: &str| names.iter().find(|it| it[0] == *name).unwrap().routing_id();
        let (slow, other_number) = (number("slow"), number("other"));
        let body = "x".repeat(100_000);
        let mut sent = 0;
        let full = loop {
            match server.try_send(to(slow, &body)) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert!(full.is_full(), "{full}");
        // Who has room is served.
        server.send(to(other_number, "quick")).unwrap();
        assert_eq!(other.recv_timeout(LONG).unwrap(), Message::from("quick"));
        for _ in 0..sent {
            assert_eq!(client.recv_timeout(LONG).unwrap(), Message::from(body.as_str()));
        }
        server.send_timeout(to(slow, "room again"), LONG).unwrap();
        assert_eq!(client.recv_timeout(LONG).unwrap(), Message::from("room again"));
    }
}

#[test]
fn more_than_one_frame_is_refused_and_given_back() {
    let two = || Message::from_iter(["one", "two"]);
    for kind in [Kind::Client, Kind::Server, Kind::Scatter, Kind::Peer, Kind::Channel] {
        for endpoint in endpoints() {
            let socket = Socket::new(kind);
            socket.bind(&endpoint).unwrap();
            let refused = socket.send(two()).unwrap_err();
            let shape = matches!(refused.failure(), SendFailure::Misuse(Misuse::Shape(_)));
            assert!(shape, "{kind} said {refused}");
            assert_eq!(refused.into_message(), Some(two()));
        }
    }
    let radio = Radio::new();
    let one_and_three = [Message::from("group"), two().with("three")];
    for message in one_and_three {
        let refused = radio.as_socket().send(message).unwrap_err();
        assert!(matches!(refused.failure(), SendFailure::Misuse(Misuse::Shape(_))));
    }
}

#[test]
fn who_only_sends_does_not_receive_and_the_other_way_round() {
    for kind in [Kind::Radio, Kind::Scatter] {
        let received = Socket::new(kind).try_recv();
        let refused = matches!(received, Err(RecvError::Misuse(Misuse::NotSupported(..))));
        assert!(refused, "{kind}: {received:?}");
    }
    for kind in [Kind::Dish, Kind::Gather] {
        let refused = Socket::new(kind).try_send("x").unwrap_err();
        let misuse = matches!(refused.failure(), SendFailure::Misuse(Misuse::NotSupported(..)));
        assert!(misuse, "{kind}: {refused}");
    }
}

/// Sends to a group until a member hears it: a JOIN takes its time.
fn send_until_heard(radio: &Radio, dish: &Dish, group: &str) {
    until("the group is joined", || {
        radio.send_to(group, "anybody").unwrap();
        dish.recv_timeout(Duration::from_millis(5)).is_ok_and(|heard| heard[0] == *group)
    });
}

/// The next message that is not one of those.
fn next_news(dish: &Dish) -> Message {
    loop {
        let message = dish.recv_timeout(LONG).unwrap();
        if message[1] != *"anybody" {
            return message;
        }
    }
}

#[test]
fn a_dish_gets_the_groups_it_joined_and_no_others() {
    for endpoint in endpoints() {
        let (radio, member, stranger) = (Radio::new(), Dish::new(), Dish::new());
        let at = radio.bind(endpoint).unwrap();
        member.join("news").unwrap();
        member.connect(&at).unwrap();
        stranger.connect(&at).unwrap();
        send_until_heard(&radio, &member, "news");
        for group in ["new", "newspaper", "", "News", "other"] {
            radio.send_to(group, "not for it").unwrap();
        }
        radio.send_to("news", "of today").unwrap();
        assert_eq!(next_news(&member), Message::from_iter(["news", "of today"]));
        assert_eq!(stranger.recv_timeout(MOMENT), Err(RecvError::Timeout));
        // Joined later, while connected; the empty group is a group like any other.
        member.join("").unwrap();
        send_until_heard(&radio, &member, "");
        radio.send_to("", "for the empty group").unwrap();
        assert_eq!(next_news(&member), Message::from_iter(["", "for the empty group"]));
        assert_eq!(stranger.recv_timeout(MOMENT), Err(RecvError::Timeout));
    }
}

#[test]
fn a_dish_that_joined_nothing_is_sent_nothing() {
    for endpoint in endpoints().into_iter().take(2) {
        let (radio, member, stranger) = (Radio::new(), Dish::new(), Dish::new());
        let at = radio.bind(endpoint).unwrap();
        stranger.connect(&at).unwrap();
        until("the stranger is there", || radio.peers().iter().any(|peer| peer.connected));
        member.join("news").unwrap();
        member.connect(&at).unwrap();
        send_until_heard(&radio, &member, "news");
        let sent: Vec<u64> = radio.peers().iter().map(|peer| peer.sent + peer.queued).collect();
        // It is the sender that filters (RFC 48), so the wire stays empty.
        assert_eq!(sent.iter().filter(|&&sent| sent == 0).count(), 1, "{sent:?}");
        assert_eq!(stranger.peers()[0].received, 0);
    }
}

#[test]
fn a_group_that_was_left_is_heard_no_more() {
    for endpoint in endpoints() {
        let (radio, dish) = (Radio::new(), Dish::new());
        dish.join("old").unwrap();
        dish.connect(radio.bind(endpoint).unwrap()).unwrap();
        send_until_heard(&radio, &dish, "old");
        dish.leave("old").unwrap();
        dish.join("new").unwrap();
        // The radio hears of both in this order.
        send_until_heard(&radio, &dish, "new");
        radio.send_to("old", "missed").unwrap();
        radio.send_to("new", "got").unwrap();
        assert_eq!(next_news(&dish), Message::from_iter(["new", "got"]));
        dish.join("old").unwrap();
        send_until_heard(&radio, &dish, "old");
    }
}

#[test]
fn what_is_no_group_is_refused() {
    let (radio, dish) = (Radio::new(), Dish::new());
    let long = "x".repeat(256);
    dish.join(&long[..255]).unwrap();
    radio.send_to(&long[..255], "nobody is there").unwrap();
    for name in [long.as_str(), "a\0b"] {
        assert!(dish.join(name).is_err());
        assert!(radio.send_to(name, "x").is_err());
    }
    assert!(dish.join(&long[..255]).is_err(), "joined already");
    assert!(dish.leave("never joined").is_err());
    dish.leave(&long[..255]).unwrap();
    assert!(dish.leave(&long[..255]).is_err());
}

#[test]
fn scattered_work_arrives_once_and_in_order_from_each() {
    const EACH: u32 = 500;
    for endpoint in endpoints() {
        let gather = Gather::new();
        let at = gather.bind(endpoint).unwrap();
        let senders: Vec<_> = (0..3_u32)
            .map(|who| {
                let scatter = Scatter::builder().sndhwm(10).build().unwrap();
                scatter.connect(&at).unwrap();
                thread::spawn(move || {
                    (0..EACH).for_each(|n| scatter.send(format!("{who} {n}")).unwrap());
                    scatter.close(None);
                })
            })
            .collect();
        let mut next = [0; 3];
        for _ in 0..3 * EACH {
            let message = gather.recv_timeout(LONG).unwrap();
            let text = String::from_utf8(message[0].to_vec()).unwrap();
            let (who, n) = text.split_once(' ').unwrap();
            let who: usize = who.parse().unwrap();
            assert_eq!(n.parse(), Ok(next[who]), "from {who} over {at}");
            next[who] += 1;
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert_eq!(next, [EACH; 3]);
    }
}

/// RFC 49: a GATHER "shall receive incoming messages from its peers using a fair-queuing strategy".
/// What lies in the page that is being read, at most 256 KiB, may come before another's turn.
#[test]
fn who_sends_much_does_not_keep_a_gather_from_others() {
    for endpoint in endpoints() {
        let gather = Gather::new();
        let at = gather.bind(endpoint).unwrap();
        let loud = Scatter::new();
        loud.connect(&at).unwrap();
        let body = "l".repeat(1024);
        loud.send(body.as_str()).unwrap();
        assert_eq!(gather.recv_timeout(LONG).unwrap()[0].len(), 1024);
        let loud = thread::spawn(move || {
            // Until the other side has gone.
            while loud.send_timeout(body.as_str(), MOMENT).is_ok() {}
        });
        let quiet = Scatter::new();
        quiet.connect(&at).unwrap();
        for n in 0..10 {
            quiet.send(format!("{n}")).unwrap();
        }
        until("the quiet one is connected", || {
            gather.peers().iter().filter(|peer| peer.connected).count() == 2
        });
        until("what the quiet one sent is on its way", || {
            let (about, near) = (&quiet.peers()[0], ["inproc", "shm"]);
            let near = near.iter().any(|transport| at.as_str().starts_with(transport));
            about.connected && (near || about.sent == 10)
        });
        let (mut heard, mut before) = (0, 0);
        while heard < 10 {
            match gather.recv_timeout(LONG).unwrap()[0].len() {
                1 => heard += 1,
                _ => before += 1,
            }
        }
        assert!(before < 1000, "{before} of the loud one's came before ten of the quiet one's");
        gather.close(Duration::ZERO);
        loud.join().unwrap();
    }
}

#[test]
fn a_channel_has_one_peer_and_both_ways() {
    for endpoint in endpoints() {
        let (bound, first, second) = (Channel::new(), Channel::new(), Channel::new());
        let at = bound.bind(endpoint).unwrap();
        first.connect(&at).unwrap();
        for n in 0..100 {
            first.send(format!("there {n}")).unwrap();
            assert_eq!(bound.recv_timeout(LONG).unwrap(), Message::from(format!("there {n}")));
            bound.send(format!("back {n}")).unwrap();
            assert_eq!(first.recv_timeout(LONG).unwrap(), Message::from(format!("back {n}")));
        }
        second.connect(&at).unwrap();
        // It has no peer, or has one that refuses it: then what it says gets no further.
        let _ = second.try_send("from a third");
        assert_eq!(bound.recv_timeout(MOMENT), Err(RecvError::Timeout), "{at}");
        bound.send("to the first").unwrap();
        assert_eq!(first.recv_timeout(LONG).unwrap(), Message::from("to the first"));
        assert_eq!(second.try_recv(), Err(RecvError::Empty));
    }
}

#[test]
fn peers_know_each_other_by_number() {
    for endpoint in endpoints() {
        let hub = Peer::new();
        let at = hub.bind(endpoint).unwrap();
        let spokes: Vec<(Peer, u32)> = (0..3)
            .map(|n| {
                let spoke = Peer::new();
                // Whoever connects has a number at once, and may speak first.
                let number = spoke.connect_peer(&at).unwrap();
                assert_ne!(number, 0);
                spoke.send(to(number, &format!("{n}"))).unwrap();
                (spoke, number)
            })
            .collect();
        for _ in &spokes {
            let heard = hub.recv_timeout(LONG).unwrap();
            assert_eq!(heard.len(), 1);
            hub.send(heard).unwrap();
        }
        for (n, (spoke, number)) in spokes.iter().enumerate() {
            assert_eq!(spoke.recv_timeout(LONG).unwrap(), to(*number, &format!("{n}")), "{at}");
            assert!(unroutable(spoke.send(to(number.wrapping_add(7), "nobody"))));
        }
    }
}
