//! Many peers of one ROUTER, at no cost of their own: DEALERs that are bare TCP streams. They shake
//! hands as ZMTP 3.0 with the mechanism NULL wants it (RFC 23), and then send frames that were put
//! together before. Whoever is the ROUTER is what is measured.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail, ensure};

/// signature, version 3.0, mechanism, not a server, filler.
pub const GREETING_BYTES: usize = 64;

/// Flag of a frame that is a command.
const COMMAND: u8 = 4;

/// Flag of a frame whose length takes eight bytes.
const LONG: u8 = 2;

/// No READY is longer.
const COMMAND_BYTES_MAX: u64 = 4096;

/// A connection to a ROUTER whose handshake is done.
#[derive(Debug)]
pub struct Dealer(TcpStream);

impl Dealer {
    /// To an endpoint such as `tcp://127.0.0.1:5555`.
    pub fn connect(endpoint: &str) -> Result<Dealer> {
        let address = endpoint.strip_prefix("tcp://").context("an endpoint on TCP")?;
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.write_all(&greeting())?;
        let mut theirs = [0; GREETING_BYTES];
        stream.read_exact(&mut theirs)?;
        ensure!(theirs[10] >= 3, "the ROUTER speaks version {}", theirs[10]);
        stream.write_all(&ready(b"DEALER"))?;
        take_ready(&mut stream)?;
        Ok(Dealer(stream))
    }

    /// Sends whole frames.
    pub fn send(&mut self, frames: &[u8]) -> Result<()> {
        Ok(self.0.write_all(frames)?)
    }
}

pub fn greeting() -> [u8; GREETING_BYTES] {
    let mut greeting = [0; GREETING_BYTES];
    (greeting[0], greeting[9]) = (0xFF, 0x7F);
    greeting[10] = 3;
    greeting[12..16].copy_from_slice(b"NULL");
    greeting
}

/// The command READY of a socket of this type, which is six letters long.
pub fn ready(kind: &[u8; 6]) -> Vec<u8> {
    let body = [&b"\x05READY\x0BSocket-Type"[..], &6_u32.to_be_bytes(), kind].concat();
    [&[COMMAND, body.len() as u8], &body[..]].concat()
}

pub fn take_ready(stream: &mut TcpStream) -> Result<()> {
    let mut flags = [0];
    stream.read_exact(&mut flags)?;
    let mut length = [0; 8];
    match flags[0] & LONG {
        0 => stream.read_exact(&mut length[7..])?,
        _ => stream.read_exact(&mut length)?,
    }
    let length = u64::from_be_bytes(length);
    ensure!(length <= COMMAND_BYTES_MAX, "a command of {length} bytes");
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body)?;
    if flags[0] & COMMAND == 0 || !body.starts_with(b"\x05READY") {
        bail!("the other side is not ready");
    }
    Ok(())
}
