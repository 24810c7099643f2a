//! What the agent can be told to do.

use std::collections::BTreeMap;

use chaski_zmq::Message;
use serde::Deserialize;

/// One line of the input.
#[derive(Debug, Deserialize)]
pub(crate) struct Order {
    /// The name of the socket that it is about.
    pub(crate) socket: String,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What is to be done.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum What {
    Open {
        kind: String,
        #[serde(default)]
        options: BTreeMap<String, String>,
    },
    /// From now on the agent lets in who knows one of these passwords (PLAIN), or has one of these
    /// keys (CURVE, in Z85). It is about no socket in particular.
    Admit {
        #[serde(default)]
        passwords: BTreeMap<String, String>,
        #[serde(default)]
        keys: Vec<String>,
    },
    Set {
        option: String,
        value: String,
    },
    Bind {
        endpoint: String,
    },
    Connect {
        endpoint: String,
    },
    Unbind {
        endpoint: String,
    },
    Disconnect {
        endpoint: String,
    },
    /// Without a timeout it does not wait.
    Send {
        frames: Vec<String>,
        #[serde(default)]
        routing_id: u32,
        timeout_ms: Option<u64>,
    },
    /// Sends messages of one frame each: the number, in ASCII, filled up to `bytes`.
    SendMany {
        count: usize,
        bytes: usize,
        timeout_ms: u64,
    },
    /// Without a timeout it does not wait.
    Recv {
        timeout_ms: Option<u64>,
    },
    /// Receives messages like those of `SendMany`; answers how many came, and whether in order.
    RecvMany {
        count: usize,
        timeout_ms: u64,
    },
    /// Gives back each message as it came until none has come for so long; answers how many.
    Echo {
        quiet_ms: u64,
    },
    Subscribe {
        topic: String,
    },
    Unsubscribe {
        topic: String,
    },
    Join {
        group: String,
    },
    Leave {
        group: String,
    },
    Flush,
    Peers,
    /// What the socket's monitor has told since `open`.
    Events,
    Close {
        linger_ms: Option<u64>,
    },
}

/// A message from its frames in hexadecimal.
pub(crate) fn message(frames: &[String], routing_id: u32) -> Option<Message> {
    let mut message = frames.iter().map(|frame| unhex(frame)).collect::<Option<Message>>()?;
    message.set_routing_id(routing_id);
    Some(message)
}

/// The bytes that a text in hexadecimal stands for.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |two: &[u8]| match two {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(byte).collect()
}

/// The frames of a message in hexadecimal.
pub(crate) fn hex(message: &Message) -> Vec<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |digit: u8| char::from(DIGITS[usize::from(digit)]);
    let frame = |bytes: &[u8]| {
        let mut text = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
        text
    };
    message.iter().map(|bytes| frame(bytes)).collect()
}
