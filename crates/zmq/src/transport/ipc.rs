//! Unix domain sockets: files, abstract names, and files that a dead process left behind.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::endpoint::Ipc;
use crate::options::Options;

/// The file of a listener, removed with it: but only if it is still the one that was bound.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    /// Its device and number.
    id: (u64, u64),
    /// The directory that was made for it.
    dir: Option<PathBuf>,
}

impl File {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // Another process may have bound the path since; then it is not ours to remove.
        if id(&self.path).is_ok_and(|id| id == self.id) {
            let _ = fs::remove_file(&self.path);
        }
        if let Some(dir) = &self.dir {
            let _ = fs::remove_dir(dir);
        }
    }
}

/// What a bind came to.
pub(crate) struct Bound {
    pub(crate) listener: UnixListener,
    /// The file, unless the name is an abstract one.
    pub(crate) file: Option<File>,
}

/// Binds a listener.
///
/// A file at the path is removed if it is a socket that nobody listens at. `AlreadyExists` says
/// that it is no socket.
pub(crate) fn bind(ipc: &Ipc, options: &Options) -> io::Result<Bound> {
    match ipc {
        Ipc::Abstract(_) => Ok(Bound { listener: listen(&address(ipc)?, options)?, file: None }),
        Ipc::Path(path) => bind_path(path.clone(), None, options),
        Ipc::Any => {
            let dir = make_dir()?;
            bind_path(dir.join("socket"), Some(dir), options)
        }
    }
}

fn bind_path(path: PathBuf, dir: Option<PathBuf>, options: &Options) -> io::Result<Bound> {
    let addr = SockAddr::unix(&path)?;
    let listener = match listen(&addr, options) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_stale(&path)?;
            listen(&addr, options)?
        }
        other => other?,
    };
    let id = id(&path)?;
    Ok(Bound { listener, file: Some(File { path, id, dir }) })
}

fn listen(addr: &SockAddr, options: &Options) -> io::Result<UnixListener> {
    let socket = open(options)?;
    socket.bind(addr)?;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Removes a socket whose process is gone: one that refuses connections.
fn remove_stale(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

fn id(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// A new directory that only this user may enter.
fn make_dir() -> io::Result<PathBuf> {
    use std::hash::{BuildHasher, Hasher, RandomState};
    use std::os::unix::fs::DirBuilderExt;
    for _ in 0..16 {
        // The standard library's hashers are keyed at random.
        let number = RandomState::new().build_hasher().finish();
        let dir = std::env::temp_dir().join(format!("chaski-{number:016x}"));
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            other => return other.map(|()| dir),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Connects. A Unix socket does so at once or not at all: `WouldBlock` says that the listener has
/// as many connections to accept as it may.
pub(crate) fn connect(ipc: &Ipc, options: &Options) -> io::Result<UnixStream> {
    let socket = open(options)?;
    socket.connect(&address(ipc)?)?;
    Ok(socket.into())
}

fn open(options: &Options) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    tune(&socket, options)?;
    Ok(socket)
}

/// Sets what every connection has, whoever began it.
pub(crate) fn tune(stream: &impl std::os::fd::AsFd, options: &Options) -> io::Result<()> {
    let stream = SockRef::from(stream);
    if let Some(bytes) = options.sndbuf {
        stream.set_send_buffer_size(bytes as usize)?;
    }
    if let Some(bytes) = options.rcvbuf {
        stream.set_recv_buffer_size(bytes as usize)?;
    }
    Ok(())
}

fn address(ipc: &Ipc) -> io::Result<SockAddr> {
    match ipc {
        Ipc::Path(path) => SockAddr::unix(path),
        // The kernel's abstract names begin with a NUL.
        Ipc::Abstract(name) => SockAddr::unix(format!("\0{name}")),
        Ipc::Any => Err(io::ErrorKind::InvalidInput.into()),
    }
}
