//! NATS JetStream with its file store, spoken to over a raw socket (docs.nats.io, "Client
//! protocol" and "JetStream wire API").

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::load::{Lane, Replies, Taken};
use crate::machine::first_line_of;
use crate::server::Launch;

/// Where acknowledgements and the answers of the API come in.
const INBOX: &str = "bench.inbox";

/// What `nats-server --version` says; None where it is not installed.
pub fn version() -> Option<String> {
    first_line_of("nats-server", &["--version"])
}

pub fn launch(core: Option<usize>) -> Launch {
    let args = ["-js", "-sd", "{data}", "-a", "127.0.0.1", "-p", "{port}"];
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Launch { program: PathBuf::from("nats-server"), args, core }
}

/// A connection whose request is one publish of `value` to a stream, answered by JetStream's
/// acknowledgement. Creates the stream.
pub fn lane(address: SocketAddr, stream: &str, value: &[u8]) -> Result<Lane> {
    let mut session = Session::open(address)?;
    let config = format!(r#"{{"name":"{stream}","subjects":["{stream}"],"storage":"file"}}"#);
    session.call(&format!("$JS.API.STREAM.CREATE.{stream}"), &config)?;
    let frame = publish(stream, value);
    Lane::new(session.into_socket()?, &frame, Box::new(MessageReplies))
}

/// Reads `messages` from the beginning of the stream through a push consumer.
pub fn read_all(address: SocketAddr, stream: &str, messages: u64) -> Result<u64> {
    let mut session = Session::open(address)?;
    let config =
        format!(r#"{{"stream_name":"{stream}","config":{{"deliver_subject":"bench.push","#)
            + r#""deliver_policy":"all","ack_policy":"none","replay_policy":"instant"}}"#;
    write!(session.socket.get_mut(), "SUB bench.push 2\r\n")?;
    session.call(&format!("$JS.API.CONSUMER.CREATE.{stream}"), &config)?;
    let mut read = 0;
    while read < messages {
        if session.read_message()?.is_some() {
            read += 1;
        }
    }
    Ok(read)
}

fn publish(subject: &str, value: &[u8]) -> Vec<u8> {
    let head = format!("PUB {subject} {INBOX} {}\r\n", value.len());
    [head.as_bytes(), value, b"\r\n"].concat()
}

/// A connection that has said who it is and listens on [`INBOX`].
struct Session {
    socket: BufReader<TcpStream>,
    line: String,
    payload: Vec<u8>,
}

impl Session {
    fn open(address: SocketAddr) -> Result<Session> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        let socket = BufReader::with_capacity(256 * 1024, socket);
        let mut session = Session { socket, line: String::new(), payload: Vec::new() };
        let hello = r#"CONNECT {"verbose":false,"pedantic":false,"lang":"raw","version":"0"}"#;
        write!(session.socket.get_mut(), "{hello}\r\nSUB {INBOX} 1\r\n")?;
        Ok(session)
    }

    /// Sends a request to the JetStream API and waits for its answer.
    fn call(&mut self, subject: &str, body: &str) -> Result<()> {
        self.socket.get_mut().write_all(&publish(subject, body.as_bytes()))?;
        while self.read_message()? != Some(1) {}
        let answer = String::from_utf8_lossy(&self.payload);
        ensure!(!answer.contains("\"error\""), "{subject} answers {answer}");
        Ok(())
    }

    /// Reads one line and its payload, if it is a message: the subscription it came for.
    fn read_message(&mut self) -> Result<Option<u32>> {
        self.line.clear();
        ensure!(self.socket.read_line(&mut self.line)? > 0, "nats has closed the connection");
        let mut words = self.line.split_whitespace();
        match words.next() {
            Some("MSG") => {
                let subscription = words.nth(1).and_then(|word| word.parse().ok());
                let length: usize = words.last().context("a MSG without a length")?.parse()?;
                self.payload.resize(length + 2, 0);
                self.socket.read_exact(&mut self.payload)?;
                Ok(subscription)
            }
            Some("PING") => {
                self.socket.get_mut().write_all(b"PONG\r\n")?;
                Ok(None)
            }
            Some("-ERR") => bail!("nats answers {}", self.line.trim()),
            _ => Ok(None),
        }
    }

    /// The socket, with nothing read ahead.
    fn into_socket(self) -> Result<TcpStream> {
        ensure!(self.socket.buffer().is_empty(), "nats has sent more than was asked for");
        Ok(self.socket.into_inner())
    }
}

/// Counts `MSG subject sid [reply] length CRLF payload CRLF`, each an acknowledgement.
struct MessageReplies;

impl Replies for MessageReplies {
    fn take(&mut self, bytes: &[u8]) -> Result<Taken> {
        let mut taken = Taken::default();
        while let Some(end) = bytes[taken.bytes..].iter().position(|byte| *byte == b'\n') {
            let line = std::str::from_utf8(&bytes[taken.bytes..taken.bytes + end])?.trim_end();
            let payload_at = taken.bytes + end + 1;
            if !line.starts_with("MSG ") {
                ensure!(!line.starts_with("-ERR"), "nats answers {line}");
                taken.bytes = payload_at;
                continue;
            }
            let length: usize = line.rsplit(' ').next().unwrap_or("").parse()?;
            let Some(payload) = bytes.get(payload_at..payload_at + length + 2) else { break };
            let refused = payload.windows(7).any(|word| word == b"\"error\"");
            ensure!(!refused, "nats answers {}", String::from_utf8_lossy(payload));
            taken = Taken { bytes: payload_at + length + 2, replies: taken.replies + 1 };
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_are_counted_whole() {
        let bytes = b"PING\r\nMSG bench.inbox 1 9\r\n{\"seq\":1}\r\nMSG bench.inbox 1 9\r\n{\"seq";
        let taken = MessageReplies.take(bytes).unwrap();
        assert_eq!((taken.bytes, taken.replies), (6 + 21 + 11, 1));
        assert!(MessageReplies.take(b"MSG i 1 10\r\n{\"error\":1}\r\n").is_err());
    }
}
