//! Requests and responses whose every byte can be checked.
//!
//! ```text
//! request       0 id              8
//!               8 bytes wanted    4   of the response
//!              12 parts wanted    4   in front of its last
//!              16 pattern of id
//! response      0 id              8
//!               8 pattern of !id
//! ```

use super::dice::Dice;

/// Bytes in front of the pattern of a request, and of a response.
pub(crate) const REQUEST: usize = 16;
pub(crate) const RESPONSE: usize = 8;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) id: u64,
    /// Bytes of the request.
    pub(crate) len: usize,
    /// Bytes of each part of the response, the last included.
    pub(crate) wanted: usize,
    /// Parts in front of the last.
    pub(crate) parts: usize,
}

impl Wish {
    /// Of many lengths: mostly short, some at the border of what goes through a ring of 64 KiB,
    /// some far beyond it.
    pub(crate) fn random(id: u64, dice: &mut Dice) -> Wish {
        let len = REQUEST + length(dice);
        let wanted = RESPONSE + length(dice);
        let parts = if dice.one_in(8) { dice.below(4) } else { 0 };
        Wish { id, len, wanted, parts }
    }

    pub(crate) fn request(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len + 8);
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&(self.wanted as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.parts as u32).to_le_bytes());
        fill(&mut bytes, self.id, self.len);
        bytes
    }

    /// The wish in a request; `None` if a byte of it is wrong.
    pub(crate) fn of(request: &[u8]) -> Option<Wish> {
        let (id, rest) = request.split_first_chunk()?;
        let (wanted, rest) = rest.split_first_chunk()?;
        let (parts, _) = rest.split_first_chunk()?;
        let wish = Wish {
            id: u64::from_le_bytes(*id),
            len: request.len(),
            wanted: u32::from_le_bytes(*wanted) as usize,
            parts: u32::from_le_bytes(*parts) as usize,
        };
        (wish.request() == request).then_some(wish)
    }

    /// The response to it, or each part of that.
    pub(crate) fn response(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.wanted + 8);
        bytes.extend_from_slice(&self.id.to_le_bytes());
        fill(&mut bytes, !self.id, self.wanted);
        bytes
    }
}

fn length(dice: &mut Dice) -> usize {
    match dice.below(16) {
        0 => 16_300 + dice.below(200),
        1 | 2 => 60_000 + dice.below(200_000),
        3..6 => dice.below(4000),
        _ => dice.below(200),
    }
}

/// Appends the pattern of a number, up to a length.
fn fill(bytes: &mut Vec<u8>, number: u64, len: usize) {
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    while bytes.len() < len {
        bytes.extend_from_slice(&word.to_le_bytes());
        word = word.rotate_left(9).wrapping_add(number);
    }
    bytes.truncate(len);
}
