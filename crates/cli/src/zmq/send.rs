//! `chaski send zmq+tcp://HOST:PORT`.

use super::frames::Lines;
use super::outlet;
use super::url::ZmqUrl;
use crate::args::{Acks, CodecName, Send};
use crate::failure::{Failure, refuse_given};
use crate::send::pump;

/// Why options of topics are refused.
pub(super) const NO_TOPIC: &str = "a message of sockets is one or more frames, nothing else";

pub(crate) fn run(url: &ZmqUrl, args: &Send) -> Result<(), Failure> {
    refuse_options_of_topics(args)?;
    let form = Lines {
        json: args.json,
        separator: args.key_separator.clone(),
        // Of who subscribes topics are something else, and it does not send.
        topic: url.topics.first().cloned(),
    };
    pump::run(args, &url.to_string(), form, || outlet::open(url, args))
}

/// What a topic has and a socket has not.
fn refuse_options_of_topics(args: &Send) -> Result<(), Failure> {
    let given = [
        ("--key", args.key.is_some()),
        ("--header", !args.headers.is_empty()),
        ("--partition", args.partition.is_some()),
        ("--null-value", args.null_value.is_some()),
        ("--codec", args.codec != CodecName::None),
        ("--acks", args.acks != Acks::All),
    ];
    refuse_given(&given, NO_TOPIC)
}
