//! High watermarks where consumers see them: a cell of shared memory for each partition that
//! somebody reads.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use chaski_log::store::{LogStore, Mirror, PartitionId};
use chaski_shm::cells::Cells;

/// Partitions that all consumers together may read: 256 KiB of memory, as far as it is touched.
const CELLS: usize = 4096;

/// The cells, and whose they are. One memory for all consumers: they may look at any partition.
pub(super) struct Board {
    cells: Arc<Cells>,
    taken: HashMap<PartitionId, Taken>,
    /// Given back, to be taken again.
    free: Vec<usize>,
    /// From this one on none was ever taken.
    fresh: usize,
}

struct Taken {
    cell: usize,
    readers: usize,
}

/// Writes one cell.
struct Shown {
    cells: Arc<Cells>,
    cell: usize,
}

impl Mirror for Shown {
    fn show(&self, high_watermark: i64) {
        self.cells.set(self.cell, high_watermark as u64);
    }
}

/// Why a partition has no cell.
pub(super) enum NoCell {
    /// All are taken.
    Full,
    /// The partition is gone.
    Gone,
}

impl Board {
    pub(super) fn new() -> io::Result<Board> {
        let cells = Arc::new(Cells::new(CELLS)?);
        Ok(Board { cells, taken: HashMap::new(), free: Vec::new(), fresh: 0 })
    }

    /// How many cells there are.
    pub(super) fn len(&self) -> u32 {
        self.cells.len() as u32
    }

    /// The cell of a partition, which shows its high watermark from before this returns until it
    /// has been given back as often as it was taken.
    pub(super) fn take(&mut self, store: &dyn LogStore, id: PartitionId) -> Result<u32, NoCell> {
        if let Some(taken) = self.taken.get_mut(&id) {
            taken.readers += 1;
            return Ok(taken.cell as u32);
        }
        let cell = self.free.last().copied().unwrap_or(self.fresh);
        if cell >= self.cells.len() {
            return Err(NoCell::Full);
        }
        let shown = Shown { cells: self.cells.clone(), cell };
        store.mirror(id, Some(Arc::new(shown))).map_err(|_| NoCell::Gone)?;
        if self.free.pop().is_none() {
            self.fresh += 1;
        }
        self.taken.insert(id, Taken { cell, readers: 1 });
        Ok(cell as u32)
    }

    pub(super) fn give_back(&mut self, store: &dyn LogStore, id: PartitionId) {
        let Some(taken) = self.taken.get_mut(&id) else { return };
        taken.readers -= 1;
        if taken.readers == 0 {
            // After this, or if the partition is gone, nobody writes the cell. Who still looks at
            // it reads what it means to somebody else, and finds no batches there.
            let _ = store.mirror(id, None);
            self.free.push(taken.cell);
            self.taken.remove(&id);
        }
    }
}

impl AsFd for Board {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.cells.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use chaski_log::MemoryLog;
    use chaski_log::store::{LogConfig, PartitionSpec};
    use uuid::Uuid;

    use super::*;

    fn partition(log: &MemoryLog, index: i32) -> PartitionId {
        let topic_id = Uuid::from_u128(1);
        let config = LogConfig::default();
        log.open(&PartitionSpec { topic: "t".to_owned(), topic_id, index, config }).unwrap()
    }

    fn take(board: &mut Board, log: &MemoryLog, id: PartitionId) -> Option<u32> {
        board.take(log, id).ok()
    }

    #[test]
    fn a_cell_is_shared_and_free_when_the_last_has_gone() {
        let log = MemoryLog::new();
        let (a, b) = (partition(&log, 0), partition(&log, 1));
        let mut board = Board::new().unwrap();
        assert_eq!(take(&mut board, &log, a), Some(0));
        assert_eq!(take(&mut board, &log, a), Some(0));
        assert_eq!(take(&mut board, &log, b), Some(1));
        board.give_back(&log, a);
        board.give_back(&log, a);
        board.give_back(&log, a);
        assert_eq!(take(&mut board, &log, partition(&log, 2)), Some(0));
        assert_eq!(take(&mut board, &log, a), Some(2));
    }

    #[test]
    fn there_are_so_many_cells_and_a_partition_that_is_gone_takes_none() {
        let log = MemoryLog::new();
        let mut board = Board::new().unwrap();
        for index in 0..CELLS as i32 {
            assert!(take(&mut board, &log, partition(&log, index)).is_some());
        }
        let one_more = partition(&log, CELLS as i32);
        assert!(matches!(board.take(&log, one_more), Err(NoCell::Full)));
        board.give_back(&log, partition(&log, 7));
        log.delete(one_more).unwrap();
        assert!(matches!(board.take(&log, one_more), Err(NoCell::Gone)));
        assert_eq!(take(&mut board, &log, partition(&log, 9999)), Some(7));
    }
}
