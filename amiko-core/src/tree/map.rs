//! `Map<K, V>`: a persistent map inside an object.
//!
//! Invariant: two versions of a map share every subtree in which they don't differ. A copy is one pointer, and the
//! cost of a difference is proportional to the change.
//!
//! The tree is an AVL tree (Adelson-Velsky and Landis, 1962) with shared nodes: a change copies the path to it,
//! unless that path isn't shared.

mod build;
mod compare;
mod iter;

use crate::serializable::codec::{Probe, ProbeMap};
use crate::serializable::of_serde;
use crate::serializable::{
    Change, Codec, Entries, Kept, Key, Native, Patch, Pointer, ReadError, Reader, Reference, Schema, Serializable,
    Summary, WriteError, Writer, apply_to_map, read_entries, same_key, whole_value, write_key,
};
use build::Builder;
use compare::compare;
pub(super) use iter::Iter;
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

of_serde!([K: Key, V: Serializable + Clone] Map<K, V>);

impl<K: Key, V: Serialize + DeserializeOwned + Clone + 'static> ProbeMap for &&Probe<Map<K, V>> {}

type Link<K, V> = Option<Arc<Node<K, V>>>;

#[derive(Clone)]
struct Node<K, V> {
    key: K,
    value: V,
    height: u8,
    left: Link<K, V>,
    right: Link<K, V>,
}

/// An ordered map: a copy costs one pointer, and the cost of a difference is proportional to the change.
///
/// For fields with many entries. A collection of the standard library is copied and compared as a whole whenever its object
/// changes: with a million entries a `BTreeMap` takes some hundred milliseconds, and this map some microseconds. With more than
/// [`LARGE_COLLECTION`](crate::observe::LARGE_COLLECTION) entries, `tracing` is told so.
///
/// ```
/// use amiko_core::Map;
///
/// let mut holds: Map<String, u64> = Map::new();
/// holds.insert("rent".into(), 700);
/// let before = holds.clone();
/// holds.insert("food".into(), 300);
/// assert_eq!(holds.iter().map(|(name, amount)| (name.as_str(), *amount)).collect::<Vec<_>>(), [("food", 300), ("rent", 700)]);
/// assert_eq!(before.len(), 1);
/// ```
#[derive(Clone)]
pub struct Map<K, V> {
    root: Link<K, V>,
    length: usize,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self { root: None, length: 0 }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.length == other.length && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for Map<K, V> {}

fn height<K, V>(link: &Link<K, V>) -> u8 {
    link.as_ref().map_or(0, |node| node.height)
}

impl<K: Clone, V: Clone> Node<K, V> {
    fn measure(&mut self) {
        self.height = 1 + height(&self.left).max(height(&self.right));
    }

    /// Height of the left subtree minus that of the right one.
    fn lean(&self) -> i16 {
        i16::from(height(&self.left)) - i16::from(height(&self.right))
    }
}

/// Makes the left child the root of this subtree.
fn rotate_right<K: Clone, V: Clone>(node: &mut Arc<Node<K, V>>) {
    let top = Arc::make_mut(node);
    let Some(mut left) = top.left.take() else { return };
    let lower = Arc::make_mut(&mut left);
    top.left = lower.right.take();
    top.measure();
    std::mem::swap(node, &mut left);
    // `left` is now the old top.
    let top = Arc::make_mut(node);
    top.right = Some(left);
    top.measure();
}

/// Makes the right child the root of this subtree.
fn rotate_left<K: Clone, V: Clone>(node: &mut Arc<Node<K, V>>) {
    let top = Arc::make_mut(node);
    let Some(mut right) = top.right.take() else { return };
    let lower = Arc::make_mut(&mut right);
    top.right = lower.left.take();
    top.measure();
    std::mem::swap(node, &mut right);
    // `right` is now the old top.
    let top = Arc::make_mut(node);
    top.left = Some(right);
    top.measure();
}

/// Restores the AVL condition at a node after the height of one of its subtrees changed by one.
fn balance<K: Clone, V: Clone>(node: &mut Arc<Node<K, V>>) {
    let top = Arc::make_mut(node);
    top.measure();
    match top.lean() {
        2.. => {
            if let Some(left) = top.left.as_mut().filter(|left| left.lean() < 0) {
                rotate_left(left);
            }
            rotate_right(node);
        }
        ..=-2 => {
            if let Some(right) = top.right.as_mut().filter(|right| right.lean() > 0) {
                rotate_right(right);
            }
            rotate_left(node);
        }
        _ => {}
    }
}

fn insert<K: Ord + Clone, V: Clone>(link: &mut Link<K, V>, key: K, value: V) -> Option<V> {
    let Some(node) = link else {
        *link = Some(Arc::new(Node { key, value, height: 1, left: None, right: None }));
        return None;
    };
    let top = Arc::make_mut(node);
    let old = match key.cmp(&top.key) {
        Ordering::Equal => {
            // Two equal keys may have different texts: the one inserted last is kept.
            top.key = key;
            return Some(std::mem::replace(&mut top.value, value));
        }
        Ordering::Less => insert(&mut top.left, key, value),
        Ordering::Greater => insert(&mut top.right, key, value),
    };
    if old.is_none() {
        balance(node);
    }
    old
}

/// Removes a key that is in the subtree.
fn remove<K: Ord + Clone, V: Clone>(link: &mut Link<K, V>, key: &K) -> Option<V> {
    let node = link.as_mut()?;
    let top = Arc::make_mut(node);
    let removed = match key.cmp(&top.key) {
        Ordering::Less => remove(&mut top.left, key),
        Ordering::Greater => remove(&mut top.right, key),
        Ordering::Equal => match (top.left.take(), top.right.take()) {
            (None, child) | (child, None) => {
                let old = top.value.clone();
                *link = child;
                return Some(old);
            }
            (left, mut right) => {
                let next = remove_first(&mut right);
                top.left = left;
                top.right = right;
                next.map(|(key, value)| {
                    top.key = key;
                    std::mem::replace(&mut top.value, value)
                })
            }
        },
    };
    balance(node);
    removed
}

fn remove_first<K: Ord + Clone, V: Clone>(link: &mut Link<K, V>) -> Option<(K, V)> {
    let node = link.as_mut()?;
    let top = Arc::make_mut(node);
    if top.left.is_none() {
        let first = (top.key.clone(), top.value.clone());
        *link = top.right.take();
        return Some(first);
    }
    let first = remove_first(&mut top.left);
    balance(node);
    first
}

impl<K, V> Map<K, V> {
    /// A map without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The entry of the smallest key.
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        let mut node = self.root.as_ref()?;
        while let Some(smaller) = &node.left {
            node = smaller;
        }
        Some((&node.key, &node.value))
    }

    /// All entries, in the order of their keys.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter::new(&self.root)
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Calls `visit(key, old, new)` for each entry that differs from an older version, in key order. Shared subtrees
    /// are skipped, so the cost is proportional to the change.
    ///
    /// ```
    /// use amiko_core::Map;
    ///
    /// let old: Map<u32, &str> = [(1, "one"), (2, "two")].into_iter().collect();
    /// let mut new = old.clone();
    /// new.insert(3, "three");
    /// new.remove(&1);
    /// let mut changes = Vec::new();
    /// new.changes(&old, |key, old, new| changes.push((*key, old.copied(), new.copied())));
    /// assert_eq!(changes, [(1, Some("one"), None), (3, None, Some("three"))]);
    /// ```
    pub fn changes<'m>(&'m self, old: &'m Self, mut visit: impl FnMut(&'m K, Option<&'m V>, Option<&'m V>))
    where
        K: Ord,
        V: PartialEq,
    {
        let visited: Result<(), std::convert::Infallible> = compare(&old.root, &self.root, |old, new| {
            let (before, after) = (old.map(|(_, value)| value), new.map(|(_, value)| value));
            // On the way to a change there are nodes that were only copied.
            if let Some((key, _)) = new.or(old).filter(|_| before != after) {
                visit(key, before, after);
            }
            Ok(())
        });
        match visited {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }
}

impl<K: Ord, V> Map<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        let mut link = &self.root;
        while let Some(node) = link {
            link = match key.cmp(&node.key) {
                Ordering::Equal => return Some(&node.value),
                Ordering::Less => &node.left,
                Ordering::Greater => &node.right,
            };
        }
        None
    }

    /// Whether the map has this key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }
}

impl<K, V> Map<K, V> {
    /// Whether both versions are the very same tree.
    #[inline]
    fn is_shared_with(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl<K: Ord + Clone, V: Clone> Map<K, V> {
    /// Inserts a value, and returns the one that it replaces.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let old = insert(&mut self.root, key, value);
        self.length += usize::from(old.is_none());
        old
    }

    /// Removes a value and returns it.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        // Looked up first, so that a missing key copies nothing.
        if !self.contains_key(key) {
            return None;
        }
        self.length -= 1;
        remove(&mut self.root, key)
    }

    /// Changes a value in place.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if !self.contains_key(key) {
            return None;
        }
        let mut link = &mut self.root;
        loop {
            let node = Arc::make_mut(link.as_mut()?);
            link = match key.cmp(&node.key) {
                Ordering::Equal => return Some(&mut node.value),
                Ordering::Less => &mut node.left,
                Ordering::Greater => &mut node.right,
            };
        }
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut builder = Builder::new();
        for (key, value) in entries {
            builder.insert(key, value);
        }
        builder.finish()
    }
}

/// Recursion instead of an iterator, which would allocate its stack; the tree is balanced, so never deep.
fn write_entries<K: Key, V, C: Codec<V>>(codec: &C, link: &Link<K, V>, out: &mut Writer) -> Result<(), WriteError> {
    let Some(node) = link else { return Ok(()) };
    write_entries(codec, &node.left, out)?;
    write_key(&node.key, |key| out.map_key_of(key, K::PLAIN))?;
    codec.write(&node.value, out)?;
    write_entries(codec, &node.right, out)
}

/// A map uses this codec, whatever the codec of its values.
impl<K: Key, V: Clone, C: Codec<V>> Codec<Map<K, V>> for Entries<C> {
    fn write(&self, map: &Map<K, V>, out: &mut Writer) -> Result<(), WriteError> {
        out.begin_object()?;
        write_entries(&self.0, &map.root, out)?;
        out.end_object();
        Ok(())
    }

    fn read(&self, input: &mut Reader<'_>) -> Result<Map<K, V>, ReadError> {
        let mut builder = Builder::new();
        read_entries(&self.0, input, |key, value| builder.insert(key, value))?;
        Ok(builder.finish())
    }

    fn references(&self, map: &Map<K, V>, visit: &mut dyn FnMut(Reference<'_>)) {
        for (key, value) in map.iter() {
            key.reference(visit);
            self.0.references(value, visit);
        }
    }

    fn summarize(&self, map: &Map<K, V>, out: &mut Summary) {
        out.collection(map.len(), map.iter(), |out, (key, value)| {
            out.entry(&key.encode());
            self.0.summarize(value, out);
        });
    }

    fn schema(&self, schema: &mut Schema) -> String {
        format!("map of {} to {}", K::schema_name(), self.0.schema(schema))
    }

    fn difference(&self, new: &Map<K, V>, old: &Map<K, V>, patch: &mut Patch) -> Result<(), WriteError> {
        compare(&old.root, &new.root, |old, new| {
            // Also nodes that were only copied, on the way to a change.
            if let Some((key, old)) = old {
                patch.free(size_of::<Node<K, V>>() + key.weight_of_key() + self.0.weight(old, Kept::Alone));
            }
            let add = |patch: &mut Patch, key: &K, value: &V| {
                key.with_text(|key| patch.add_with(key, |out| self.0.write(value, out)))
            };
            match (old, new) {
                // A node that was only copied.
                (Some((key, old)), Some((new_key, new))) if same_key(key, new_key) && self.0.same(new, old) => Ok(()),
                (Some((key, old)), Some((new_key, new))) if same_key(key, new_key) => {
                    patch.within_key(key, |patch| self.0.difference(new, old, patch))
                }
                (Some((key, _)), None) => key.with_text(|key| patch.remove(key)),
                (None, Some((key, value))) => add(patch, key, value),
                (Some((key, _)), Some((new_key, value))) => {
                    key.with_text(|key| patch.remove(key))?;
                    add(patch, new_key, value)
                }
                (None, None) => Ok(()),
            }
        })
    }

    #[inline]
    fn same(&self, new: &Map<K, V>, old: &Map<K, V>) -> bool {
        new.is_shared_with(old)
    }

    fn weight(&self, map: &Map<K, V>, kept: Kept) -> usize {
        match kept {
            // A copy is one pointer.
            Kept::Alone => 0,
            Kept::Shared => map
                .iter()
                .map(|(key, value)| {
                    let inside = self.0.weight(value, Kept::Alone) + self.0.weight(value, Kept::Shared);
                    size_of::<Node<K, V>>() + key.weight_of_key() + inside
                })
                .sum(),
        }
    }

    fn apply(&self, map: &mut Map<K, V>, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        let Some((segment, rest)) = pointer.split() else {
            *map = self.read(whole_value(pointer, change)?)?;
            return Ok(());
        };
        let insert = |map: &mut Map<K, V>, key, value| drop(map.insert(key, value));
        apply_to_map(&self.0, map, (&segment, rest), change, insert, Map::remove, Map::get_mut)
    }
}

impl<K: Key, V: Serializable + Clone> Serializable for Map<K, V> {
    const EXACT: bool = K::EXACT && V::EXACT;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        Entries(Native).write(self, out)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        Entries(Native).read(input)
    }

    fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
        Entries(Native).references(self, visit);
    }

    fn summarize(&self, out: &mut Summary) {
        Entries(Native).summarize(self, out);
    }

    fn schema(schema: &mut Schema) -> String {
        Codec::<Self>::schema(&Entries(Native), schema)
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        Entries(Native).difference(self, old, patch)
    }

    #[inline]
    fn same(&self, old: &Self) -> bool {
        self.is_shared_with(old)
    }

    fn weight(&self, kept: Kept) -> usize {
        Entries(Native).weight(self, kept)
    }

    fn apply(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        Entries(Native).apply(self, pointer, change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn check<K: Ord, V>(link: &Link<K, V>) -> u8 {
        let Some(node) = link else { return 0 };
        let (left, right) = (check(&node.left), check(&node.right));
        assert!(left.abs_diff(right) <= 1);
        assert_eq!(node.height, 1 + left.max(right));
        node.height
    }

    fn changes() -> impl Strategy<Value = Vec<(u16, Option<u32>)>> {
        prop::collection::vec((0..300u16, prop::option::weighted(0.7, any::<u32>())), 0..400)
    }

    fn apply(map: &mut Map<u16, u32>, model: &mut BTreeMap<u16, u32>, changes: &[(u16, Option<u32>)]) {
        for &(key, value) in changes {
            match value {
                Some(value) => assert_eq!(map.insert(key, value), model.insert(key, value)),
                None => assert_eq!(map.remove(&key), model.remove(&key)),
            }
        }
    }

    proptest! {
        #[test]
        fn behaves_as_a_btree_map_and_leaves_old_versions_alone(first in changes(), second in changes()) {
            let (mut map, mut model) = (Map::new(), BTreeMap::new());
            apply(&mut map, &mut model, &first);
            let (old, old_model) = (map.clone(), model.clone());
            apply(&mut map, &mut model, &second);
            check(&map.root);
            prop_assert_eq!(map.len(), model.len());
            prop_assert!(map.iter().eq(model.iter()));
            prop_assert!(old.iter().eq(old_model.iter()));
            let again: Map<u16, u32> = map.iter().map(|(key, value)| (*key, *value)).collect();
            check(&again.root);
            prop_assert_eq!(again, map);
        }

        #[test]
        fn the_difference_leads_from_the_old_version_to_the_new(first in changes(), second in changes()) {
            let (mut map, mut model) = (Map::new(), BTreeMap::new());
            apply(&mut map, &mut model, &first);
            let (mut old, old_model) = (map.clone(), model.clone());
            apply(&mut map, &mut model, &second);
            let mut patch = Patch::new();
            map.difference(&old, &mut patch).unwrap();
            let differing = model.iter().filter(|(key, value)| old_model.get(key) != Some(value)).count()
                + old_model.keys().filter(|key| !model.contains_key(key)).count();
            prop_assert_eq!(patch.operations(), differing);
            crate::apply_patch(&mut old, &mut Reader::new(&patch.to_json())).unwrap();
            prop_assert_eq!(old, map);
        }
    }

    #[test]
    fn a_difference_visits_what_changed_and_not_what_is_there() {
        let mut map: Map<u32, Counted> = (0..10_000).map(|key| (key, Counted(key))).collect();
        let old = map.clone();
        map.insert(5_000, Counted(7));
        COMPARED.with(|compared| compared.set(0));
        map.difference(&old, &mut Patch::new()).unwrap();
        let compared = COMPARED.with(std::cell::Cell::get);
        // The path from the root to the change was copied: at most 1.44 times 14 levels are compared.
        assert!(compared <= 20, "{compared} entries were compared");
    }

    std::thread_local!(static COMPARED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });

    #[derive(Clone)]
    struct Counted(u32);

    impl Serializable for Counted {
        fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
            self.0.write(out)
        }

        fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
            u32::read(input).map(Self)
        }

        fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
            COMPARED.with(|compared| compared.set(compared.get() + 1));
            self.0.difference(&old.0, patch)
        }
    }
}
