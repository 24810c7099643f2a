//! The kernel's way to write a set of CPUs or nodes: `0-3,8`.
//!
//! The form is that of `cpulist` in the kernel's admin guide: numbers and inclusive ranges,
//! separated by commas; the empty set is an empty line.

use std::collections::BTreeSet;

/// Numbers above this make no sense: the kernel is built for 8192 CPUs at most.
const NUMBER_MAX: usize = 8191;

/// Reads a list; `None` if any part of it makes no sense.
pub(super) fn parse(text: &str) -> Option<BTreeSet<usize>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(BTreeSet::new());
    }
    let mut numbers = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

/// Digits alone: `str::parse` would take a sign.
fn number(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number <= NUMBER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(text: &str) -> Option<Vec<usize>> {
        parse(text).map(|numbers| numbers.into_iter().collect())
    }

    #[test]
    fn lists_of_the_kernel() {
        assert_eq!(list("0\n"), Some(vec![0]));
        assert_eq!(list("0-3,8\n"), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!(list("0,2,4-5"), Some(vec![0, 2, 4, 5]));
        assert_eq!(list("\n"), Some(vec![]));
        assert_eq!(list("8191"), Some(vec![8191]));
    }

    #[test]
    fn overlaps_and_disorder_are_a_set_all_the_same() {
        assert_eq!(list("3,1-3,2"), Some(vec![1, 2, 3]));
    }

    #[test]
    fn nonsense_is_refused() {
        let nonsense = [
            ",",
            "1,",
            "-",
            "1-",
            "-1",
            "3-1",
            "+1",
            "a",
            "1 2",
            "0-3:1/2",
            "8192",
            "0-4294967295",
            "99999999999999999999",
        ];
        for text in nonsense {
            assert_eq!(list(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers in prop::collection::btree_set(0..8192_usize, 0..40)) {
            let text: Vec<String> = numbers.iter().map(usize::to_string).collect();
            prop_assert_eq!(parse(&text.join(",")), Some(numbers));
        }

        #[test]
        fn any_text_is_survived(text in "[0-9,-]{0,30}") {
            if let Some(numbers) = parse(&text) {
                prop_assert!(numbers.into_iter().all(|number| number <= NUMBER_MAX));
            }
        }
    }
}
