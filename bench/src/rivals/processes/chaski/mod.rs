//! `chaski-shm`: the product's own patterns, driven like everyone else's. It waits
//! as it does by default, spins, or sleeps at once. Names are in the turn's own directory.

mod call;
mod pipeline;
mod pubsub;

pub use call::{Answering, Asking, Visitor};
pub use pipeline::{Pulling, PullingSingly, Pushing, PushingBatches};
pub use pubsub::{Publishing, Subscribing};

use ::chaski_shm::Wait;

use super::Spec;

fn wait(spec: Spec) -> Wait {
    match spec.wait {
        super::Wait::Spin => Wait::Spin,
        super::Wait::Adapt => Wait::default(),
        super::Wait::Block => Wait::Block,
    }
}
