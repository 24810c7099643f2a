//! Numbers for a listener, who gets the latest of them.

use std::time::Duration;

use chaski_shm::{Notifier, Wait};

use crate::failure::Failure;
use crate::send::outlet::Outlet;
use crate::service::{Role, ServiceUrl};
use crate::shm::explain;

pub(super) struct Notifying {
    notifier: Notifier,
    name: String,
}

impl Notifying {
    pub(super) fn open(url: &ServiceUrl) -> Result<Notifying, Failure> {
        let mut builder = Notifier::builder().wait(Wait::Block);
        if let Some(dir) = &url.dir {
            builder = builder.directory(dir);
        }
        let notifier =
            builder.connect(&url.name).map_err(|e| explain::connect(url, Role::Notify, &e))?;
        Ok(Notifying { notifier, name: url.to_string() })
    }
}

/// The number that a line says.
fn number(line: &[u8]) -> Option<u64> {
    str::from_utf8(line).ok()?.trim().parse().ok()
}

impl Outlet<[u8]> for Notifying {
    /// Never waits: a value that nobody has looked at is replaced.
    fn offer(&mut self, message: &[u8], line: u64, _wait: Duration) -> Result<bool, Failure> {
        let value = number(message).ok_or_else(|| {
            Failure::new(format!("line {line} is no number from 0 to {}", u64::MAX))
                .hint("a notification carries one number; `type=push` sends lines of any kind")
        })?;
        let rung = self.notifier.notify(value);
        rung.map(|()| true).map_err(|e| explain::broken(format!("cannot notify {}", self.name), &e))
    }

    /// The listener finds the last value, whether this process is still there or not.
    fn settle(&mut self, _wait: Duration) -> Result<bool, Failure> {
        Ok(true)
    }

    fn unsettled(&mut self) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_number_of_64_bits() {
        assert_eq!(number(b" 17\r"), Some(17));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for wrong in [&b""[..], b"-1", b"1.5", b"x", b"18446744073709551616", b"\xff"] {
            assert_eq!(number(wrong), None);
        }
    }
}
