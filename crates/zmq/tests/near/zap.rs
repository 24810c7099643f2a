//! Who may enter: the ready-made authenticators, and a handler of the user's own.

use std::thread;
use std::time::Duration;

use chaski_zmq::auth::{Addresses, Answer, Anybody, CurveKeys, Domains, Passwords, Reply, Request};
use chaski_zmq::{Context, HandshakeFailure, Message, Monitor, Pull, Push, What};
use chaski_zmtp::keys::KeyPair;

use crate::{LONG, socket};

/// How a server's next handshake ends.
fn verdict(monitor: &Monitor) -> Result<(), HandshakeFailure> {
    loop {
        match monitor.recv_timeout(LONG).expect("a handshake").what {
            What::HandshakeSucceeded => return Ok(()),
            What::HandshakeFailed(failure) => return Err(failure),
            _ => {}
        }
    }
}

fn plain_server(context: &Context, domain: &str) -> (Pull, String) {
    let pull = socket!(Pull, context, plain_server = true, zap_domain = domain);
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    (pull, endpoint.to_string())
}

/// A client that tries once.
fn plain_client(endpoint: &str, username: &str, password: &str) -> Push {
    let context = Context::new();
    let push = socket!(
        Push,
        context,
        plain_username = username,
        plain_password = password,
        reconnect_ivl = None
    );
    push.connect(endpoint).unwrap();
    push
}

#[test]
fn a_password_opens_and_a_wrong_one_does_not() {
    let context = Context::new();
    context.authenticator(Passwords::new().with("ada", "secret").with("bob", ""));
    let (pull, endpoint) = plain_server(&context, "");
    let monitor = pull.monitor();
    for (username, password, enters) in [
        ("ada", "secret", true),
        ("bob", "", true),
        ("ada", "", false),
        ("ada", "secre", false),
        ("ada", "secret!", false),
        ("eve", "", false),
        ("eve", "secret", false),
    ] {
        let push = plain_client(&endpoint, username, password);
        let verdict = verdict(&monitor);
        if enters {
            assert_eq!(verdict, Ok(()), "{username} {password}");
            push.send(username).unwrap();
            assert_eq!(pull.recv().unwrap(), Message::from(username));
        } else {
            assert_eq!(verdict, Err(HandshakeFailure::Auth(400)), "{username} {password}");
        }
    }
}

#[test]
fn nobody_enters_where_nobody_knows_the_passwords() {
    let context = Context::new();
    let (pull, endpoint) = plain_server(&context, "");
    let monitor = pull.monitor();
    let _push = plain_client(&endpoint, "ada", "secret");
    assert_eq!(verdict(&monitor), Err(HandshakeFailure::Auth(500)));
}

#[test]
fn a_key_opens_and_another_does_not() {
    let context = Context::new();
    let (server, known, stranger) =
        (KeyPair::generate().unwrap(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    context.authenticator(CurveKeys::new().with(known.public(), "ada"));
    let pull = socket!(
        Pull,
        context,
        curve_server = true,
        curve_secretkey = server.secret(),
        zap_domain = "keys"
    );
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let monitor = pull.monitor();
    for (pair, enters) in [(&known, true), (&stranger, false)] {
        let push = socket!(
            Push,
            Context::new(),
            curve_serverkey = server.public(),
            curve_secretkey = pair.secret(),
            reconnect_ivl = None
        );
        push.connect(&endpoint).unwrap();
        assert_eq!(verdict(&monitor).is_ok(), enters);
        if enters {
            push.send("sealed").unwrap();
            assert_eq!(pull.recv().unwrap(), Message::from("sealed"));
        }
    }
    context.authenticator(CurveKeys::any());
    let push = socket!(
        Push,
        Context::new(),
        curve_serverkey = server.public(),
        curve_secretkey = stranger.secret()
    );
    push.connect(&endpoint).unwrap();
    assert_eq!(verdict(&monitor), Ok(()));
}

#[test]
fn addresses_and_domains_decide_before_passwords() {
    let context = Context::new();
    let passwords = || Passwords::new().with("ada", "secret");
    context.authenticator(
        Domains::new()
            .with("here", Addresses::allow(["127.0.0.1"], passwords()))
            .with("elsewhere", Addresses::allow(["192.0.2.1"], passwords()))
            .with("not here", Addresses::deny(["127.0.0.1"], Anybody))
            .with("anywhere", Addresses::deny(["192.0.2.1"], Anybody)),
    );
    for (domain, password, enters) in [
        ("here", "secret", true),
        ("here", "wrong", false),
        ("elsewhere", "secret", false),
        ("not here", "secret", false),
        ("anywhere", "wrong", true),
        ("unheard of", "secret", false),
    ] {
        let (pull, endpoint) = plain_server(&context, domain);
        let monitor = pull.monitor();
        let _push = plain_client(&endpoint, "ada", password);
        assert_eq!(verdict(&monitor).is_ok(), enters, "{domain}");
    }
}

#[test]
fn a_closure_decides_and_one_that_forgets_to_refuses() {
    let context = Context::new();
    let (pull, endpoint) = plain_server(&context, "d");
    let monitor = pull.monitor();
    context.authenticator(|request: &Request, answer: Answer| {
        if request.origin.domain == "d" && request.credentials[0] == *"ada" {
            // From another thread, and later.
            thread::spawn(move || answer.grant("ada"));
        }
    });
    let _ada = plain_client(&endpoint, "ada", "");
    assert_eq!(verdict(&monitor), Ok(()));
    let _bob = plain_client(&endpoint, "bob", "");
    assert_eq!(verdict(&monitor), Err(HandshakeFailure::Auth(500)));
}

fn decide(request: &Message) -> Option<Message> {
    let request = Request::decode(request).ok()?;
    let reply = if request.credentials.first()? == "ada" {
        Reply::grant(&request, "ada")
    } else {
        Reply::refuse(&request, chaski_zmq::auth::Status::Denied, "who are you")
    };
    Some(reply.encode())
}

#[test]
fn a_rep_socket_is_asked() {
    let context = Context::new();
    let (pull, endpoint) = plain_server(&context, "global");
    let monitor = pull.monitor();
    for _ in 0..3 {
        // A handler may go, and another may come.
        let handler = socket!(Rep, context);
        handler.bind("inproc://zeromq.zap.01").unwrap();
        let handling = thread::spawn(move || {
            for _ in 0..2 {
                let request = handler.recv().unwrap();
                handler.send(decide(&request).unwrap()).unwrap();
            }
            handler
        });
        let ada = plain_client(&endpoint, "ada", "");
        assert_eq!(verdict(&monitor), Ok(()));
        ada.send("hello").unwrap();
        assert_eq!(pull.recv().unwrap(), Message::from("hello"));
        let _eve = plain_client(&endpoint, "eve", "");
        assert_eq!(verdict(&monitor), Err(HandshakeFailure::Auth(400)));
        drop(handling.join().unwrap());
    }
}

#[test]
fn a_router_socket_is_asked_and_answers_in_its_own_order() {
    let context = Context::new();
    let (pull, endpoint) = plain_server(&context, "global");
    let monitor = pull.monitor();
    let handler = socket!(Router, context);
    handler.bind("inproc://zeromq.zap.01").unwrap();
    let clients: Vec<Push> = (0..4).map(|_| plain_client(&endpoint, "ada", "")).collect();
    let mut requests: Vec<Message> = (0..4).map(|_| handler.recv().unwrap()).collect();
    // Nobody who waits for the handler keeps others from being served.
    let (req, rep) = (socket!(Req, context), socket!(Rep, context));
    req.connect(rep.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    req.send("meanwhile").unwrap();
    assert_eq!(rep.recv().unwrap(), Message::from("meanwhile"));
    requests.reverse();
    for mut request in requests {
        let body = request.split_off(2);
        let mut reply = request;
        // A word that is no reply does no harm.
        handler.send(reply.clone().with("nonsense")).unwrap();
        reply.extend(decide(&body).unwrap());
        handler.send(reply).unwrap();
    }
    for client in &clients {
        assert_eq!(verdict(&monitor), Ok(()));
        client.send("in").unwrap();
        assert_eq!(pull.recv().unwrap(), Message::from("in"));
    }
}

#[test]
fn a_handler_that_goes_refuses_those_who_wait() {
    let context = Context::new();
    let (pull, endpoint) = plain_server(&context, "global");
    let monitor = pull.monitor();
    let handler = socket!(Rep, context);
    handler.bind("inproc://zeromq.zap.01").unwrap();
    let _ada = plain_client(&endpoint, "ada", "");
    handler.recv().unwrap();
    handler.close(Duration::ZERO);
    assert_eq!(verdict(&monitor), Err(HandshakeFailure::Auth(500)));
}
