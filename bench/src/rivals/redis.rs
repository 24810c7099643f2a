//! Redis streams, spoken to in RESP2 over a raw socket (redis.io/docs/reference/protocol-spec).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::load::{Lane, Replies, Taken};
use crate::machine::first_line_of;
use crate::server::Launch;

/// When the append-only file is synced (`appendfsync`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    EverySecond,
    Always,
}

/// Entries asked for at once when a stream is read.
const PAGE: usize = 1000;

/// What `redis-server --version` says; None where it is not installed.
pub fn version() -> Option<String> {
    first_line_of("redis-server", &["--version"])
}

pub fn launch(fsync: Fsync, core: Option<usize>) -> Launch {
    let fsync = if fsync == Fsync::Always { "always" } else { "everysec" };
    let args = format!(
        "--port {{port}} --bind 127.0.0.1 --dir {{data}} --appendonly yes --appendfsync {fsync} \
         --daemonize no --save"
    );
    let mut args: Vec<String> = args.split(' ').map(str::to_owned).collect();
    args.push(String::new());
    Launch { program: PathBuf::from("redis-server"), args, core }
}

/// A connection whose request is one XADD of `value` to `stream`.
pub fn lane(address: SocketAddr, stream: &str, value: &[u8]) -> Result<Lane> {
    let mut frame = command(&[b"XADD", stream.as_bytes(), b"*", b"v"], 1);
    bulk(&mut frame, value);
    Lane::new(TcpStream::connect(address)?, &frame, Box::new(BulkReplies))
}

/// Reads the whole stream, page by page; how many entries there were.
pub fn read_all(address: SocketAddr, stream: &str) -> Result<u64> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    let (mut entries, mut from) = (0, b"-".to_vec());
    let mut reply = Vec::new();
    loop {
        let count = PAGE.to_string();
        let name = stream.as_bytes();
        let page = command(&[b"XRANGE", name, &from, b"+", b"COUNT", count.as_bytes()], 0);
        socket.write_all(&page)?;
        let (read, last) = page_of(&mut socket, &mut reply)?;
        entries += read as u64;
        if read < PAGE {
            return Ok(entries);
        }
        from = [b"(", last.as_slice()].concat();
    }
}

/// Reads one XRANGE reply; how many entries, and the id of the last.
fn page_of(socket: &mut TcpStream, reply: &mut Vec<u8>) -> Result<(usize, Vec<u8>)> {
    reply.clear();
    let mut chunk = vec![0; 256 * 1024];
    loop {
        let read = socket.read(&mut chunk)?;
        ensure!(read > 0, "redis has closed the connection");
        reply.extend(&chunk[..read]);
        if let Some(page) = parse_page(reply)? {
            return Ok(page);
        }
    }
}

/// `*n` of `*2 id *2 field value`; None while the end is missing.
fn parse_page(reply: &[u8]) -> Result<Option<(usize, Vec<u8>)>> {
    let mut rest = reply;
    let Some(entries) = number(&mut rest, b'*')? else { return Ok(None) };
    let mut last: &[u8] = b"";
    for _ in 0..entries {
        let (Some(_pair), Some(id)) = (number(&mut rest, b'*')?, string(&mut rest)?) else {
            return Ok(None);
        };
        let Some(fields) = number(&mut rest, b'*')? else { return Ok(None) };
        for _ in 0..fields {
            if string(&mut rest)?.is_none() {
                return Ok(None);
            }
        }
        last = id;
    }
    Ok(Some((entries, last.to_vec())))
}

fn number(rest: &mut &[u8], kind: u8) -> Result<Option<usize>> {
    let Some(end) = rest.windows(2).take(512).position(|pair| pair == b"\r\n") else {
        return Ok(None);
    };
    let line = &rest[..end];
    if line[0] != kind {
        bail!("redis answers {}", String::from_utf8_lossy(line));
    }
    *rest = &rest[end + 2..];
    Ok(Some(std::str::from_utf8(&line[1..])?.parse().context("a length in a redis reply")?))
}

fn string<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>> {
    let Some(length) = number(rest, b'$')? else { return Ok(None) };
    let Some((value, behind)) = rest.split_at_checked(length + 2) else { return Ok(None) };
    *rest = behind;
    Ok(Some(&value[..length]))
}

/// A command of `words` and `more` words that the caller adds.
fn command(words: &[&[u8]], more: usize) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len() + more).into_bytes();
    words.iter().for_each(|word| bulk(&mut out, word));
    out
}

fn bulk(out: &mut Vec<u8>, word: &[u8]) {
    out.extend(format!("${}\r\n", word.len()).bytes());
    out.extend(word);
    out.extend(b"\r\n");
}

/// Each reply to XADD is the new entry's id.
struct BulkReplies;

impl Replies for BulkReplies {
    fn take(&mut self, bytes: &[u8]) -> Result<Taken> {
        let mut taken = Taken::default();
        let mut rest = bytes;
        while !rest.is_empty() && string(&mut rest)?.is_some() {
            taken = Taken { bytes: bytes.len() - rest.len(), replies: taken.replies + 1 };
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_to_xadd() {
        let mut replies = BulkReplies;
        let taken = replies.take(b"$3\r\n1-0\r\n$3\r\n1-1\r\n$3\r\n1-").unwrap();
        assert_eq!((taken.bytes, taken.replies), (18, 2));
        assert!(replies.take(b"-OOM command not allowed\r\n").is_err());
    }

    #[test]
    fn pages_are_parsed_when_whole() {
        let page = b"*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nv\r\n$1\r\na\r\n\
                     *2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$1\r\nb\r\n";
        assert_eq!(parse_page(page).unwrap(), Some((2, b"1-1".to_vec())));
        for end in 0..page.len() {
            assert_eq!(parse_page(&page[..end]).unwrap(), None);
        }
    }
}
