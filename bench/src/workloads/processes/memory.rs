//! What a server and a client with many connections keep in memory after some traffic: `memory-32`.
//! Pages that both have mapped count half for each. Memory of the kernel, where sockets keep their
//! messages, is not in it. The limit is two processes without a connection.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::clients::{Client, SPEC, serve};
use super::{PSS_BYTES, SHARED_BYTES};
use crate::rivals::processes::lanes::{Far, Near};
use crate::rivals::processes::{Mux, Serves, chaski, iceoryx2, ipc_channel, shmem_ipc, unix};
use crate::run::Samples;
use crate::workloads::contest::{Contest, Contestant};

/// Enough to have gone round every ring.
const TRAFFIC: Duration = Duration::from_millis(100);

pub(super) fn contest() -> Contest {
    use unix::Stream;
    let contestants = vec![
        nothing(),
        contestant::<chaski::Asking, chaski::Answering>("chaski"),
        contestant::<iceoryx2::Asking, iceoryx2::Answering>("iceoryx2 req-res"),
        contestant::<Near<shmem_ipc::Rings>, Far<shmem_ipc::Rings>>("shmem-ipc"),
        contestant::<unix::Asking<Stream>, unix::Answering<Stream>>("unix-stream"),
        contestant::<ipc_channel::Asking, ipc_channel::Answering>("ipc-channel"),
    ];
    Contest { name: "memory-32", contestants }
}

fn nothing() -> Contestant {
    Contestant::new(
        "limit",
        |turn| {
            let peer = turn.start()?;
            peer.link.meet()?;
            let measured = memory_of_both(peer.id());
            peer.end();
            measured
        },
        |side| {
            side.link.meet()?;
            side.link.hear().map(drop)
        },
    )
}

fn contestant<M: Mux, S: Serves>(who: &'static str) -> Contestant {
    Contestant::new(
        who,
        |turn| {
            let peer = turn.start()?;
            let mut client = Client::<M>::open(&peer.link, SPEC)?;
            let measured = client.converse(TRAFFIC).and_then(|()| memory_of_both(peer.id()));
            peer.end();
            measured
        },
        |side| serve::<S>(&side.link, SPEC),
    )
}

fn memory_of_both(server: u32) -> Result<Samples> {
    let [ours, theirs] = [std::process::id(), server].map(Memory::of);
    let (ours, theirs) = (ours?, theirs?);
    Ok(vec![
        (PSS_BYTES, ours.pss + theirs.pss),
        (SHARED_BYTES, ours.shared_memory + theirs.shared_memory),
    ])
}

/// Bytes of one process, each page divided by the processes that have it.
#[derive(Debug, PartialEq)]
struct Memory {
    pss: f64,
    /// Of them, in memory made to be shared.
    shared_memory: f64,
}

impl Memory {
    fn of(process: u32) -> Result<Memory> {
        Memory::parse(&fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?)
    }

    fn parse(rollup: &str) -> Result<Memory> {
        let bytes = |name: &str| -> Result<f64> {
            let value =
                rollup.lines().find_map(|line| line.strip_prefix(name)).context("a line")?;
            let kib = value.trim().strip_suffix(" kB").context("a unit")?;
            Ok(kib.trim().parse::<f64>()? * 1024.0)
        };
        Ok(Memory { pss: bytes("Pss:")?, shared_memory: bytes("Pss_Shmem:")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollup_tells_two_sums() {
        let rollup = "55d0-7ffd ---p 00000000 00:00 0 [rollup]\n\
                      Rss:                1234 kB\nPss:                  10 kB\n\
                      Pss_Dirty:             8 kB\nPss_Shmem:             4 kB\n";
        let memory = Memory::parse(rollup).expect("two sums");
        assert_eq!(memory, Memory { pss: 10240.0, shared_memory: 4096.0 });
        assert!(Memory::parse("Pss: 10 kB\n").is_err());
        assert!(Memory::parse("Pss: 10 MB\nPss_Shmem: 4 kB\n").is_err());
    }
}
