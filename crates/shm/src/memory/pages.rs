//! When memory gets its pages, and of which size.

use std::fs;
use std::io::{Error, ErrorKind, Result};

/// The least memory that a huge page can lie in: what x86-64 and most of AArch64 call huge.
const HUGE: usize = 2 << 20;

/// Where the kernel says whether shared memory may have huge pages.
const SETTING: &str = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";

/// When shared memory gets its pages, and of which size.
///
/// The memory counts against whoever touches a page first, so against the side that sends. A round
/// trip does not notice the difference once every page has been touched; what it saves is the page
/// faults of the first lap, about a microsecond for each 4 KiB.
///
/// ```
/// use chaski_shm::Pages;
///
/// assert_eq!(Pages::default(), Pages::OnTouch);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pages {
    /// A page comes when it is first touched. What is not used costs nothing.
    #[default]
    OnTouch,
    /// All pages come at once, when the memory is made (since Linux 5.14). Fails rather than kills
    /// if there is not so much memory.
    Populated,
    /// As `Populated`, and where 2 MiB lie together the kernel is asked for one huge page instead
    /// of 512, which it gives if it finds the room. For rings and payloads of many megabytes; a
    /// ring of the default size gains nothing.
    ///
    /// An error where there cannot be any: in memory of less than 2 MiB, and where the
    /// administrator has not allowed it by
    /// `echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled`.
    ///
    /// These are transparent huge pages. The reserved ones (`hugetlbfs`) are neither made nor
    /// accepted: a process whose share of the reserve is used up dies of SIGBUS at a touch, and a
    /// peer could bring that about.
    Huge,
}

impl Pages {
    /// What can be had for `len` bytes: huge pages only where one fits, for pools whose pieces are
    /// of many sizes.
    pub(crate) fn for_piece(self, len: usize) -> Pages {
        match self {
            Pages::Huge if len < HUGE => Pages::Populated,
            other => other,
        }
    }

    /// Whether `len` bytes can be had in this way.
    pub(super) fn check(self, len: usize) -> Result<()> {
        if self != Pages::Huge {
            return Ok(());
        }
        if len < HUGE {
            let why = format!("huge pages of {HUGE} bytes asked for memory of {len} bytes");
            return Err(Error::new(ErrorKind::InvalidInput, why));
        }
        let setting = fs::read_to_string(SETTING).unwrap_or_default();
        if allows_huge(&setting) {
            return Ok(());
        }
        let why = format!(
            "huge pages of shared memory are not enabled here; enable: echo advise > {SETTING}"
        );
        Err(Error::new(ErrorKind::Unsupported, why))
    }
}

/// Whether the setting, with the word in force in brackets, lets us have huge pages for the asking.
fn allows_huge(setting: &str) -> bool {
    ["[always]", "[within_size]", "[advise]", "[force]"].iter().any(|word| setting.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_the_word_in_brackets() {
        assert!(allows_huge("always within_size [advise] never deny force\n"));
        assert!(!allows_huge("always within_size advise [never] deny force\n"));
        assert!(!allows_huge("always within_size advise never [deny] force\n"));
        assert!(!allows_huge(""), "a kernel without them");
    }

    #[test]
    fn small_memory_has_no_huge_pages_and_says_so() {
        let error = Pages::Huge.check(HUGE - 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(Pages::Huge.for_piece(HUGE - 1), Pages::Populated);
        assert_eq!(Pages::Huge.for_piece(HUGE), Pages::Huge);
        assert!(Pages::Populated.check(1).is_ok());
    }
}
