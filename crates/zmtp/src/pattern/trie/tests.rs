//! The trie against a list of (topic, peer).

use proptest::prelude::*;

use super::*;

/// Every pair that was inserted and not removed.
#[derive(Default)]
struct List(Vec<(Vec<u8>, Peer)>);

impl List {
    fn insert(&mut self, topic: &[u8], peer: Peer) -> Inserted {
        let pair = (topic.to_vec(), peer);
        if self.0.contains(&pair) {
            return Inserted::Again;
        }
        let new = self.0.iter().all(|(other, _)| other != topic);
        self.0.push(pair);
        if new { Inserted::New } else { Inserted::NewToPeer }
    }

    fn remove(&mut self, topic: &[u8], peer: Peer) -> Removed {
        let pair = (topic.to_vec(), peer);
        let Some(at) = self.0.iter().position(|other| *other == pair) else {
            return Removed::Nothing;
        };
        self.0.remove(at);
        if self.0.iter().any(|(other, _)| other == topic) {
            Removed::OthersRemain
        } else {
            Removed::Last
        }
    }

    fn remove_peer(&mut self, peer: Peer) -> Vec<(Vec<u8>, bool)> {
        let mut gone: Vec<_> =
            self.0.iter().filter(|(_, holder)| *holder == peer).map(|(topic, _)| topic).collect();
        gone.sort();
        let is_held = |topic: &[u8]| self.0.iter().any(|(t, p)| t == topic && *p != peer);
        let gone = gone.into_iter().map(|topic| (topic.clone(), !is_held(topic))).collect();
        self.0.retain(|(_, holder)| *holder != peer);
        gone
    }

    fn matches(&self, text: &[u8]) -> Vec<Peer> {
        let mut peers: Vec<_> =
            self.0.iter().filter(|(topic, _)| text.starts_with(topic)).map(|pair| pair.1).collect();
        peers.sort();
        peers.dedup();
        peers
    }

    fn topics(&self) -> Vec<Vec<u8>> {
        let mut topics: Vec<_> = self.0.iter().map(|(topic, _)| topic.clone()).collect();
        topics.sort();
        topics.dedup();
        topics
    }
}

fn matches(trie: &Trie, text: &[u8]) -> Vec<Peer> {
    let mut peers = Vec::new();
    trie.matches(text, |holders| peers.extend_from_slice(holders));
    peers.sort();
    peers.dedup();
    peers
}

fn topics(trie: &Trie) -> Vec<Vec<u8>> {
    let mut topics = Vec::new();
    trie.for_each(|topic| topics.push(topic.to_vec()));
    topics.sort();
    topics
}

/// The invariants of the head of the module.
fn check(trie: &Trie) {
    assert_eq!(trie.nodes.len() - trie.free.len(), 1 + count(trie, ROOT));
    for (peer, held) in trie.held.iter() {
        let cost = held.nodes.iter().map(|&node| cost(&trie.topic(node))).sum::<usize>();
        assert_eq!(held.cost, cost);
        for &node in &held.nodes {
            assert!(trie.nodes[node as usize].holders.contains(&peer));
        }
    }
    assert_eq!(trie.cost, trie.held.iter().map(|(_, held)| held.cost).sum::<usize>());
}

/// How many nodes are below `at`, each checked.
fn count(trie: &Trie, at: u32) -> usize {
    let node = &trie.nodes[at as usize];
    assert!(node.holders.is_sorted_by(|a, b| a < b));
    let below = node.children.iter().map(|child| {
        let below = &trie.nodes[child as usize];
        assert_eq!(below.parent, at);
        assert_eq!(node.children.get(below.label[0]), Some(child));
        assert!(!below.holders.is_empty() || below.children.iter().count() >= 2);
        1 + count(trie, child)
    });
    below.sum()
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>, u32),
    Remove(Vec<u8>, u32),
    RemovePeer(u32),
    Match(Vec<u8>),
}

/// Of two letters, so that topics share much; some longer than a label in the node.
fn topic() -> impl Strategy<Value = Vec<u8>> {
    let letters = proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b')], 0..5);
    (letters, any::<bool>()).prop_map(|(letters, long)| {
        letters.iter().flat_map(|&letter| vec![letter; if long { 7 } else { 1 }]).collect()
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (topic(), 0..4_u32).prop_map(|(topic, peer)| Step::Insert(topic, peer)),
        4 => (topic(), 0..4_u32).prop_map(|(topic, peer)| Step::Remove(topic, peer)),
        1 => (0..4_u32).prop_map(Step::RemovePeer),
        3 => topic().prop_map(Step::Match),
    ]
}

proptest! {
    #[test]
    fn it_is_as_good_as_a_list(steps in proptest::collection::vec(step(), 0..100)) {
        let (mut trie, mut list) = (Trie::default(), List::default());
        for step in steps {
            match step {
                Step::Insert(topic, peer) => {
                    let inserted = trie.insert(&topic, Peer(peer));
                    prop_assert_eq!(inserted, Ok(list.insert(&topic, Peer(peer))));
                }
                Step::Remove(topic, peer) => {
                    let removed = trie.remove(&topic, Peer(peer));
                    prop_assert_eq!(removed, list.remove(&topic, Peer(peer)));
                }
                Step::RemovePeer(peer) => {
                    let mut gone = Vec::new();
                    trie.remove_peer(Peer(peer), |topic, last| gone.push((topic.to_vec(), last)));
                    gone.sort();
                    prop_assert_eq!(gone, list.remove_peer(Peer(peer)));
                }
                Step::Match(text) => {
                    prop_assert_eq!(matches(&trie, &text), list.matches(&text));
                    prop_assert_eq!(trie.has_prefix_of(&text), !list.matches(&text).is_empty());
                    let mut expected: Vec<_> =
                        list.0.iter().filter(|(topic, _)| *topic == text).map(|p| p.1).collect();
                    expected.sort();
                    prop_assert_eq!(trie.holders(&text), expected);
                }
            }
            check(&trie);
            prop_assert_eq!(trie.len(), list.topics().len());
        }
        prop_assert_eq!(topics(&trie), list.topics());
    }
}

#[test]
fn an_empty_topic_is_a_prefix_of_everything() {
    let mut trie = Trie::default();
    assert_eq!(trie.insert(b"", Peer(3)), Ok(Inserted::New));
    assert_eq!(matches(&trie, b""), [Peer(3)]);
    assert_eq!(matches(&trie, b"any"), [Peer(3)]);
    assert_eq!(trie.remove(b"", Peer(3)), Removed::Last);
    assert!(!trie.has_prefix_of(b"any"));
}

#[test]
fn what_is_taken_back_leaves_nothing() {
    let mut trie = Trie::default();
    for at in 0..10_000_u32 {
        trie.insert(format!("topic/{at}").as_bytes(), Peer(at % 7)).unwrap();
    }
    for peer in 0..7 {
        trie.remove_peer(Peer(peer), |_, _| ());
    }
    check(&trie);
    assert_eq!((trie.len(), trie.cost, trie.nodes.len() - trie.free.len()), (0, 0, 1));
}

#[test]
fn a_peer_that_asks_for_too_much_is_told_so_and_others_are_served() {
    let mut trie = Trie::default();
    let long = vec![b'x'; 1 << 20];
    let topic = |at: u8| [&[at][..], &long].concat();
    let taken = (0..=u8::MAX).take_while(|&at| trie.insert(&topic(at), Peer(0)).is_ok()).count();
    assert!((50..64).contains(&taken), "{taken} MiB");
    assert_eq!(trie.insert(b"a", Peer(1)), Ok(Inserted::New));
    // To ask again for the same costs nothing.
    assert_eq!(trie.insert(&topic(0), Peer(0)), Ok(Inserted::Again));
    trie.remove_peer(Peer(0), |_, _| ());
    assert_eq!(trie.insert(b"a", Peer(0)), Ok(Inserted::NewToPeer));
    check(&trie);
}
