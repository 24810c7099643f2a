//! A gateway as the API tells of it, and as people and programs see it. What an answer lacks is
//! not known.

use serde::{Deserialize, Serialize};

use crate::output::{self, Described, Row, or_dash};
use crate::progress::show_bytes;
use crate::table::{Column, number, printable, text};

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Shown {
    pub(super) name: String,
    kind: String,
    /// in or out.
    direction: String,
    endpoints: Vec<String>,
    topic: Option<String>,
    group: Option<String>,
    state: String,
    messages: Option<u64>,
    bytes: Option<u64>,
    drops: Option<u64>,
    /// Of the drops, what was no message.
    malformed: Option<u64>,
    /// Sent again because a worker was lost.
    resent: Option<u64>,
    /// Answers that nobody took.
    unanswered: Option<u64>,
    errors: Option<u64>,
    /// Records not sent yet, or messages not stored yet; None: not known.
    lag: Option<i64>,
    last_error: Option<String>,
    peers: Vec<Peer>,
    /// config or runtime.
    source: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Peer {
    address: Option<String>,
    connected: bool,
    mechanism: Option<String>,
    user: Option<String>,
    sent: Option<u64>,
    received: Option<u64>,
    queued: Option<u64>,
    hwm: Option<u64>,
    dropped: Option<u64>,
}

impl Shown {
    /// Peers that messages can flow to or from.
    fn connected(&self) -> usize {
        self.peers.iter().filter(|peer| peer.connected).count()
    }
}

impl Row for Shown {
    const COLUMNS: &'static [Column] = &[
        text("GATEWAY"),
        text("KIND"),
        text("TOPIC"),
        text("STATE"),
        number("PEERS"),
        number("MESSAGES"),
        number("BYTES"),
        number("DROPS"),
        number("LAG"),
        text("ENDPOINTS"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.kind.clone(),
            or_dash(self.topic.as_ref()),
            self.state.clone(),
            self.connected().to_string(),
            or_dash(self.messages),
            or_dash(self.bytes.map(show_bytes)),
            or_dash(self.drops),
            or_dash(self.lag),
            self.endpoints.join(" "),
        ]
    }
}

impl Row for Peer {
    const COLUMNS: &'static [Column] = &[
        text("PEER"),
        text("STATE"),
        text("MECHANISM"),
        text("USER"),
        number("SENT"),
        number("RECEIVED"),
        number("QUEUED"),
        number("HWM"),
        number("DROPPED"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            or_dash(self.address.as_ref()),
            if self.connected { "connected" } else { "away" }.to_owned(),
            or_dash(self.mechanism.as_ref()),
            or_dash(self.user.as_ref()),
            or_dash(self.sent),
            or_dash(self.received),
            or_dash(self.queued),
            or_dash(self.hwm),
            or_dash(self.dropped),
        ]
    }
}

impl Described for Shown {
    fn describe(&self) -> String {
        let lines = [
            ("gateway", self.name.clone()),
            ("kind", format!("{}, {}", self.kind, self.direction)),
            ("topic", or_dash(self.topic.as_ref())),
            ("group", or_dash(self.group.as_ref())),
            ("endpoints", self.endpoints.join(" ")),
            ("state", self.state.clone()),
            ("source", self.source.clone()),
            ("messages", or_dash(self.messages)),
            ("bytes", or_dash(self.bytes.map(show_bytes))),
            ("drops", or_dash(self.drops)),
            ("malformed", or_dash(self.malformed)),
            ("resent", or_dash(self.resent)),
            ("unanswered", or_dash(self.unanswered)),
            ("errors", or_dash(self.errors)),
            ("lag", or_dash(self.lag)),
            ("last error", or_dash(self.last_error.as_ref())),
        ];
        let mut text: String = lines
            .iter()
            .map(|(name, value)| format!("{name:<11} {}\n", printable(value)))
            .collect();
        if !self.peers.is_empty() {
            text = text + "\n" + &output::table(&self.peers);
        }
        text
    }
}
