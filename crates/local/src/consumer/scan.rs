//! Whole batches in bytes of a segment: those that follow one another without a gap, may be read,
//! and are good.
//!
//! The bytes were copied out of a file that the broker is writing, and may end anywhere. What lies
//! below the high watermark has been written and never changes; what lies behind it may be half
//! written, or zeros, and is not looked at but for the header that says where it begins.

use chaski_batch::{Header, Span};

/// The longest batch that a log holds.
const BATCH_BYTES_MAX: usize = 128 << 20;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// So many bytes of good batches.
    Batches { span: Span, len: usize },
    /// The first batch has so many bytes, more than are here.
    Longer(usize),
    /// No good batch with the offset begins here: why, and the first offset that may be good again.
    Nothing { why: String, resumes: i64 },
}

/// What to look for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// The offset that the first batch holds.
    pub(super) offset: i64,
    /// The first batch begins with it.
    pub(super) is_first: bool,
    /// Where what may be read ends.
    pub(super) high_watermark: i64,
    /// Whether checksums are looked at.
    pub(super) check: bool,
}

/// Looks at the start of `bytes`.
pub(super) fn scan(bytes: &[u8], wanted: Wanted) -> Found {
    let (mut at, mut next) = (0, wanted.offset);
    loop {
        match batch(&bytes[at..], next, wanted, at == 0) {
            Ok((len, after)) => (at, next) = (at + len, after),
            Err(_) if at > 0 => {
                let span = Span { from: wanted.offset, next };
                return Found::Batches { span, len: at };
            }
            Err(found) => return found,
        }
    }
}

/// The length of the batch at the start of `bytes`, and the offset behind it.
fn batch(
    bytes: &[u8],
    expected: i64,
    wanted: Wanted,
    is_first: bool,
) -> Result<(usize, i64), Found> {
    let nothing = |why: String| Found::Nothing { why, resumes: expected.saturating_add(1) };
    let header = Header::parse(bytes).map_err(|error| nothing(error.to_string()))?;
    let (base, next, len) = (header.base_offset, header.next_offset(), header.total_len());
    let begins = if is_first && !wanted.is_first { base <= expected } else { base == expected };
    if !begins || next <= expected {
        return Err(nothing(format!("offset {base} where {expected} belongs")));
    }
    if next > wanted.high_watermark {
        return Err(nothing("a batch across the high watermark".to_owned()));
    }
    if len > BATCH_BYTES_MAX {
        return Err(nothing(format!("a batch of {len} bytes")));
    }
    if len > bytes.len() {
        return Err(Found::Longer(len));
    }
    if wanted.check
        && let Err(error) = chaski_batch::check(bytes)
    {
        // Nothing that it says of itself is believed, unless what is behind it says so too.
        let resumes = if is_followed(&bytes[len..], next) { next } else { expected + 1 };
        return Err(Found::Nothing { why: error.to_string(), resumes });
    }
    Ok((len, next))
}

/// Whether a batch with this offset begins here.
fn is_followed(bytes: &[u8], next: i64) -> bool {
    Header::parse(bytes).is_ok_and(|header| header.base_offset == next)
}

#[cfg(test)]
mod tests {
    use chaski_batch::{Builder, Codec, HEADER_LEN};

    use super::*;

    const WANTED: Wanted =
        Wanted { offset: 10, is_first: true, high_watermark: i64::MAX, check: true };

    fn batch(base_offset: i64, records: usize) -> Vec<u8> {
        let mut builder = Builder::new(Codec::None).base_offset(base_offset);
        for _ in 0..records {
            builder.push(0, None, Some(b"value"), &[]);
        }
        builder.build().unwrap()
    }

    fn found(len: usize, next: i64) -> Found {
        Found::Batches { span: Span { from: 10, next }, len }
    }

    #[test]
    fn batches_end_where_the_next_is_not_whole_or_not_there() {
        let (one, two) = (batch(10, 3), batch(13, 2));
        let len = one.len();
        let both = [&one[..], &two[..]].concat();
        assert_eq!(scan(&both, WANTED), found(both.len(), 15));
        for end in len..both.len() {
            assert_eq!(scan(&both[..end], WANTED), found(len, 13), "{end}");
        }
        assert_eq!(scan(&[&one[..], &[0; 4096]].concat(), WANTED), found(len, 13));
        for end in HEADER_LEN..len {
            assert_eq!(scan(&both[..end], WANTED), Found::Longer(len), "{end}");
        }
        for nothing in [&[][..], &[0; 4096], &one[..HEADER_LEN - 1]] {
            assert!(matches!(scan(nothing, WANTED), Found::Nothing { .. }));
        }
    }

    #[test]
    fn nothing_behind_the_high_watermark_is_shown() {
        let both = [batch(10, 3), batch(13, 2)].concat();
        let len = batch(10, 3).len();
        let at = |high_watermark| scan(&both, Wanted { high_watermark, ..WANTED });
        assert_eq!(at(15), found(both.len(), 15));
        assert_eq!(at(14), found(len, 13));
        assert_eq!(at(13), found(len, 13));
        assert!(matches!(at(12), Found::Nothing { .. }));
    }

    #[test]
    fn only_the_first_batch_may_begin_before_what_is_wanted() {
        let both = [batch(10, 3), batch(13, 2)].concat();
        let inside = Wanted { offset: 11, is_first: false, ..WANTED };
        let span = Span { from: 11, next: 15 };
        assert_eq!(scan(&both, inside), Found::Batches { span, len: both.len() });
        for (offset, is_first) in [(11, true), (13, true), (13, false), (9, true), (9, false)] {
            let wanted = Wanted { offset, is_first, ..WANTED };
            assert!(matches!(scan(&both, wanted), Found::Nothing { .. }), "{offset}");
        }
        let gap = [batch(10, 3), batch(14, 2)].concat();
        assert_eq!(scan(&gap, WANTED), found(batch(10, 3).len(), 13));
    }

    #[test]
    fn behind_a_batch_that_is_damaged_it_goes_on_with_the_next() {
        let mut bad = batch(10, 3);
        let last = bad.len() - 1;
        bad[last] ^= 1;
        let behind = batch(13, 1);
        let followed = |bad: &[u8]| scan(&[bad, &behind[..]].concat(), WANTED);
        assert!(matches!(followed(&bad), Found::Nothing { resumes: 13, .. }));
        // The offset of its last record is damaged too, as far as can be told.
        assert!(matches!(scan(&bad, WANTED), Found::Nothing { resumes: 11, .. }));
        let mut long = batch(10, 3);
        long[24] ^= 1;
        assert!(matches!(followed(&long), Found::Nothing { resumes: 11, .. }));
        assert!(matches!(scan(&[0; 100], WANTED), Found::Nothing { resumes: 11, .. }));
    }

    #[test]
    fn any_changed_byte_of_a_batch_is_noticed() {
        let good = batch(10, 3);
        // The leader epoch lies outside the checksum, and means nothing here.
        for at in (0..good.len()).filter(|at| !(12..16).contains(at)) {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert!(!matches!(scan(&bad, WANTED), Found::Batches { .. }), "byte {at}");
        }
        let mut bad = good.clone();
        bad[good.len() - 2] ^= 1;
        let unchecked = Wanted { check: false, ..WANTED };
        assert_eq!(scan(&bad, unchecked), found(good.len(), 13));
    }
}
