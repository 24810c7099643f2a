//! A name taken: the socket in its directory, from bind to unbind.
//!
//! The socket is made under the lock of the directory, up to the point where it listens, so that
//! nobody else can see it look stale. It is removed without the lock: while it listens it is not
//! stale, so nobody else touches it, and it is the same file as long as it is bound. A process that
//! is killed anywhere in between leaves at most a stale socket and a free lock.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::fs::{AtFlags, Gid, Mode, chmodat, chownat, fchmod};
use rustix::io::Errno;
use rustix::net::{Shutdown, bind, listen, shutdown};

use super::directory::{Directory, Identity, Standing, Unusable, new_socket};
use super::doorman::{Doorman, Order};
use super::reception::Listener;
use super::{BindError, Host};
use crate::admit::{Admit, Reach};
use crate::name::Name;
use crate::porch::Porch;
use crate::step::step;

/// Connections that wait to be accepted; the system may allow fewer (`net.core.somaxconn`).
const BACKLOG: i32 = 1024;

/// How long to wait for another who binds a name in the same directory.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// A name that others can connect to. Dropped, it is free for the next.
pub(crate) struct Bound {
    name: Name,
    directory: Directory,
    identity: Identity,
    socket: Arc<OwnedFd>,
    token: u64,
    doorman: Arc<Doorman>,
}

impl Bound {
    /// Takes a name in a directory, by default that of the user. The host may be called before
    /// this returns.
    pub(crate) fn bind(
        name: &Name,
        directory: Option<PathBuf>,
        admit: Admit,
        porch: Arc<Porch>,
        host: Arc<dyn Host>,
    ) -> Result<Bound, BindError> {
        let doorman = Doorman::of_this_process().map_err(system("start a thread to listen"))?;
        let path = directory.unwrap_or_else(crate::name::directory);
        let directory = match Directory::create(&path, &admit) {
            Ok(directory) => directory,
            Err(Unusable::Bad(bad)) => return Err(bad.into()),
            Err(Unusable::System(errno)) => {
                return Err(system("open or make the directory for services")(errno));
            }
        };
        let (socket, identity) = place(&directory, name, &admit)?;
        let token = doorman.token();
        let bound = Bound {
            name: name.clone(),
            directory,
            identity,
            socket: Arc::new(socket),
            token,
            doorman,
        };
        let socket = Arc::clone(&bound.socket);
        let listener = Listener { socket, admit, porch, host, paused: None };
        bound.doorman.order(Order::Listen(token, listener));
        bound
            .doorman
            .watch(&*bound.socket, token, EventFlags::IN)
            .map_err(system("watch a listening socket"))?;
        Ok(bound)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if !self.doorman.is_at_home() {
            return;
        }
        self.doorman.unwatch(&*self.socket);
        if self.directory.identity(&self.name) == Ok(self.identity) {
            let _ = self.directory.unlink(&self.name);
        }
        step("unbind.removed");
        // From here on nobody can connect, though the doorman still has the socket for a moment,
        // or a child between `fork` and `exec`.
        let _ = shutdown(&*self.socket, Shutdown::Both);
        step("unbind.shut");
        self.doorman.order(Order::StopListening(self.token));
    }
}

/// Puts a listening socket in its place.
pub(crate) fn place(
    directory: &Directory,
    name: &Name,
    admit: &Admit,
) -> Result<(OwnedFd, Identity), BindError> {
    let locked = directory.lock(LOCK_PATIENCE).map_err(system("lock the directory"))?;
    let Some(lock) = locked else {
        return Err(BindError::Locked { directory: directory.path().to_owned() });
    };
    step("bind.locked");
    match lock.clear(name).map_err(system("see whether the name is taken"))? {
        Standing::Nothing | Standing::Stale => {}
        Standing::Alive => return Err(BindError::InUse { name: name.clone() }),
        Standing::Other => {
            return Err(BindError::NoSocket { path: directory.path().join(name.as_str()) });
        }
    }
    let socket = new_socket().map_err(system("make a socket"))?;
    // The file gets its mode from the socket's own: it is never wider than that.
    fchmod(&socket, Mode::RUSR | Mode::WUSR).map_err(system("set the mode of the socket"))?;
    let address = directory.address(name).map_err(system("address the socket"))?;
    bind(&socket, &address).map_err(|errno| match errno {
        Errno::ADDRINUSE => BindError::InUse { name: name.clone() },
        errno => system("bind the socket")(errno),
    })?;
    step("bind.bound");
    let listening = open_up(directory, name, admit.reach())
        .and_then(|()| listen(&socket, BACKLOG))
        .and_then(|()| directory.identity(name));
    match listening {
        Ok(identity) => {
            step("bind.listening");
            Ok((socket, identity))
        }
        Err(errno) => {
            let _ = directory.unlink(name);
            Err(system("open the socket to others")(errno))
        }
    }
}

/// Gives the socket's file the mode that its policy asks for.
fn open_up(directory: &Directory, name: &Name, reach: Reach) -> rustix::io::Result<()> {
    let mode = match reach {
        Reach::User => 0o600,
        Reach::Group(group) => {
            let group = Some(Gid::from_raw(group));
            let given =
                chownat(directory, name.as_str(), None, group, AtFlags::SYMLINK_NOFOLLOW).is_ok();
            if given { 0o660 } else { 0o666 }
        }
        Reach::Everyone => 0o666,
    };
    chmodat(directory, name.as_str(), Mode::from_raw_mode(mode), AtFlags::empty())?;
    step("bind.mode_set");
    Ok(())
}

fn system(what: &'static str) -> impl Fn(Errno) -> BindError {
    move |errno| BindError::System { what, errno }
}
