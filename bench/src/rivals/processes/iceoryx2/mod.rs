//! `iceoryx2`: publish-subscribe and request-response over named shared memory, looked at in a
//! loop; to sleep there is an event beside them. Both sides of a turn get a directory and a prefix
//! of their own, so that what they leave behind can be found and removed.

mod event;
mod pub_sub;
mod req_res;

pub use event::WithEvents;
pub use pub_sub::{PubSub, Publisher, Subscribers};
pub use req_res::{Answering, Asking, Host, Visitor};

use std::fs;
use std::os::unix::ffi::OsStrExt;

use ::iceoryx2::prelude::*;
use anyhow::{Context, Result};

use super::Spec;
use super::link::Link;
use crate::workloads::side::turn_dir;

/// Where its shared memory has names.
const SHARED_MEMORY: &str = "/dev/shm";

/// Most messages of one channel: what the others have room for, but not more bookkeeping than that.
const MESSAGES_MAX: usize = 1024;

/// Processes of one turn, and some to spare.
const NODES_MAX: usize = 64;

fn node(link: &Link) -> Result<Node<ipc::Service>> {
    set_log_level(LogLevel::Fatal);
    let mut config = Config::default();
    let dir = turn_dir(link.turn());
    config.global.set_root_path(&Path::new(dir.as_os_str().as_bytes()).ok().context("a path")?);
    config.global.prefix = FileName::new(prefix(link.turn()).as_bytes()).ok().context("a name")?;
    let builder = NodeBuilder::new().config(&config);
    Ok(builder.signal_handling_mode(SignalHandlingMode::Disabled).create()?)
}

fn name(text: &str) -> Result<ServiceName> {
    Ok(text.try_into()?)
}

fn messages(spec: Spec) -> usize {
    spec.messages().min(MESSAGES_MAX)
}

fn prefix(turn: u32) -> String {
    format!("bench_{turn}_")
}

/// Removes the shared memory that a turn has left behind.
pub fn sweep(turn: u32) {
    let prefix = prefix(turn);
    let Ok(files) = fs::read_dir(SHARED_MEMORY) else { return };
    for file in files.flatten() {
        if file.file_name().as_bytes().starts_with(prefix.as_bytes()) {
            // Somebody else of the turn may just have removed it.
            fs::remove_file(file.path()).ok();
        }
    }
}
