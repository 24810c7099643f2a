//! What the tests with real processes have in common: a runner of their own, children that are this
//! same program in another role, payloads that can be checked, and the census of what a process
//! holds.
#![allow(dead_code, reason = "each target uses its part")]

pub(crate) mod census;
pub(crate) mod child;
pub(crate) mod dice;
pub(crate) mod mail;
pub(crate) mod place;
pub(crate) mod runner;
