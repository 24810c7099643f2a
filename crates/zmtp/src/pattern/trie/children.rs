//! The children of a node of the trie, by the first byte of their labels.
//!
//! ```text
//!   few    keys  [a][d][x][ ]           up to four, in the node itself
//!          nodes [7][2][9][ ]
//!
//!   many   present  256 bits, one a first byte, in four words
//!          before   how many bits the words before each have
//!          nodes    [7][2][9]...        a child's place is the number of bits before its own
//! ```

use smallvec::SmallVec;

/// Node numbers by first byte.
#[derive(Debug)]
pub(super) enum Children {
    Few { count: u8, keys: [u8; FEW], nodes: [u32; FEW] },
    Many(Box<Table>),
}

const FEW: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Table {
    present: [u64; 4],
    before: [u8; 4],
    /// Up to sixteen (digits, be they decimal or hexadecimal) without an allocation of their own.
    nodes: SmallVec<[u32; 16]>,
}

impl Default for Children {
    fn default() -> Self {
        Children::Few { count: 0, keys: [0; FEW], nodes: [0; FEW] }
    }
}

impl Children {
    pub(super) fn get(&self, first: u8) -> Option<u32> {
        match self {
            Children::Few { count, keys, nodes } => {
                let at = keys[..usize::from(*count)].iter().position(|&key| key == first)?;
                Some(nodes[at])
            }
            Children::Many(table) => table.nodes.get(table.place(first).ok()?).copied(),
        }
    }

    /// Sets the child that begins with `first`, in place of the one that did.
    pub(super) fn insert(&mut self, first: u8, node: u32) {
        if let Children::Few { count, keys, nodes } = self {
            let used = usize::from(*count);
            if let Some(at) = keys[..used].iter().position(|&key| key == first) {
                nodes[at] = node;
                return;
            }
            if used < FEW {
                keys[used] = first;
                nodes[used] = node;
                *count += 1;
                return;
            }
            let mut table = Table::default();
            for (&key, &node) in keys.iter().zip(nodes.iter()) {
                table.insert(key, node);
            }
            *self = Children::Many(Box::new(table));
        }
        if let Children::Many(table) = self {
            table.insert(first, node);
        }
    }

    pub(super) fn remove(&mut self, first: u8) {
        match self {
            Children::Few { count, keys, nodes } => {
                let used = usize::from(*count);
                if let Some(at) = keys[..used].iter().position(|&key| key == first) {
                    keys[at] = keys[used - 1];
                    nodes[at] = nodes[used - 1];
                    *count -= 1;
                }
            }
            Children::Many(table) => {
                table.remove(first);
                // Not at FEW, so that one child that comes and goes does not rebuild the table.
                if table.nodes.len() < FEW {
                    *self = table.to_few();
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes().is_empty()
    }

    /// The child, if there is just one.
    pub(super) fn only(&self) -> Option<u32> {
        match self.nodes() {
            &[only] => Some(only),
            _ => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.nodes().iter().copied()
    }

    fn nodes(&self) -> &[u32] {
        match self {
            Children::Few { count, nodes, .. } => &nodes[..usize::from(*count)],
            Children::Many(table) => &table.nodes,
        }
    }
}

impl Table {
    /// Where the child of `first` is (`Ok`) or would be put (`Err`).
    fn place(&self, first: u8) -> Result<usize, usize> {
        let (word, bit) = (usize::from(first >> 6), 1 << (first & 63));
        let in_word = (self.present[word] & (bit - 1)).count_ones();
        let at = usize::from(self.before[word]) + in_word as usize;
        if self.present[word] & bit != 0 { Ok(at) } else { Err(at) }
    }

    fn insert(&mut self, first: u8, node: u32) {
        match self.place(first) {
            Ok(at) => self.nodes[at] = node,
            Err(at) => {
                let word = usize::from(first >> 6);
                self.nodes.insert(at, node);
                self.present[word] |= 1 << (first & 63);
                self.before[word + 1..].iter_mut().for_each(|before| *before += 1);
            }
        }
    }

    fn remove(&mut self, first: u8) {
        if let Ok(at) = self.place(first) {
            let word = usize::from(first >> 6);
            self.nodes.remove(at);
            self.present[word] &= !(1 << (first & 63));
            self.before[word + 1..].iter_mut().for_each(|before| *before -= 1);
        }
    }

    fn to_few(&self) -> Children {
        let mut few = Children::default();
        let present = (0..=u8::MAX).filter(|&first| self.place(first).is_ok());
        for (first, &node) in present.zip(&self.nodes) {
            few.insert(first, node);
        }
        few
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_a_map(steps in proptest::collection::vec((0_u8..12, any::<bool>()), 0..200)) {
            let mut children = Children::default();
            let mut model = std::collections::BTreeMap::new();
            for (at, (key, insert)) in steps.into_iter().enumerate() {
                // Spread over all four words.
                let key = key.wrapping_mul(23);
                if insert {
                    children.insert(key, at as u32);
                    model.insert(key, at as u32);
                } else {
                    children.remove(key);
                    model.remove(&key);
                }
                let mut nodes: Vec<_> = children.iter().collect();
                nodes.sort();
                let mut expected: Vec<_> = model.values().copied().collect();
                expected.sort();
                prop_assert_eq!(nodes, expected);
                for key in (0..14_u8).map(|key| key.wrapping_mul(23)) {
                    prop_assert_eq!(children.get(key), model.get(&key).copied());
                }
                prop_assert_eq!(children.is_empty(), model.is_empty());
                prop_assert_eq!(children.only().is_some(), model.len() == 1);
            }
        }
    }
}
