//! What a socket's options say in a handshake.

use std::sync::Arc;

use chaski_zmtp::keys::KeyPair;
use chaski_zmtp::mechanism::curve::CookieKeys;
use chaski_zmtp::{Established, Handshake, Kind, Local, Mechanism, Metadata, Progress, zap};

use super::inbox::Common;
use crate::options::Options;

const NO_RANDOMNESS: &str = "the system gives no random bytes, which CURVE needs";
const NO_SECRET: &str = "CURVE needs a secret key";
const NO_PAIR: &str = "the public and the secret key are not of one pair";

/// The secret of a CURVE server's cookies; none for other mechanisms.
pub(super) fn cookies(options: &Options) -> Result<Option<CookieKeys>, &'static str> {
    if !options.curve_server {
        return Ok(None);
    }
    CookieKeys::new().map(Some).map_err(|_| NO_RANDOMNESS)
}

/// Whether handshakes with these options can begin at all.
pub(crate) fn check(options: &Options) -> Result<(), &'static str> {
    let cookies = cookies(options)?;
    mechanism(options, cookies).map(|_| ())
}

/// This side of a connection that was accepted, from `address`.
pub(super) fn accepting(
    kind: Kind,
    options: &Options,
    cookies: Option<CookieKeys>,
    address: String,
    common: &Arc<Common>,
) -> Result<Local, &'static str> {
    let mut local = dialling(kind, options, cookies)?;
    let asks = match local.mechanism {
        Mechanism::Null => !options.zap_domain.is_empty(),
        _ => local.mechanism.is_server(),
    };
    // Nobody to ask lets everybody in, unless that is forbidden: `meet` sees to that. PLAIN has
    // nobody else who knows its passwords, and always asks.
    let somebody = common.has_authenticator() || options.zap_enforce_domain;
    if asks && (somebody || matches!(local.mechanism, Mechanism::PlainServer)) {
        local.zap = Some(zap::Origin { domain: options.zap_domain.clone(), address });
    }
    Ok(local)
}

/// This side of a connection that it began.
pub(super) fn dialling(
    kind: Kind,
    options: &Options,
    cookies: Option<CookieKeys>,
) -> Result<Local, &'static str> {
    let mut local = Local::new(kind);
    local.identity = options.routing_id.clone();
    local.mechanism = mechanism(options, cookies)?;
    let mut metadata = Metadata::new();
    for (name, value) in &options.metadata {
        // Names were checked when they were given.
        let _ = metadata.push(name, value.clone());
    }
    local.metadata = metadata;
    Ok(local)
}

fn mechanism(options: &Options, cookies: Option<CookieKeys>) -> Result<Mechanism, &'static str> {
    if options.plain_server {
        return Ok(Mechanism::PlainServer);
    }
    if !options.plain_username.is_empty() {
        let username = options.plain_username.clone().into_bytes();
        let password = options.plain_password.reveal().clone().into_bytes();
        return Ok(Mechanism::PlainClient { username, password });
    }
    if let Some(cookies) = cookies {
        return Ok(Mechanism::CurveServer { keys: pair(options)?, cookies });
    }
    if let Some(server) = options.curve_serverkey {
        return Ok(Mechanism::CurveClient { server, keys: pair(options)? });
    }
    Ok(Mechanism::Null)
}

fn pair(options: &Options) -> Result<KeyPair, &'static str> {
    let secret = options.curve_secretkey.reveal().clone().ok_or(NO_SECRET)?;
    match options.curve_publickey {
        None => Ok(KeyPair::from_secret(secret)),
        Some(public) => KeyPair::new(public, secret).map_err(|_| NO_PAIR),
    }
}

/// What stands for a handshake where there is none: a STREAM's peer speaks no ZMTP.
pub(super) fn raw() -> Option<Established> {
    // A handshake that two ends in memory have with each other, as only a handshake makes one.
    let mut ends = [Kind::Dealer, Kind::Dealer].map(|kind| Handshake::new(Local::new(kind)));
    while ends.iter().any(|end| end.state() != Progress::Done) {
        let [one, other] = &mut ends;
        say(one, other)?;
        say(other, one)?;
    }
    let [one, _] = ends;
    let mut established = one.finish()?;
    established.info.kind = Kind::Stream;
    Some(established)
}

fn say(from: &mut Handshake, to: &mut Handshake) -> Option<()> {
    let said = from.output().to_vec();
    from.wrote(said.len());
    to.input(&said).ok().map(|_| ())
}
