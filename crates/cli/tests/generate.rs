//! `chaski generate`, and completing in a shell.

mod common;

use std::collections::BTreeSet;

use common::{Broker, Outcome, Process, chaski, command, finish};
use serde_json::Value;

/// What a broker serves: the families, and the names of all samples that there are or may be: the
/// family of a gauge may be empty at the time.
fn scraped(broker: &Broker) -> (BTreeSet<String>, BTreeSet<String>) {
    let text = broker.http_get("/metrics");
    let of_kind = |line: &str, kind: &str| {
        let (name, its_kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        its_kind.contains(kind).then(|| name.to_owned())
    };
    let families = text.lines().filter_map(|line| of_kind(line, "")).collect();
    let gauges = text.lines().filter_map(|line| of_kind(line, "gauge"));
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let name = |line: &str| line.split(['{', ' ']).next().unwrap_or_default().to_owned();
    (families, samples.map(name).chain(gauges).collect())
}

/// Every name of a metric in a text.
fn names(text: &str) -> BTreeSet<String> {
    let part_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c| !part_of_name(c));
    words.filter(|word| word.starts_with("chaski_")).map(str::to_owned).collect()
}

/// A broker with something of everything that it counts.
fn busy_broker() -> Broker {
    let broker = Broker::start();
    broker.send("orders", "a\nb\n");
    broker.run(&["recv", &broker.url("orders"), "--exit-at-end"]).ok();
    let add = ["gateway", "add", "intake", "--kind", "pull", "--bind", "tcp://127.0.0.1:*"];
    broker.run(&[&add[..], &["--topic", "orders"]].concat()).ok();
    broker
}

#[test]
fn the_dashboard_shows_what_a_broker_counts_and_nothing_else() {
    let broker = busy_broker();
    let (families, samples) = scraped(&broker);
    let text = chaski(&["generate", "grafana"]).ok().stdout;
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter();
    let targets = targets.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    let shown: BTreeSet<String> = queries.iter().flat_map(|query| names(query)).collect();
    assert!(shown.is_subset(&samples), "not counted: {:?}", shown.difference(&samples));

    let left_out = names(dashboard["description"].as_str().unwrap());
    assert!(left_out.is_subset(&families), "left out, but not counted: {left_out:?}");
    let of = |family: &String| {
        left_out.contains(family)
            || ["", "_bucket"].iter().any(|end| shown.contains(&format!("{family}{end}")))
    };
    let forgotten: Vec<&String> = families.iter().filter(|family| !of(family)).collect();
    assert!(forgotten.is_empty(), "counted, but neither shown nor left out: {forgotten:?}");
}

#[test]
fn a_dashboard_has_the_title_it_is_given() {
    let text = chaski(&["generate", "grafana", "--title", "mine"]).ok().stdout;
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["title"], "mine");
}

#[test]
fn alerts_are_about_what_a_broker_counts() {
    let (_, samples) = scraped(&busy_broker());
    let rules = chaski(&["generate", "prometheus", "--rules"]).ok().stdout;
    let watched = names(&rules);
    assert!(watched.len() >= 4 && watched.is_subset(&samples), "{watched:?}");
    let scraping = chaski(&["generate", "prometheus", "--target", "b:1"]).ok().stdout;
    assert!(scraping.contains("targets: [\"b:1\"]"), "{scraping}");
}

#[test]
fn a_unit_runs_what_it_is_told_to() {
    let args = ["--binary", "/opt/chaski", "--config", "/etc/chaski.toml", "--open-files", "5000"];
    let unit = chaski(&[&["generate", "systemd"], &args[..]].concat()).ok().stdout;
    let line = "ExecStart=/opt/chaski serve --data /var/lib/chaski --config /etc/chaski.toml\n";
    assert!(unit.contains(line) && unit.contains("LimitNOFILE=5000\n"), "{unit}");
    chaski(&["generate", "systemd", "--state", "../x"]).fails(2, &["not a name"]);
}

/// What a shell is offered for the last of the words.
fn completed(broker: Option<&Broker>, words: &[&str]) -> Vec<String> {
    let mut asking = command(&[&["--", "chaski"], words].concat());
    asking.env("COMPLETE", "fish");
    match broker {
        Some(broker) => asking.env("CHASKI_BROKER", &broker.address),
        None => asking.env("CHASKI_BROKER", "127.0.0.1:1"),
    };
    let http = broker.map_or("127.0.0.1:1", |broker| &broker.http);
    asking.env("CHASKI_HTTP", http);
    let mut process = Process::start(&mut asking);
    drop(process.stdin.take());
    let Outcome { stdout, .. } = finish(process).ok();
    stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

/// The same once there is something: whoever is asked for names has half a second to tell them.
fn until_completed(broker: Option<&Broker>, words: &[&str]) -> Vec<String> {
    let mut offers = (0..100).map(|_| completed(broker, words));
    offers.find(|offered| !offered.is_empty()).unwrap_or_default()
}

#[test]
fn names_that_are_there_now_are_completed() {
    let broker = Broker::start();
    for topic in ["orders", "orders-2", "audit"] {
        broker.run(&["topic", "create", topic]).ok();
    }
    let complete = |words: &[&str]| until_completed(Some(&broker), words);
    assert_eq!(complete(&["topic", "describe", "ord"]), ["orders", "orders-2"]);
    assert_eq!(complete(&["topic", "delete", "orders", "a"]), ["audit"]);
    let url = broker.url("");
    assert_eq!(complete(&["recv", &format!("{url}au")]), [format!("{url}audit")]);
    assert_eq!(complete(&["send", "kaf"]), [url]);
    let add = ["gateway", "add", "intake", "--kind", "pull", "--bind", "tcp://127.0.0.1:*"];
    broker.run(&[&add[..], &["--topic", "orders"]].concat()).ok();
    assert_eq!(complete(&["gateway", "remove", "in"]), ["intake"]);
    assert_eq!(completed(None, &["topic", "--broker", &broker.address]).len(), 0);
    let named = ["topic", "describe", "--broker", &broker.address, "au"];
    assert_eq!(until_completed(None, &named), ["audit"]);
}

#[test]
fn without_a_broker_words_are_completed_all_the_same() {
    assert!(completed(None, &["topic", "describe", "o"]).is_empty());
    assert_eq!(completed(None, &["gener"]), ["generate"]);
    assert_eq!(completed(None, &["topic", "create", "x", "--parti"]), ["--partitions"]);
}
