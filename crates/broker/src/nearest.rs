//! Did you mean: the known name closest to one that is not.
//!
//! Names come from outside, and a client may ask for unknown ones in a loop. So the work is bounded
//! whatever is asked and known: names beyond a length are none, so many are looked at and no more,
//! and of their comparisons so much is done and no more. Most names are told from the one wanted by
//! their length alone.

/// Longest name, wanted or known: longer than a topic's may be.
const NAME_BYTES_MAX: usize = 256;

/// Names looked at.
const LOOKED_AT_MAX: usize = 10_000;

/// Pairs of bytes compared, of all names together: some tenths of a millisecond.
const PAIRS_MAX: usize = 200_000;

/// The name closest to `wanted`, if it is close enough to be a slip. Of very many names not all are
/// looked at.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.len() > NAME_BYTES_MAX {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    let mut limit = 1 + wanted.len() / 4;
    let mut pairs_left = PAIRS_MAX;
    let mut row = Vec::with_capacity(wanted.len() + 1);
    for name in known.into_iter().take(LOOKED_AT_MAX) {
        if name.len().abs_diff(wanted.len()) > limit {
            continue;
        }
        let (name_rest, wanted_rest) = apart(name.as_bytes(), wanted.as_bytes());
        let pairs = name_rest.len() * wanted_rest.len();
        let Some(left) = pairs_left.checked_sub(pairs) else { break };
        pairs_left = left;
        let Some(distance) = edit_distance(name_rest, wanted_rest, limit, &mut row) else {
            continue;
        };
        if best.is_none_or(|best| (distance, name) < best) {
            best = Some((distance, name));
            // What is farther away is of no interest any more.
            limit = distance;
        }
    }
    best.map(|(_, name)| name)
}

/// Both without what they begin and end with alike, which does not change their distance.
fn apart<'a>(a: &'a [u8], b: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let alike = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[alike..], &b[alike..]);
    let alike = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    (&a[..a.len() - alike], &b[..b.len() - alike])
}

/// Levenshtein distance over bytes, if it is at most `limit`; names are nearly always ASCII. `row`
/// is room to work in.
fn edit_distance(a: &[u8], b: &[u8], limit: usize, row: &mut Vec<usize>) -> Option<usize> {
    row.clear();
    row.extend(0..=b.len());
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        let mut least = row[0];
        for (j, y) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(diagonal + 1).min(row[j] + 1);
            least = least.min(row[j + 1]);
        }
        // No later row has less.
        if least > limit {
            return None;
        }
    }
    Some(row[b.len()]).filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_does_not() {
        let known = ["orders", "payments", "order-events"];
        assert_eq!(nearest("order", known), Some("orders"));
        assert_eq!(nearest("paymnts", known), Some("payments"));
        assert_eq!(nearest("Orders", known), Some("orders"));
        assert_eq!(nearest("shipments", known), None);
        assert_eq!(nearest("x", []), None);
        assert_eq!(nearest("orderz", ["orderx", "ordera"]), Some("ordera"), "the first of equals");
    }

    fn distance(a: &str, b: &str, limit: usize) -> Option<usize> {
        let (a, b) = apart(a.as_bytes(), b.as_bytes());
        edit_distance(a, b, limit, &mut Vec::new())
    }

    #[test]
    fn the_distance_counts_single_edits() {
        assert_eq!(distance("kitten", "sitting", 3), Some(3));
        assert_eq!(distance("kitten", "sitting", 2), None);
        assert_eq!(distance("", "abc", 9), Some(3));
        assert_eq!(distance("abc", "abc", 0), Some(0));
        assert_eq!(distance("aab", "aaab", 9), Some(1), "what is alike at both ends may overlap");
    }

    #[test]
    fn what_is_left_out_changes_no_distance() {
        let mut state = 7_u32;
        let mut word = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (0..state >> 29).map(|i| if state >> (8 + i) & 1 == 0 { 'a' } else { 'b' }).collect()
        };
        for _ in 0..2000 {
            let (a, b): (String, String) = (word(), word());
            let whole = edit_distance(a.as_bytes(), b.as_bytes(), 99, &mut Vec::new());
            assert_eq!(distance(&a, &b, 99), whole, "{a} {b}");
        }
    }

    #[test]
    fn the_work_is_bounded() {
        let looked = Cell::new(0);
        let count = |name: &'static str| {
            looked.set(looked.get() + 1);
            name
        };
        assert_eq!(nearest("order", std::iter::repeat("something else").map(count)), None);
        assert_eq!(looked.take(), LOOKED_AT_MAX);
        let (long, other) = ("x".repeat(NAME_BYTES_MAX), "y".repeat(NAME_BYTES_MAX));
        let known = std::iter::repeat(&*other).inspect(|_| looked.set(looked.get() + 1));
        assert_eq!(nearest(&long, known), None);
        assert!(looked.take() <= PAIRS_MAX / (NAME_BYTES_MAX * NAME_BYTES_MAX) + 1);
        assert_eq!(nearest(&"x".repeat(NAME_BYTES_MAX + 1), ["x"]), None);
    }
}
