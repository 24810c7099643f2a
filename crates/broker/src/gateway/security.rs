//! Who may talk to a gateway (CURVE, PLAIN), and who a gateway is where it connects.
//!
//! All gateways of a broker share one ZeroMQ context, whose authenticator asks the gateway that the
//! domain of a request names. A gateway that has security and listens lets in whom it lists, and
//! nobody else: an empty list is refused when it is read, for it would look like "anybody".

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use chaski_zmq::auth::{Answer, Authenticator, CurveKeys, Passwords, PublicKey, Request, Status};
use chaski_zmq::keys::SecretKey;
use chaski_zmq::{Builder, Context, Socket};
use serde::{Deserialize, Serialize};

use super::limits::USERS_MAX;
use super::spec::GatewaySpec;

/// What `allow` says if any key will do.
const ANYBODY: &str = "*";

/// Longest name or password: PLAIN gives their length a byte.
const PLAIN_BYTES_MAX: usize = 255;

/// Most that is read of a file with a key: a certificate has comments.
const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// How connections are secured. One that has `server_key`, or `username`, is the client of a
/// server that it connects to; any other is the server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mechanism", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Security {
    /// Keys: traffic is sealed, and each side proves who it is (RFC 26).
    Curve {
        /// A file with our secret key: 40 characters of Z85, or a certificate as CZMQ and pyzmq
        /// write it.
        secret_key_file: PathBuf,
        /// Public keys, in Z85, of who may connect; `*` alone: whoever has any key.
        #[serde(default)]
        allow: Vec<String>,
        /// The public key of the server that we connect to.
        #[serde(default)]
        server_key: Option<String>,
    },
    /// Names and passwords, readable for whoever listens on the wire (RFC 24).
    Plain {
        /// Who may connect, by name: the password.
        #[serde(default)]
        users: BTreeMap<String, String>,
        /// Who we are where we connect.
        #[serde(default)]
        username: Option<String>,
        /// Our password there.
        #[serde(default)]
        password: Option<String>,
    },
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Security::Curve { secret_key_file, allow, server_key } => f
                .debug_struct("Curve")
                .field("secret_key_file", secret_key_file)
                .field("allow", allow)
                .field("server_key", server_key)
                .finish(),
            Security::Plain { users, username, .. } => f
                .debug_struct("Plain")
                .field("users", &users.keys().collect::<Vec<_>>())
                .field("username", username)
                .finish_non_exhaustive(),
        }
    }
}

impl Security {
    /// Whether it makes sense for this gateway. The key file is read when the gateway starts.
    pub(super) fn check(&self, spec: &GatewaySpec) -> Result<(), String> {
        if self.is_client() && !spec.bind.is_empty() {
            return Err("a client of CURVE or PLAIN connects, and does not bind".to_owned());
        }
        match self {
            Security::Curve { allow, server_key, .. } => check_keys(allow, server_key.as_deref()),
            Security::Plain { users, username, password } => {
                check_passwords(users, username.as_deref(), password.as_deref())
            }
        }
    }

    fn is_client(&self) -> bool {
        match self {
            Security::Curve { server_key, .. } => server_key.is_some(),
            Security::Plain { username, .. } => username.is_some(),
        }
    }

    /// Its name in the handshake.
    pub fn mechanism(&self) -> &'static str {
        match self {
            Security::Curve { .. } => "CURVE",
            Security::Plain { .. } => "PLAIN",
        }
    }

    /// Sets a socket's options. `domain` is where the socket's peers are asked about.
    pub(super) fn apply(
        &self,
        builder: Builder<Socket>,
        domain: &str,
    ) -> Result<Builder<Socket>, String> {
        let builder = match self.is_client() {
            true => builder,
            false => builder.zap_domain(domain).zap_enforce_domain(true),
        };
        Ok(match self {
            Security::Curve { secret_key_file, server_key, .. } => {
                let builder = builder.curve_secretkey(Some(read_key(secret_key_file)?));
                match server_key {
                    Some(key) => builder.curve_serverkey(public(key)?),
                    None => builder.curve_server(true),
                }
            }
            Security::Plain { username: Some(name), password, .. } => builder
                .plain_username(name.clone())
                .plain_password(password.clone().unwrap_or_default()),
            Security::Plain { .. } => builder.plain_server(true),
        })
    }

    /// Who decides about peers; None: we are the client.
    fn authenticator(&self) -> Option<Arc<dyn Authenticator>> {
        if self.is_client() {
            return None;
        }
        Some(match self {
            Security::Curve { allow, .. } if allow.iter().any(|key| key == ANYBODY) => {
                Arc::new(CurveKeys::any())
            }
            Security::Curve { allow, .. } => {
                let known = allow.iter().filter_map(|key| public(key).ok());
                Arc::new(known.fold(CurveKeys::new(), |all, key| all.with(key, &key.to_string())))
            }
            Security::Plain { users, .. } => {
                let users = users.iter();
                Arc::new(users.fold(Passwords::new(), |all, (name, word)| all.with(name, word)))
            }
        })
    }
}

fn check_keys(allow: &[String], server_key: Option<&str>) -> Result<(), String> {
    if let Some(key) = server_key {
        return public(key).map(drop);
    }
    if allow.is_empty() {
        return Err("`allow` lists the keys of who may connect; `[\"*\"]` is anybody".to_owned());
    }
    if allow.len() > USERS_MAX {
        return Err(format!("`allow` may have {USERS_MAX} keys at most"));
    }
    allow.iter().filter(|key| *key != ANYBODY).try_for_each(|key| public(key).map(drop))
}

fn check_passwords(
    users: &BTreeMap<String, String>,
    username: Option<&str>,
    password: Option<&str>,
) -> Result<(), String> {
    let words = users.iter().flat_map(|(name, word)| [name.as_str(), word.as_str()]);
    let words = words.chain(username).chain(password);
    if words.into_iter().any(|word| word.len() > PLAIN_BYTES_MAX) {
        return Err(format!("names and passwords have {PLAIN_BYTES_MAX} bytes at most"));
    }
    match username {
        Some("") => Err("`username` is empty".to_owned()),
        None if users.is_empty() => {
            Err("`users` lists who may connect: name = \"password\"".to_owned())
        }
        None if users.len() > USERS_MAX => Err(format!("{USERS_MAX} `users` at most")),
        _ => Ok(()),
    }
}

fn public(key: &str) -> Result<PublicKey, String> {
    key.parse().map_err(|error| format!("`{key}` is no public key: {error}"))
}

/// Reads a key, bare or from a certificate (`secret-key = "..."`).
fn read_key(path: &Path) -> Result<SecretKey, String> {
    let shown = path.display();
    let failed = |why: &dyn fmt::Display| format!("secret key {shown}: {why}");
    let text = read_short(path).map_err(|error| failed(&error))?;
    if std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0) {
        tracing::warn!(file = %shown, "others may read this secret key; chmod 600 mends it");
    }
    let in_certificate = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "secret-key").then(|| value.trim().trim_matches('"'))
    });
    in_certificate.unwrap_or(text.trim()).parse().map_err(|error| failed(&error))
}

/// The text of a file that may be any: whoever adds a gateway by the API names it.
fn read_short(path: &Path) -> io::Result<String> {
    // A pipe would be waited for, and a device may have no end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// The ZeroMQ context of all gateways of a broker, and who decides about their peers.
pub(super) struct Doors {
    context: Context,
    by_domain: Arc<RwLock<HashMap<String, Arc<dyn Authenticator>>>>,
}

impl Default for Doors {
    fn default() -> Doors {
        let context = Context::new();
        let by_domain: Arc<RwLock<HashMap<String, Arc<dyn Authenticator>>>> = Arc::default();
        let asked = by_domain.clone();
        context.authenticator(move |request: &Request, answer: Answer| {
            let table = asked.read().unwrap_or_else(PoisonError::into_inner);
            let decides = table.get(&request.origin.domain).cloned();
            drop(table);
            match decides {
                Some(decides) => decides.authenticate(request, answer),
                None if request.mechanism == "NULL" => answer.grant(""),
                None => answer.refuse(Status::Denied, "no such gateway"),
            }
        });
        Doors { context, by_domain }
    }
}

impl Doors {
    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// From now on peers of this gateway are asked about as it says.
    pub(super) fn open(&self, spec: &GatewaySpec) {
        let decides = spec.security.as_ref().and_then(Security::authenticator);
        let mut table = self.by_domain.write().unwrap_or_else(PoisonError::into_inner);
        match decides {
            Some(decides) => table.insert(spec.name.clone(), decides),
            None => table.remove(&spec.name),
        };
    }

    pub(super) fn close(&self, name: &str) {
        self.by_domain.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

impl fmt::Debug for Doors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doors").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::GatewayKind;
    use super::*;

    const KEY: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";

    fn check(text: &str) -> Result<(), String> {
        let security: Security = toml::from_str(text).map_err(|e| e.to_string())?;
        let spec = GatewaySpec::new("g", GatewayKind::Pull, "t").bind("tcp://*:1");
        security.check(&spec)
    }

    #[test]
    fn nobody_is_let_in_by_an_empty_list() {
        let curve = "mechanism = 'curve'\nsecret_key_file = 'k'";
        assert!(check(curve).expect_err("refused").contains("`allow`"));
        assert_eq!(check(&format!("{curve}\nallow = ['{KEY}']")), Ok(()));
        assert_eq!(check(&format!("{curve}\nallow = ['*']")), Ok(()));
        assert!(check(&format!("{curve}\nallow = ['short']")).is_err());
        assert!(check("mechanism = 'plain'").expect_err("refused").contains("`users`"));
        assert_eq!(check("mechanism = 'plain'\nusers = { ada = 'x' }"), Ok(()));
        assert!(check("mechanism = 'plain'\nuser = 'ada'").is_err());
        assert!(check("mechanism = 'gssapi'").is_err());
    }

    #[test]
    fn a_file_without_an_end_is_no_key() {
        let error = read_key(Path::new("/dev/zero")).expect_err("refused");
        assert!(error.contains("no regular file"), "{error}");
    }

    #[test]
    fn a_client_does_not_listen() {
        let error = check("mechanism = 'plain'\nusername = 'ada'\npassword = 'x'");
        assert!(error.expect_err("refused").contains("does not bind"));
    }

    #[test]
    fn a_key_is_read_bare_and_from_a_certificate() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        let certificate = format!("curve\n    public-key = \"x\"\n    secret-key = \"{KEY}\"\n");
        for text in [format!("{KEY}\n"), certificate] {
            std::fs::write(&path, text).expect("written");
            assert_eq!(&*read_key(&path).expect("a key").to_z85(), KEY);
        }
        std::fs::write(&path, "none").expect("written");
        assert!(read_key(&path).is_err() && read_key(dir.path()).is_err());
    }

    #[test]
    fn debug_keeps_secrets() {
        let text = "mechanism = 'plain'\nusers = { ada = 'hidden' }\npassword = 'hidden'";
        let security: Security = toml::from_str(text).expect("valid");
        assert!(!format!("{security:?}").contains("hidden"));
    }
}
