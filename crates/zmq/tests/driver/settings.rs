//! Options and contexts as a program sees them.

use chaski_zmq::{BindError, Context, Kind, OptionError, Options, Pull, Socket};

#[test]
fn every_option_of_the_table_has_a_text() {
    for row in Options::table() {
        let error = chaski_zmq::SocketOption::parse(row.name, "\u{1}").err();
        // Some take any text; none is unknown.
        assert!(!matches!(error, Some(OptionError::Unknown { .. })), "{}", row.name);
        assert!(!row.doc.is_empty() && !row.syntax.is_empty());
    }
}

#[test]
fn what_does_not_exist_or_does_not_suit_is_an_error() {
    let push = Socket::new(Kind::Push);
    assert!(matches!(push.set_by_name("affinity", "1"), Err(OptionError::Unknown { .. })));
    assert!(matches!(push.set_by_name("sndhwm", "-7"), Err(OptionError::Value { .. })));
    assert!(matches!(push.set_by_name("conflate", "1"), Err(OptionError::TooLate { .. })));
    let refused = push.set_by_name("router_mandatory", "1");
    assert!(matches!(refused, Err(OptionError::NotForKind { kind: Kind::Push, .. })));
    assert!(Socket::builder(Kind::Pull).plain_server(true).curve_server(true).build().is_err());
}

#[test]
fn names_of_one_context_mean_nothing_in_another() {
    let (one, other) = (Context::new(), Context::new());
    let make = |context| Pull::builder().context(context).build().unwrap();
    let (first, second, third) = (make(&one), make(&other), make(&one));
    first.bind("inproc://name").unwrap();
    second.bind("inproc://name").unwrap();
    let taken = third.bind("inproc://name");
    assert!(matches!(taken, Err(BindError::InUse { .. })), "{taken:?}");
}

#[test]
fn times_without_end_are_no_trouble() {
    let ever = std::time::Duration::MAX;
    let make = |kind| {
        Socket::builder(kind)
            .handshake_ivl(ever)
            .reconnect_ivl(ever)
            .reconnect_ivl_max(ever)
            .connect_timeout(ever)
            .heartbeat_ivl(ever)
            .heartbeat_timeout(ever)
            .linger(ever)
            .sndtimeo(ever)
            .rcvtimeo(ever)
            .build()
            .unwrap()
    };
    let (pull, push) = (make(Kind::Pull), make(Kind::Push));
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    push.connect(&at).unwrap();
    push.connect("tcp://127.0.0.1:1").unwrap();
    push.disconnect("tcp://127.0.0.1:1").unwrap();
    push.send("some time").unwrap();
    assert_eq!(pull.recv().unwrap()[0], "some time");
    push.close(ever);
}
