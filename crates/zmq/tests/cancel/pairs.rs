//! Two sockets of every pair of patterns that sends one way without an answer.

use chaski_zmq::{Builder, Kind, Message, Socket};
use chaski_zmtp::keys::KeyPair;

use crate::{LONG, MOMENT};

/// Who sends, and who receives.
pub(crate) const PAIRS: [(Kind, Kind); 14] = [
    (Kind::Push, Kind::Pull),
    (Kind::Pair, Kind::Pair),
    (Kind::Dealer, Kind::Dealer),
    (Kind::Dealer, Kind::Router),
    (Kind::Router, Kind::Dealer),
    (Kind::Router, Kind::Router),
    (Kind::Pub, Kind::Sub),
    (Kind::Xpub, Kind::Xsub),
    (Kind::Client, Kind::Server),
    (Kind::Server, Kind::Client),
    (Kind::Radio, Kind::Dish),
    (Kind::Scatter, Kind::Gather),
    (Kind::Peer, Kind::Peer),
    (Kind::Channel, Kind::Channel),
];

/// The number of what is sent until somebody is there to receive it.
const SYNC: u64 = u64::MAX;

/// The number of the last message before those that count.
const FENCE: u64 = u64::MAX - 1;

/// One who sends numbered messages to one who receives them.
pub(crate) struct Numbered {
    pub(crate) sender: Socket,
    pub(crate) receiver: Socket,
    /// By which the sender knows the receiver, if it has to.
    receiver_id: u32,
    /// What is added to a message so that few fill a queue.
    ballast: Vec<u8>,
}

/// Short queues, so that a sender comes to wait.
fn short(kind: Kind) -> Builder<Socket> {
    let builder = Socket::builder(kind).sndhwm(2).rcvhwm(2).sndbuf(16_384).rcvbuf(16_384);
    // A sender whose receiver has failed ends, too.
    let builder = builder.sndtimeo(LONG);
    match kind {
        Kind::Router => builder.router_mandatory(true).routing_id("sender"),
        // Who would drop messages is made to wait.
        Kind::Pub | Kind::Xpub => builder.xpub_nodrop(true),
        // And who cannot be made to gets a queue without an end.
        Kind::Radio => builder.sndhwm(0),
        _ => builder,
    }
}

impl Numbered {
    /// The two, connected and with nothing on the way.
    pub(crate) fn new(kinds: (Kind, Kind), endpoint: &str) -> Self {
        let receiver = short(kinds.1);
        let named = matches!(kinds.1, Kind::Dealer | Kind::Router);
        let receiver = if named { receiver.routing_id("receiver") } else { receiver };
        Numbered::meet(short(kinds.0), receiver, endpoint)
    }

    /// The same over CURVE.
    pub(crate) fn sealed(kinds: (Kind, Kind)) -> Self {
        let [server, client] = [(); 2].map(|()| KeyPair::generate().unwrap());
        let receiver = short(kinds.1).curve_server(true).curve_secretkey(server.secret());
        let sender =
            short(kinds.0).curve_serverkey(server.public()).curve_secretkey(client.secret());
        Numbered::meet(sender, receiver.routing_id("receiver"), "tcp://127.0.0.1:*")
    }

    fn meet(sender: Builder<Socket>, receiver: Builder<Socket>, endpoint: &str) -> Self {
        let (sender, receiver) = (sender.build().unwrap(), receiver.build().unwrap());
        match receiver.kind() {
            Kind::Sub => receiver.subscribe("").unwrap(),
            Kind::Xsub => receiver.send(&b"\x01"[..]).unwrap(),
            Kind::Dish => receiver.join("group").unwrap(),
            _ => {}
        }
        sender.connect(receiver.bind(endpoint).unwrap()).unwrap();
        let ballast = vec![7; 64 * 1024];
        let mut pair = Numbered { sender, receiver, receiver_id: 0, ballast };
        pair.settle();
        pair
    }

    /// Waits until what is sent arrives.
    fn settle(&mut self) {
        if self.sender.kind() == Kind::Server {
            self.receiver.send("I am here").unwrap();
            self.receiver_id = self.sender.recv_timeout(LONG).unwrap().routing_id();
        }
        if self.sender.kind() == Kind::Peer {
            self.receiver_id = self.sender.peers()[0].routing_id;
        }
        // Until the receiver is known, a publisher drops what it sends, and a ROUTER refuses it.
        while self.receiver.recv_timeout(MOMENT).is_err() {
            let _ = self.sender.try_send(self.message(SYNC));
        }
        // Behind this comes nothing of what went before.
        let mut fenced = false;
        loop {
            fenced = fenced || self.sender.try_send(self.message(FENCE)).is_ok();
            if self.receiver.recv_timeout(MOMENT).is_ok_and(|message| number(&message) == FENCE) {
                return;
            }
        }
    }

    /// A message of this number, in the shape that the sender sends.
    pub(crate) fn message(&self, number: u64) -> Message {
        let body = [&number.to_be_bytes()[..], &self.ballast].concat();
        match self.sender.kind() {
            Kind::Router => Message::from_iter([b"receiver", &b"more"[..]]).with(body),
            Kind::Radio => Message::from("group").with(body),
            Kind::Client | Kind::Scatter | Kind::Channel => Message::from(body),
            Kind::Server | Kind::Peer => {
                let mut message = Message::from(body);
                message.set_routing_id(self.receiver_id);
                message
            }
            _ => Message::from("more").with(body),
        }
    }

    /// Receives whatever comes; its number.
    pub(crate) fn take(&self) -> u64 {
        let message = self.receiver.recv_timeout(LONG).unwrap();
        assert_eq!(message.last().map(|body| body.len()), Some(8 + self.ballast.len()));
        number(&message)
    }
}

/// Which number a message has.
pub(crate) fn number(message: &Message) -> u64 {
    let body = message.last().unwrap();
    u64::from_be_bytes(body[..8].try_into().unwrap())
}
