//! What a new peer is told comes before what waited for it.

use std::net::TcpListener;

use chaski_zmq::{Dealer, Req, Router};

use crate::peer::Raw;

/// Sends what waits for a connection, and meets it as a socket of this kind.
fn frames(listener: &TcpListener, kind: &str, count: usize) -> Vec<(u8, Vec<u8>)> {
    let mut raw = Raw::accept(listener);
    raw.meet(kind);
    (0..count).map(|_| raw.frame()).collect()
}

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("tcp://{}", listener.local_addr().unwrap());
    (listener, at)
}

#[test]
fn a_router_is_probed_before_it_gets_what_waited() {
    let (listener, at) = listener();
    let dealer = Dealer::builder().probe_router(true).build().unwrap();
    dealer.connect(&at).unwrap();
    dealer.send("waited").unwrap();
    let (probe, waited) = ((0, vec![]), (0, b"waited".to_vec()));
    assert_eq!(frames(&listener, "ROUTER", 2), [probe.clone(), waited]);
    // Each connection begins with one.
    dealer.send_timeout("again", crate::peer::PATIENCE).unwrap();
    let mut raw = Raw::accept(&listener);
    raw.meet("ROUTER");
    assert_eq!(raw.frame(), probe);
}

#[test]
fn so_it_is_by_a_req_and_by_a_router() {
    let (to_req, at) = listener();
    let req = Req::builder().probe_router(true).build().unwrap();
    req.connect(&at).unwrap();
    req.send("question").unwrap();
    let envelope = (1, vec![]);
    let asked = frames(&to_req, "ROUTER", 3);
    assert_eq!(asked, [(0, vec![]), envelope, (0, b"question".to_vec())]);

    let (to_router, at) = listener();
    let router = Router::builder().probe_router(true).connect_routing_id("it").build().unwrap();
    router.connect(&at).unwrap();
    router.send(chaski_zmq::Message::from("it").with("waited")).unwrap();
    let said = frames(&to_router, "ROUTER", 2);
    assert_eq!(said, [(0, vec![]), (0, b"waited".to_vec())]);
}
