//! `chaski keygen`.

use std::path::Path;

use chaski_zmtp::keys::KeyPair;
use serde::Serialize;

use super::keys;
use crate::args::{Keygen, KeygenCurve, KeygenPublic};
use crate::failure::Failure;
use crate::output::{self, Described, say};

pub(crate) fn run(args: &Keygen) -> Result<(), Failure> {
    match args {
        Keygen::Curve(args) => curve(args),
        Keygen::Public(args) => public(args),
    }
}

fn curve(args: &KeygenCurve) -> Result<(), Failure> {
    let pair = KeyPair::generate()
        .map_err(|error| Failure::because("cannot make a pair of keys", &error))?;
    if let Some(file) = &args.file {
        keys::save(file, &pair)?;
    }
    output::describe(args.output.output, &Made::of(&pair, args.file.as_deref()))
}

fn public(args: &KeygenPublic) -> Result<(), Failure> {
    say(&keys::load(&args.file)?.public().to_string())
}

/// What is told of a new pair: its secret only where there is no file for it.
#[derive(Serialize)]
struct Made {
    public_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip)]
    text: String,
}

impl Made {
    fn of(pair: &KeyPair, file: Option<&Path>) -> Made {
        let secret = || pair.secret().to_z85().to_string();
        Made {
            public_key: pair.public().to_string(),
            secret_key: file.is_none().then(secret),
            file: file.map(|file| file.display().to_string()),
            text: keys::text(pair),
        }
    }
}

impl Described for Made {
    fn describe(&self) -> String {
        let Made { public_key, file, text, .. } = self;
        // Without a file this is what the file would hold.
        let Some(file) = file else { return text.clone() };
        format!(
            "public key  {public_key}\n\
             secret key  in {file}, which its owner alone can read\n\n\
             If this is the server:\n  \
             chaski recv 'zmq+tcp://*:5555' --curve-key {file}\n  \
             chaski send zmq+tcp://HOST:5555 --curve-server-key '{public_key}'\n\
             If this is a client, whom the server lets in:\n  \
             chaski recv 'zmq+tcp://*:5555' --curve-key FILE --curve-allow '{public_key}'\n  \
             chaski send zmq+tcp://HOST:5555 --curve-key {file} --curve-server-key 'SERVER_KEY'\n"
        )
    }
}
