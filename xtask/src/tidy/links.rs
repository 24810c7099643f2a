//! The rule about links: what a document names by a relative path is there, and so is the heading.

use std::fs;
use std::path::{Path, PathBuf};

use super::Finding;
use super::source::Source;

/// Every relative link of the documents that leads nowhere.
pub(super) fn check(root: &Path, sources: &[Source]) -> Vec<Finding> {
    let documents = sources.iter().filter(|source| source.is("md"));
    documents.flat_map(|source| broken(root, source)).collect()
}

fn broken(root: &Path, source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in prose(source) {
        // Of the web nothing is asked; `a::b` is for rustdoc, which looks itself.
        let here = |target: &&str| !target.contains("://") && !target.contains("::");
        for target in targets(line).filter(here) {
            if let Some(why) = why_broken(root, source, target) {
                findings.push(source.finding(number, "links", format!("`{target}`: {why}")));
            }
        }
    }
    findings
}

/// The lines of a document that are no code.
fn prose(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    source.lines().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// What stands in `](..)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

fn why_broken(root: &Path, source: &Source, target: &str) -> Option<&'static str> {
    let (path, heading) = target.split_once('#').map_or((target, None), |(p, h)| (p, Some(h)));
    let document = root.join(&source.path);
    let meant: PathBuf = match path {
        "" => document,
        path => document.parent()?.join(path),
    };
    if !meant.exists() {
        return Some("no such file");
    }
    let heading = heading.filter(|_| meant.extension().is_some_and(|kind| kind == "md"))?;
    let text = fs::read_to_string(&meant).ok()?;
    let found = headings(&text).any(|there| there == heading);
    (!found).then_some("no such heading")
}

/// The headings of a document as links name them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let words = line.trim_start_matches('#').trim().to_lowercase();
        words.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;

    fn rules(text: &str) -> Vec<(usize, &'static str)> {
        let document = Source::sample("xtask/sample.md", text);
        let findings = check(&process::root(), &[document]);
        findings.into_iter().map(|finding| (finding.line, finding.rule)).collect()
    }

    #[test]
    fn what_is_linked_is_there() {
        assert_eq!(rules("[here](Cargo.toml) and [there](../README.md), [web](https://x/y)\n"), []);
        assert_eq!(rules("fine\n![gone](gone.png)\n"), [(2, "links")]);
        assert_eq!(rules("[a](Cargo.toml) [b](gone.md#x)\n"), [(1, "links")]);
        assert_eq!(rules("```\ncode[0](gone)\n```\n[gone](gone)\n"), [(4, "links")]);
    }

    #[test]
    fn headings_are_there_too() {
        assert_eq!(rules("[fast](../README.md#how-fast-the-log-is)\n"), []);
        assert_eq!(rules("[slow](../README.md#how-slow-the-log-is)\n"), [(1, "links")]);
        let words: Vec<_> = headings("# A `b`, c-d\ntext\n## E\n").collect();
        assert_eq!(words, ["a-b-c-d", "e"]);
    }
}
