//! What is bounded: settings, fixed bounds, and what the system grants.

use chaski_batch::INFLATED_BYTES_MAX;
use chaski_broker::settings::{BROKER, Kind, Setting, TOPIC};
use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::args::InspectLimits;
use crate::failure::Failure;
use crate::output::{self, Row, or_dash};
use crate::table::{Column, number, text};

/// A bound.
#[derive(Debug, Serialize)]
struct Limit {
    /// Of a setting its name.
    limit: String,
    value: i64,
    /// broker, topic, fixed or system.
    of: &'static str,
    /// Whether it can be set, and then between what.
    setting: bool,
    least: Option<i64>,
    most: Option<i64>,
    doc: String,
}

/// Bounds that nobody can set.
const FIXED: &[(&str, u64, &str)] = &[
    (
        "batch.inflated.bytes",
        INFLATED_BYTES_MAX as u64,
        "Bytes that a compressed batch may become.",
    ),
    #[cfg(target_os = "linux")]
    (
        "zmtp.handshake.command.bytes",
        chaski_zmtp::limits::HANDSHAKE_COMMAND_BYTES_MAX,
        "Bytes of a command before a peer is known.",
    ),
    #[cfg(target_os = "linux")]
    (
        "zmtp.identity.bytes",
        chaski_zmtp::limits::IDENTITY_BYTES_MAX as u64,
        "Bytes of a routing id.",
    ),
    #[cfg(target_os = "linux")]
    (
        "zmtp.credential.bytes",
        chaski_zmtp::limits::CREDENTIAL_BYTES_MAX as u64,
        "Bytes of a user's name, and of a password.",
    ),
];

pub(super) fn run(args: &InspectLimits) -> Result<(), Failure> {
    let mut limits: Vec<Limit> = system();
    limits.extend(BROKER.iter().filter_map(|setting| of_setting("broker", setting)));
    limits.extend(TOPIC.iter().filter_map(|setting| of_setting("topic", setting)));
    limits.extend(FIXED.iter().map(|&(name, value, doc)| fixed("fixed", name, value, doc)));
    output::list(args.output.output, &limits)
}

fn system() -> Vec<Limit> {
    let files = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let doc = "Open files: connections, and segments; `ulimit -Hn`, or LimitNOFILE= of a unit.";
    vec![fixed("system", "open.files", files, doc)]
}

fn fixed(of: &'static str, name: &str, value: u64, doc: &str) -> Limit {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    let (limit, doc) = (name.to_owned(), doc.to_owned());
    Limit { limit, value, of, setting: false, least: None, most: None, doc }
}

/// Settings that are numbers. One of a topic that has its default from the broker is listed there.
fn of_setting(of: &'static str, setting: &Setting) -> Option<Limit> {
    let Kind::Int { min, max } = setting.kind else { return None };
    if setting.broker.is_some() {
        return None;
    }
    Some(Limit {
        limit: setting.name.to_owned(),
        value: setting.default.parse().ok()?,
        of,
        setting: true,
        least: Some(min),
        most: Some(max).filter(|&max| max < i64::MAX),
        doc: setting.doc.to_owned(),
    })
}

impl Row for Limit {
    const COLUMNS: &'static [Column] = &[
        text("LIMIT"),
        number("VALUE"),
        text("OF"),
        number("LEAST"),
        number("MOST"),
        text("MEANING"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.limit.clone(),
            self.value.to_string(),
            self.of.to_owned(),
            or_dash(self.least),
            or_dash(self.most),
            self.doc.clone(),
        ]
    }
}
