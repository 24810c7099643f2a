//! Fields of fixed size, one after the other.

use super::{MAGIC, PACKET_MAX, Unreadable, VERSION};

/// Bytes in front of every packet.
const HEADER: usize = 8;

/// Puts a packet together.
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn new(kind: u16) -> Writer {
        let mut writer = Writer { bytes: Vec::with_capacity(PACKET_MAX) };
        writer.u32(MAGIC).u16(VERSION).u16(kind);
        writer
    }

    pub(super) fn u8(&mut self, value: u8) -> &mut Self {
        self.slice(&[value])
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        self.slice(&value.to_le_bytes())
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.slice(&value.to_le_bytes())
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        self.slice(&value.to_le_bytes())
    }

    pub(super) fn slice(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(super) fn finish(&mut self) -> Vec<u8> {
        debug_assert!(self.bytes.len() <= PACKET_MAX);
        std::mem::take(&mut self.bytes)
    }
}

/// Takes a packet apart. The length is checked by [`Reader::expect`] before anything is read.
pub(super) struct Reader<'a> {
    /// What has not been read yet.
    bytes: &'a [u8],
    /// Bytes of the packet.
    len: usize,
}

impl<'a> Reader<'a> {
    /// Reads the header: version and type, and what follows.
    pub(super) fn open(bytes: &'a [u8]) -> Result<(u16, u16, Reader<'a>), Unreadable> {
        let mut reader = Reader { bytes, len: bytes.len() };
        reader.at_least(HEADER)?;
        let magic = reader.u32();
        if magic != MAGIC {
            return Err(Unreadable::Magic(magic));
        }
        Ok((reader.u16(), reader.u16(), reader))
    }

    /// Asks for a packet of exactly so many bytes.
    pub(super) fn expect(&self, wanted: usize) -> Result<(), Unreadable> {
        if self.len == wanted { Ok(()) } else { Err(Unreadable::Length { len: self.len, wanted }) }
    }

    /// Asks for a packet of so many bytes or more.
    pub(super) fn at_least(&self, wanted: usize) -> Result<(), Unreadable> {
        if self.len >= wanted { Ok(()) } else { Err(Unreadable::Length { len: self.len, wanted }) }
    }

    pub(super) fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.bytes
    }

    /// Reads a field that has no meaning yet, and is zero.
    pub(super) fn zero(&mut self, bytes: usize) -> Result<(), Unreadable> {
        for _ in 0..bytes {
            let value = self.u8();
            if value != 0 {
                return Err(Unreadable::Field { field: "filler", value: value.into() });
            }
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.bytes.split_first_chunk().expect("the length was checked");
        self.bytes = rest;
        *field
    }
}
