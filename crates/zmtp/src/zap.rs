//! ZAP: how a server asks whether a peer may enter, and how a handler answers (RFC 27).
//!
//! ```text
//!  request                        reply
//!    1.0           version          1.0           version
//!    id            ours, any bytes  id            as in the request
//!    domain                         status code   200, 300, 400, 500
//!    address       an IP address    status text
//!    identity                       user id
//!    mechanism                      metadata
//!    credentials   0 or more        (always 6 frames)
//! ```
//!
//! The handler is a REP or ROUTER socket bound to [`ENDPOINT`]. The empty delimiter that precedes
//! these frames on the wire is not part of them here: REQ and REP add and remove it themselves.
//!
//! ```
//! use chaski_zmtp::zap::{Origin, Reply, Request};
//!
//! let origin = Origin { domain: "global".into(), address: "192.0.2.1".into() };
//! let request = origin.request("PLAIN", b"", ["admin", "secret"]);
//! let asked = Request::decode(&request.encode()).unwrap();
//! let reply = Reply::grant(&asked, "admin");
//! let answer = Reply::decode(&reply.encode()).unwrap();
//! assert!(answer.answers(&request) && answer.status.is_granted());
//! ```

use std::fmt;

use crate::keys::PublicKey;
use crate::limits::IDENTITY_BYTES_MAX;
use crate::message::{Frame, Message};
use crate::metadata::{Metadata, MetadataError};

/// Where the handler of a context listens.
pub const ENDPOINT: &str = "inproc://zeromq.zap.01";

/// The version that both messages begin with.
pub const VERSION: &str = "1.0";

/// The longest text in a request or a reply, in bytes.
pub const TEXT_BYTES_MAX: usize = 255;

/// What a request says about where a connection comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Which rules are to be applied; the handler knows what that means. RFC 27 wants one; libzmq
    /// sends an empty one for a socket that was given none.
    pub domain: String,
    /// The peer's IP address, without a port; empty where there is none.
    pub address: String,
}

impl Origin {
    /// The request about a peer from here. Its id is empty until someone needs one.
    pub fn request<C>(self, mechanism: &str, identity: &[u8], credentials: C) -> Request
    where
        C: IntoIterator<Item: Into<Frame>>,
    {
        Request {
            id: Frame::empty(),
            origin: self,
            identity: Frame::from(identity),
            mechanism: mechanism.to_owned(),
            credentials: credentials.into_iter().map(Into::into).collect(),
        }
    }
}

/// A server asks whether a peer may enter.
///
/// `Debug` shows how many credentials there are and none of them: they may be passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The server's own mark, which comes back in the reply.
    pub id: Frame,
    /// Where the peer comes from.
    pub origin: Origin,
    /// The peer's `Identity`, as far as it is known by now; at most 255 bytes.
    pub identity: Frame,
    /// `NULL`, `PLAIN`, `CURVE` or another.
    pub mechanism: String,
    /// What that mechanism shows; see [`Request::presented`].
    pub credentials: Vec<Frame>,
}

/// The credentials of a [`Request`], understood.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presented<'a> {
    /// NULL: nothing.
    Null,
    /// PLAIN: a name and a password.
    Plain {
        /// Any bytes, at most 255.
        username: &'a [u8],
        /// Any bytes, at most 255.
        password: &'a [u8],
    },
    /// CURVE: the long-term public key of the client, which has proved that it has the secret one.
    Curve(PublicKey),
    /// Another mechanism's own.
    Other(&'a [Frame]),
}

impl Request {
    /// The message to send to the handler.
    pub fn encode(&self) -> Message {
        let Request { id, origin, identity, mechanism, credentials } = self;
        let mut message = Message::from(VERSION)
            .with(id.clone())
            .with(origin.domain.as_str())
            .with(origin.address.as_str())
            .with(identity.clone())
            .with(mechanism.as_str());
        message.extend(credentials.iter().cloned());
        message
    }

    /// Reads what a server sent.
    ///
    /// # Errors
    /// [`ZapError`] says which frame is wrong; a handler answers such a message with nothing, as it
    /// does not know to whom.
    pub fn decode(message: &Message) -> Result<Self, ZapError> {
        let [version, id, domain, address, identity, mechanism, credentials @ ..] =
            message.as_slice()
        else {
            return Err(ZapError::Frames(message.len()));
        };
        check_version(version)?;
        if identity.len() > IDENTITY_BYTES_MAX {
            return Err(ZapError::TooLong("identity", identity.len()));
        }
        if mechanism.is_empty() {
            return Err(ZapError::NoMechanism);
        }
        let request = Request {
            id: id.clone(),
            origin: Origin { domain: text("domain", domain)?, address: text("address", address)? },
            identity: identity.clone(),
            mechanism: text("mechanism", mechanism)?,
            credentials: credentials.to_vec(),
        };
        request.presented()?;
        Ok(request)
    }

    /// The credentials, understood by their mechanism.
    ///
    /// # Errors
    /// [`ZapError::Credentials`] if their number or length is not that of the mechanism. A request
    /// that was decoded has none of these.
    pub fn presented(&self) -> Result<Presented<'_>, ZapError> {
        let wrong = || ZapError::Credentials(self.mechanism.clone());
        match (self.mechanism.as_str(), self.credentials.as_slice()) {
            ("NULL", []) => Ok(Presented::Null),
            ("PLAIN", [username, password])
                if username.len() <= TEXT_BYTES_MAX && password.len() <= TEXT_BYTES_MAX =>
            {
                Ok(Presented::Plain { username, password })
            }
            ("CURVE", [key]) => {
                PublicKey::try_from(&key[..]).map(Presented::Curve).map_err(|_| wrong())
            }
            ("NULL" | "PLAIN" | "CURVE", _) => Err(wrong()),
            (_, frames) => Ok(Presented::Other(frames)),
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("origin", &self.origin)
            .field("identity", &self.identity)
            .field("mechanism", &self.mechanism)
            .field("credentials", &format_args!("[{} frames]", self.credentials.len()))
            .finish()
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Presented::Null => f.write_str("Null"),
            Presented::Plain { username, .. } => {
                write!(f, "Plain {{ username: \"{}\", .. }}", username.escape_ascii())
            }
            Presented::Curve(key) => write!(f, "Curve({key})"),
            Presented::Other(frames) => write!(f, "Other([{} frames])", frames.len()),
        }
    }
}

/// A handler's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The id of the request.
    pub id: Frame,
    /// The answer itself.
    pub status: Status,
    /// A word on it, for logs; at most 255 bytes.
    pub text: String,
    /// Who the peer is, where it may enter; at most 255 bytes.
    pub user_id: String,
    /// More about the peer, for who receives its messages.
    pub metadata: Metadata,
}

impl Reply {
    /// The peer may enter, and is known by this name; empty for none.
    pub fn grant(request: &Request, user_id: &str) -> Self {
        let user_id = user_id.to_owned();
        Reply { user_id, ..Reply::answer(request, Status::Granted, "OK") }
    }

    /// The peer may not enter, or not now.
    pub fn refuse(request: &Request, status: Status, text: &str) -> Self {
        Reply::answer(request, status, text)
    }

    fn answer(request: &Request, status: Status, text: &str) -> Self {
        Reply {
            id: request.id.clone(),
            status,
            text: text.to_owned(),
            user_id: String::new(),
            metadata: Metadata::new(),
        }
    }

    /// Whether this is the answer to `request`.
    pub fn answers(&self, request: &Request) -> bool {
        self.id == request.id
    }

    /// The message to send back to the server.
    pub fn encode(&self) -> Message {
        let mut metadata = Vec::new();
        self.metadata.encode(&mut metadata);
        Message::from(VERSION)
            .with(self.id.clone())
            .with(self.status.digits())
            .with(self.text.as_str())
            .with(self.user_id.as_str())
            .with(metadata)
    }

    /// Reads what a handler sent.
    ///
    /// # Errors
    /// [`ZapError`] says which frame is wrong; the server then refuses the peer.
    pub fn decode(message: &Message) -> Result<Self, ZapError> {
        let [version, id, status, status_text, user_id, metadata] = message.as_slice() else {
            return Err(ZapError::Frames(message.len()));
        };
        check_version(version)?;
        Ok(Reply {
            id: id.clone(),
            status: Status::from_digits(status)?,
            text: text("status text", status_text)?,
            user_id: text("user id", user_id)?,
            metadata: Metadata::decode(metadata)?,
        })
    }
}

/// What a handler decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// 200: the peer may enter.
    Granted,
    /// 300: not now. The connection is closed without a word, and the client may try again.
    NotNow,
    /// 400: the peer may not enter.
    Denied,
    /// 500: the handler is in trouble itself.
    Failed,
}

impl Status {
    /// The number of RFC 27.
    pub const fn code(self) -> u16 {
        match self {
            Status::Granted => 200,
            Status::NotNow => 300,
            Status::Denied => 400,
            Status::Failed => 500,
        }
    }

    /// Whether the peer may enter.
    pub const fn is_granted(self) -> bool {
        matches!(self, Status::Granted)
    }

    /// The number in text, as in a reply, and in the ERROR command that tells the peer.
    pub const fn digits(self) -> &'static str {
        match self {
            Status::Granted => "200",
            Status::NotNow => "300",
            Status::Denied => "400",
            Status::Failed => "500",
        }
    }

    fn from_digits(digits: &[u8]) -> Result<Self, ZapError> {
        let known = [Status::Granted, Status::NotNow, Status::Denied, Status::Failed];
        let status = known.into_iter().find(|status| status.digits().as_bytes() == digits);
        status.ok_or_else(|| {
            let shown = &digits[..digits.len().min(16)];
            ZapError::Status(shown.escape_ascii().to_string())
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digits())
    }
}

/// Why a message is no ZAP request or reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZapError {
    /// A request has 6 frames and its credentials, a reply has 6.
    #[error("message of {0} frames: a request has 6 or more, a reply 6")]
    Frames(usize),
    /// Another version than [`VERSION`].
    #[error("version {0:?}, only {VERSION:?} is known")]
    Version(String),
    /// A frame is longer than it may be.
    #[error("{0} of {1} bytes, the limit is 255")]
    TooLong(&'static str, usize),
    /// A frame that must be text is not.
    #[error("{0} is not text in UTF-8")]
    NotText(&'static str),
    /// The mechanism is empty.
    #[error("mechanism is empty")]
    NoMechanism,
    /// Credentials that are not those of their mechanism.
    #[error("credentials are not those of {0}: NULL has none, PLAIN two texts, CURVE 32 bytes")]
    Credentials(String),
    /// A status code that does not exist.
    #[error("status code {0:?}, only 200, 300, 400 and 500 are known")]
    Status(String),
    /// The last frame of a reply is not metadata.
    #[error("metadata of the reply: {0}")]
    Metadata(#[from] MetadataError),
}

fn check_version(version: &Frame) -> Result<(), ZapError> {
    if version == VERSION {
        return Ok(());
    }
    Err(ZapError::Version(version[..version.len().min(16)].escape_ascii().to_string()))
}

fn text(what: &'static str, frame: &Frame) -> Result<String, ZapError> {
    if frame.len() > TEXT_BYTES_MAX {
        return Err(ZapError::TooLong(what, frame.len()));
    }
    let text = std::str::from_utf8(frame).map_err(|_| ZapError::NotText(what))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin() -> Origin {
        Origin { domain: "test".into(), address: "192.168.55.1".into() }
    }

    fn request(mechanism: &str, credentials: &[&[u8]]) -> Request {
        let frames = credentials.iter().map(|&bytes| Frame::from(bytes));
        let mut request = origin().request(mechanism, b"BOB", frames);
        request.id = Frame::from("0001");
        request
    }

    /// The examples of RFC 27, less the delimiter.
    #[test]
    fn requests_have_the_frames_of_the_rfc() {
        let null = ["1.0", "0001", "test", "192.168.55.1", "BOB", "NULL"];
        assert_eq!(request("NULL", &[]).encode(), Message::from_iter(null));
        let plain = ["1.0", "0001", "test", "192.168.55.1", "BOB", "PLAIN", "admin", "secret"];
        let asked = request("PLAIN", &[b"admin", b"secret"]);
        assert_eq!(asked.encode(), Message::from_iter(plain));
        let shown = Presented::Plain { username: b"admin", password: b"secret" };
        assert_eq!(asked.presented(), Ok(shown));
    }

    #[test]
    fn a_reply_has_the_frames_of_the_rfc() {
        let message = Message::from_iter(["1.0", "0001", "200", "OK", "joe", ""]);
        let reply = Reply::grant(&request("NULL", &[]), "joe");
        assert_eq!(reply.encode(), message);
        assert_eq!(Reply::decode(&message), Ok(reply));
    }

    #[test]
    fn a_curve_request_shows_the_key() {
        let key = PublicKey::from_bytes([7; 32]);
        let asked = request("CURVE", &[key.as_bytes()]);
        let got = Request::decode(&asked.encode()).unwrap();
        assert_eq!(got.presented(), Ok(Presented::Curve(key)));
    }

    #[test]
    fn credentials_are_those_of_their_mechanism() {
        let long = [b'x'; 256];
        let wrong: [(&str, &[&[u8]]); 7] = [
            ("NULL", &[b"admin"]),
            ("PLAIN", &[]),
            ("PLAIN", &[b"admin"]),
            ("PLAIN", &[b"admin", &long]),
            ("CURVE", &[]),
            ("CURVE", &[&[0; 31]]),
            ("CURVE", &[&[0; 32], &[0; 32]]),
        ];
        for (mechanism, credentials) in wrong {
            let error = Request::decode(&request(mechanism, credentials).encode()).unwrap_err();
            assert_eq!(error, ZapError::Credentials(mechanism.into()));
        }
        let other = request("GSSAPI", &[b"principal"]);
        assert_eq!(Request::decode(&other.encode()), Ok(other));
    }

    /// A message whose frame at `at` is another one.
    fn with_frame(message: &Message, at: usize, frame: &[u8]) -> Message {
        let frames = message.iter().enumerate();
        frames.map(|(place, old)| if place == at { frame.into() } else { old.clone() }).collect()
    }

    #[test]
    fn an_error_says_which_frame_is_wrong() {
        let good = request("NULL", &[]).encode();
        let error = |at, frame: &[u8]| Request::decode(&with_frame(&good, at, frame)).unwrap_err();
        let long = [b'x'; 256];
        assert_eq!(error(0, b"2.0"), ZapError::Version("2.0".into()));
        assert_eq!(error(2, &long), ZapError::TooLong("domain", 256));
        assert_eq!(error(3, b"\xFF"), ZapError::NotText("address"));
        assert_eq!(error(4, &long), ZapError::TooLong("identity", 256));
        assert_eq!(error(5, b""), ZapError::NoMechanism);
        assert_eq!(Request::decode(&Message::new()), Err(ZapError::Frames(0)));

        let good = Reply::grant(&request("NULL", &[]), "joe").encode();
        let error = |at, frame: &[u8]| Reply::decode(&with_frame(&good, at, frame)).unwrap_err();
        assert_eq!(error(0, b""), ZapError::Version(String::new()));
        for status in ["", "20", "100", "201", "600", "2000"] {
            assert_eq!(error(2, status.as_bytes()), ZapError::Status(status.into()));
        }
        assert_eq!(error(3, &long), ZapError::TooLong("status text", 256));
        assert_eq!(error(4, b"\xC0"), ZapError::NotText("user id"));
        assert!(matches!(error(5, b"\x04na"), ZapError::Metadata(_)));
        assert_eq!(Reply::decode(&good.clone().with("")), Err(ZapError::Frames(7)));
    }

    #[test]
    fn a_reply_to_another_request_is_told_from_ours() {
        let ours = request("NULL", &[]);
        let mut other = ours.clone();
        other.id = Frame::from("0002");
        assert!(Reply::grant(&ours, "").answers(&ours));
        assert!(!Reply::grant(&other, "").answers(&ours));
    }

    #[test]
    fn passwords_are_not_shown() {
        let asked = request("PLAIN", &[b"admin", b"secret"]);
        let shown = format!("{asked:?} {:?}", asked.presented().unwrap());
        assert!(shown.contains("admin") && !shown.contains("secret"), "{shown}");
    }

    fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let known = prop::sample::select(vec![
            &b"1.0"[..],
            b"200",
            b"NULL",
            b"PLAIN",
            b"CURVE",
            b"",
            b"\x01A\0\0\0\x01B",
        ]);
        let frame = prop_oneof![
            known.prop_map(<[u8]>::to_vec),
            prop::collection::vec(any::<u8>(), 0..300),
        ];
        prop::collection::vec(frame, 0..10)
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(frames in frames()) {
            let mut message = Message::from("1.0");
            message.extend(frames);
            if let Ok(request) = Request::decode(&message) {
                prop_assert_eq!(request.encode(), message.clone());
            }
            if let Ok(reply) = Reply::decode(&message) {
                prop_assert_eq!(reply.encode(), message);
            }
        }
    }
}
