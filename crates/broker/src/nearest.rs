//! Did you mean: the known name closest to one that is not.

/// The name closest to `wanted`, if it is close enough to be a slip.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (edit_distance(name, wanted), name))
        .min()
        .filter(|(distance, _)| *distance <= 1 + wanted.len() / 4)
        .map(|(_, name)| name)
}

/// Levenshtein distance over bytes; names are short, and nearly always ASCII.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substitute = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_does_not() {
        let known = ["orders", "payments", "order-events"];
        assert_eq!(nearest("order", known), Some("orders"));
        assert_eq!(nearest("paymnts", known), Some("payments"));
        assert_eq!(nearest("Orders", known), Some("orders"));
        assert_eq!(nearest("shipments", known), None);
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn the_distance_counts_single_edits() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("abc", "abc"), 0);
    }
}
