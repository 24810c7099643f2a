//! Columns that line up.
//!
//! Rows are held back, to learn how wide the columns are, but not for ever: every [`ROWS_HELD_MAX`]
//! rows are printed with the widths known by then, so that a table of any length takes bounded
//! memory. What comes from outside cannot steer the terminal: control characters are escaped.

use std::borrow::Cow;
use std::fmt::Write as _;

const ROWS_HELD_MAX: usize = 1000;
/// What stands between two columns.
const GAP: &str = "  ";

/// A column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    right: bool,
}

/// A column of text, aligned to the left.
pub(crate) const fn text(title: &'static str) -> Column {
    Column { title, right: false }
}

/// A column of numbers, aligned to the right.
pub(crate) const fn number(title: &'static str) -> Column {
    Column { title, right: true }
}

impl Column {
    pub(crate) fn title(&self) -> &'static str {
        self.title
    }
}

/// Rows under column titles.
#[derive(Debug)]
pub(crate) struct Table {
    columns: &'static [Column],
    widths: Vec<usize>,
    rows: Vec<Vec<String>>,
    titled: bool,
}

impl Table {
    pub(crate) fn new(columns: &'static [Column]) -> Table {
        let widths = columns.iter().map(|column| column.title.len()).collect();
        Table { columns, widths, rows: Vec::new(), titled: false }
    }

    /// Adds a row, one cell a column. Returns what is to be printed by now.
    pub(crate) fn push(&mut self, cells: Vec<String>) -> Option<String> {
        debug_assert_eq!(cells.len(), self.columns.len());
        let cells: Vec<String> = cells.iter().map(|cell| printable(cell).into_owned()).collect();
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count());
        }
        self.rows.push(cells);
        (self.rows.len() == ROWS_HELD_MAX).then(|| self.print())
    }

    /// What is left to be printed.
    pub(crate) fn finish(mut self) -> String {
        if self.rows.is_empty() && self.titled { String::new() } else { self.print() }
    }

    fn print(&mut self) -> String {
        let mut out = String::new();
        if !self.titled {
            self.titled = true;
            self.line(&mut out, self.columns.iter().map(|column| column.title));
        }
        for row in &self.rows {
            self.line(&mut out, row.iter().map(String::as_str));
        }
        self.rows.clear();
        out
    }

    fn line<'a>(&self, out: &mut String, cells: impl Iterator<Item = &'a str>) {
        let start = out.len();
        for ((cell, column), &width) in cells.zip(self.columns).zip(&self.widths) {
            if out.len() > start {
                out.push_str(GAP);
            }
            let _ = match column.right {
                true => write!(out, "{cell:>width$}"),
                false => write!(out, "{cell:<width$}"),
            };
        }
        out.truncate(start + out[start..].trim_end().len());
        out.push('\n');
    }
}

/// Text from outside as it may be shown: control characters, which could steer a terminal, escaped.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    text.chars().fold(Cow::Borrowed(""), |mut shown, c| {
        let out = shown.to_mut();
        if c.is_control() {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[text("TOPIC"), number("N"), text("NOTE")];

    fn cells(cells: [&str; 3]) -> Vec<String> {
        cells.map(str::to_owned).to_vec()
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(COLUMNS);
        assert_eq!(table.push(cells(["a", "7", "first"])), None);
        table.push(cells(["much-longer", "12345", ""]));
        assert_eq!(
            table.finish(),
            "\
TOPIC            N  NOTE
a                7  first
much-longer  12345
"
        );
    }

    #[test]
    fn an_empty_table_has_titles() {
        assert_eq!(Table::new(COLUMNS).finish(), "TOPIC  N  NOTE\n");
    }

    #[test]
    fn a_long_table_is_printed_in_parts_with_one_title() {
        let mut table = Table::new(COLUMNS);
        let mut printed = String::new();
        for _ in 0..ROWS_HELD_MAX * 2 {
            printed.extend(table.push(cells(["a", "1", "x"])));
            assert!(table.rows.len() < ROWS_HELD_MAX);
        }
        printed.push_str(&table.finish());
        assert_eq!(printed.matches("TOPIC").count(), 1);
        assert_eq!(printed.lines().count(), 1 + 2 * ROWS_HELD_MAX);
    }

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        let mut table = Table::new(COLUMNS);
        table.push(cells(["a\u{1b}[2Jb\n", "1", "gr\u{fc}n"]));
        let text = table.finish();
        assert!(text.contains("a\\u{1b}[2Jb\\n  1  gr\u{fc}n"), "{text}");
    }
}
