//! New maps, built in one pass if their entries come in order.
//!
//! Invariant: whatever the order of the entries, the map equals the one that inserting each of them would give.

use super::{Link, Map, Node, height};
use std::sync::Arc;

/// Most maps inside objects have no more entries than this: they need no memory of their own while they are read.
const FEW: usize = 8;

/// Collects the entries of a new map. As long as their keys come in order, as they are written, the tree is built
/// once at the end instead of being rebalanced at each insertion.
pub(super) struct Builder<K, V> {
    /// The first entries.
    few: [Option<(K, V)>; FEW],
    count: usize,
    /// All of them, once they are more.
    many: Vec<(K, V)>,
    map: Map<K, V>,
}

impl<K: Ord + Clone, V: Clone> Builder<K, V> {
    pub(super) fn new() -> Self {
        Self { few: [const { None }; FEW], count: 0, many: Vec::new(), map: Map::new() }
    }

    /// Inserts an entry; returns whether its key is new.
    pub(super) fn insert(&mut self, key: K, value: V) -> bool {
        if !self.map.is_empty() {
            return self.map.insert(key, value).is_none();
        }
        let last = match (self.many.last(), self.count.checked_sub(1)) {
            (Some((last, _)), _) => Some(last),
            (None, Some(last)) => self.few[last].as_ref().map(|(last, _)| last),
            (None, None) => None,
        };
        if last.is_some_and(|last| *last >= key) {
            self.map = self.take_ordered();
            return self.map.insert(key, value).is_none();
        }
        match self.few.get_mut(self.count) {
            Some(place) => {
                *place = Some((key, value));
                self.count += 1;
            }
            None => {
                if self.many.is_empty() {
                    self.many.reserve(4 * FEW);
                    self.many.extend(self.few.iter_mut().filter_map(Option::take));
                }
                self.many.push((key, value));
            }
        }
        true
    }

    pub(super) fn finish(mut self) -> Map<K, V> {
        if self.map.is_empty() { self.take_ordered() } else { self.map }
    }

    fn take_ordered(&mut self) -> Map<K, V> {
        if !self.many.is_empty() {
            let many = std::mem::take(&mut self.many);
            let length = many.len();
            return Map { root: from_ordered(&mut many.into_iter(), length), length };
        }
        let length = std::mem::take(&mut self.count);
        Map { root: from_ordered(&mut self.few.iter_mut().filter_map(Option::take), length), length }
    }
}

/// The tree of the next `length` entries. Halves whose sizes differ by at most one have heights that differ by at
/// most one.
fn from_ordered<K, V>(entries: &mut impl Iterator<Item = (K, V)>, length: usize) -> Link<K, V> {
    if length == 0 {
        return None;
    }
    let left = from_ordered(entries, length / 2);
    let Some((key, value)) = entries.next() else { return left };
    let right = from_ordered(entries, length - length / 2 - 1);
    let height = 1 + height(&left).max(height(&right));
    Some(Arc::new(Node { key, value, height, left, right }))
}
