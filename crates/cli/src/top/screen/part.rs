//! One part of the screen: rows of one kind, or why there are none.

use std::cmp::Ordering;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use crate::output::Row;
use crate::table::{Column, Table, printable};

/// Lines above the rows: the title, and the columns.
const LINES_ABOVE: u16 = 2;

/// Rows of one kind.
pub(super) struct Part {
    title: &'static str,
    columns: &'static [Column],
    rows: Vec<Vec<String>>,
    /// Why there are no rows.
    missing: Option<String>,
    /// The first row that is drawn.
    first: usize,
    /// None: in the order they came.
    sorted_by: Option<usize>,
}

impl Part {
    pub(super) fn new(title: &'static str) -> Part {
        let (rows, missing) = (Vec::new(), None);
        Part { title, columns: &[], rows, missing, first: 0, sorted_by: None }
    }

    pub(super) fn show<R: Row>(&mut self, rows: Option<&[R]>, missing: Option<&str>) {
        self.columns = R::COLUMNS;
        self.rows = rows.unwrap_or_default().iter().map(Row::cells).collect();
        self.missing = missing.map(|why| printable(why).into_owned());
        self.sort();
        self.scroll(0);
    }

    /// What it shows, and how much of it there is.
    pub(super) fn title(&self) -> String {
        let by = self.sorted_by.and_then(|at| self.columns.get(at));
        let by = by.map(|column| format!(", by {}", column.title().to_lowercase()));
        format!("{} ({}{})", self.title, self.rows.len(), by.unwrap_or_default())
    }

    /// Lines that would show all of it.
    pub(super) fn lines(&self) -> u16 {
        u16::try_from(self.rows.len()).unwrap_or(u16::MAX).saturating_add(LINES_ABOVE + 1)
    }

    pub(super) fn scroll(&mut self, by: isize) {
        let last = self.rows.len().saturating_sub(1);
        self.first = self.first.saturating_add_signed(by).min(last);
    }

    /// By the next column, and behind the last one as they came.
    pub(super) fn sort_by_next(&mut self) {
        let next = self.sorted_by.map_or(0, |at| at + 1);
        self.sorted_by = (next < self.columns.len()).then_some(next);
        self.sort();
    }

    fn sort(&mut self) {
        if let Some(at) = self.sorted_by {
            self.rows.sort_by(|a, b| compare(&a[at], &b[at]));
        }
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>, area: Rect, title: &str, style: Style) {
        let title = format!(" {title:<width$}", width = usize::from(area.width));
        let mut lines = vec![Line::styled(title, style.add_modifier(Modifier::BOLD))];
        match &self.missing {
            Some(why) => lines
                .push(Line::styled(format!(" {why}"), Style::new().add_modifier(Modifier::ITALIC))),
            None => lines.extend(self.text(area.height)),
        }
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// The columns, the rows there is room for, and how many more there are.
    fn text(&self, height: u16) -> impl Iterator<Item = Line<'static>> {
        let room = usize::from(height.saturating_sub(LINES_ABOVE));
        let mut table = Table::new(self.columns);
        let mut text: String =
            self.rows.iter().filter_map(|cells| table.push(cells.clone())).collect();
        text.push_str(&table.finish());
        let mut lines = text.lines().map(|line| format!(" {line}"));
        let columns = lines.next().map(|line| Line::styled(line, Modifier::UNDERLINED));
        let mut rows: Vec<String> = lines.skip(self.first).collect();
        if rows.len() > room && room > 0 {
            let more = rows.len() - room + 1;
            rows.truncate(room - 1);
            rows.push(format!(" .. {more} more"));
        }
        columns.into_iter().chain(rows.into_iter().map(Line::from))
    }
}

/// Numbers before texts, the greatest first; texts by the alphabet.
fn compare(a: &str, b: &str) -> Ordering {
    match (size(a), size(b)) {
        (Some(a), Some(b)) => b.total_cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// A number with or without a unit: `7`, `1.5 kB`, `<1 %`.
fn size(cell: &str) -> Option<f64> {
    let (number, unit) = cell.split_once(' ').unwrap_or((cell, ""));
    let number: f64 = match number.strip_prefix('<') {
        Some(number) => number.parse::<f64>().ok()? / 2.0,
        None => number.parse().ok()?,
    };
    let times = match unit.chars().next() {
        Some('k') => 1e3,
        Some('M') => 1e6,
        Some('G') => 1e9,
        _ => 1.0,
    };
    Some(number * times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_compared_by_what_they_mean() {
        let mut cells = ["900 B", "-", "1.0 kB", "2.5 MB/s", "10 B", "<1 %"];
        cells.sort_by(|a, b| compare(a, b));
        assert_eq!(cells, ["2.5 MB/s", "1.0 kB", "900 B", "10 B", "<1 %", "-"]);
        let mut names = ["b", "a"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, ["a", "b"]);
    }
}
