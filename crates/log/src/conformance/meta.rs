//! Cases about facts.

use crate::store::{Change, MetaStore};

fn put(key: &str, value: &str) -> Change {
    Change::Put { key: key.to_owned(), value: value.as_bytes().to_vec() }
}

fn delete(key: &str) -> Change {
    Change::Delete { key: key.to_owned() }
}

/// Runs every case on a store without facts. `reopen` drops a store and opens it again; None: it
/// forgets.
///
/// # Panics
/// If the store fails a case.
pub fn meta_store<S: MetaStore>(mut store: S, reopen: impl FnOnce(S) -> Option<S>) {
    assert_eq!(store.get("a").unwrap(), None);
    assert!(store.scan("").unwrap().is_empty());
    store.commit(&[]).unwrap();
    store.commit(&[put("topic/b", "2"), put("topic/a", "1"), put("group/x", "")]).unwrap();
    store.commit(&[put("topic/a", "3"), delete("none"), put("topicality", "4")]).unwrap();
    facts_are(&store);
    store.commit(&[put("topic/c", "5"), delete("topic/c")]).unwrap();
    assert_eq!(store.get("topic/c").unwrap(), None, "changes are made in order");
    store.commit(&[delete("topic/c"), put("topic/c", "5")]).unwrap();
    assert_eq!(store.get("topic/c").unwrap(), Some(b"5".to_vec()));
    store.commit(&[delete("topic/c")]).unwrap();
    if let Some(store) = reopen(store) {
        facts_are(&store);
    }
}

fn facts_are(store: &impl MetaStore) {
    let scan = |prefix: &str| -> Vec<(String, String)> {
        let facts = store.scan(prefix).unwrap();
        facts.into_iter().map(|(k, v)| (k, String::from_utf8(v).unwrap())).collect()
    };
    let fact = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(scan("topic/"), [fact("topic/a", "3"), fact("topic/b", "2")]);
    assert_eq!(scan("topic/b"), [fact("topic/b", "2")]);
    assert_eq!(scan("u"), []);
    assert_eq!(scan("").len(), 4);
    assert_eq!(store.get("group/x").unwrap(), Some(Vec::new()));
    assert_eq!(store.get("topic/").unwrap(), None);
}
