//! Who takes part in a case, and the shape that all cases have: a near side that measures and a far
//! side, in two processes or in two threads of one.

use std::sync::Arc;

use anyhow::Result;

use crate::rivals::machines::chaski::{Chaski, ChaskiAsync, Many, Sleeping, SpinningAsync};
use crate::rivals::machines::libzmq::Libzmq;
use crate::rivals::machines::{Lacks, Library};
#[cfg(feature = "zmq-rivals")]
use crate::rivals::machines::{
    monocoque::{Batching, Monocoque},
    omq::{Omq, OmqAsync},
    rzmq::{Rzmq, Uring},
    zeromq::Zeromq,
};
use crate::run::Samples;
use crate::workloads::apart::Setup;
use crate::workloads::contest::Contestant;
use crate::workloads::side::{Peer, Side};

/// Where the far side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Process,
    Thread,
}

/// A case that is the same for every library.
pub trait Enter {
    /// What a library must not lack.
    fn needs(&self) -> &[Lacks];

    /// The library as a contestant of that name.
    fn enter<L: Library>(&self, who: &'static str) -> Contestant;
}

/// The contestants of a case that are libraries of sockets.
pub fn everyone(case: &impl Enter) -> Vec<Contestant> {
    let all = [
        entered::<Chaski>(case, "chaski"),
        entered::<Sleeping>(case, "chaski sleeping"),
        entered::<ChaskiAsync>(case, "chaski async"),
        entered::<SpinningAsync>(case, "chaski async spin"),
        entered::<Many>(case, "chaski recv_many"),
        entered::<Libzmq>(case, "libzmq"),
    ];
    all.into_iter().flatten().chain(built_in(case)).collect()
}

#[cfg(feature = "zmq-rivals")]
fn built_in(case: &impl Enter) -> impl Iterator<Item = Contestant> {
    let all = [
        entered::<Omq>(case, "omq-tokio"),
        entered::<OmqAsync>(case, "omq-tokio async"),
        entered::<Monocoque>(case, "monocoque"),
        entered::<Batching>(case, "monocoque-batch"),
        entered::<Zeromq>(case, "zeromq"),
        entered::<Rzmq>(case, "rzmq"),
        entered::<Uring>(case, "rzmq io-uring"),
    ];
    all.into_iter().flatten()
}

#[cfg(not(feature = "zmq-rivals"))]
fn built_in(_: &impl Enter) -> impl Iterator<Item = Contestant> {
    std::iter::empty()
}

fn entered<L: Library>(case: &impl Enter, who: &'static str) -> Option<Contestant> {
    let lacks = case.needs().iter().any(|need| L::LACKS.contains(need));
    (!lacks).then(|| case.enter::<L>(who))
}

/// `near` must end its peer before it closes its own sockets.
pub fn contestant(
    who: &'static str,
    place: Place,
    near: impl Fn(Setup, Peer) -> Result<Samples> + 'static,
    far: impl Fn(&Side) -> Result<()> + Send + Sync + 'static,
) -> Contestant {
    let far = Arc::new(far);
    let far_of_thread = Arc::clone(&far);
    Contestant::new(
        who,
        move |turn| {
            let far = Arc::clone(&far_of_thread);
            let peer = match place {
                Place::Process => turn.start()?,
                Place::Thread => turn.start_thread(move |side| far(side))?,
            };
            near(turn.setup, peer)
        },
        move |side| far(side),
    )
}
