//! `cargo xtask tidy`: the house rules that a program can check.
//!
//! [`text`] looks at one file at a time, [`layers`] at how the crates lie on each other, [`links`]
//! at where the documents point. A finding names the file, the line and the rule, the way a
//! compiler would.

mod layers;
mod links;
mod source;
mod text;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::process::{self, Failure};
use source::Source;

/// Check the house rules: ASCII, widths, sizes, module heads, layers, unsafe code, links.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<(), Failure> {
    check()
}

/// A rule broken at a place.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// From 1.
    line: usize,
    rule: &'static str,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.message)
    }
}

/// Checks the whole tree and prints what it finds.
pub(crate) fn check() -> Result<(), Failure> {
    let root = process::root();
    let sources = read_tree(&root)
        .map_err(|e| Failure::new(format!("cannot read {}: {e}", root.display()), ""))?;
    let findings = check_sources(&sources);
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("    {} files are tidy", sources.len());
        return Ok(());
    }
    let what = format!("{} findings in {} files", findings.len(), sources.len());
    Err(Failure::new(what, "mend the lines named above; again: cargo xtask tidy"))
}

fn check_sources(sources: &[Source]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = sources.iter().flat_map(text::check).collect();
    findings.extend(layers::check(sources));
    findings.extend(links::check(&process::root(), sources));
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    findings
}

/// Folders that hold nothing of ours, or nothing written by hand.
const LEFT_OUT: &[&str] =
    &[".git", ".venv", "__pycache__", "artifacts", "chaski-data", "corpus", "target"];

/// Kinds of file that are sources or docs.
const KINDS: &[&str] = &["css", "html", "js", "json", "md", "py", "rs", "sh", "toml", "txt", "yml"];

/// Every source and doc of the tree, in a stable order.
fn read_tree(root: &Path) -> io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let kind = path.extension().unwrap_or_default().to_string_lossy();
            if path.is_dir() && !LEFT_OUT.contains(&&*name) {
                folders.push(path);
            } else if path.is_file() && KINDS.contains(&&*kind) {
                sources.push(Source::read(root, &path)?);
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_like_a_compiler_message() {
        let source = Source::sample("crates/ring/src/lib.rs", "fn f() {}\n");
        let findings = check_sources(&[source]);
        assert!(
            findings[0].to_string().starts_with("crates/ring/src/lib.rs:1: head: "),
            "{findings:?}"
        );
    }

    #[test]
    fn the_tree_is_read_without_what_is_built() {
        let sources = read_tree(&process::root()).unwrap();
        assert!(sources.iter().any(|source| source.path == "xtask/src/tidy/mod.rs"));
        assert!(!sources.iter().any(|source| source.path.starts_with("target/")));
    }
}
