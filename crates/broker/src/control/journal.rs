//! The MetaStore, and what is owed to it.
//!
//! The coordinator has acted on its changes when they are committed, so those that a full disk
//! turned away cannot be taken back: they are owed, and go ahead of everything else in the next
//! commit. One is owed for each key at most, the last; and the control thread serves nobody while
//! anything is owed. So what is owed is bounded by what there is, however long it lasts.

use std::collections::BTreeMap;

use chaski_log::store::{Change, MetaStore, StoreError};

/// A MetaStore to which changes may be owed.
pub(super) struct Journal {
    meta: Box<dyn MetaStore>,
    owed: BTreeMap<String, Change>,
}

impl Journal {
    pub(super) fn new(meta: Box<dyn MetaStore>) -> Journal {
        Journal { meta, owed: BTreeMap::new() }
    }

    /// Whether an earlier commit failed and has not been made up for.
    pub(super) fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Commits what is owed, `done` and `asked`, in this order, or nothing of it. If that fails,
    /// `done` is owed: it has been acted on; `asked` is forgotten: it has not.
    pub(super) fn commit(
        &mut self,
        done: Vec<Change>,
        asked: Vec<Change>,
    ) -> Result<(), StoreError> {
        let owes = self.owes();
        let mut changes: Vec<Change> =
            std::mem::take(&mut self.owed).into_values().chain(done).collect();
        let acted_on = changes.len();
        changes.extend(asked);
        if changes.is_empty() {
            return Ok(());
        }
        let committed = self.meta.commit(&changes);
        match &committed {
            Ok(()) if owes => tracing::info!("the MetaStore takes changes again"),
            Ok(()) => {}
            Err(error) => {
                if !owes {
                    tracing::error!(%error, "cannot commit; clients are disconnected to retry");
                }
                changes.truncate(acted_on);
                self.owed = changes.into_iter().map(|c| (key(&c).to_owned(), c)).collect();
            }
        }
        committed
    }
}

fn key(change: &Change) -> &str {
    match change {
        Change::Put { key, .. } | Change::Delete { key } => key,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use chaski_log::MemoryMeta;

    use super::*;

    /// Refuses while `full`.
    struct Full {
        full: Arc<AtomicBool>,
        meta: MemoryMeta,
    }

    impl MetaStore for Full {
        fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
            self.meta.scan(prefix)
        }
        fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
            self.meta.get(key)
        }
        fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
            match self.full.load(Ordering::Relaxed) {
                true => Err(StoreError::Corrupt("full".to_owned())),
                false => self.meta.commit(changes),
            }
        }
    }

    fn put(key: &str, value: u8) -> Change {
        Change::Put { key: key.to_owned(), value: vec![value] }
    }

    #[test]
    fn what_was_acted_on_is_owed_once_a_key_and_what_was_only_asked_is_not() {
        let full = Arc::new(AtomicBool::new(true));
        let meta = Full { full: full.clone(), meta: MemoryMeta::new() };
        let mut journal = Journal::new(Box::new(meta));
        for value in 0..100 {
            let delete = Change::Delete { key: "b".to_owned() };
            let done = vec![put("a", value), put("b", value), delete];
            assert!(journal.commit(done, vec![put("asked", value)]).is_err());
        }
        assert_eq!(journal.owed.len(), 2, "one for each key");
        full.store(false, Ordering::Relaxed);
        // What is owed goes first: what is asked now must stand.
        journal.commit(Vec::new(), vec![put("b", 7)]).expect("room again");
        assert!(!journal.owes());
        let found = journal.meta.scan("").expect("readable");
        assert_eq!(found, [("a".to_owned(), vec![99]), ("b".to_owned(), vec![7])]);
    }

    #[test]
    fn nothing_to_commit_costs_nothing() {
        let full = Arc::new(AtomicBool::new(true));
        let mut journal = Journal::new(Box::new(Full { full, meta: MemoryMeta::new() }));
        assert!(journal.commit(Vec::new(), Vec::new()).is_ok());
    }
}
