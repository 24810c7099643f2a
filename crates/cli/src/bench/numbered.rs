//! Messages that are numbered, so that one that is lost or doubled is noticed.

/// The number of the message that ends a stream; the others count from 0.
pub(super) const LAST: u64 = u64::MAX;

/// Messages counted, and their numbers added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum {
    pub(super) messages: u64,
    numbers: u64,
}

/// Writes its number into a message.
pub(super) fn number_it(message: &mut [u8], number: u64) {
    message[..8].copy_from_slice(&number.to_le_bytes());
}

/// The number of a message; one that is too short has a wrong one.
pub(super) fn number(message: &[u8]) -> u64 {
    message.first_chunk().map_or(LAST - 1, |bytes| u64::from_le_bytes(*bytes))
}

impl Sum {
    pub(super) fn add(&mut self, number: u64) {
        self.messages += 1;
        self.numbers = self.numbers.wrapping_add(number);
    }

    pub(super) fn write(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.messages.to_le_bytes());
        bytes[8..].copy_from_slice(&self.numbers.to_le_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Sum> {
        let (messages, numbers) = bytes.split_first_chunk()?;
        let numbers = numbers.try_into().ok()?;
        Some(Sum { messages: u64::from_le_bytes(*messages), numbers: u64::from_le_bytes(numbers) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_comes_back_and_a_lost_message_is_noticed() {
        let mut sum = Sum::default();
        (0..10).for_each(|number| sum.add(number));
        assert_eq!(Sum::read(&sum.write()), Some(sum));
        let mut other = Sum::default();
        (1..11).for_each(|number| other.add(number));
        assert_ne!(sum, other);
        assert_eq!(Sum::read(b"short"), None);
    }

    #[test]
    fn a_message_has_a_number() {
        let mut message = [0; 12];
        number_it(&mut message, 77);
        assert_eq!(number(&message), 77);
        assert_ne!(number(b""), LAST);
    }
}
