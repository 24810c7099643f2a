//! Connecting through a SOCKS5 proxy (RFC 1928), with a user's name and password (RFC 1929).
//!
//! Bytes in, bytes out, like a handshake:
//!
//! ```text
//!   us                                        proxy
//!   05 n methods                              05 method
//!   01 len name len password                  01 status          if it chose 02
//!   05 01 00 type address port                05 reply 00 type address port
//! ```
//!
//! A host's name is not looked up here: the proxy does that, who may know names that we do not.

use std::net::IpAddr;

use crate::endpoint::Host;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USERNAME_PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const TYPE_V4: u8 = 1;
const TYPE_NAME: u8 = 3;
const TYPE_V6: u8 = 4;

/// The longest answer there is: a reply with a name of 255 bytes.
const ANSWER_BYTES_MAX: usize = 4 + 1 + 255 + 2;

/// Where to go, and who we are.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// Empty if the proxy is not to be told.
    pub(crate) username: String,
    pub(crate) password: String,
}

/// The conversation with a proxy.
pub(crate) struct Socks {
    target: Target,
    stage: Stage,
    out: Vec<u8>,
    pending: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Method,
    Password,
    Reply,
    Done,
}

/// Why the proxy is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SocksError {
    #[error("the proxy does not speak SOCKS5")]
    NotSocks,
    #[error("the proxy wants to be authenticated in a way that it was not offered")]
    NoMethod,
    #[error("the proxy does not accept the user's name and password")]
    Denied,
    #[error("the proxy cannot connect: {}", reply_text(*.0))]
    Refused(u8),
}

impl Socks {
    pub(crate) fn new(target: Target) -> Self {
        let out = if target.username.is_empty() {
            vec![VERSION, 1, NO_AUTHENTICATION]
        } else {
            vec![VERSION, 2, NO_AUTHENTICATION, USERNAME_PASSWORD]
        };
        Socks { target, stage: Stage::Method, out, pending: Vec::new() }
    }

    /// What is to be written.
    pub(crate) fn output(&self) -> &[u8] {
        &self.out
    }

    /// So much of it was.
    pub(crate) fn wrote(&mut self, count: usize) {
        self.out.drain(..count);
    }

    /// Whether the connection now leads to the target.
    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Takes what the proxy said; returns how much. What follows its last answer is the target's.
    pub(crate) fn input(&mut self, bytes: &[u8]) -> Result<usize, SocksError> {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.is_done() {
                return Ok(at);
            }
            self.pending.push(byte);
            if self.pending.len() > ANSWER_BYTES_MAX {
                return Err(SocksError::NotSocks);
            }
            self.advance()?;
        }
        Ok(bytes.len())
    }

    fn advance(&mut self) -> Result<(), SocksError> {
        let first = if self.stage == Stage::Password { 1 } else { VERSION };
        if self.pending[0] != first {
            return Err(SocksError::NotSocks);
        }
        match (self.stage, self.pending.as_slice()) {
            (Stage::Method, &[_, NO_AUTHENTICATION]) => self.request(),
            (Stage::Method, &[_, USERNAME_PASSWORD]) if !self.target.username.is_empty() => {
                self.log_in();
            }
            (Stage::Method, &[_, _]) => return Err(SocksError::NoMethod),
            (Stage::Password, &[_, 0]) => self.request(),
            (Stage::Password, &[_, _]) => return Err(SocksError::Denied),
            (Stage::Reply, &[_, reply, ..]) if reply != 0 => {
                return Err(SocksError::Refused(reply));
            }
            (Stage::Reply, answer) if is_whole(answer)? => self.next(Stage::Done),
            _ => {}
        }
        Ok(())
    }

    fn next(&mut self, stage: Stage) {
        self.pending.clear();
        self.stage = stage;
    }

    fn log_in(&mut self) {
        self.out.push(1);
        for text in [&self.target.username, &self.target.password] {
            push_text(&mut self.out, text);
        }
        self.next(Stage::Password);
    }

    fn request(&mut self) {
        self.out.extend([VERSION, CONNECT, 0]);
        match &self.target.host {
            Host::V4(ip) => push_ip(&mut self.out, IpAddr::V4(*ip)),
            Host::V6(ip, _) => push_ip(&mut self.out, IpAddr::V6(*ip)),
            Host::Name(name) => {
                self.out.push(TYPE_NAME);
                push_text(&mut self.out, name);
            }
            Host::Any => push_ip(&mut self.out, std::net::Ipv4Addr::LOCALHOST.into()),
        }
        self.out.extend(self.target.port.to_be_bytes());
        self.next(Stage::Reply);
    }
}

/// Names, passwords and hosts' names have at most 255 bytes: that is checked when they are given.
fn push_text(out: &mut Vec<u8>, text: &str) {
    let text = &text.as_bytes()[..text.len().min(255)];
    out.push(text.len() as u8);
    out.extend_from_slice(text);
}

fn push_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            out.push(TYPE_V4);
            out.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(TYPE_V6);
            out.extend(ip.octets());
        }
    }
}

/// Whether a reply is there to its last byte: the address that the proxy uses is of no interest,
/// but its length is.
fn is_whole(answer: &[u8]) -> Result<bool, SocksError> {
    let address = match answer {
        [_, _, _, TYPE_V4, ..] => 4,
        [_, _, _, TYPE_V6, ..] => 16,
        [_, _, _, TYPE_NAME, len, ..] => 1 + usize::from(*len),
        [_, _, _, TYPE_NAME] | [_, _, _] | [_, _] | [_] | [] => return Ok(false),
        _ => return Err(SocksError::NotSocks),
    };
    Ok(answer.len() == 4 + address + 2)
}

/// The replies of RFC 1928, section 6.
fn reply_text(reply: u8) -> &'static str {
    match reply {
        1 => "it failed",
        2 => "its rules forbid it",
        3 => "the network is unreachable",
        4 => "the host is unreachable",
        5 => "the connection was refused",
        6 => "the connection took too long",
        7 => "it does not know the command",
        8 => "it does not know the type of address",
        _ => "for a reason of its own",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: Host, username: &str) -> Target {
        let password = "secret".into();
        Target { host, port: 5555, username: username.into(), password }
    }

    /// Says everything there is to say, and hears the answer a byte at a time.
    fn exchange(socks: &mut Socks, says: &[u8], answer: &[u8]) -> Result<(), SocksError> {
        assert_eq!(socks.output(), says);
        socks.wrote(says.len());
        for byte in answer {
            socks.input(&[*byte])?;
        }
        Ok(())
    }

    #[test]
    fn by_name_and_password() {
        let mut socks = Socks::new(target(Host::Name("peer".into()), "me"));
        exchange(&mut socks, &[5, 2, 0, 2], &[5, 2]).unwrap();
        exchange(&mut socks, b"\x01\x02me\x06secret", &[1, 0]).unwrap();
        let reply = [5, 0, 0, 3, 2, b'a', b'b', 0, 9];
        exchange(&mut socks, b"\x05\x01\x00\x03\x04peer\x15\xb3", &reply).unwrap();
        assert!(socks.is_done());
    }

    #[test]
    fn what_follows_is_left() {
        let mut socks = Socks::new(target(Host::V4([1, 2, 3, 4].into()), ""));
        exchange(&mut socks, &[5, 1, 0], &[5, 0]).unwrap();
        assert_eq!(socks.output(), [5, 1, 0, 1, 1, 2, 3, 4, 0x15, 0xb3]);
        let answer = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0, 0];
        assert_eq!(socks.input(&answer), Ok(10));
        assert!(socks.is_done());
    }

    #[test]
    fn refusals_are_told_apart() {
        let begin = || Socks::new(target(Host::V6("::1".parse().unwrap(), None), "me"));
        assert_eq!(begin().input(b"HTTP"), Err(SocksError::NotSocks));
        assert_eq!(begin().input(&[5, 0xff]), Err(SocksError::NoMethod));
        assert_eq!(begin().input(&[5, 2, 1, 1]), Err(SocksError::Denied));
        assert_eq!(begin().input(&[5, 0, 5, 5]), Err(SocksError::Refused(5)));
        assert_eq!(begin().input(&[5, 0, 5, 0, 0, 9]), Err(SocksError::NotSocks));
    }
}
