//! New maps, built in one pass if their entries come in order.
//!
//! Invariant: whatever the order of the entries, the map equals the one that inserting each of them would give.

use super::{Link, Map, Node, height};
use std::sync::Arc;

/// Collects the entries of a new map. As long as their keys come in order, as they are written, the tree is built
/// once at the end instead of being rebalanced at each insertion.
pub(super) struct Builder<K, V> {
    ordered: Vec<(K, V)>,
    map: Map<K, V>,
}

impl<K: Ord + Clone, V: Clone> Builder<K, V> {
    pub(super) fn new() -> Self {
        Self { ordered: Vec::new(), map: Map::new() }
    }

    /// Inserts an entry; returns whether its key is new.
    pub(super) fn insert(&mut self, key: K, value: V) -> bool {
        if self.map.is_empty() {
            if self.ordered.last().is_none_or(|(last, _)| *last < key) {
                if self.ordered.is_empty() {
                    // Most maps inside objects are small: this avoids reallocations while they grow.
                    self.ordered.reserve(8);
                }
                self.ordered.push((key, value));
                return true;
            }
            self.map = Map::from_ordered(std::mem::take(&mut self.ordered));
        }
        self.map.insert(key, value).is_none()
    }

    pub(super) fn finish(self) -> Map<K, V> {
        if self.map.is_empty() { Map::from_ordered(self.ordered) } else { self.map }
    }
}

impl<K, V> Map<K, V> {
    fn from_ordered(entries: Vec<(K, V)>) -> Self {
        let length = entries.len();
        Self { root: from_ordered(&mut entries.into_iter(), length), length }
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
