//! Files with a pair of CURVE keys, in the form that CZMQ and pyzmq have for certificates (ZPL,
//! RFC 4):
//!
//! ```text
//! metadata
//! curve
//!     public-key = "40 characters of Z85"
//!     secret-key = "40 characters of Z85"
//! ```
//!
//! Lines that begin with `#` and whatever else a file says are passed over.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use chaski_zmtp::keys::{KeyError, KeyPair, PublicKey, SecretKey};
use thiserror::Error;

use crate::failure::{CALLED_WRONGLY, Failure};

/// Files of keys are small; what is larger is something else.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Why a file holds no pair of keys.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(super) enum PairError {
    #[error("it has no line `{0} = \"..\"`")]
    Missing(&'static str),
    #[error("its {0} is none")]
    Key(&'static str, #[source] KeyError),
    #[error(transparent)]
    Mismatch(KeyError),
}

/// The text of a file with this pair.
pub(super) fn text(pair: &KeyPair) -> String {
    format!(
        "#   A pair of CURVE keys. Whoever can read the secret key is who it stands for.\n\n\
         metadata\ncurve\n    public-key = \"{}\"\n    secret-key = \"{}\"\n",
        pair.public(),
        *pair.secret().to_z85(),
    )
}

fn parse(text: &str) -> Result<KeyPair, PairError> {
    let secret: SecretKey = key(text, "secret-key")?;
    if !text.lines().any(|line| named(line, "public-key").is_some()) {
        return Ok(KeyPair::from_secret(secret));
    }
    KeyPair::new(key(text, "public-key")?, secret).map_err(PairError::Mismatch)
}

fn key<K: std::str::FromStr<Err = KeyError>>(
    text: &str,
    name: &'static str,
) -> Result<K, PairError> {
    let found = text.lines().find_map(|line| named(line, name));
    let found = found.ok_or(PairError::Missing(name))?;
    found.parse().map_err(|error| PairError::Key(name, error))
}

/// The value of a line that has this name.
fn named<'t>(line: &'t str, name: &str) -> Option<&'t str> {
    let value = line.trim().strip_prefix(name)?.trim_start().strip_prefix('=')?;
    Some(value.trim().trim_matches(['"', '\'']))
}

/// The pair in a file. Tells if others than its owner can read it.
pub(super) fn load(path: &Path) -> Result<KeyPair, Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::because(format!("cannot read a pair of keys from {}", path.display()), error)
    };
    let about = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            failed(&error).hint(format!("make one: chaski keygen curve {}", path.display()))
        }
        _ => failed(&error),
    })?;
    if about.len() > FILE_BYTES_MAX {
        return Err(failed(&PairError::Missing("secret-key")));
    }
    if about.permissions().mode() & 0o077 != 0 {
        eprintln!(
            "others can read the secret key in {0}: chmod 600 {0}, or better make a new pair",
            path.display()
        );
    }
    let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
    parse(&text).map_err(|error| failed(&error).hint("`chaski keygen curve FILE` makes a pair"))
}

/// Writes a pair to a file that is not there yet, for its owner alone.
pub(super) fn save(path: &Path, pair: &KeyPair) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let failure = Failure::because(format!("cannot write {}", path.display()), &error);
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                failure.hint("keys are never replaced; remove the file or take another name")
            }
            _ => failure,
        }
    };
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text(pair).as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// A public key that was typed.
pub(super) fn public(option: &str, text: &str) -> Result<PublicKey, Failure> {
    text.parse().map_err(|error: KeyError| {
        Failure::because(format!("{option} is no key"), &error)
            .hint("`chaski keygen public FILE` prints one; in a shell it goes in single quotes")
            .code(CALLED_WRONGLY)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_comes_back() {
        let pair = KeyPair::generate().unwrap();
        assert_eq!(parse(&text(&pair)).unwrap().public(), pair.public());
        let secret = format!("secret-key='{}'", *pair.secret().to_z85());
        assert_eq!(parse(&secret).unwrap().public(), pair.public(), "the other half follows");
    }

    #[test]
    fn what_is_no_pair_is_said_so() {
        let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        assert!(matches!(parse(""), Err(PairError::Missing("secret-key"))));
        let short = "secret-key = \"abc\"";
        assert!(matches!(parse(short), Err(PairError::Key("secret-key", KeyError::Length(3)))));
        let mixed = text(&one).replace(&one.public().to_string(), &other.public().to_string());
        assert!(matches!(parse(&mixed), Err(PairError::Mismatch(KeyError::Mismatch))));
    }

    #[test]
    fn a_file_is_its_owners_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        let pair = KeyPair::generate().unwrap();
        save(&path, &pair).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(save(&path, &KeyPair::generate().unwrap()).is_err());
        assert_eq!(load(&path).unwrap().public(), pair.public());
    }
}
