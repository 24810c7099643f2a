//! Shared memory: `chaski shm`, and `send` and `recv` with `shm://`.
//!
//! - `list`, `inspect`, `top`: the three commands, over `survey`, which asks all services;
//! - `send` and `recv`: lines into an `outlet` and out of an `inlet`, which are endpoints;
//! - `explain`: what to do about what went wrong.

mod explain;
mod inlet;
mod inspect;
mod list;
mod outlet;
pub(crate) mod recv;
pub(crate) mod send;
mod survey;
mod top;

pub(crate) use self::survey::user;
pub(crate) use self::top::{ServiceRates, Watch};
use crate::args::Shm;
use crate::failure::Failure;

pub(crate) fn run(args: &Shm) -> Result<(), Failure> {
    match args {
        Shm::Ls(args) => list::run(args),
        Shm::Inspect(args) => inspect::run(args),
        Shm::Top(args) => top::run(args),
    }
}
