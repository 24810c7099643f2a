//! Text drawn over itself, within a terminal of any size.

use std::io::{self, Write};
use std::path::Path;

use rustix::termios::tcgetwinsize;

/// To the first column of the first line.
const HOME: &str = "\x1b[H";
/// Clears what was longer before: of a line, and below the last.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
/// Scrolls what is there out of sight, to begin with.
const CLEAR_ALL: &str = "\x1b[2J";

/// Where a terminal does not say how large it is.
const COLUMNS: usize = 80;
const LINES: usize = 24;

pub(super) struct Screen {
    directory: String,
    begun: bool,
}

impl Screen {
    pub(super) fn new(directory: &Path) -> Screen {
        Screen { directory: directory.display().to_string(), begun: false }
    }

    /// Draws a table below a line that says what it is.
    pub(super) fn draw(&mut self, time: &str, table: &str) -> io::Result<()> {
        let (columns, lines) = size();
        let title = format!("services in {}   {time}   Ctrl-C ends", self.directory);
        let text = fit(&format!("{title}\n\n{table}"), columns, lines);
        let begin = if std::mem::replace(&mut self.begun, true) { "" } else { CLEAR_ALL };
        let mut out = io::stdout().lock();
        write!(
            out,
            "{begin}{HOME}{}{CLEAR_BELOW}",
            text.replace('\n', &(CLEAR_LINE.to_owned() + "\n"))
        )?;
        out.flush()
    }
}

/// Columns and lines.
fn size() -> (usize, usize) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (COLUMNS, LINES),
    }
}

/// What there is room for. The last line stays free for the cursor, and one tells of those cut.
fn fit(text: &str, columns: usize, lines: usize) -> String {
    let room = lines.saturating_sub(2).max(1);
    let all = text.lines().count();
    let mut fitted = String::with_capacity(text.len());
    for line in text.lines().take(room) {
        fitted.extend(line.chars().take(columns));
        fitted.push('\n');
    }
    if all > room {
        let more = format!("and {} more", all - room);
        fitted.extend(more.chars().take(columns));
        fitted.push('\n');
    }
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_and_counted() {
        assert_eq!(fit("title\n\nrow\n", 80, 24), "title\n\nrow\n");
        assert_eq!(fit("abcdef\n12345\nx\ny\nz\n", 4, 4), "abcd\n1234\nand \n");
        assert_eq!(fit("a\nb\nc\n", 80, 4), "a\nb\nand 1 more\n");
        assert_eq!(fit("a\nb\n", 80, 0), "a\nand 1 more\n");
    }
}
