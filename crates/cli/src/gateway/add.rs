//! `chaski gateway add`.

use std::path::Path;

use clap::ValueEnum as _;
use serde_json::{Map, Value};

use super::GATEWAYS;
use crate::args::GatewayAdd;
use crate::failure::{CALLED_WRONGLY, Failure};
use crate::http::Http;
use crate::output::say;

pub(super) fn run(args: &GatewayAdd) -> Result<(), Failure> {
    let spec = Value::Object(spec(args)?);
    Http::new(&args.http).post::<Value>(GATEWAYS, &spec)?;
    say(&format!("added gateway `{}`", args.name))
}

/// What it is to be: the file, and the flags over it. The broker judges it.
fn spec(args: &GatewayAdd) -> Result<Map<String, Value>, Failure> {
    let mut spec = args.file.as_deref().map(read).transpose()?.unwrap_or_default();
    let mut set = |name: &str, value: Value| drop(spec.insert(name.to_owned(), value));
    set("name", args.name.as_str().into());
    if let Some(kind) = args.kind.and_then(|kind| kind.to_possible_value()) {
        set("kind", kind.get_name().into());
    }
    let texts = [
        ("topic", &args.topic),
        ("frames", &args.frames),
        ("group", &args.group),
        ("topic_frame", &args.topic_frame),
        ("from", &args.from),
        ("acks", &args.acks),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            set(name, text.as_str().into());
        }
    }
    let lists = [("bind", &args.bind), ("connect", &args.connect), ("subscribe", &args.subscribe)];
    for (name, list) in lists {
        if !list.is_empty() {
            set(name, list.clone().into());
        }
    }
    if args.history {
        set("history", true.into());
    }
    if let Some(hwm) = args.hwm {
        set("hwm", hwm.into());
    }
    Ok(spec)
}

/// The table in a file; a single `[[gateway]]` will do as well.
fn read(path: &Path) -> Result<Map<String, Value>, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::because(format!("cannot read {shown}"), &e))?;
    let mut table: toml::Table = text
        .parse()
        .map_err(|e| Failure::because(format!("{shown} is no TOML"), &e).code(CALLED_WRONGLY))?;
    if let Some(toml::Value::Array(tables)) = table.remove("gateway") {
        let [toml::Value::Table(only)] = &tables[..] else {
            let what = format!("{shown} has {} gateways, and one is added at a time", tables.len());
            return Err(Failure::new(what).code(CALLED_WRONGLY));
        };
        table = only.clone();
    }
    match serde_json::to_value(table) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(Failure::new(format!("{shown} is no gateway")).code(CALLED_WRONGLY)),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;
    use crate::args::{Args, Command, Gateway};

    fn spec_of(args: &[&str]) -> Result<Map<String, Value>, Failure> {
        let args = [&["chaski", "gateway", "add"], args].concat();
        match Args::try_parse_from(args).unwrap().command {
            Command::Gateway(Gateway::Add(args)) => spec(&args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_have_the_names_of_the_configuration() {
        let args = ["in", "--kind", "pull", "--bind", "tcp://*:1", "--topic", "t", "--hwm", "9"];
        let spec = spec_of(&args).unwrap();
        let expected = json!({"name": "in", "kind": "pull", "bind": ["tcp://*:1"], "topic": "t",
                              "hwm": 9});
        assert_eq!(Value::Object(spec), expected);
    }

    #[test]
    fn flags_go_before_what_a_file_says() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let text = "[[gateway]]\nname = 'x'\nkind = 'pub'\ntopic = 'a'\n[gateway.security]\n\
                    mechanism = 'curve'\n";
        std::fs::write(path, text).unwrap();
        let spec = spec_of(&["out", "--file", path, "--topic", "b"]).unwrap();
        let expected = json!({"name": "out", "kind": "pub", "topic": "b",
                              "security": {"mechanism": "curve"}});
        assert_eq!(Value::Object(spec), expected);
        std::fs::write(path, format!("{text}[[gateway]]\n")).unwrap();
        assert!(spec_of(&["out", "--file", path]).is_err());
    }
}
