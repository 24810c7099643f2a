//! A socket that is bound or connected, and what becomes of its connections.
//!
//! Sockets connect in the background and try again for ever, without a word. A person at a terminal
//! wants the word: that nobody is there yet, and why; that who is there does not let this one in.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use chaski_zmq::{
    BindError, BuildError, Builder, ConnectError, Context, HandshakeFailure, Monitor, OptionError,
    Socket, What,
};

use super::security;
use super::url::{Role, ZmqUrl};
use crate::args::SecurityArgs;
use crate::failure::{CALLED_WRONGLY, Failure, PEER_LOST};
use crate::query::Side;

/// How long nobody is told that nobody is there.
const QUIET: Duration = Duration::from_secs(1);
/// Handshakes that fail one after the other, without a reason, before it is given up.
const FAILURES_MAX: u32 = 3;
/// Peers turned away of which each is told.
const TOLD_MAX: usize = 16;

/// A socket, and what is known of its peers.
pub(super) struct Meeting {
    pub(super) socket: Socket,
    monitor: Monitor,
    url: String,
    /// Who is awaited, as a command.
    other: String,
    side: Side,
    began: Instant,
    /// Whether a person was told that nobody is there.
    told: bool,
    /// Whether there ever was a connection.
    met: bool,
    /// Connections lost so far.
    lost: u64,
    /// Handshakes that failed since the last one that did not.
    failures: u32,
    /// Why there is no connection, as far as that is known.
    why: Option<String>,
    turned_away: Vec<String>,
}

impl Meeting {
    /// Makes the socket and binds or connects it. `suit` has the first say about its options, the
    /// URL the last.
    pub(super) fn open(
        url: &ZmqUrl,
        role: Role,
        args: &SecurityArgs,
        quiet: bool,
        suit: impl FnOnce() -> Builder<Socket>,
    ) -> Result<Meeting, Failure> {
        let context = Context::new();
        let mut builder = suit().context(&context);
        for option in &url.options {
            builder = builder.set(option.clone());
        }
        let socket = security::apply(args, &context, builder)?.build();
        let socket = socket.map_err(|error| not_built(url, &error))?;
        let monitor = socket.monitor();
        let side = url.side();
        match side {
            Side::Bind => {
                let bound = socket.bind(&url.endpoint).map_err(|e| not_bound(url, &e))?;
                if bound != url.endpoint && !quiet {
                    eprintln!("bound to {bound}");
                }
            }
            Side::Connect => {
                socket.connect(&url.endpoint).map_err(|e| not_connected(url, role, &e))?;
            }
        }
        Ok(Meeting {
            socket,
            monitor,
            url: url.to_string(),
            other: command(url, role.opposite(), side),
            side,
            began: Instant::now(),
            told: !io::stderr().is_terminal(),
            met: false,
            lost: 0,
            failures: 0,
            why: None,
            turned_away: Vec::new(),
        })
    }

    /// Takes what has happened to connections. It fails if there will be none.
    pub(super) fn look(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.monitor.try_recv() {
            match event.what {
                What::HandshakeSucceeded => (self.met, self.failures) = (true, 0),
                What::HandshakeFailed(why) if self.side == Side::Connect => self.refused(&why)?,
                What::HandshakeFailed(why) => self.turn_away(event.peer, &why),
                What::ConnectRetried { why, .. } => self.why = Some(why),
                What::ConnectStopped(why) => return Err(self.given_up().cause(why)),
                What::Disconnected(why) => {
                    self.lost += 1;
                    self.why = Some(why.to_string());
                }
                _ => {}
            }
        }
        if !self.met && !self.told && self.began.elapsed() >= QUIET {
            self.told = true;
            let why = self.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            eprintln!("waiting for a peer at {}{why}: {}", self.url, self.other);
        }
        Ok(())
    }

    /// A peer that this one connects to does not let it in.
    fn refused(&mut self, why: &HandshakeFailure) -> Result<(), Failure> {
        self.failures += 1;
        let failure = self.given_up().cause(why.to_string());
        match why {
            HandshakeFailure::Auth(_) => Err(failure.hint(
                "the other side has to know our public key: `--curve-allow`; or the password",
            )),
            HandshakeFailure::Protocol(_) | HandshakeFailure::Refused(_) => Err(failure
                .hint("both sides need the same kind of security, and `?type=`s that go together")),
            _ if self.failures < FAILURES_MAX => {
                self.why = Some(why.to_string());
                Ok(())
            }
            _ => Err(failure.hint(
                "a wrong --curve-server-key looks like this, and so does a program that does not \
                 speak ZMTP",
            )),
        }
    }

    /// A peer that connects to this one is not let in. It goes on: others may be.
    fn turn_away(&mut self, peer: Option<String>, why: &HandshakeFailure) {
        // Its next try comes from another port.
        let peer = peer.unwrap_or_else(|| "a peer".to_owned());
        let host = peer.rsplit_once(':').map_or(peer.as_str(), |(host, _)| host);
        let line = format!("{host} was turned away: {why}");
        if self.turned_away.len() < TOLD_MAX && !self.turned_away.contains(&line) {
            eprintln!("{line}");
            self.turned_away.push(line);
        }
    }

    /// It did not come to a connection.
    pub(super) fn given_up(&self) -> Failure {
        Failure::new(format!("cannot connect to {}", self.url)).code(PEER_LOST)
    }

    /// Whether there ever was a connection.
    pub(super) fn met(&self) -> bool {
        self.met
    }

    /// Why there is no connection, as far as that is known.
    pub(super) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// Connections lost so far.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether this side connected, and who was there is gone.
    pub(super) fn is_over(&self) -> bool {
        self.side == Side::Connect && self.met && self.lost > 0 && self.nobody_is_there()
    }

    pub(super) fn nobody_is_there(&self) -> bool {
        !self.socket.peers().iter().any(|peer| peer.connected)
    }

    /// Messages that wait to be written.
    pub(super) fn unsent(&self) -> u64 {
        self.socket.peers().iter().map(|peer| peer.queued).sum()
    }
}

/// How the other side is started.
fn command(url: &ZmqUrl, role: Role, side: Side) -> String {
    let verb = if role.receives() { "recv" } else { "send" };
    let text = url.endpoint.as_str();
    // Who connects to a port of another machine is met by who binds that port there.
    let port = text.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':'));
    let (address, bind) = match (side, port) {
        (Side::Connect, Some((_, port))) => (format!("tcp://*:{port}"), false),
        (Side::Connect, None) => (text.to_owned(), true),
        (Side::Bind, Some((_, port))) => (format!("tcp://HOST:{port}"), false),
        (Side::Bind, None) => (text.to_owned(), false),
    };
    let plain = matches!(role, Role::Pull | Role::Push);
    let query = match (plain, bind) {
        (true, false) => String::new(),
        (true, true) => "?bind".to_owned(),
        (false, false) => format!("?type={role}"),
        (false, true) => format!("?type={role}&bind"),
    };
    format!("chaski {verb} 'zmq+{address}{query}'")
}

fn not_built(url: &ZmqUrl, error: &BuildError) -> Failure {
    let failure = Failure::because(format!("cannot make a socket for {url}"), error);
    match error {
        BuildError::Option(OptionError::NotForKind { kind, .. }) => failure
            .hint(match kind {
                chaski_zmq::Kind::Xpub => {
                    "a publisher that waits is an XPUB; with `&wait=0`, a PUB"
                }
                _ => "`?type=` says what the socket is",
            })
            .code(CALLED_WRONGLY),
        BuildError::Option(_) => failure.code(CALLED_WRONGLY),
        _ => failure,
    }
}

fn not_bound(url: &ZmqUrl, error: &BindError) -> Failure {
    let failure = Failure::because(format!("cannot bind {url}"), error);
    match error {
        BindError::NotHere { .. } => failure.hint("without `bind`, it connects"),
        _ => failure,
    }
}

fn not_connected(url: &ZmqUrl, role: Role, error: &ConnectError) -> Failure {
    let failure = Failure::because(format!("cannot connect to {url}"), error);
    match error {
        ConnectError::Unsuitable { .. } => {
            failure.hint(format!("`?type={role}&bind` binds it")).code(CALLED_WRONGLY)
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_awaited_is_named_by_a_command() {
        let of = |text: &str, role: Role| {
            let url: ZmqUrl = text.parse().unwrap();
            let side = url.side();
            command(&url, role.opposite(), side).split_once("chaski ").unwrap().1.to_owned()
        };
        assert_eq!(of("tcp://h:5555", Role::Push), "recv 'zmq+tcp://*:5555'");
        assert_eq!(of("tcp://*:5555", Role::Pull), "send 'zmq+tcp://HOST:5555'");
        assert_eq!(of("tcp://h:1", Role::Req), "recv 'zmq+tcp://*:1?type=rep'");
        assert_eq!(of("ipc://@x", Role::Push), "recv 'zmq+ipc://@x?bind'");
        assert_eq!(of("ipc://@x", Role::Sub), "send 'zmq+ipc://@x?type=pub&bind'");
        assert_eq!(of("ipc://@x?bind", Role::Pub), "recv 'zmq+ipc://@x?type=sub'");
    }
}
