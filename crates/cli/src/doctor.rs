//! `chaski doctor`: what this machine is like for a broker.
//!
//! A finding says what was seen, what that does, and the command that mends it. Each file looks at
//! one side of the machine and only reads, but for `disk`, which measures.

mod disk;
mod finding;
mod kernel;
mod limits;
mod ports;

use std::path::Path;

use crate::args::Doctor;
use crate::failure::Failure;
use crate::output::{self, Format, Row, count};
use crate::progress::Step;
pub(crate) use finding::{Finding, Severity};

pub(crate) fn run(args: &Doctor) -> Result<(), Failure> {
    let mut step = Step::new();
    step.show("measuring flushes ..");
    let findings = examine(&args.data, &args.ports);
    step.clear();
    match args.output.output {
        Format::Table => output::printed_text(&shown(&findings))?,
        format => output::list(format, &findings)?,
    }
    let broken = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    match broken {
        0 => Ok(()),
        broken => {
            let what =
                format!("{} would keep a broker from working", count(broken as u64, "finding"));
            Err(Failure::new(what).hint("the commands above mend it"))
        }
    }
}

/// Everything that can be looked at.
pub(crate) fn examine(data: &Path, ports: &[String]) -> Vec<Finding> {
    let mut findings = limits::examine();
    findings.extend(kernel::examine());
    findings.extend(disk::examine(data));
    findings.extend(ports::examine(ports));
    findings
}

/// A table, and below it what is to be done about the rows that want something done.
fn shown(findings: &[Finding]) -> String {
    let mut text = output::table(findings);
    for finding in findings.iter().filter(|finding| finding.severity > Severity::Ok) {
        text += &format!("\n{} {}: {}\n", finding.severity.as_str(), finding.check, finding.effect);
        if let Some(command) = &finding.command {
            text += &format!("  mend it: {command}\n");
        }
    }
    text
}

impl Row for Finding {
    const COLUMNS: &'static [crate::table::Column] = finding::COLUMNS;

    fn cells(&self) -> Vec<String> {
        vec![self.severity.as_str().to_owned(), self.check.to_owned(), self.what.clone()]
    }
}
