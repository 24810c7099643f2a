//! Programs to paste, with the addresses of this broker in them.

use crate::args::Language;

/// What stands in a program for an address.
const KAFKA: &str = "@KAFKA@";
const TOPIC: &str = "@TOPIC@";
const PULL: &str = "@PULL@";
const PUB: &str = "@PUB@";

/// A program for one library.
struct Snippet {
    language: Language,
    library: &'static str,
    program: &'static str,
    /// Whether it speaks to the gateways.
    zmq: bool,
}

const SNIPPETS: &[Snippet] = &[
    kafka(Language::Python, "confluent-kafka", include_str!("snippets/confluent_kafka.py")),
    zmq(Language::Python, "pyzmq", include_str!("snippets/pyzmq.py")),
    kafka(Language::Java, "kafka-clients", include_str!("snippets/Try.java")),
    kafka(Language::Rust, "rdkafka", include_str!("snippets/rdkafka.rs")),
    kafka(Language::Go, "franz-go", include_str!("snippets/kafka.go")),
    kafka(Language::C, "librdkafka", include_str!("snippets/librdkafka.c")),
    zmq(Language::C, "libzmq", include_str!("snippets/libzmq.c")),
];

const fn kafka(language: Language, library: &'static str, program: &'static str) -> Snippet {
    Snippet { language, library, program, zmq: false }
}

const fn zmq(language: Language, library: &'static str, program: &'static str) -> Snippet {
    Snippet { language, library, program, zmq: true }
}

/// Where this broker is.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) kafka: String,
    pub(super) topic: String,
    pub(super) zmq: Option<Sockets>,
}

/// Its gateways for ZeroMQ.
#[derive(Debug, Clone)]
pub(super) struct Sockets {
    /// Takes messages for the topic.
    pub(super) pull: String,
    /// Publishes the topic.
    pub(super) publish: String,
}

impl Sockets {
    /// A line each.
    pub(super) fn described(&self) -> String {
        let Sockets { pull, publish } = self;
        format!("  intake   {pull}, for PUSH\n  feed     {publish}, for SUB\n")
    }
}

/// A program for each library of a language.
pub(super) fn programs(language: Language, places: &Places) -> String {
    let wanted = |snippet: &&Snippet| {
        (language == Language::All || snippet.language == language)
            && (!snippet.zmq || places.zmq.is_some())
    };
    let mut text = String::new();
    for snippet in SNIPPETS.iter().filter(wanted) {
        text += &format!("\n---- {} ----\n{}", snippet.library, filled(snippet.program, places));
    }
    text
}

/// Three lines, and where there is more.
pub(super) fn short(places: &Places) -> String {
    let Places { kafka, topic, .. } = places;
    format!(
        "
From Python, with `pip install confluent-kafka`:
  from confluent_kafka import Producer
  producer = Producer({{'bootstrap.servers': '{kafka}'}})
  producer.produce('{topic}', value='hello'); producer.flush()
Whole programs, also for ZeroMQ: start it as chaski dev --snippets python|java|rust|go|c|all
"
    )
}

fn filled(program: &str, places: &Places) -> String {
    let program = program.replace(KAFKA, &places.kafka).replace(TOPIC, &places.topic);
    match &places.zmq {
        Some(sockets) => program.replace(PULL, &sockets.pull).replace(PUB, &sockets.publish),
        None => program,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let (pull, publish) = ("tcp://h:3".to_owned(), "tcp://h:4".to_owned());
        let zmq = Some(Sockets { pull, publish });
        Places { kafka: "h:1".to_owned(), topic: "orders".to_owned(), zmq }
    }

    #[test]
    fn every_program_has_its_addresses() {
        let text = programs(Language::All, &places());
        for snippet in SNIPPETS {
            assert!(text.contains(&format!("---- {} ----", snippet.library)));
        }
        assert!(!text.contains('@'), "{text}");
        assert_eq!(text.matches("\"tcp://h:3\"").count(), 2);
    }

    #[test]
    fn without_gateways_nothing_is_shown_that_needs_them() {
        let text = programs(Language::Python, &Places { zmq: None, ..places() });
        assert!(text.contains("confluent_kafka") && !text.contains("zmq"), "{text}");
    }
}
