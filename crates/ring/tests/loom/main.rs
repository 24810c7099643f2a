//! Every interleaving of small programs over the queues, by loom's model checker.
//!
//! ```text
//! cargo xtask test --only loom
//! RUSTFLAGS="--cfg loom" cargo test --release -p chaski-ring --test loom --target-dir target/loom
//! ```
//!
//! A lost wake-up shows as a deadlock: loom fails a model in which no thread can go on. A message
//! read before it is written, or written over, shows as two accesses to one cell that nothing
//! orders. A message that nobody drops shows as a leaked `Arc`: those here are loom's own.
//!
//! What this proves: for these programs, with few involuntary switches (a bound that each model
//! names, see [`kit::check`]), under every order of memory accesses that loom knows of, which are
//! those of C11 without load buffering, nothing is lost, doubled, reordered or left asleep.
//!
//! What it does not: loom knows no `membarrier`, so the waiting machinery is in its *fenced* mode
//! here from beginning to end. Its *calm* mode, and the changes between the two, are explored on a
//! model of the machine in [`calm`] and stressed on a real one in `tests/wakeups.rs`.
//! Deadlines and spinning are left out: loom has no clock.
#![cfg(loom)]

mod broadcast;
mod calm;
mod fan_in;
mod in_place;
mod kit;
mod mailbox;
mod mpmc;
mod mpsc;
mod one_to_one;
mod oneshot;
mod rendezvous;
mod select;
mod unbounded;
