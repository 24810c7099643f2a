//! CURVE and PLAIN: who is let in, and who is not.

use chaski_broker::gateway::GatewayKind;
use chaski_zmq::keys::KeyPair;
use chaski_zmq::{Kind, Socket};

use super::*;

fn secured(kind: GatewayKind, security: serde_json::Value) -> GatewaySpec {
    let mut spec = serde_json::to_value(bound(kind, "t")).expect("json");
    spec["security"] = security;
    serde_json::from_value(spec).expect("a specification")
}

#[test]
fn plain_lets_in_who_has_the_password() {
    let (_server, client) = in_memory();
    let security = serde_json::json!({ "mechanism": "plain", "users": { "ada": "secret" } });
    let endpoint = add(&client, secured(GatewayKind::Router, security));
    // Who is refused before it sends has nobody to send to.
    let soon = Duration::from_millis(300);
    let dealer = |password: &str, patience| {
        let builder = Socket::builder(Kind::Req).plain_username("ada").sndtimeo(patience);
        let socket = builder.plain_password(password.to_owned()).build().expect("a socket");
        socket.connect(&endpoint).expect("connecting");
        let queued = socket.send("v").is_ok();
        (socket, queued)
    };
    let (wrong, _) = dealer("guess", soon);
    let (right, queued) = dealer("secret", PATIENCE);
    assert!(queued, "it is let in");
    let answer = right.recv_timeout(PATIENCE).expect("answered");
    assert_eq!(frames(&answer), ["ok", "0", "0"]);
    assert!(wrong.try_recv().is_err());
    let status = status(&client);
    let peer = status.peers.iter().find(|peer| peer.user.is_some()).expect("shown");
    assert_eq!((peer.user.as_deref(), peer.mechanism), (Some("ada"), "PLAIN"));
    let nobody = Socket::builder(Kind::Req).sndtimeo(soon).build().expect("a socket");
    nobody.connect(&endpoint).expect("connecting");
    let _queued_or_refused = nobody.send("v");
    assert!(nobody.recv_timeout(soon).is_err(), "NULL does not get in");
    assert_eq!(records(&client, "t", 1).len(), 1);
}

#[test]
fn curve_lets_in_known_keys_and_a_gateway_is_let_in_by_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let key_of = |name: &str| {
        let pair = KeyPair::generate().expect("random");
        let path = dir.path().join(name);
        std::fs::write(&path, &*pair.secret().to_z85()).expect("written");
        (pair.public().to_string(), path.display().to_string())
    };
    let (public, secret_file) = key_of("server");
    let (known, known_file) = key_of("known");
    let (_stranger, stranger_file) = key_of("stranger");
    let (_server, client) = in_memory();
    let security = serde_json::json!({
        "mechanism": "curve", "secret_key_file": secret_file, "allow": [known],
    });
    let endpoint = add(&client, secured(GatewayKind::Pull, security));
    // Two brokers, whose gateways are the clients: each pushes what its topic holds.
    let sender = |file: &str, value: &str| {
        let (server, client) = in_memory();
        let spec = serde_json::json!({
            "name": "out", "kind": "push", "topic": "o", "group": "g", "connect": endpoint,
            "from": "earliest",
            "security": { "mechanism": "curve", "secret_key_file": file, "server_key": public },
        });
        client.create_topic("o", Some(1), &[]).expect("made");
        produce(&client, "o", "k", [value.to_owned()]);
        client.gateways().add(serde_json::from_value(spec).expect("valid")).expect("added");
        server
    };
    let _stranger = sender(&stranger_file, "from a stranger");
    let _known = sender(&known_file, "from a friend");
    let found = records(&client, "t", 1);
    assert_eq!((found.len(), &*found[0].2), (1, "from a friend"));
}
