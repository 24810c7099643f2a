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
    assert!(matches!(push.set_by_name("warp", "9"), Err(OptionError::Unknown { .. })));
    assert!(matches!(push.set_by_name("affinity", "1"), Err(OptionError::Foreign { .. })));
    assert!(matches!(push.set_by_name("sndhwm", "-7"), Err(OptionError::Value { .. })));
    assert!(matches!(push.set_by_name("conflate", "1"), Err(OptionError::TooLate { .. })));
    let refused = push.set_by_name("router_mandatory", "1");
    assert!(matches!(refused, Err(OptionError::NotForKind { kind: Kind::Push, .. })));
    assert!(Socket::builder(Kind::Pull).plain_server(true).curve_server(true).build().is_err());
}

#[test]
fn values_out_of_range_are_refused_with_the_range() {
    let dealer = Socket::new(Kind::Dealer);
    let cases = [
        ("tos", "256", "255", "0 to 255"),
        ("priority", "2147483648", "6", "0 to 2147483647"),
        ("sndbuf", "0", "4096", "none for the system's own"),
        ("rcvbuf", "2147483648", "-1", "1 to 2147483647"),
        ("tcp_keepalive_idle", "0", "32767", "1 to 32767 seconds"),
        ("tcp_keepalive_intvl", "32768", "1", "1 to 32767 seconds"),
        ("tcp_keepalive_cnt", "128", "127", "1 to 127"),
        ("tcp_maxrt", "2147483648", "2147483647", "2147483647 milliseconds"),
        ("socks_proxy", "localhost", "localhost:1080", "host:port"),
        ("socks_proxy", "*:1080", "[::1]:1080", "host:port"),
        ("socks_proxy", "localhost:0", "", "host:port"),
        ("bindtodevice", "a name with a space", "eth0", "15 bytes"),
        ("heartbeat_ttl", "2h", "6553500", "time is expected"),
        ("heartbeat_ttl", "6553501", "1s", "6553.5 seconds"),
        ("routing_id", "\0x", "x", "the ROUTER's own"),
        ("page_size", "255", "256", "at least 256"),
        ("reconnect_stop", "refused", "conn_refused", "conn_refused, handshake_failed"),
    ];
    for (name, bad, good, allowed) in cases {
        let error = dealer.set_by_name(name, bad).unwrap_err();
        assert!(
            matches!(&error, OptionError::Value { name: told, .. } if *told == name),
            "{error}"
        );
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(allowed), "{text}");
        dealer.set_by_name(name, good).unwrap();
    }
    let error = dealer.set_by_name("tos", "256").unwrap_err().to_string();
    assert_eq!(error, "the option tos cannot be 256: it is 0 to 255: an octet of the IP header");
}

#[test]
fn an_error_does_not_show_a_secret() {
    let dealer = Socket::new(Kind::Dealer);
    let long = "hush".repeat(100);
    for (name, value) in [("curve_secretkey", "hush"), ("plain_password", &*long)] {
        let error = dealer.set_by_name(name, value).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"), "{error}");
    }
    let key = chaski_zmq::keys::KeyPair::generate().unwrap();
    let builder = Socket::builder(Kind::Dealer).curve_secretkey(key.secret());
    let shown = format!("{:?}", builder.options());
    assert!(shown.contains("curve_secretkey: .."), "{shown}");
    assert!(!shown.contains(key.secret().to_z85().as_str()));
}

#[test]
fn a_wrong_name_is_answered_with_the_right_one() {
    let told = |name| Socket::new(Kind::Dealer).set_by_name(name, "1").unwrap_err().to_string();
    assert_eq!(told("sndhwn"), "there is no option \"sndhwn\"; did you mean sndhwm?");
    assert!(told("identity").ends_with("its name is routing_id"));
    assert!(told("ZMQ_USE_FD").contains("not taken over"));
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
