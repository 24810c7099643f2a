//! What every store must do: the suites that any [`LogStore`] and
//! [`MetaStore`](crate::store::MetaStore) runs.
//!
//! A case panics with what is wrong. Cases know nothing of the store but the traits, so that one
//! over the network passes them too.

mod appends;
mod lookups;
mod meta;
mod probe;
mod reads;

use crate::store::LogStore;

pub use self::meta::meta_store;
pub use self::probe::{Probe, batch, batch_of, sequenced, spec};

/// Makes the stores that the cases run on.
pub trait Fixture {
    /// A store with nothing in it.
    fn fresh(&mut self) -> Box<dyn LogStore>;

    /// The last store, which has been dropped, once more. None: such a store forgets.
    fn reopen(&mut self) -> Option<Box<dyn LogStore>>;
}

type Case = (&'static str, fn(&mut dyn Fixture));

const CASES: &[Case] = &[
    ("offsets are assigned in order", appends::offsets_are_assigned_in_order),
    ("a call may serve several partitions", appends::a_call_may_serve_several_partitions),
    ("batches come back as they went", appends::batches_come_back_as_they_went),
    ("idempotent producers", appends::idempotent_producers),
    ("a durable duplicate is answered", appends::a_durable_duplicate_is_answered),
    ("unknown partitions", appends::unknown_partitions),
    ("a closed store refuses", appends::a_closed_store_refuses),
    ("a topic created anew is empty", appends::a_topic_created_anew_is_empty),
    ("many threads", appends::many_threads),
    ("a store remembers", appends::a_store_remembers),
    ("reads are whole batches", reads::reads_are_whole_batches),
    ("reads have bounds", reads::reads_have_bounds),
    ("watchers are told once", reads::watchers_are_told_once),
    ("watchers learn of a deletion", reads::watchers_learn_of_a_deletion),
    ("a mirror shows each high watermark", reads::a_mirror_shows_each_high_watermark),
    ("offsets by time", lookups::offsets_by_time),
    ("offsets of an empty partition", lookups::offsets_of_an_empty_partition),
    ("trim moves the log start", lookups::trim_moves_the_log_start),
    ("retention by size", lookups::retention_by_size),
    ("retention by age", lookups::retention_by_age),
];

/// Runs every case.
///
/// # Panics
/// If the store fails one; the name of the case is printed before.
pub fn log_store(fixture: &mut dyn Fixture) {
    for (name, case) in CASES {
        println!("case: {name}");
        case(fixture);
    }
}
