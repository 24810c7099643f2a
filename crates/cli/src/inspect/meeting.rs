//! The directory where services meet, from outside: sockets, whose they are, and whether somebody
//! listens. Nobody is asked, and nothing is taken away.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde::Serialize;

use crate::args::InspectShm;
use crate::failure::Failure;
use crate::output::{self, Row};
use crate::shm::user;
use crate::table::{Column, number, text};

/// Entries listed at most.
const ENTRIES_MAX: usize = 10_000;

/// Something in the directory.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    /// listening, busy, left behind, directory or other.
    state: String,
    uid: u32,
    user: String,
    /// In octal, as ls has it.
    mode: String,
    inode: u64,
}

pub(super) fn run(args: &InspectShm) -> Result<(), Failure> {
    let directory = args.dir.dir.clone().unwrap_or_else(chaski_shm::directory);
    let cannot = |e: io::Error| {
        Failure::because(format!("cannot read {}", directory.display()), &e)
            .hint("it is made when a service is bound; `--dir` names another directory")
    };
    let mut entries = vec![itself(&directory).map_err(cannot)?];
    for entry in fs::read_dir(&directory).map_err(cannot)?.flatten().take(ENTRIES_MAX) {
        // One that goes away meanwhile is no longer in it.
        entries.extend(Entry::of(&entry.path(), entry.file_name().to_string_lossy().as_ref()).ok());
    }
    entries[1..].sort_by(|a, b| a.name.cmp(&b.name));
    output::list(args.output.output, &entries)
}

/// Whether the directory can be trusted decides whether anybody can meet in it.
fn itself(directory: &Path) -> io::Result<Entry> {
    let mut entry = Entry::of(directory, &directory.display().to_string())?;
    if fs::symlink_metadata(directory)?.mode() & 0o022 != 0 {
        entry.state = "directory, others may write: refused".to_owned();
    }
    Ok(entry)
}

impl Entry {
    fn of(path: &Path, name: &str) -> io::Result<Entry> {
        let metadata = fs::symlink_metadata(path)?;
        let state = match metadata.file_type() {
            kind if kind.is_socket() => state(path),
            kind if kind.is_dir() => "directory".to_owned(),
            _ => "other".to_owned(),
        };
        Ok(Entry {
            name: name.to_owned(),
            state,
            uid: metadata.uid(),
            user: user(metadata.uid()),
            mode: format!("{:04o}", metadata.mode() & 0o7777),
            inode: metadata.ino(),
        })
    }
}

/// Whether somebody listens: a connection that says nothing is hung up on, and costs a service
/// no more than a look.
fn state(path: &Path) -> String {
    let attempt = || {
        let address = SocketAddrUnix::new(path)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        connect(&socket, &address)
    };
    match attempt() {
        Ok(()) => "listening".to_owned(),
        Err(rustix::io::Errno::AGAIN) => "busy".to_owned(),
        Err(rustix::io::Errno::CONNREFUSED) => "left behind".to_owned(),
        Err(error) => format!("unknown: {}", io::Error::from(error)),
    }
}

impl Row for Entry {
    const COLUMNS: &'static [Column] =
        &[text("NAME"), text("STATE"), text("USER"), text("MODE"), number("INODE")];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.state.clone(),
            self.user.clone(),
            self.mode.clone(),
            self.inode.to_string(),
        ]
    }
}
