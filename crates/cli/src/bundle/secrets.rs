//! What stays at home: values whose names say that they are secret, and passwords in URLs.
//!
//! The names of things are looked at, not their looks: better a harmless value too few in a report
//! than a secret in it.

use std::path::Path;

use serde_json::{Map, Value};

/// What stands in place of a secret.
const REMOVED: &str = "(removed)";
/// Parts of names whose values are secret.
const SECRET: &[&str] =
    &["token", "password", "passwd", "secret", "private", "key", "users", "plain", "credential"];
/// Names that hold one of these and are none.
const HARMLESS: &[&str] = &["public_key", "server_key"];
/// The prefix of the variables that are ours.
const OURS: &str = "CHASKI_";

/// A configuration file without its secrets.
pub(super) fn config(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    // The message of a parser shows the line it stopped at: it might hold a secret.
    let table: toml::Table = text.parse().map_err(|_| format!("{} is no TOML", path.display()))?;
    serde_json::to_value(table).map(removed).map_err(|e| e.to_string())
}

/// Our variables, those that hold secrets without their values.
pub(super) fn environment() -> Value {
    let ours = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with(OURS))?;
        Some((name, Value::String(value.to_string_lossy().into_owned())))
    });
    removed(Value::Object(ours.collect::<Map<_, _>>()))
}

/// The same without what is secret.
pub(super) fn removed(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(object(fields)),
        Value::Array(values) => Value::Array(values.into_iter().map(removed).collect()),
        Value::String(text) => Value::String(without_password(&text)),
        other => other,
    }
}

fn object(fields: Map<String, Value>) -> Map<String, Value> {
    // A list of settings has the name beside the value.
    let named = fields.get("name").and_then(Value::as_str).is_some_and(is_secret);
    let fields = fields.into_iter().map(|(name, value)| {
        let hidden = is_secret(&name) || (named && name != "name" && name != "doc");
        let value = if hidden && !is_empty(&value) { REMOVED.into() } else { removed(value) };
        (name, value)
    });
    fields.collect()
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace(['.', '-'], "_");
    !HARMLESS.contains(&name.as_str()) && SECRET.iter().any(|secret| name.contains(secret))
}

/// That there is none is no secret.
fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

/// `scheme://user:password@host` without what stands before the host.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{REMOVED}@{}", &rest[at + 1..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_removed_wherever_they_are() {
        let given = json!({
            "http": {"listen": "0.0.0.0:8080", "token": "s3cret", "read": {"token": "s3cret"}},
            "gateway": [{
                "name": "intake",
                "security": {"mechanism": "curve", "secret_key_file": "/s3cret",
                             "users": {"anna": "s3cret"}},
                "connect": ["tcp://anna:s3cret@host:1"],
            }],
            "settings": [{"name": "http.token", "value": "s3cret", "default": ""}],
        });
        let text = removed(given).to_string();
        assert!(!text.contains("s3cret") && !text.contains("anna"), "{text}");
        for kept in ["0.0.0.0:8080", "intake", "curve", "host:1", "http.token"] {
            assert!(text.contains(kept), "{text}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_does_not_show_itself() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "token = \"s3cret\" s3cret").unwrap();
        let error = config(file.path()).unwrap_err();
        assert!(!error.contains("s3cret"), "{error}");
        std::fs::write(file.path(), "node.id = 3\nhttp.token = \"s3cret\"").unwrap();
        let value = config(file.path()).unwrap();
        assert_eq!(value, json!({"node": {"id": 3}, "http": {"token": REMOVED}}));
    }

    #[test]
    fn that_there_is_no_secret_may_be_known() {
        assert_eq!(removed(json!({"token": null, "password": ""}))["password"], "");
        assert_eq!(without_password("http://h/?a=b@c"), "http://h/?a=b@c");
    }
}
