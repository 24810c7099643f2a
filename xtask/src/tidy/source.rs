//! One file of the tree, and which of its lines are tests or comments.

use std::fs;
use std::io;
use std::path::Path;

/// A text file, with its path from the root in forward slashes.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    pub(super) fn read(root: &Path, file: &Path) -> io::Result<Source> {
        let path = file.strip_prefix(root).unwrap_or(file);
        let path = path.to_string_lossy().replace('\\', "/");
        // Bytes that are no UTF-8 become U+FFFD, which the rule on ASCII then finds.
        let text = String::from_utf8_lossy(&fs::read(file)?).into_owned();
        Ok(Source { path, text })
    }

    #[cfg(test)]
    pub(super) fn sample(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into() }
    }

    /// Whether the file is of this kind, named without the dot.
    pub(super) fn is(&self, kind: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, ending)| ending == kind)
    }

    /// A file of nothing but tests.
    pub(super) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// The lines and their numbers from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }

    /// The lines that are not inside a `#[cfg(test)] mod name { .. }`.
    ///
    /// It trusts rustfmt: such a module ends at the first `}` in the column of its `#[cfg(test)]`.
    pub(super) fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut inside = Inside::Product;
        self.lines().filter(move |(_, line)| {
            let indent = line.len() - line.trim_start().len();
            let code = line.trim();
            inside = match inside {
                Inside::Tests(column) if code == "}" && indent == column => {
                    inside = Inside::Product;
                    return false;
                }
                Inside::Tests(_) => return false,
                _ if code == "#[cfg(test)]" => Inside::Attribute(indent),
                Inside::Attribute(column) if is_module_opening(code) => Inside::Tests(column),
                Inside::Attribute(column) if code.starts_with("#[") => Inside::Attribute(column),
                _ => Inside::Product,
            };
            inside == Inside::Product
        })
    }
}

/// Where a walk over the lines of a Rust file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Product,
    /// After `#[cfg(test)]` in this column, before what it is about.
    Attribute(usize),
    /// In a module of tests that began in this column.
    Tests(usize),
}

fn is_module_opening(code: &str) -> bool {
    let code = code.strip_prefix("pub(crate) ").unwrap_or(code);
    code.starts_with("mod ") && code.ends_with('{')
}

/// The line without a trailing or whole-line comment; good enough for looking for names.
pub(super) fn without_comment(line: &str) -> &str {
    match line.find("//") {
        Some(at) => &line[..at],
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
//! Head.
fn a() {}

#[cfg(test)]
use std::fs;

#[cfg(test)]
#[allow(unused)]
mod tests {
    fn b() {
    }
}

fn c() {}
";

    #[test]
    fn test_modules_are_left_out() {
        let source = Source::sample("crates/log/src/a.rs", FILE);
        let numbers: Vec<usize> = source.product_lines().map(|(number, _)| number).collect();
        assert_eq!(numbers, [1, 2, 3, 5, 6, 13, 14]);
    }

    #[test]
    fn kinds_and_tests_are_told_apart() {
        assert!(Source::sample("a/b.rs", "").is("rs"));
        assert!(!Source::sample("a/brs", "").is("rs"));
        assert!(Source::sample("crates/log/tests/crash.rs", "").is_test());
        assert!(Source::sample("crates/log/src/tests.rs", "").is_test());
        assert!(!Source::sample("crates/log/src/test.rs", "").is_test());
    }

    #[test]
    fn comments_are_cut() {
        assert_eq!(without_comment("let a = 1; // why"), "let a = 1; ");
        assert_eq!(without_comment("/// std::fs"), "");
    }
}
