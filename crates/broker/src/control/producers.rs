//! Producer ids (KIP-98): each is given out once, ever.
//!
//! Ids are reserved in blocks: the end of the block is on disk before the first id of it is given
//! out, so a restart wastes the rest of a block and never repeats an id.

use chaski_log::store::{Change, MetaStore, StoreError};

const KEY: &str = "producer/next";
const BLOCK: i64 = 1000;

/// Gives out producer ids.
#[derive(Debug)]
pub(crate) struct ProducerIds {
    next: i64,
    reserved: i64,
}

impl ProducerIds {
    /// Goes on after the last block that was reserved.
    pub(crate) fn restore(meta: &dyn MetaStore) -> Result<ProducerIds, StoreError> {
        let next = match meta.get(KEY)? {
            None => 1,
            Some(value) => str::from_utf8(&value)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| StoreError::Corrupt(format!("{KEY} is not a number")))?,
        };
        Ok(ProducerIds { next, reserved: next })
    }

    /// The next id; `changes` gets what must be on disk before it is told to anyone.
    pub(crate) fn take(&mut self, changes: &mut Vec<Change>) -> i64 {
        if self.next == self.reserved {
            self.reserved += BLOCK;
            changes.push(Change::Put {
                key: KEY.to_owned(),
                value: self.reserved.to_string().into_bytes(),
            });
        }
        self.next += 1;
        self.next - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chaski_log::MemoryMeta;

    #[test]
    fn no_id_is_given_out_twice_across_restarts() {
        let mut meta = MemoryMeta::default();
        let mut seen = std::collections::HashSet::new();
        for round in 0..3 {
            let mut ids = ProducerIds::restore(&meta).expect("readable");
            for _ in 0..(BLOCK + 1 + round) {
                let mut changes = Vec::new();
                let id = ids.take(&mut changes);
                meta.commit(&changes).expect("committed");
                assert!(seen.insert(id), "{id} twice");
            }
        }
    }
}
