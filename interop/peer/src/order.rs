//! What the peer can be told to do.

use std::collections::BTreeMap;

use omq_tokio::Message;
use serde::Deserialize;

/// One line of the input.
#[derive(Debug, Deserialize)]
pub(crate) struct Order {
    /// The name of the socket that it is about.
    pub(crate) socket: String,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What is to be done. Times are milliseconds.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum What {
    Open {
        kind: String,
        #[serde(default)]
        options: Security,
    },
    /// Sockets opened from now on let in who knows one of these passwords (PLAIN), or has one of
    /// these keys (CURVE, in Z85).
    Admit {
        #[serde(default)]
        passwords: BTreeMap<String, String>,
        #[serde(default)]
        keys: Vec<String>,
    },
    Bind {
        endpoint: String,
    },
    Connect {
        endpoint: String,
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
    /// A routing id of zero is none.
    Send {
        frames: Vec<String>,
        #[serde(default)]
        routing_id: u32,
        timeout_ms: u64,
    },
    Recv {
        timeout_ms: u64,
    },
    /// Sends messages of one frame each: the number, in ASCII, filled up to `bytes`.
    SendMany {
        count: usize,
        bytes: usize,
        timeout_ms: u64,
    },
    /// Receives messages like those of `SendMany`; answers how many came, and whether in order.
    RecvMany {
        count: usize,
        timeout_ms: u64,
    },
    Close,
}

/// The options of libzmq that choose the mechanism. Keys are in Z85.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Security {
    pub(crate) plain_server: Option<String>,
    pub(crate) plain_username: Option<String>,
    pub(crate) plain_password: Option<String>,
    pub(crate) curve_server: Option<String>,
    pub(crate) curve_serverkey: Option<String>,
    pub(crate) curve_publickey: Option<String>,
    pub(crate) curve_secretkey: Option<String>,
}

/// A message from its frames in hexadecimal.
pub(crate) fn message(frames: &[String], routing_id: u32) -> Option<Message> {
    let frames: Option<Vec<_>> = frames.iter().map(|frame| unhex(frame)).collect();
    let message = Message::multipart(frames?);
    Some(if routing_id == 0 { message } else { message.with_routing_id(routing_id) })
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
    message.iter().map(|bytes| frame(&bytes)).collect()
}
