//! Looking up names of hosts, on threads of their own: the system's resolver may take as long as
//! it likes, and there is no way to ask it without waiting.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use super::PeerKey;
use super::inbox::{Command, Common};
use super::limits::{ADDRESSES_MAX, LOOKUPS_MAX};

/// Looks a name up and answers with [`Command::Resolved`]. False if too many are being looked up.
pub(super) fn look_up(
    common: &Arc<Common>,
    peer: PeerKey,
    attempt: u64,
    name: String,
    port: u16,
    ipv6: bool,
) -> bool {
    // ORDERING: a counter; nothing else is published by it.
    if common.lookups.fetch_add(1, Ordering::Relaxed) >= LOOKUPS_MAX {
        common.lookups.fetch_sub(1, Ordering::Relaxed);
        return false;
    }
    let theirs = Arc::clone(common);
    let started = thread::Builder::new().name("chaski-zmq-dns".into()).spawn(move || {
        let found = resolve(&name, port, ipv6);
        theirs.lookups.fetch_sub(1, Ordering::Relaxed);
        theirs.push(Command::Resolved { peer, attempt, found });
    });
    if started.is_err() {
        common.lookups.fetch_sub(1, Ordering::Relaxed);
    }
    started.is_ok()
}

/// Looks a name up here and now. IPv4 addresses come first: most peers listen there.
pub(crate) fn resolve(name: &str, port: u16, ipv6: bool) -> io::Result<Vec<SocketAddr>> {
    let mut found: Vec<SocketAddr> = (name, port)
        .to_socket_addrs()?
        .filter(|addr| addr.is_ipv4() || ipv6)
        .take(ADDRESSES_MAX)
        .collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    if found.is_empty() {
        let why = "the name has no address of a family that is allowed";
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    }
    Ok(found)
}
