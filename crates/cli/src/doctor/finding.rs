//! What was found.

use serde::Serialize;

use crate::table::{Column, text};

pub(super) const COLUMNS: &[Column] = &[text("STATE"), text("CHECK"), text("FOUND")];

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    Ok,
    Info,
    Warning,
    Error,
}

impl Severity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at: a stable name.
    pub(crate) check: &'static str,
    pub(crate) severity: Severity,
    /// What was seen.
    pub(crate) what: String,
    /// What that does to a broker.
    pub(crate) effect: String,
    /// What mends it; None: nothing is to be done.
    pub(crate) command: Option<String>,
}

impl Finding {
    /// All is well, and this is what it does.
    pub(super) fn ok(
        check: &'static str,
        what: impl Into<String>,
        effect: impl Into<String>,
    ) -> Finding {
        let (what, effect) = (what.into(), effect.into());
        Finding { check, severity: Severity::Ok, what, effect, command: None }
    }

    /// It is not as it might be.
    pub(super) fn but(mut self, severity: Severity, effect: impl Into<String>) -> Finding {
        self.severity = severity;
        self.effect = effect.into();
        self
    }

    /// What mends it.
    pub(super) fn mend(mut self, command: impl Into<String>) -> Finding {
        self.command = Some(command.into());
        self
    }
}
