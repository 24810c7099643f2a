//! Metadata: what peers tell each other about the connection, and an authenticator about a peer
//! (RFC 37, "The NULL Security Mechanism"; RFC 27).
//!
//! ```text
//! metadata = *property
//!  +------+------ ... ------+------+------+------+------+------- ... -------+
//!  | size | name, 1 to 255  | size of value, network order | value           |
//!  +------+------ ... ------+------+------+------+------+------- ... -------+
//! ```
//!
//! Names hold letters, digits and `-_.+`, and their case does not count. A value has at most
//! 2^31 - 1 bytes. Those that begin with `X-` belong to the application.

use bytes::Bytes;

/// The name of the property that says what kind of socket the peer is.
pub const SOCKET_TYPE: &str = "Socket-Type";

/// The name of the property by which a ROUTER is to know the peer.
pub const IDENTITY: &str = "Identity";

/// Properties in the order in which they came.
///
/// ```
/// use chaski_zmtp::Metadata;
///
/// let mut metadata = Metadata::new();
/// metadata.push("X-Rack", "b7").unwrap();
/// assert_eq!(metadata.get("x-rack"), Some(&b"b7"[..]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    properties: Vec<(Box<str>, Bytes)>,
}

/// Bytes or a property that are no metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// A name that is empty, longer than 255 bytes, or has characters it may not have.
    #[error("property name is not 1 to 255 letters, digits and -_.+")]
    Name,
    /// A value of more than 2^31 - 1 bytes.
    #[error("property value of {0} bytes, more than ZMTP allows")]
    Value(usize),
    /// The bytes end within a property.
    #[error("metadata ends within a property")]
    Truncated,
}

impl Metadata {
    /// None.
    pub const fn new() -> Self {
        Metadata { properties: Vec::new() }
    }

    /// Adds a property at the end.
    ///
    /// # Errors
    ///
    /// If ZMTP has no way to write it.
    pub fn push(&mut self, name: &str, value: impl Into<Bytes>) -> Result<(), MetadataError> {
        let value = value.into();
        if !is_name(name.as_bytes()) {
            return Err(MetadataError::Name);
        }
        if i32::try_from(value.len()).is_err() {
            return Err(MetadataError::Value(value.len()));
        }
        self.properties.push((name.into(), value));
        Ok(())
    }

    /// The value of the first property of that name, in any case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let found = self.properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &value[..])
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.properties.iter().map(|(name, value)| (&**name, &value[..]))
    }

    /// How many properties there are.
    pub fn len(&self) -> usize {
        self.properties.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.properties.is_empty()
    }

    /// Appends the bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.properties {
            // Neither saturates: `push` and `decode` let nothing longer in.
            out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(value);
        }
    }

    /// Reads all of `bytes`.
    ///
    /// # Errors
    ///
    /// If they are not a list of whole properties.
    pub fn decode(bytes: &[u8]) -> Result<Metadata, MetadataError> {
        // One copy of them all, of which the values are slices.
        let bytes = Bytes::copy_from_slice(bytes);
        let mut metadata = Metadata::new();
        let mut at = 0;
        while at < bytes.len() {
            let name_end = at + 1 + usize::from(bytes[at]);
            let name = bytes.get(at + 1..name_end).ok_or(MetadataError::Truncated)?;
            let size = bytes.get(name_end..).and_then(<[u8]>::first_chunk);
            let size = u32::from_be_bytes(*size.ok_or(MetadataError::Truncated)?) as usize;
            let start = name_end + 4;
            if size > bytes.len() - start {
                return Err(MetadataError::Truncated);
            }
            let name = std::str::from_utf8(name).map_err(|_| MetadataError::Name)?;
            metadata.push(name, bytes.slice(start..start + size))?;
            at = start + size;
        }
        Ok(metadata)
    }
}

fn is_name(name: &[u8]) -> bool {
    let sound = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_.+".contains(octet);
    (1..=255).contains(&name.len()) && name.iter().all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Metadata {
        let mut metadata = Metadata::new();
        metadata.push("Socket-Type", "DEALER").unwrap();
        metadata.push("Identity", Bytes::new()).unwrap();
        metadata.push("X-Long", vec![7; 300]).unwrap();
        metadata
    }

    /// RFC 37, "Worked Example".
    #[test]
    fn bytes_are_those_of_the_example() {
        let mut metadata = Metadata::new();
        metadata.push("Socket-Type", "DEALER").unwrap();
        metadata.push("Identity", Bytes::new()).unwrap();
        let mut out = Vec::new();
        metadata.encode(&mut out);
        assert_eq!(out, b"\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0");
        assert_eq!(Metadata::decode(&out), Ok(metadata));
    }

    #[test]
    fn names_are_found_in_any_case_and_the_first_counts() {
        let mut metadata = sample();
        metadata.push("SOCKET-TYPE", "REP").unwrap();
        assert_eq!(metadata.get("socket-type"), Some(&b"DEALER"[..]));
        assert_eq!(metadata.get("Socket"), None);
    }

    #[test]
    fn every_cut_but_those_between_properties_is_refused() {
        let mut out = Vec::new();
        let mut ends = vec![0];
        for (name, value) in sample().iter() {
            let mut one = Metadata::new();
            one.push(name, value.to_vec()).unwrap();
            one.encode(&mut out);
            ends.push(out.len());
        }
        for cut in 0..=out.len() {
            let read = Metadata::decode(&out[..cut]);
            if ends.contains(&cut) {
                assert!(read.is_ok(), "cut at {cut}");
            } else {
                assert_eq!(read, Err(MetadataError::Truncated), "cut at {cut}");
            }
        }
    }

    #[test]
    fn names_that_zmtp_has_not_are_refused() {
        for name in ["", "has space", "slash/", "nul\0", &"x".repeat(256)] {
            assert_eq!(Metadata::new().push(name, "v"), Err(MetadataError::Name), "{name:?}");
        }
        assert_eq!(Metadata::decode(b"\0\0\0\0\0"), Err(MetadataError::Name));
        assert_eq!(Metadata::decode(b"\x01\xff\0\0\0\0"), Err(MetadataError::Name));
        assert_eq!(Metadata::decode(b"\x01a\xff\xff\xff\xff"), Err(MetadataError::Truncated));
    }
}
