//! Who may ask, and what is refused whoever asks.

use chaski_kafka::describe_configs::{self, BROKER};
use serde_json::{Value, json};

use crate::browser::Broker;

const TOKEN: &str = "the-token-for-everything";
const READ: &str = "the-token-for-reading";

fn guarded() -> Broker {
    Broker::start(&[("http.token", TOKEN), ("http.read.token", READ)])
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Headers of a change, with the token.
fn change(bearer: &str) -> Vec<(&str, &str)> {
    vec![("Authorization", bearer), ("Content-Type", "application/json"), ("X-Chaski", "1")]
}

#[test]
fn a_broker_of_this_machine_asks_nobody() {
    let broker = Broker::start(&[]);
    let told = broker.get("/api/session");
    assert_eq!(told["login"], false);
    assert_eq!(
        (&told["role"], &told["version"]),
        (&"admin".into(), &env!("CARGO_PKG_VERSION").into())
    );
    broker.change("POST", "/api/topics", json!({ "name": "t" })).expect(200);
    let told = broker.change("POST", "/api/session", json!({ "token": "any" })).expect(200);
    assert_eq!(told["role"], "admin");
}

#[test]
fn beyond_this_machine_nothing_is_served_without_a_token() {
    let broker = Broker::start(&[("http.listen", "0.0.0.0:0")]);
    for path in ["/api", "/api/overview", "/api/session", "/api/topics/t/tail", "/api/nothing"] {
        let (_, hint) = broker.send("GET", path, &[], "").refused(403, "no_token");
        assert!(hint.expect("a hint").contains("http.token"), "{path}");
    }
    broker.change("POST", "/api/topics", json!({ "name": "t" })).refused(403, "no_token");
    assert!(broker.client().topic("t").is_none());
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(broker.send("GET", path, &[], "").status, 200, "{path}");
    }
    let broker = Broker::start(&[("http.listen", "0.0.0.0:0"), ("http.token", TOKEN)]);
    let token = bearer(TOKEN);
    let headers = [("Authorization", token.as_str()), ("Host", "broker.example:8080")];
    broker.send("GET", "/api/overview", &headers, "").expect(200);
}

#[test]
fn a_token_opens_what_it_is_for() {
    let broker = guarded();
    let told = broker.get("/api/session");
    assert_eq!((&told["login"], &told["role"]), (&true.into(), &Value::Null));
    let ask = |headers: &[(&str, &str)]| broker.send("GET", "/api/overview", headers, "");
    ask(&[]).refused(401, "unauthorized");
    for wrong in ["Bearer wrong", "Bearer ", "Basic the-token-for-everything", TOKEN] {
        ask(&[("Authorization", wrong)]).refused(401, "unauthorized");
    }
    broker.send("GET", "/api/events", &[], "").refused(401, "unauthorized");
    broker.send("GET", "/api/nothing", &[], "").refused(401, "unauthorized");
    let (admin, read) = (bearer(TOKEN), bearer(READ));
    for token in [&admin, &read] {
        ask(&[("Authorization", token)]).expect(200);
    }
    let make = |token| broker.send("POST", "/api/topics", &change(token), r#"{"name":"t"}"#);
    make(&read).refused(403, "forbidden");
    assert!(broker.client().topic("t").is_none());
    make(&admin).expect(200);
    for (method, path) in [
        ("DELETE", "/api/topics/t"),
        ("PATCH", "/api/topics/t"),
        ("POST", "/api/topics/t/messages"),
        ("POST", "/api/groups/g/reset"),
        ("DELETE", "/api/groups/g"),
        ("POST", "/api/gateways"),
        ("DELETE", "/api/gateways/g"),
    ] {
        broker.send(method, path, &change(&read), "{}").refused(403, "forbidden");
        broker.send(method, path, &change("Bearer x"), "{}").refused(401, "unauthorized");
    }
}

#[test]
fn a_browser_logs_in_and_out() {
    let broker = guarded();
    let wrong = broker.change("POST", "/api/session", json!({ "token": "wrong" }));
    wrong.refused(401, "unauthorized");
    assert_eq!(wrong.header("set-cookie"), None);
    broker.change("POST", "/api/session", json!({})).refused(400, "invalid");
    let answer = broker.change("POST", "/api/session", json!({ "token": READ }));
    assert_eq!(answer.expect(200)["role"], "read");
    let set = answer.header("set-cookie").expect("a cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains(READ), "the token stays out of it");
    let cookie = set.split(';').next().expect("a pair").to_owned();
    let both = format!("other=1; {cookie}");
    let told = broker.send("GET", "/api/session", &[("Cookie", &both)], "").expect(200);
    assert_eq!(told["role"], "read");
    broker.send("GET", "/api/overview", &[("Cookie", &cookie)], "").expect(200);
    let headers =
        [("Cookie", cookie.as_str()), ("Content-Type", "application/json"), ("X-Chaski", "1")];
    broker.send("POST", "/api/topics", &headers, r#"{"name":"t"}"#).refused(403, "forbidden");
    let left = broker.send("DELETE", "/api/session", &headers, "{}");
    left.expect(200);
    assert!(left.header("set-cookie").expect("a cookie").contains("Max-Age=0"));
    broker.send("GET", "/api/overview", &[("Cookie", &cookie)], "").refused(401, "unauthorized");
}

#[test]
fn who_guesses_has_to_wait_and_who_has_logged_in_does_not() {
    let broker = guarded();
    let log_in = |token: &str| broker.change("POST", "/api/session", json!({ "token": token }));
    let answer = log_in(READ);
    let set = answer.header("set-cookie").expect("a cookie").to_owned();
    let cookie = set.split(';').next().expect("a pair").to_owned();
    // A second gives one back: on a slow machine it takes a few more.
    let mut guesses = (0..10_000).map(|_| log_in("wrong"));
    let refused = guesses.find(|answer| answer.status != 401).expect("there is an end of it");
    let (_, hint) = refused.refused(429, "slow_down");
    assert!(hint.expect("a hint").starts_with("try again in 1 s"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    let headers = [("Cookie", cookie.as_str())];
    broker.send("GET", "/api/overview", &headers, "").expect(200);
    // The right one is taken again, once a wrong one is forgotten.
    let right = (0..10_000).map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        log_in(TOKEN)
    });
    let taken = right.take_while(|answer| answer.status == 429).count();
    assert!(taken < 10_000, "it is taken in the end");
    log_in(TOKEN).expect(200);
}

#[test]
fn what_another_site_could_send_changes_nothing() {
    let broker = Broker::start(&[]);
    let make =
        |headers: &[(&str, &str)]| broker.send("POST", "/api/topics", headers, r#"{"name":"t"}"#);
    let (json, ours) = (("Content-Type", "application/json"), ("X-Chaski", "1"));
    make(&[ours]).refused(415, "not_json");
    make(&[ours, ("Content-Type", "text/plain")]).refused(415, "not_json");
    make(&[ours, ("Content-Type", "application/x-www-form-urlencoded")]).refused(415, "not_json");
    make(&[json]).refused(403, "forged");
    make(&[json, ("X-Chaski", "2")]).refused(403, "forged");
    make(&[json, ours, ("Origin", "http://evil.example")]).refused(403, "forged");
    make(&[json, ours, ("Origin", "null")]).refused(403, "forged");
    make(&[json, ours, ("Host", "evil.example")]).refused(403, "wrong_host");
    assert!(broker.client().topic("t").is_none());
    let origin = format!("http://{}", broker.address());
    let json = ("Content-Type", "application/json; charset=utf-8");
    make(&[json, ours, ("Origin", &origin)]).expect(200);
    broker.send("DELETE", "/api/topics/t", &[], "").refused(415, "not_json");
    assert!(broker.client().topic("t").is_some());
}

#[test]
fn a_name_that_was_pointed_here_reads_nothing() {
    let broker = Broker::start(&[]);
    let ask = |host: &str| broker.send("GET", "/api/overview", &[("Host", host)], "");
    for host in ["evil.example", "evil.example:8080", "localhost.evil.example", "192.0.2.1", ""] {
        ask(host).refused(403, "wrong_host");
    }
    for host in ["localhost", "localhost:9999", "127.0.0.1", "[::1]:80"] {
        ask(host).expect(200);
    }
}

#[test]
fn answers_are_data_and_never_a_page() {
    let broker = Broker::start(&[]);
    broker.client().create_topic("t", None, &[]).expect("made");
    for path in ["/api", "/api/overview", "/api/nothing", "/api/topics/t/messages"] {
        let answer = broker.send("GET", path, &[], "");
        let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
        assert!(header("content-type").starts_with("application/json"), "{path}");
        assert!(header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("access-control-allow-origin"), "");
    }
}

#[test]
fn what_is_too_long_is_not_read() {
    let broker = Broker::start(&[]);
    let body = format!("{{\"name\":\"{}\"}}", "x".repeat(9 << 20));
    let headers = [("Content-Type", "application/json"), ("X-Chaski", "1")];
    broker.send("POST", "/api/topics", &headers, &body).refused(413, "too_large");
    let login = format!("{{\"token\":\"{}\"}}", "x".repeat(5000));
    broker.send("POST", "/api/session", &headers, &login).refused(413, "too_large");
    broker.get("/api/overview");
}

#[test]
fn kafkas_clients_are_not_told_the_token_either() {
    let broker = guarded();
    let node = broker.server().client().node_id().to_string();
    let resource = describe_configs::RequestResource {
        resource_type: BROKER,
        resource_name: &node,
        configuration_keys: Some(vec!["http.token", "node.id"]),
    };
    let request = describe_configs::Request { resources: vec![resource], ..Default::default() };
    let told = broker.ask(4, &request, |response| {
        let configs = &response.results[0].configs;
        let told = |config: &describe_configs::Config<'_>| {
            (config.name.to_owned(), config.value.map(str::to_owned), config.is_sensitive)
        };
        configs.iter().map(told).collect::<Vec<_>>()
    });
    assert_eq!(told.len(), 2);
    assert!(told.contains(&("http.token".to_owned(), None, true)), "{told:?}");
    assert!(told.contains(&("node.id".to_owned(), Some("1".to_owned()), false)), "{told:?}");
}
