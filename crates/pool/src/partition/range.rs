//! By where the key lies between split points.

use std::borrow::Borrow;

use super::{Partitioner, Workers};

/// Neighbouring keys to the same worker.
///
/// `s` split points make `s + 1` ranges; a split point is the first key of the range it opens:
///
/// ```text
/// splits       g         p
/// ranges   0   |    1    |   2
/// keys     a f   g o       p z
/// ```
///
/// Range `r` goes to slot `r`. With fewer workers than ranges, each gets a row of neighbouring
/// ranges, as many as the others give or take one; with more, those behind the ranges get nothing.
///
/// **Movement.** While there are at least as many workers as ranges, nothing moves when one is
/// added; when one leaves, the ranges behind it move up by one slot. With fewer workers the rows
/// are drawn anew with every change.
///
/// **Cost.** One binary search.
///
/// ```
/// use chaski_pool::partition::{Partitioner, Range, Turn, WorkerId, Workers};
///
/// let by_initial = Range::new(vec!["g".to_owned(), "p".to_owned()])?;
/// let (ids, turn) = ([0, 1, 2].map(WorkerId::new), Turn::new());
/// let workers = Workers::new(&ids, &|_| 0, &turn).unwrap();
/// assert_eq!(by_initial.pick("apple", &workers), 0);
/// assert_eq!(by_initial.pick("g", &workers), 1);
/// assert_eq!(by_initial.pick("quince", &workers), 2);
/// # Ok::<(), chaski_pool::partition::RangeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range<T> {
    /// Strictly ascending.
    splits: Vec<T>,
}

/// Split points that make no ranges.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// A split point is not above the one before it.
    #[error("split point {index} is not above the one before it")]
    NotAscending {
        /// Its index, from 0.
        index: usize,
    },
}

impl<T: Ord> Range<T> {
    /// Ranges between these split points, which must ascend strictly. None make a single range.
    ///
    /// # Errors
    ///
    /// [`RangeError::NotAscending`] names the first point that is out of order or there twice.
    pub fn new(splits: Vec<T>) -> Result<Range<T>, RangeError> {
        match splits.windows(2).position(|pair| pair[0] >= pair[1]) {
            Some(before) => Err(RangeError::NotAscending { index: before + 1 }),
            None => Ok(Range { splits }),
        }
    }

    /// The split points.
    pub fn splits(&self) -> &[T] {
        &self.splits
    }

    /// The range a key lies in, from 0 to the number of split points.
    pub fn range_of<K>(&self, key: &K) -> usize
    where
        T: Borrow<K>,
        K: Ord + ?Sized,
    {
        self.splits.partition_point(|split| split.borrow() <= key)
    }
}

impl<T, K> Partitioner<K> for Range<T>
where
    T: Ord + Borrow<K> + Send + Sync,
    K: Ord + ?Sized,
{
    fn pick(&self, key: &K, workers: &Workers<'_>) -> usize {
        let (range, ranges) = (self.range_of(key), self.splits.len() + 1);
        let count = workers.count();
        if count >= ranges { range } else { range * count / ranges }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Turn, WorkerId};
    use super::*;
    use proptest::prelude::*;

    fn slots(range: &Range<u32>, count: u32, keys: impl IntoIterator<Item = u32>) -> Vec<usize> {
        let ids: Vec<_> = (0..count).map(WorkerId::new).collect();
        let turn = Turn::of(0);
        let workers = Workers::new(&ids, &|_| 0, &turn).unwrap();
        keys.into_iter().map(|key| range.pick(&key, &workers)).collect()
    }

    #[test]
    fn a_split_point_opens_its_range() {
        let range = Range::new(vec![10, 20]).unwrap();
        let keys = [0, 9, 10, 19, 20, u32::MAX];
        assert_eq!(slots(&range, 3, keys), [0, 0, 1, 1, 2, 2]);
        assert_eq!(slots(&range, 9, keys), [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn fewer_workers_get_rows_of_ranges() {
        let range = Range::new(vec![1, 2, 3, 4]).unwrap();
        assert_eq!(slots(&range, 2, 0..5), [0, 0, 0, 1, 1]);
        assert_eq!(slots(&range, 1, 0..5), [0; 5]);
    }

    #[test]
    fn no_split_points_make_one_range() {
        assert_eq!(slots(&Range::new(vec![]).unwrap(), 4, [0, 7]), [0, 0]);
    }

    #[test]
    fn split_points_out_of_order_are_named() {
        assert_eq!(Range::new(vec![1, 3, 2]), Err(RangeError::NotAscending { index: 2 }));
        let twice = Range::new(vec![5, 5]).unwrap_err();
        assert_eq!(twice.to_string(), "split point 1 is not above the one before it");
    }

    proptest! {
        /// Greater keys never go to lower slots, and no slot is out of range.
        #[test]
        fn order_is_kept(
            splits in prop::collection::btree_set(0..1000_u32, 0..20),
            count in 1..30_u32,
        ) {
            let range = Range::new(splits.into_iter().collect()).unwrap();
            let slots = slots(&range, count, 0..1001);
            prop_assert!(slots.is_sorted());
            prop_assert!(slots.iter().all(|slot| *slot < count as usize));
        }
    }
}
