//! What outlives a restart, under which key.
//!
//! ```text
//! group/<id>
//!     {"protocol_type":"consumer","generation":7,"empty_since_ms":null}
//! group/<id>/<topic>/<partition>
//!     {"offset":42,"leader_epoch":0,"metadata":"","commit_ms":1731000000000}
//! ```
//! Ids and topics are escaped as in URLs (`%`, `/` and control characters become `%25` and the
//! like), so that the slashes in a key are only ever the ones above. One key an offset: a commit
//! writes what it changes. Members are not stored. Clients find out at their next heartbeat
//! (UNKNOWN_MEMBER_ID) and join anew; the stored generation keeps the numbers growing, so that
//! nobody from before the restart can pass for a member of the generation after it.

use chaski_log::store::Change;
use serde::{Deserialize, Serialize};

use super::offsets::Committed;

/// What all keys of the coordinator begin with.
pub(crate) const KEY_PREFIX: &str = "group/";

/// The stored facts about a group itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedGroup {
    /// None: the group has only ever held offsets.
    pub(super) protocol_type: Option<String>,
    pub(super) generation: i32,
    /// Since when it has had no members; None if it had some when this was written.
    pub(super) empty_since_ms: Option<i64>,
}

/// One stored pair, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pair {
    Group { id: String, saved: SavedGroup },
    Offset { id: String, topic: String, partition: i32, committed: Committed },
}

/// Reads a stored pair; None if it is not one that this module wrote.
pub(super) fn parse(key: &str, value: &[u8]) -> Option<Pair> {
    let mut parts = key.strip_prefix(KEY_PREFIX)?.split('/');
    let id = unescape(parts.next()?)?;
    match (parts.next(), parts.next(), parts.next()) {
        (None, None, None) => {
            let saved = serde_json::from_slice(value).ok()?;
            Some(Pair::Group { id, saved })
        }
        (Some(topic), Some(partition), None) => {
            let (topic, partition) = (unescape(topic)?, partition.parse().ok()?);
            let committed = serde_json::from_slice(value).ok()?;
            Some(Pair::Offset { id, topic, partition, committed })
        }
        _ => None,
    }
}

/// Stores a group.
pub(super) fn put_group(id: &str, saved: &SavedGroup) -> Change {
    Change::Put { key: group_key(id), value: json(saved) }
}

/// Removes a group. Its offsets go by keys of their own.
pub(super) fn delete_group(id: &str) -> Change {
    Change::Delete { key: group_key(id) }
}

/// Stores an offset.
pub(super) fn put_offset(id: &str, topic: &str, partition: i32, committed: &Committed) -> Change {
    Change::Put { key: offset_key(id, topic, partition), value: json(committed) }
}

/// Removes an offset.
pub(super) fn delete_offset(id: &str, topic: &str, partition: i32) -> Change {
    Change::Delete { key: offset_key(id, topic, partition) }
}

fn group_key(id: &str) -> String {
    let mut key = KEY_PREFIX.to_owned();
    escape(id, &mut key);
    key
}

fn offset_key(id: &str, topic: &str, partition: i32) -> String {
    let mut key = group_key(id);
    key.push('/');
    escape(topic, &mut key);
    key.push('/');
    key.push_str(&partition.to_string());
    key
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Structs of numbers and strings: the only failures serde_json knows do not apply.
    serde_json::to_vec(value).unwrap_or_default()
}

fn escape(text: &str, into: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for c in text.chars() {
        if c == '%' || c == '/' || c.is_ascii_control() {
            let byte = c as u8;
            into.push('%');
            into.push(char::from(HEX[usize::from(byte >> 4)]));
            into.push(char::from(HEX[usize::from(byte & 15)]));
        } else {
            into.push(c);
        }
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut plain = pieces.next()?.to_owned();
    for piece in pieces {
        let (hex, tail) = piece.split_at_checked(2)?;
        let byte = u8::from_str_radix(hex, 16).ok().filter(u8::is_ascii)?;
        plain.push(char::from(byte));
        plain.push_str(tail);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed() -> Committed {
        Committed {
            offset: 42,
            leader_epoch: 3,
            metadata: "half \"way\"".into(),
            commit_ms: 5,
            expire_ms: None,
        }
    }

    fn parse_change(change: Change) -> Option<Pair> {
        match change {
            Change::Put { key, value } => parse(&key, &value),
            Change::Delete { .. } => None,
        }
    }

    #[test]
    fn reads_back_what_it_wrote_whatever_the_names() {
        for id in ["g", "", "a/b", "100%", "%2F", "a/t/0", "gr\u{fc}n", "new\nline\0"] {
            let saved = SavedGroup {
                protocol_type: Some("consumer".into()),
                generation: 9,
                empty_since_ms: None,
            };
            let pair = parse_change(put_group(id, &saved));
            assert_eq!(pair, Some(Pair::Group { id: id.into(), saved }));
            let pair = parse_change(put_offset(id, id, 7, &committed()));
            let offset = Pair::Offset {
                id: id.into(),
                topic: id.into(),
                partition: 7,
                committed: committed(),
            };
            assert_eq!(pair, Some(offset));
        }
    }

    #[test]
    fn keys_of_different_names_differ() {
        assert_eq!(group_key("a/t/0"), "group/a%2Ft%2F0");
        assert_eq!(offset_key("a", "t", 0), "group/a/t/0");
        assert_eq!(group_key(""), "group/");
    }

    #[test]
    fn ignores_what_it_did_not_write() {
        assert_eq!(parse("topic/x", b"{}"), None);
        assert_eq!(parse("group/a/b", b"{}"), None);
        assert_eq!(parse("group/a", b"not json"), None);
        assert_eq!(parse("group/a%", b"{}"), None);
        assert_eq!(parse("group/a%FF", b"{}"), None);
        assert_eq!(parse("group/a/t/x", b"{}"), None);
    }
}
