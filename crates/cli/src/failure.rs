//! What a person is told when a command fails: what went wrong, why, and what to do next.
//!
//! Exit codes: 1 the command failed, 2 it was called wrongly (clap's own), 3 the broker, or the
//! other process, could not be reached or went away.

use std::error::Error;
use std::process::ExitCode;

use crate::output::wants_colour;
use crate::table::printable;

/// Exit code: called wrongly.
pub(crate) const CALLED_WRONGLY: u8 = 2;
/// Exit code: the broker, or the other process, could not be reached or went away.
pub(crate) const PEER_LOST: u8 = 3;

/// Refuses the first option that was given and is for topics alone; `hint` says why.
pub(crate) fn refuse_given(options: &[(&str, bool)], hint: &str) -> Result<(), Failure> {
    let Some((option, _)) = options.iter().find(|(_, given)| *given) else { return Ok(()) };
    Err(Failure::new(format!("{option} is for kafka://")).hint(hint).code(CALLED_WRONGLY))
}

/// A failure on its way to a person.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    causes: Vec<String>,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    /// Something went wrong.
    pub(crate) fn new(what: impl Into<String>) -> Failure {
        Failure { what: what.into(), causes: Vec::new(), hint: None, code: 1 }
    }

    /// Something went wrong because of `error` and all that caused it.
    pub(crate) fn because(what: impl Into<String>, error: &dyn Error) -> Failure {
        let mut failure = Failure::new(what);
        let mut next = Some(error);
        while let Some(error) = next {
            let cause = error.to_string();
            // Many an error ends with what caused it.
            if !failure.causes.last().is_some_and(|said| said.ends_with(&cause)) {
                failure.causes.push(cause);
            }
            next = error.source();
        }
        // Some errors name themselves what went wrong.
        failure.causes.retain(|cause| *cause != failure.what);
        failure
    }

    /// Adds to the reasons.
    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Failure {
        self.causes.push(cause.into());
        self
    }

    /// What to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code, 1 unless set.
    pub(crate) fn code(mut self, code: u8) -> Failure {
        self.code = code;
        self
    }

    /// What went wrong and why, for where there is but one line.
    pub(crate) fn in_a_line(&self) -> String {
        let parts = std::iter::once(&self.what).chain(&self.causes);
        parts.map(String::as_str).collect::<Vec<_>>().join(": ")
    }

    /// Prints it and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let [error, hint] = if wants_colour() {
            // As clap has them in what it refuses.
            ["\x1b[1m\x1b[31merror:\x1b[0m", "\x1b[32mhint:\x1b[0m"]
        } else {
            ["error:", "hint:"]
        };
        eprintln!("{error} {}", printable(&self.what));
        for cause in &self.causes {
            eprintln!("  because: {}", printable(cause));
        }
        if let Some(next) = &self.hint {
            eprintln!("  {hint} {}", printable(next));
        }
        ExitCode::from(self.code)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("cannot listen on {0}: {1}")]
    struct Listen(&'static str, #[source] io::Error);

    #[derive(Debug, Error)]
    #[error("it did not start")]
    struct Start(#[source] Listen);

    #[test]
    fn a_cause_that_ends_with_its_own_cause_says_it_once() {
        let listen = || Listen("h:1", io::Error::other("in use"));
        let failure = Failure::because("no broker", &Start(listen()));
        let line = "no broker: it did not start: cannot listen on h:1: in use";
        assert_eq!(failure.in_a_line(), line);
        let failure = Failure::because("it did not start", &Start(listen()));
        assert_eq!(failure.causes, ["cannot listen on h:1: in use"]);
    }
}
