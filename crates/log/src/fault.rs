//! What is wrong with the storage, by kind: what helps against a full disk does not help against a
//! broken one.

use std::fmt;
use std::io;

use rustix::io::Errno;
use thiserror::Error;

use crate::store::{AppendError, ReadError, StoreError};

/// The kinds of failure that call for different remedies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// No room is left, or none that we may have (ENOSPC, EDQUOT). All goes on once there is some.
    Full,
    /// The device does not do what it is asked to (EIO and the like).
    Broken,
    /// The file system takes no writes (EROFS): often one that has found itself damaged.
    ReadOnly,
    /// We may not (EACCES, EPERM).
    Denied,
    /// The process, or the machine, has as many files open as it may (EMFILE, ENFILE).
    Descriptors,
    /// What is stored is not what was written.
    Damaged,
    /// Anything else.
    Other,
}

impl FaultKind {
    /// The kind of an I/O error.
    ///
    /// ```
    /// use std::io;
    ///
    /// use chaski_log::store::FaultKind;
    ///
    /// let full = io::Error::from_raw_os_error(28);
    /// assert_eq!(FaultKind::of(&full), FaultKind::Full);
    /// ```
    pub fn of(error: &io::Error) -> FaultKind {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>());
        if let Some(fault) = inner {
            return fault.kind;
        }
        match (Errno::from_io_error(error), error.kind()) {
            (Some(Errno::NOSPC | Errno::DQUOT), _) => FaultKind::Full,
            (Some(Errno::IO | Errno::NXIO | Errno::NODEV | Errno::STALE), _) => FaultKind::Broken,
            (Some(Errno::UCLEAN | Errno::BADMSG), _) => FaultKind::Damaged,
            (Some(Errno::MFILE | Errno::NFILE), _) => FaultKind::Descriptors,
            (_, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => FaultKind::Full,
            (_, io::ErrorKind::ReadOnlyFilesystem) => FaultKind::ReadOnly,
            (_, io::ErrorKind::PermissionDenied) => FaultKind::Denied,
            _ => FaultKind::Other,
        }
    }

    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Full => "full",
            FaultKind::Broken => "broken",
            FaultKind::ReadOnly => "read-only",
            FaultKind::Denied => "denied",
            FaultKind::Descriptors => "descriptors",
            FaultKind::Damaged => "damaged",
            FaultKind::Other => "other",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A failure of the storage: its kind, and what was told of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Fault {
    kind: FaultKind,
    errno: Option<i32>,
    message: String,
}

impl Fault {
    /// A failure that no system call has told of.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Fault {
        Fault { kind, errno: None, message: message.into() }
    }

    /// A failure of `what`.
    pub fn of(what: impl fmt::Display, error: &io::Error) -> Fault {
        let (kind, errno) = (FaultKind::of(error), error.raw_os_error());
        Fault { kind, errno, message: format!("{what}: {error}") }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// The number the operating system has for it, if it came from there.
    pub fn errno(&self) -> Option<i32> {
        self.errno
    }
}

impl From<&io::Error> for Fault {
    fn from(error: &io::Error) -> Fault {
        let (kind, errno) = (FaultKind::of(error), error.raw_os_error());
        Fault { kind, errno, message: error.to_string() }
    }
}

impl From<&StoreError> for Fault {
    fn from(error: &StoreError) -> Fault {
        match error {
            StoreError::Io { what, source } => Fault::of(what, source),
            StoreError::Corrupt(why) => Fault::new(FaultKind::Damaged, why),
            other => Fault::new(FaultKind::Other, other.to_string()),
        }
    }
}

impl AppendError {
    /// What kind of failure of the storage it is; None: none.
    pub fn fault_kind(&self) -> Option<FaultKind> {
        match self {
            AppendError::Full => Some(FaultKind::Full),
            AppendError::Storage(fault) | AppendError::InDoubt(fault) => Some(fault.kind),
            _ => None,
        }
    }
}

impl ReadError {
    /// What kind of failure of the storage it is; None: none.
    pub fn fault_kind(&self) -> Option<FaultKind> {
        match self {
            ReadError::Storage(fault) => Some(fault.kind),
            ReadError::Corrupt { .. } => Some(FaultKind::Damaged),
            _ => None,
        }
    }
}

impl StoreError {
    /// What kind of failure of the storage it is; None: none.
    pub fn fault_kind(&self) -> Option<FaultKind> {
        match self {
            StoreError::Io { source, .. } => Some(FaultKind::of(source)),
            StoreError::Corrupt(_) => Some(FaultKind::Damaged),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_has_a_kind() {
        let kinds = [
            (28, FaultKind::Full),
            (122, FaultKind::Full),
            (5, FaultKind::Broken),
            (30, FaultKind::ReadOnly),
            (13, FaultKind::Denied),
            (24, FaultKind::Descriptors),
            (117, FaultKind::Damaged),
            (22, FaultKind::Other),
        ];
        for (errno, kind) in kinds {
            let error = io::Error::from_raw_os_error(errno);
            let fault = Fault::of("write", &error);
            assert_eq!((fault.kind(), fault.errno()), (kind, Some(errno)), "{error}");
            assert!(fault.to_string().starts_with("write: "));
        }
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(FaultKind::of(&full), FaultKind::Full, "without a number too");
    }

    #[test]
    fn a_fault_keeps_its_kind_through_other_errors() {
        let fault = Fault::of("sync", &io::Error::from_raw_os_error(5));
        let wrapped = io::Error::other(fault.clone());
        let store = StoreError::Io { what: "close".to_owned(), source: wrapped };
        assert_eq!(store.fault_kind(), Some(FaultKind::Broken));
        assert_eq!(Fault::from(&store).kind(), FaultKind::Broken);
        assert_eq!(AppendError::InDoubt(fault).fault_kind(), Some(FaultKind::Broken));
        assert_eq!(AppendError::Closed.fault_kind(), None);
        let damaged = StoreError::Corrupt("no magic".to_owned());
        assert_eq!(damaged.fault_kind(), Some(FaultKind::Damaged));
    }
}
