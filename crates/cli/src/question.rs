//! Asking before something is lost.

use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;

/// Whether somebody sits there to be asked. A script is not asked: it has said what it wants.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks; anything but yes is no.
pub(crate) fn ask(question: &str) -> Result<bool, Failure> {
    let mut answer = String::new();
    write!(io::stderr(), "{question} [y/N] ")
        .and_then(|()| io::stderr().flush())
        .and_then(|()| io::stdin().read_line(&mut answer))
        .map_err(|e| Failure::because("cannot ask", &e).hint("`--yes` goes on without asking"))?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes("y\n") && is_yes("YES") && is_yes(" yes "));
        assert!(!is_yes("") && !is_yes("n\n") && !is_yes("yesterday"));
    }
}
