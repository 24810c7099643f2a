//! Mechanisms, and who may enter.

use std::sync::mpsc;
use std::thread;

use chaski_zmq::auth::{CurveKeys, Passwords, Reply, Request};
use chaski_zmq::{Answer, Context, HandshakeFailure, Kind, Monitor, Socket, What};

use crate::peer::{PATIENCE, await_event};

/// A PULL that asks for passwords, and a PUSH that gives these, each in a context of its own.
fn plain(server: &Context, password: &str) -> (Socket, Monitor, Socket, Monitor) {
    let pull = Socket::builder(Kind::Pull).context(server).plain_server(true).build().unwrap();
    let push = Socket::builder(Kind::Push)
        .plain_username("user")
        .plain_password(password)
        .build()
        .unwrap();
    let (theirs, ours) = (pull.monitor(), push.monitor());
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    push.connect(&at).unwrap();
    (pull, theirs, push, ours)
}

fn denied(what: &What) -> bool {
    matches!(what, What::HandshakeFailed(HandshakeFailure::Auth(400 | 500)))
}

#[test]
fn who_knows_the_password_enters() {
    let context = Context::new();
    context.authenticator(Passwords::new().with("user", "secret"));
    let (pull, _, push, _) = plain(&context, "secret");
    push.send("in").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "in");
    let (_pull, theirs, _push, ours) = plain(&context, "guess");
    await_event(&theirs, denied);
    await_event(&ours, denied);
    await_event(&ours, |what| matches!(what, What::ConnectStopped(_)));
}

#[test]
fn without_anybody_to_ask_passwords_are_refused() {
    let (_pull, theirs, _push, _) = plain(&Context::new(), "secret");
    await_event(&theirs, denied);
}

#[test]
fn an_authenticator_may_take_its_time_and_others_are_served() {
    let context = Context::new();
    let (sender, asked) = mpsc::channel::<Answer>();
    let sender = std::sync::Mutex::new(sender);
    context.authenticator(move |_: &Request, answer: Answer| {
        sender.lock().unwrap().send(answer).unwrap();
    });
    let (pull, _, push, _) = plain(&context, "any");
    push.send("late").unwrap();
    let answer = asked.recv_timeout(PATIENCE).unwrap();
    // Meanwhile the same context serves another socket.
    let open = Socket::builder(Kind::Pull).context(&context).build().unwrap();
    let at = open.bind("tcp://127.0.0.1:*").unwrap();
    let other = Socket::new(Kind::Push);
    other.connect(&at).unwrap();
    other.send("meanwhile").unwrap();
    assert_eq!(open.recv_timeout(PATIENCE).unwrap()[0], "meanwhile");
    thread::spawn(move || answer.grant("someone"));
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "late");
}

#[test]
fn curve_on_both_sides() {
    let server = chaski_zmtp::keys::KeyPair::generate().unwrap();
    let client = chaski_zmtp::keys::KeyPair::generate().unwrap();
    let pull = Socket::builder(Kind::Pull)
        .curve_server(true)
        .curve_secretkey(server.secret())
        .build()
        .unwrap();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = Socket::builder(Kind::Push)
        .curve_serverkey(server.public())
        .curve_secretkey(client.secret())
        .build()
        .unwrap();
    push.connect(&at).unwrap();
    push.send("sealed").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "sealed");
    // Who has another server's key does not get in.
    let lost = Socket::builder(Kind::Push)
        .curve_serverkey(client.public())
        .curve_secretkey(client.secret())
        .build()
        .unwrap();
    let monitor = lost.monitor();
    lost.connect(&at).unwrap();
    await_event(&monitor, |what| matches!(what, What::HandshakeFailed(_)));
}

/// A PUSH that tells of itself where it stands, connected.
fn from_rack(at: &str, builder: chaski_zmq::Builder<Socket>) -> Socket {
    let rack = vec![("X-Rack".to_owned(), b"b7".to_vec())];
    let push = builder.metadata(rack).build().unwrap();
    push.connect(at).unwrap();
    push.send("hello").unwrap();
    push
}

#[test]
fn who_the_peer_is_and_what_it_says_of_itself_is_told() {
    let server = chaski_zmtp::keys::KeyPair::generate().unwrap();
    let client = chaski_zmtp::keys::KeyPair::generate().unwrap();
    let context = Context::new();
    context.authenticator(CurveKeys::new().with(client.public(), "alice"));
    let pull = Socket::builder(Kind::Pull)
        .context(&context)
        .curve_server(true)
        .curve_secretkey(server.secret())
        .build()
        .unwrap();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = Socket::builder(Kind::Push)
        .curve_serverkey(server.public())
        .curve_secretkey(client.secret());
    let push = from_rack(at.as_str(), push);
    pull.recv_timeout(PATIENCE).unwrap();
    let [alice] = &pull.peers()[..] else { panic!("one peer") };
    assert_eq!(alice.user_id.as_deref(), Some("alice"));
    assert_eq!(alice.metadata, [("X-Rack".to_owned(), b"b7".to_vec())]);
    // Nobody was asked about the server, and it says nothing but what the protocol needs.
    let [theirs] = &push.peers()[..] else { panic!("one peer") };
    assert_eq!((theirs.user_id.as_deref(), &theirs.metadata[..]), (None, &[][..]));
}

#[test]
fn what_the_authenticator_says_of_a_peer_stands_behind_what_it_says_itself() {
    let context = Context::new();
    context.authenticator(|request: &Request, answer: Answer| {
        let mut reply = Reply::grant(request, "");
        reply.metadata.push("Team", "blue").unwrap();
        answer.reply(reply);
    });
    let builder = Socket::builder(Kind::Pull).context(&context).zap_domain("domain");
    let pull = builder.build().unwrap();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let _push = from_rack(at.as_str(), Socket::builder(Kind::Push));
    pull.recv_timeout(PATIENCE).unwrap();
    let [peer] = &pull.peers()[..] else { panic!("one peer") };
    assert_eq!(peer.user_id, None);
    let told = [("X-Rack", "b7"), ("Team", "blue")];
    assert_eq!(peer.metadata, told.map(|(name, value)| (name.to_owned(), value.into())));
}

#[test]
fn a_handler_of_rfc_27_is_asked() {
    let context = Context::new();
    let handler = Socket::builder(Kind::Rep).context(&context).build().unwrap();
    handler.bind("inproc://zeromq.zap.01").unwrap();
    let serving = thread::spawn(move || {
        let request = Request::decode(&handler.recv_timeout(PATIENCE).unwrap()).unwrap();
        handler.send(Reply::grant(&request, "user").encode()).unwrap();
        handler
    });
    let (pull, _, push, _) = plain(&context, "any");
    push.send("in").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "in");
    serving.join().unwrap();
}
