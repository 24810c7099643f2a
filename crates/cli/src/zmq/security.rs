//! Keys and passwords, from files into a socket that is being made.

use std::fs;
use std::path::Path;

use chaski_zmq::auth::CurveKeys;
use chaski_zmq::{Builder, Context, Socket};
use chaski_zmtp::keys::KeyPair;

use super::keys;
use crate::args::SecurityArgs;
use crate::failure::Failure;

/// Gives a socket what was asked for, and its context who may enter.
pub(super) fn apply(
    args: &SecurityArgs,
    context: &Context,
    socket: Builder<Socket>,
) -> Result<Builder<Socket>, Failure> {
    if let (Some(user), Some(file)) = (&args.plain_user, &args.plain_password_file) {
        return Ok(socket.plain_username(user.as_str()).plain_password(password(file)?));
    }
    let pair = args.curve_key.as_deref().map(keys::load).transpose()?;
    match (&args.curve_server_key, pair) {
        (Some(server), pair) => {
            let server = keys::public("--curve-server-key", server)?;
            let pair = pair.map_or_else(own, Ok)?;
            let socket = socket.curve_serverkey(server);
            Ok(with(socket, &pair))
        }
        (None, Some(pair)) => {
            context.authenticator(allowed(&args.curve_allow)?);
            Ok(with(socket.curve_server(true), &pair))
        }
        (None, None) => Ok(socket),
    }
}

fn with(socket: Builder<Socket>, pair: &KeyPair) -> Builder<Socket> {
    socket.curve_publickey(pair.public()).curve_secretkey(pair.secret())
}

/// A pair for this run: the server asks for one, and does not know it.
fn own() -> Result<KeyPair, Failure> {
    KeyPair::generate().map_err(|error| Failure::because("cannot make a pair of keys", &error))
}

fn allowed(given: &[String]) -> Result<CurveKeys, Failure> {
    if given.is_empty() {
        return Ok(CurveKeys::any());
    }
    given.iter().try_fold(CurveKeys::new(), |known, text| {
        Ok(known.with(keys::public("--curve-allow", text)?, text))
    })
}

/// The first line of a file.
fn password(file: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::because(format!("cannot read a password from {}", file.display()), &error)
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
