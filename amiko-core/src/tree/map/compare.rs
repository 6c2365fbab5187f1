//! The differences between two versions of a map.
//!
//! Invariant: the cost is proportional to the difference, as subtrees that both versions share are skipped.

use super::{Link, Node};
use std::cmp::Ordering;
use std::sync::Arc;

/// A part of one version that is still to be compared; a stack of them has the first keys on top.
enum Part<'m, K, V> {
    Tree(&'m Arc<Node<K, V>>),
    Entry(&'m Node<K, V>),
}

struct Parts<'m, K, V>(Vec<Part<'m, K, V>>);

impl<'m, K: Ord, V> Parts<'m, K, V> {
    fn new(link: &'m Link<K, V>) -> Self {
        Self(link.iter().map(Part::Tree).collect())
    }

    /// Splits the topmost part, if it is a subtree.
    fn open(&mut self) -> bool {
        let Some(&Part::Tree(tree)) = self.0.last() else { return false };
        self.0.pop();
        self.0.extend(tree.right.iter().map(Part::Tree));
        self.0.push(Part::Entry(tree));
        self.0.extend(tree.left.iter().map(Part::Tree));
        true
    }

    fn height(&self) -> u8 {
        match self.0.last() {
            Some(Part::Tree(tree)) => tree.height,
            _ => 0,
        }
    }
}

/// An entry of one version.
type Entry<'m, K, V> = Option<(&'m K, &'m V)>;

/// Calls `visit(old, new)` for each entry that differs, skipping the subtrees that both versions share.
pub(super) fn compare<'m, K: Ord, V, E>(
    old: &'m Link<K, V>,
    new: &'m Link<K, V>,
    mut visit: impl FnMut(Entry<'m, K, V>, Entry<'m, K, V>) -> Result<(), E>,
) -> Result<(), E> {
    // Most maps of a changed object are unchanged: nothing is allocated for them.
    match (old, new) {
        (Some(old), Some(new)) if Arc::ptr_eq(old, new) => return Ok(()),
        (None, None) => return Ok(()),
        _ => {}
    }
    let (mut old, mut new) = (Parts::new(old), Parts::new(new));
    loop {
        if let (Some(Part::Tree(left)), Some(Part::Tree(right))) = (old.0.last(), new.0.last())
            && Arc::ptr_eq(left, right)
        {
            old.0.pop();
            new.0.pop();
            continue;
        }
        // The higher tree is split first, so that a shared subtree is met as a whole on both sides.
        if if old.height() > new.height() { old.open() } else { new.open() || old.open() } {
            continue;
        }
        let order = match (old.0.last(), new.0.last()) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(Part::Entry(left)), Some(Part::Entry(right))) => left.key.cmp(&right.key),
            // Both tops are entries here: `open` has split every tree.
            _ => continue,
        };
        let left = if order == Ordering::Greater { None } else { old.0.pop() };
        let right = if order == Ordering::Less { None } else { new.0.pop() };
        match (left, right) {
            (Some(Part::Entry(left)), Some(Part::Entry(right))) if std::ptr::eq(left, right) => {}
            (Some(Part::Entry(left)), Some(Part::Entry(right))) => {
                visit(Some((&left.key, &left.value)), Some((&right.key, &right.value)))?;
            }
            (Some(Part::Entry(left)), _) => visit(Some((&left.key, &left.value)), None)?,
            (_, Some(Part::Entry(right))) => visit(None, Some((&right.key, &right.value)))?,
            _ => {}
        }
    }
}
