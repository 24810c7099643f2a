//! Rules about one file: what is in its text.

use super::Finding;
use super::source::Source;

/// Columns of a line of code.
const COLUMNS_MAX: usize = 100;

/// Lines of a file, its tests left out.
const LINES_MAX: usize = 800;

/// Marks of unfinished or debugging code, in halves so that this file does not hold them.
const MARKS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "X", "X"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("db", "g!"),
];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = ascii(source);
    if source.is("rs") || source.is("py") {
        findings.extend(width(source));
        findings.extend(size(source));
        findings.extend(head(source));
    }
    if !source.is("md") {
        findings.extend(marks(source));
    }
    findings
}

fn ascii(source: &Source) -> Vec<Finding> {
    let strange = |line: &str| line.chars().find(|c| !c.is_ascii());
    source
        .lines()
        .filter_map(|(number, line)| {
            let strange = strange(line)?;
            let message = format!("U+{:04X} is not ASCII", u32::from(strange));
            Some(source.finding(number, "ascii", message))
        })
        .collect()
}

fn width(source: &Source) -> Vec<Finding> {
    source
        .lines()
        .filter(|(_, line)| line.chars().count() > COLUMNS_MAX)
        .map(|(number, line)| {
            let message = format!("{} columns, at most {COLUMNS_MAX}", line.chars().count());
            source.finding(number, "width", message)
        })
        .collect()
}

fn size(source: &Source) -> Option<Finding> {
    let lines = source.product_lines().count();
    if source.is_test() || lines <= LINES_MAX {
        return None;
    }
    let message = format!("{lines} lines without tests, at most {LINES_MAX}: split it by idea");
    Some(source.finding(1, "size", message))
}

/// A file opens by saying what it is.
fn head(source: &Source) -> Option<Finding> {
    let mut lines = source.text.lines().filter(|line| !line.starts_with("#!/"));
    let first = lines.next()?;
    let (opening, name) =
        if source.is("rs") { ("//! ", "`//!`") } else { ("\"\"\"", "a docstring") };
    let missing = !first.starts_with(opening);
    let message = || format!("the file does not open with {name} that says what it is");
    missing.then(|| source.finding(1, "head", message()))
}

fn marks(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.lines() {
        for mark in MARKS.iter().filter(|mark| holds_word(line, mark)) {
            findings.push(source.finding(number, "marks", format!("{mark} left in the tree")));
        }
    }
    findings
}

/// Whether `word` is in `line` and no part of a longer word.
fn holds_word(line: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let after = line[at + word.len()..].chars().next();
        !part(line[..at].chars().next_back()) && (word.ends_with('!') || !part(after))
    })
}

impl Source {
    pub(super) fn finding(&self, line: usize, rule: &'static str, message: String) -> Finding {
        Finding { path: self.path.clone(), line, rule, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        let findings = check(&Source::sample(path, text));
        findings.into_iter().map(|finding| (finding.line, finding.rule)).collect()
    }

    #[test]
    fn a_tidy_file_passes() {
        assert_eq!(rules("crates/log/src/a.rs", "//! Head.\n\nfn f() {}\n"), []);
        assert_eq!(rules("interop/a.py", "\"\"\"Head.\"\"\"\n"), []);
        assert_eq!(rules(".ci/run.sh", "#!/bin/sh\ntrue\n"), []);
    }

    #[test]
    fn ascii_only() {
        assert_eq!(rules("README.md", "fine\ncaf\u{e9}\n"), [(2, "ascii")]);
    }

    #[test]
    fn lines_end_at_the_limit() {
        let just = format!("//! {}\n", "x".repeat(COLUMNS_MAX - 4));
        let over = format!("//! {}\n", "x".repeat(COLUMNS_MAX - 3));
        assert_eq!(rules("a.rs", &just), []);
        assert_eq!(rules("a.rs", &over), [(1, "width")]);
        assert_eq!(rules("a.md", &over), []);
    }

    #[test]
    fn long_files_are_found_and_tests_do_not_count() {
        let long = format!("//! Head.\n{}", "\n".repeat(LINES_MAX));
        assert_eq!(rules("crates/log/src/a.rs", &long), [(1, "size")]);
        assert_eq!(rules("crates/log/tests/a.rs", &long), []);
        let body = "\n".repeat(LINES_MAX);
        let tests = format!("//! Head.\n#[cfg(test)]\nmod tests {{\n{body}}}\n");
        assert_eq!(rules("crates/log/src/a.rs", &tests), []);
    }

    #[test]
    fn a_file_says_what_it_is() {
        assert_eq!(rules("a.rs", "use std::fs;\n"), [(1, "head")]);
        assert_eq!(rules("a.py", "#!/usr/bin/env python3\nimport os\n"), [(1, "head")]);
        assert_eq!(rules("a.py", "#!/usr/bin/env python3\n\"\"\"Head.\"\"\"\n"), []);
    }

    #[test]
    fn marks_are_whole_words() {
        let unfinished = ["TO", "DO"].concat();
        let debugging = ["db", "g!"].concat();
        assert_eq!(rules("a.rs", &format!("//! Head. {unfinished}: more\n")), [(1, "marks")]);
        assert_eq!(rules("a.rs", &format!("//! Head.\nlet x = {debugging}(1);\n")), [(2, "marks")]);
        let template = "X".repeat(6);
        assert_eq!(rules("a.sh", &format!("mktemp name.{template}\n")), []);
        let size = "X".repeat(2) + "L";
        assert_eq!(rules("a.rs", &format!("//! {unfinished}S and {size}\n")), []);
    }
}
