//! What services are called, and the directory their sockets stand in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{env, fs};

use rustix::process::geteuid;

/// The longest name, in bytes.
const NAME_MAX: usize = 64;

/// Names the directory of all services of a process that are not told another.
const DIRECTORY_VARIABLE: &str = "CHASKI_SHM_DIR";

/// What a service is called: 1 to 64 of `A-Z a-z 0-9 . _ -`, and no dot in front.
///
/// Two processes that say the same name in the same directory meet. The directory is
/// [`directory()`], unless the builder of an endpoint names another.
///
/// ```
/// use chaski_shm::Name;
///
/// let name = Name::new("orders.v2")?;
/// assert_eq!(name.as_str(), "orders.v2");
/// assert!(Name::new("../orders").is_err());
/// # Ok::<(), chaski_shm::BadName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    text: Box<str>,
}

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`BadName`] when it is empty, longer than 64 bytes, begins with a dot or has other
    /// characters.
    pub fn new(text: &str) -> Result<Name, BadName> {
        let flaw = match text.bytes().find(|byte| !is_plain(*byte)) {
            _ if text.is_empty() => Flaw::Empty,
            _ if text.len() > NAME_MAX => Flaw::Long(text.len()),
            _ if text.starts_with('.') => Flaw::Hidden,
            Some(_) => Flaw::Character(text.chars().find(|c| !is_plain_char(*c))),
            None => return Ok(Name { text: text.into() }),
        };
        Err(BadName { flaw })
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Name, BadName> {
        Name::new(text)
    }
}

impl TryFrom<&str> for Name {
    type Error = BadName;

    fn try_from(text: &str) -> Result<Name, BadName> {
        Name::new(text)
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Name, BadName> {
        Name::new(&text)
    }
}

impl TryFrom<&String> for Name {
    type Error = BadName;

    fn try_from(text: &String) -> Result<Name, BadName> {
        Name::new(text)
    }
}

impl From<&Name> for Name {
    fn from(name: &Name) -> Name {
        name.clone()
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn is_plain_char(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_plain)
}

/// A string that is no [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name for a service: {flaw}")]
pub struct BadName {
    flaw: Flaw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Empty,
    Long(usize),
    Hidden,
    Character(Option<char>),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Empty => f.write_str("it is empty"),
            Flaw::Long(len) => write!(f, "it has {len} bytes of at most {NAME_MAX}"),
            Flaw::Hidden => f.write_str("it begins with a dot"),
            Flaw::Character(c) => {
                let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
                write!(f, "it has a {c:?}, only A-Z a-z 0-9 . _ - may stand in it")
            }
        }
    }
}

/// Where the sockets of this user's services stand.
///
/// The first of these that applies:
///
/// 1. `$CHASKI_SHM_DIR`,
/// 2. `$XDG_RUNTIME_DIR/chaski`, if that directory is there and belongs to this user,
/// 3. `/run/chaski` for root,
/// 4. `chaski-<uid>` in the directory for temporary files: `$TMPDIR`, else `/tmp`.
///
/// A server makes it with mode 0700 when it is missing.
#[must_use]
pub fn directory() -> PathBuf {
    let set = |variable| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = geteuid();
    if let Some(directory) = set(DIRECTORY_VARIABLE) {
        return directory;
    }
    if let Some(runtime) = set("XDG_RUNTIME_DIR").filter(|path| belongs_to(path, user.as_raw())) {
        return runtime.join("chaski");
    }
    if user.is_root() {
        return PathBuf::from("/run/chaski");
    }
    env::temp_dir().join(format!("chaski-{}", user.as_raw()))
}

/// An environment kept over a change of user names the directory of another one, which that one
/// could rearrange.
fn belongs_to(path: &Path, user: u32) -> bool {
    use std::os::unix::fs::MetadataExt;

    path.is_absolute()
        && fs::metadata(path).is_ok_and(|about| about.is_dir() && about.uid() == user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "orders.v2", "A-b_9", "-", "a..b", &"x".repeat(64)] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", "empty"),
            (".", "dot"),
            ("..", "dot"),
            (".hidden", "dot"),
            ("a/b", "'/'"),
            ("a b", "' '"),
            ("a\0", "'\\0'"),
            ("caf\u{e9}", "only A-Z"),
        ] {
            let error = Name::new(bad).unwrap_err().to_string();
            assert!(error.contains(why), "{bad:?}: {error}");
        }
        assert!(
            Name::new(&"x".repeat(65)).unwrap_err().to_string().contains("65 bytes of at most 64")
        );
    }

    #[test]
    fn the_runtime_directory_of_someone_else_is_not_used() {
        let mine = tempfile::tempdir().unwrap();
        let me = geteuid().as_raw();
        assert!(belongs_to(mine.path(), me));
        assert!(!belongs_to(mine.path(), me + 1));
        assert!(!belongs_to(&mine.path().join("missing"), me));
        assert!(!belongs_to(Path::new("relative"), me));
    }
}
