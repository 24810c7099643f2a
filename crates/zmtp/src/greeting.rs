//! The greeting: the first octets of a connection (RFC 37, "Formal Grammar" and "Version
//! Negotiation").
//!
//! ```text
//!  ZMTP 3                                                               64 octets
//! +------+-------------+------+-------+-------+-----------+-----------+----------+
//! | 0xFF | padding     | 0x7F | major | minor | mechanism | as-server | filler   |
//! +------+-------------+------+-------+-------+-----------+-----------+----------+
//!    0       1 ..= 8      9      10      11     12 ..= 31      32       33 ..= 63
//!
//!  ZMTP 2.0 (RFC 15)                                          14 octets and more
//! +------+-------------+------+----------+-------------+------+-----+-----------+
//! | 0xFF | padding     | 0x7F | revision | socket type | 0x00 | len | identity  |
//! +------+-------------+------+----------+-------------+------+-----+-----------+
//!    0       1 ..= 8      9        10          11         12     13    14 ...
//! ```
//!
//! Nobody may wait for octets that the other sends only after seeing ours. So the first eleven go
//! out at once, and the rest as soon as the peer's eleventh tells its version; to a peer of 3.x
//! the whole greeting goes out before the peer's mechanism is looked at ("a peer that reads a full
//! greeting MUST also send a full greeting"). A mechanism other than NULL never talks to an older
//! peer and sends all 64 octets at once.

use crate::error::HandshakeError;

/// How many octets the greeting of ZMTP 3 has.
pub const GREETING_BYTES: usize = 64;

/// How many tell the version: the signature and the major number.
pub(crate) const VERSION_BYTES: usize = 11;

const SIGNATURE_BYTES: usize = 10;
const MECHANISM: std::ops::Range<usize> = 12..32;
const AS_SERVER: usize = 32;

/// The version that a connection speaks: the older of the two peers' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Version {
    /// ZMTP 2.0 (RFC 15), of libzmq 3: no mechanisms, no metadata, no commands.
    V2_0,
    /// ZMTP 3.0 (RFC 23), of libzmq 4.0 and 4.1: subscriptions are messages, no heartbeats.
    V3_0,
    /// ZMTP 3.1 (RFC 37), and whatever comes after it.
    V3_1,
}

impl Version {
    /// Whether SUBSCRIBE, CANCEL, PING, PONG, JOIN and LEAVE are commands of this version.
    pub fn has_commands(self) -> bool {
        self >= Version::V3_1
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Version::V2_0 => "2.0",
            Version::V3_0 => "3.0",
            Version::V3_1 => "3.1",
        })
    }
}

/// What a greeting of ZMTP 3 says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) version: Version,
    /// NUL-padded.
    pub(crate) mechanism: [u8; 20],
    pub(crate) as_server: bool,
}

/// What the first octets of a peer tell of its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// ZMTP 2.0.
    Two,
    /// ZMTP 3.0 or later.
    Three,
}

/// The greeting of this implementation, version 3.1.
pub(crate) fn ours(mechanism: &str, as_server: bool) -> [u8; GREETING_BYTES] {
    let mut octets = [0; GREETING_BYTES];
    octets[0] = 0xFF;
    octets[9] = 0x7F;
    octets[10] = 3;
    octets[11] = 1;
    octets[MECHANISM][..mechanism.len()].copy_from_slice(mechanism.as_bytes());
    octets[AS_SERVER] = u8::from(as_server);
    octets
}

/// Reads the version from the start of a greeting; `None` as long as it does not tell.
///
/// The padding is not looked at (RFC 37: "MUST NOT validate this"). A first octet other than 0xFF,
/// or an even tenth, is how ZMTP 1.0 begins, which this implementation does not speak.
pub(crate) fn generation(octets: &[u8]) -> Result<Option<Generation>, HandshakeError> {
    let refused = || Err(HandshakeError::NotZmtp(octets[..octets.len().min(12)].to_vec()));
    if octets.first().is_some_and(|&octet| octet != 0xFF) {
        return refused();
    }
    if octets.get(SIGNATURE_BYTES - 1).is_some_and(|&octet| octet != 0x7F) {
        return refused();
    }
    match octets.get(SIGNATURE_BYTES) {
        None => Ok(None),
        Some(0) => refused(),
        Some(1 | 2) => Ok(Some(Generation::Two)),
        Some(_) => Ok(Some(Generation::Three)),
    }
}

/// Reads all of a greeting of ZMTP 3, whose version has been looked at.
pub(crate) fn read(octets: &[u8; GREETING_BYTES]) -> Greeting {
    let mut mechanism = [0; 20];
    mechanism.copy_from_slice(&octets[MECHANISM]);
    // RFC 37: a peer accepts higher versions, and talks to them in its own.
    let version = if octets[10] == 3 && octets[11] == 0 { Version::V3_0 } else { Version::V3_1 };
    Greeting { version, mechanism, as_server: octets[AS_SERVER] & 1 != 0 }
}

impl Greeting {
    /// Whether the peer uses `mechanism`, to the letter (RFC 37: otherwise "it MUST close").
    pub(crate) fn uses(&self, mechanism: &str) -> bool {
        let (name, padding) = self.mechanism.split_at(mechanism.len().min(20));
        name == mechanism.as_bytes() && padding.iter().all(|&octet| octet == 0)
    }

    /// The peer's mechanism for people to read.
    pub(crate) fn mechanism_name(&self) -> String {
        let end = self.mechanism.iter().rposition(|&octet| octet != 0).map_or(0, |at| at + 1);
        self.mechanism[..end].escape_ascii().to_string()
    }
}
