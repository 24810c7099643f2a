//! By a closure.

use std::fmt;

use super::{Partitioner, Workers};

/// A closure that picks.
///
/// It must name a slot less than [`Workers::count`], whatever the number of workers is at the time.
///
/// ```
/// use chaski_pool::partition::{Custom, Partitioner, Turn, WorkerId, Workers};
///
/// struct Order { warehouse: u8 }
///
/// let by_warehouse = Custom::new(|order: &Order, workers| {
///     usize::from(order.warehouse) % workers.count()
/// });
/// let (ids, turn) = ([0, 1].map(WorkerId::new), Turn::new());
/// let workers = Workers::new(&ids, &|_| 0, &turn).unwrap();
/// assert_eq!(by_warehouse.pick(&Order { warehouse: 5 }, &workers), 1);
/// ```
#[derive(Clone, Copy)]
pub struct Custom<F> {
    pick: F,
}

impl<F> Custom<F> {
    /// Picks with this closure.
    pub const fn new<K: ?Sized>(pick: F) -> Custom<F>
    where
        F: Fn(&K, &Workers<'_>) -> usize,
    {
        Custom { pick }
    }
}

impl<K, F> Partitioner<K> for Custom<F>
where
    K: ?Sized,
    F: Fn(&K, &Workers<'_>) -> usize + Send + Sync,
{
    fn pick(&self, key: &K, workers: &Workers<'_>) -> usize {
        (self.pick)(key, workers)
    }
}

impl<F> fmt::Debug for Custom<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Custom")
    }
}
