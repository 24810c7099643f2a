//! The input as chunks of whole lines, read ahead by a thread.
//!
//! A chunk holds what was there: up to [`CHUNK_BYTES`] of it, and more only for a line that is
//! longer. A few chunks wait at most, so that memory stays bounded whatever the input's size.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::failure::Failure;

const CHUNK_BYTES: usize = 256 * 1024;
const CHUNKS_WAITING_MAX: usize = 4;
/// Bytes of a line at most.
const LINE_BYTES_MAX: usize = 64 << 20;

/// Whole lines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunk(Vec<u8>);

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    Chunk(Chunk),
    /// There was nothing for so long.
    Nothing,
    End,
}

/// The chunks of an input.
#[derive(Debug)]
pub(crate) struct Lines {
    chunks: Receiver<io::Result<Chunk>>,
}

impl Chunk {
    /// Each line, without its line feed.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let text = self.0.strip_suffix(b"\n").unwrap_or(&self.0);
        text.split(|&byte| byte == b'\n')
    }
}

impl Lines {
    /// Opens a file, or standard input for `-`.
    pub(crate) fn open(path: &Path) -> Result<Lines, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Lines::read(io::stdin()));
        }
        let file = File::open(path)
            .map_err(|e| Failure::because(format!("cannot open {}", path.display()), &e))?;
        Ok(Lines::read(file))
    }

    fn read(input: impl Read + Send + 'static) -> Lines {
        let (sender, chunks) = sync_channel(CHUNKS_WAITING_MAX);
        // The thread ends with its input, or when nobody takes its chunks any more.
        thread::spawn(move || {
            if let Err(error) = pass_on(input, &sender) {
                let _ = sender.send(Err(error));
            }
        });
        Lines { chunks }
    }

    /// Waits for a chunk, so long at most.
    pub(crate) fn next(&self, wait: Duration) -> Result<Next, Failure> {
        match self.chunks.recv_timeout(wait) {
            Ok(Ok(chunk)) => Ok(Next::Chunk(chunk)),
            Ok(Err(error)) => Err(Failure::because("cannot read the input", &error)),
            Err(RecvTimeoutError::Timeout) => Ok(Next::Nothing),
            Err(RecvTimeoutError::Disconnected) => Ok(Next::End),
        }
    }
}

/// Whether somebody types them, and anything drawn on the terminal would be in the way.
pub(crate) fn are_typed(path: &Path) -> bool {
    path.as_os_str() == "-" && io::stdin().is_terminal()
}

/// Says how to type them.
pub(crate) fn invite(noun: &str) {
    if io::stderr().is_terminal() {
        eprintln!("each line is a {noun}; Ctrl-D ends");
    }
}

/// What stands before and behind the first `separator`.
pub(crate) fn split<'l>(line: &'l [u8], separator: &[u8]) -> Option<(&'l [u8], &'l [u8])> {
    let at = line.windows(separator.len()).position(|window| window == separator)?;
    Some((&line[..at], &line[at + separator.len()..]))
}

fn pass_on(mut input: impl Read, sender: &SyncSender<io::Result<Chunk>>) -> io::Result<()> {
    let mut buf = vec![0; CHUNK_BYTES];
    let mut held = Vec::new();
    loop {
        let read = match input.read(&mut buf) {
            Ok(0) => break,
            Ok(read) => &buf[..read],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let Some(last) = read.iter().rposition(|&byte| byte == b'\n') else {
            held.extend_from_slice(read);
            if held.len() > LINE_BYTES_MAX {
                return Err(too_long());
            }
            continue;
        };
        held.extend_from_slice(&read[..=last]);
        let whole = std::mem::replace(&mut held, read[last + 1..].to_vec());
        if sender.send(Ok(Chunk(whole))).is_err() {
            return Ok(());
        }
    }
    // The last line may lack its line feed.
    if !held.is_empty() {
        let _ = sender.send(Ok(Chunk(held)));
    }
    Ok(())
}

fn too_long() -> io::Error {
    let why = format!("a line is longer than {LINE_BYTES_MAX} bytes");
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its pieces one a read.
    struct Pieces(Vec<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let Some(piece) = (!self.0.is_empty()).then(|| self.0.remove(0)) else { return Ok(0) };
            buf[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    fn chunks(pieces: &[&'static [u8]]) -> Vec<Vec<Vec<u8>>> {
        let lines = Lines::read(Pieces(pieces.to_vec()));
        let chunks = lines.chunks.iter().map(Result::unwrap);
        chunks.map(|chunk| chunk.lines().map(<[u8]>::to_vec).collect()).collect()
    }

    #[test]
    fn a_chunk_holds_the_lines_that_were_there() {
        let all = chunks(&[b"one\ntw", b"o\n", b"thr", b"ee", b"\nfour\n"]);
        assert_eq!(
            all,
            [vec![b"one".to_vec()], vec![b"two".into()], vec![b"three".into(), b"four".into()]]
        );
    }

    #[test]
    fn empty_lines_are_lines_and_the_last_needs_no_line_feed() {
        assert_eq!(chunks(&[b"\n\na"]), [vec![b"".to_vec(), b"".into()], vec![b"a".into()]]);
        assert_eq!(chunks(&[b"a\r\n"]), [vec![b"a\r".to_vec()]]);
        assert!(chunks(&[]).is_empty());
    }

    #[test]
    fn an_endless_line_is_refused() {
        let lines = Lines::read(io::repeat(b'x'));
        let error = lines.chunks.recv().unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(lines.chunks.recv().is_err());
    }
}
