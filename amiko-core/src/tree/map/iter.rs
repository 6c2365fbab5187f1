//! A walk over a map, in order.
//!
//! Invariant: what is pending is the path to the next entry, and no more: as many nodes as the tree is high.

use super::{Link, Node};

/// The entries of a [`Map`](super::Map), in the order of their keys.
pub struct Iter<'m, K, V> {
    /// Nodes whose left subtrees are done.
    pending: Vec<&'m Node<K, V>>,
}

impl<'m, K, V> Iter<'m, K, V> {
    pub(super) fn new(root: &'m Link<K, V>) -> Self {
        let mut iter = Self { pending: Vec::new() };
        iter.descend(root);
        iter
    }

    fn descend(&mut self, mut link: &'m Link<K, V>) {
        while let Some(node) = link {
            self.pending.push(node);
            link = &node.left;
        }
    }
}

impl<'m, K, V> Iterator for Iter<'m, K, V> {
    type Item = (&'m K, &'m V);

    fn next(&mut self) -> Option<Self::Item> {
        let node = self.pending.pop()?;
        self.descend(&node.right);
        Some((&node.key, &node.value))
    }
}
