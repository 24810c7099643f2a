//! Reading the small binary files that the log derives: every length is checked, nothing panics.

/// The bytes end before the value does, or the value is impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut;

/// Bytes yet to be read, from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    #[cfg(test)]
    pub(crate) fn new(bytes: &'a [u8]) -> Bytes<'a> {
        Bytes(bytes)
    }

    /// The next `N` bytes.
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], Cut> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Cut)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Result<(), Cut> {
        if self.0.is_empty() { Ok(()) } else { Err(Cut) }
    }
}

/// Appends `bytes` to `out`.
pub(crate) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

/// Appends the checksum of all that is in `out`.
pub(crate) fn seal(out: &mut Vec<u8>) {
    let crc = crc32c::crc32c(out);
    put(out, &crc.to_be_bytes());
}

/// What [`seal`] was called on, if the checksum holds.
pub(crate) fn unseal(bytes: &[u8]) -> Result<Bytes<'_>, Cut> {
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or(Cut)?;
    if crc32c::crc32c(body) == u32::from_be_bytes(*crc) { Ok(Bytes(body)) } else { Err(Cut) }
}
