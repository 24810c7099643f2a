//! A disk that remembers what was synced, and what would be left if the power failed now.
//!
//! The model is the harshest that POSIX allows: bytes of a file are safe once the file is synced,
//! names once their directory is. What is not safe may survive or not, each write by itself; the
//! names of a directory change in order.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use chaski_log::disk::{Disk, RealDisk};

#[derive(Debug)]
pub struct Unplugged {
    state: Mutex<State>,
    /// Operations left until the plug is pulled, and what the disk was like then.
    fuse: Mutex<(usize, Option<State>)>,
}

#[derive(Debug, Clone, Default)]
struct State {
    /// By inode.
    files: HashMap<u64, Content>,
    names: Names,
    /// Changes of names not known to be safe, in order.
    unsafe_names: Vec<Change>,
}

/// Path to inode; None is a directory.
type Names = HashMap<PathBuf, Option<u64>>;

#[derive(Debug, Clone, Default)]
struct Content {
    safe: Vec<u8>,
    unsafe_writes: Vec<Write>,
}

#[derive(Debug, Clone)]
enum Write {
    At(u64, Vec<u8>),
    Len(u64),
}

#[derive(Debug, Clone)]
enum Change {
    Add(PathBuf, Option<u64>),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Change {
    /// The directory whose sync makes it safe.
    fn dir(&self) -> &Path {
        let (Change::Add(path, _) | Change::Rename(_, path) | Change::Remove(path)) = self;
        path.parent().unwrap()
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Change::Add(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Change::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Change::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl Write {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Write::At(position, written) => {
                let (from, to) = (*position as usize, *position as usize + written.len());
                if bytes.len() < to {
                    bytes.resize(to, 0);
                }
                bytes[from..to].copy_from_slice(written);
            }
            Write::Len(len) => bytes.resize(*len as usize, 0),
        }
    }
}

impl Unplugged {
    /// Pulls the plug before the operation of this number, or else when it is asked what is left.
    /// The log goes on as if nothing had happened, but nothing of it counts any more.
    pub fn new(fuse: usize) -> Unplugged {
        Unplugged { state: Mutex::default(), fuse: Mutex::new((fuse, None)) }
    }

    /// Whether there is no power any more.
    pub fn is_pulled(&self) -> bool {
        self.fuse.lock().unwrap().1.is_some()
    }

    /// Writes to `to` what is left of `from`. `lucky` says of each thing that is not safe whether
    /// it survives all the same.
    pub fn left(&self, from: &Path, to: &Path, mut lucky: impl FnMut() -> bool) {
        let pulled = self.fuse.lock().unwrap().1.take();
        let state = pulled.unwrap_or_else(|| self.state.lock().unwrap().clone());
        let mut names = state.names.clone();
        for change in &state.unsafe_names {
            if !lucky() {
                break;
            }
            change.apply(&mut names);
        }
        let mut paths: Vec<_> = names.iter().collect();
        paths.sort();
        for (path, inode) in paths {
            let target = to.join(path.strip_prefix(from).unwrap());
            match inode {
                None => fs::create_dir_all(target).unwrap(),
                Some(inode) if target.parent().unwrap().exists() => {
                    let content = &state.files[inode];
                    let mut bytes = content.safe.clone();
                    for write in &content.unsafe_writes {
                        // The length a write gives a file may survive without its bytes.
                        match write {
                            _ if lucky() => write.apply(&mut bytes),
                            Write::At(position, written) if lucky() => {
                                let len = *position as usize + written.len();
                                bytes.resize(len.max(bytes.len()), 0);
                            }
                            _ => {}
                        }
                    }
                    fs::write(target, bytes).unwrap();
                }
                Some(_) => {}
            }
        }
    }

    /// The state, one operation later.
    fn operate(&self) -> MutexGuard<'_, State> {
        let state = self.state.lock().unwrap();
        let mut fuse = self.fuse.lock().unwrap();
        if fuse.0 == 0 && fuse.1.is_none() {
            fuse.1 = Some(state.clone());
        }
        fuse.0 = fuse.0.saturating_sub(1);
        state
    }

    fn change(&self, change: Change) {
        self.operate().unsafe_names.push(change);
    }

    fn write(&self, file: &File, write: Write) {
        let inode = file.metadata().unwrap().ino();
        self.operate().files.entry(inode).or_default().unsafe_writes.push(write);
    }
}

impl Disk for Unplugged {
    fn create(&self, path: &Path) -> io::Result<File> {
        let mut state = self.operate();
        let file = RealDisk.create(path)?;
        let inode = file.metadata()?.ino();
        // The inode may be that of a file removed before.
        state.files.insert(inode, Content::default());
        state.unsafe_names.push(Change::Add(path.to_owned(), Some(inode)));
        Ok(file)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)?;
        self.change(Change::Add(path.to_owned(), None));
        Ok(())
    }

    fn write_at(&self, file: &File, bytes: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let written = RealDisk.write_at(file, bytes, position)?;
        let mut all: Vec<u8> = bytes.iter().flat_map(|b| b.iter().copied()).collect();
        all.truncate(written);
        self.write(file, Write::At(position, all));
        Ok(written)
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        RealDisk.set_len(file, len)?;
        self.write(file, Write::Len(len));
        Ok(())
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        let inode = file.metadata()?.ino();
        let mut state = self.operate();
        let content = state.files.entry(inode).or_default();
        for write in std::mem::take(&mut content.unsafe_writes) {
            write.apply(&mut content.safe);
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.operate();
        let (safe, rest): (Vec<Change>, Vec<Change>) = std::mem::take(&mut state.unsafe_names)
            .into_iter()
            .partition(|change| change.dir() == dir);
        state.unsafe_names = rest;
        for change in safe {
            change.apply(&mut state.names);
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)?;
        self.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_file(path)?;
        self.change(Change::Remove(path.to_owned()));
        Ok(())
    }
}
