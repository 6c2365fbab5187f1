//! Secondary indexes: the objects of a table by a value in them.
//!
//! Invariant: an index has each object of its table under the value that it has now, except the one that was lent
//! mutably last, whose value may still change. It is made of the objects alone, so nothing of it is on disk.

use super::Table;
use crate::tree::id::{Id, Keyed, Object};
use std::collections::BTreeSet;
use std::collections::btree_set::Range;
use std::ops::{Bound, RangeBounds};

/// A secondary index of a class: what [`Table::find`] looks into. The derive makes one for each
/// `#[amiko(index(by_value = field))]`.
pub struct Index<T: Keyed, V: Ord> {
    listing: fn(&T::Indexes) -> &Listing<V, T::Key>,
    value: fn(&T) -> V,
}

// Written out, because a derive would require the same traits of `T`.
impl<T: Keyed, V: Ord> Clone for Index<T, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Keyed, V: Ord> Copy for Index<T, V> {}

impl<T: Keyed, V: Ord> Index<T, V> {
    /// For the code that the derive writes.
    #[doc(hidden)]
    pub const fn new(listing: fn(&T::Indexes) -> &Listing<V, T::Key>, value: fn(&T) -> V) -> Self {
        Self { listing, value }
    }
}

/// A place among the keys of one value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place<K> {
    Before,
    At(K),
    After,
}

/// The keys by value: for the code that the derive writes.
#[derive(Debug, Clone)]
pub struct Listing<V: Ord, K>(BTreeSet<(V, Place<K>)>);

impl<V: Ord, K: Ord> Default for Listing<V, K> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<V: Ord + Clone, K: Ord + Clone> Listing<V, K> {
    /// Moves a key from one value to another; no value means that the key isn't listed.
    pub fn relist(&mut self, key: &K, old: Option<&V>, new: Option<&V>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.0.remove(&(old.clone(), Place::At(key.clone())));
        }
        if let Some(new) = new {
            self.0.insert((new.clone(), Place::At(key.clone())));
        }
    }
}

impl<T: Object> Table<T> {
    /// The objects with this value, in the order of their keys.
    ///
    /// ```
    /// use amiko_core::prelude::*;
    ///
    /// #[derive(Clone, Serializable)]
    /// #[amiko(key = u64, index(by_owner = owner, by_size: usize = Self::size))]
    /// struct Order { owner: String, items: Vec<String> }
    ///
    /// impl Order {
    ///     fn size(&self) -> usize {
    ///         self.items.len()
    ///     }
    /// }
    ///
    /// let mut orders = Table::new();
    /// orders.insert(&Id::new(1), Order { owner: "alice".into(), items: vec!["nuts".into()] });
    /// orders.insert(&Id::new(2), Order { owner: "bob".into(), items: vec![] });
    /// orders.insert(&Id::new(3), Order { owner: "alice".into(), items: vec![] });
    ///
    /// let of_alice = orders.find(Order::BY_OWNER, &"alice".into());
    /// assert_eq!(of_alice.map(|(id, _)| *id.key()).collect::<Vec<_>>(), [1, 3]);
    /// assert_eq!(orders.find_range(Order::BY_SIZE, 1..).count(), 1);
    /// ```
    pub fn find<'t, V: Ord + Clone + 'static>(
        &'t self,
        index: Index<T, V>,
        value: &V,
    ) -> impl DoubleEndedIterator<Item = (Id<T>, &'t T)> + use<'t, T, V> {
        let start = Bound::Included((value.clone(), Place::Before));
        self.found(index, start, Bound::Excluded((value.clone(), Place::After)))
    }

    /// The objects with a value in a range, in the order of the values, and of the keys where those are equal. A range
    /// that ends before it starts has none.
    pub fn find_range<V: Ord + Clone + 'static>(
        &self,
        index: Index<T, V>,
        range: impl RangeBounds<V>,
    ) -> impl DoubleEndedIterator<Item = (Id<T>, &T)> {
        let start = match range.start_bound() {
            Bound::Included(value) => Bound::Included((value.clone(), Place::Before)),
            Bound::Excluded(value) => Bound::Included((value.clone(), Place::After)),
            Bound::Unbounded => Bound::Unbounded,
        };
        let end = match range.end_bound() {
            Bound::Included(value) => Bound::Excluded((value.clone(), Place::After)),
            Bound::Excluded(value) => Bound::Excluded((value.clone(), Place::Before)),
            Bound::Unbounded => Bound::Unbounded,
        };
        self.found(index, start, end)
    }

    fn found<'t, V: Ord + Clone + 'static>(
        &'t self,
        index: Index<T, V>,
        start: Edge<V, <T as Object>::Key>,
        end: Edge<V, <T as Object>::Key>,
    ) -> impl DoubleEndedIterator<Item = (Id<T>, &'t T)> + use<'t, T, V> {
        let listed = &(index.listing)(&self.indexes).0;
        // The object that was lent isn't listed: it stands where its value is now.
        let lent = self.lent.as_ref().and_then(|key| Some((key, self.objects.get(key)?)));
        let lent = lent.map(|(key, object)| (key, ((index.value)(object), Place::At(key.clone()))));
        let lent = lent.filter(|(_, place)| (start.as_ref(), end.as_ref()).contains(place));
        let (before, lent, after) = match lent {
            Some((key, place)) => {
                let before = between(listed, start, Bound::Excluded(place.clone()));
                (before, Some(key), between(listed, Bound::Excluded(place), end))
            }
            None => (between(listed, start, end), None, None),
        };
        let [before, after] = [before, after].map(|range| range.into_iter().flatten().filter_map(listed_key));
        let keys = before.chain(lent).chain(after);
        keys.filter_map(|key| Some((Id::new(key.clone()), &**self.objects.get(key)?)))
    }
}

type Edge<V, K> = Bound<(V, Place<K>)>;

fn listed_key<V, K>((_, place): &(V, Place<K>)) -> Option<&K> {
    match place {
        Place::At(key) => Some(key),
        // These two are edges of ranges, and never listed.
        Place::Before | Place::After => None,
    }
}

/// What is listed in a range: nothing if it ends before it starts, which a set would answer with a panic.
fn between<V: Ord, K: Ord>(
    listed: &BTreeSet<(V, Place<K>)>,
    start: Edge<V, K>,
    end: Edge<V, K>,
) -> Option<Range<'_, (V, Place<K>)>> {
    let ordered = match (&start, &end) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => true,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start < end,
    };
    ordered.then(|| listed.range((start, end)))
}

impl<T: Keyed> Table<T> {
    /// Whether the class has indexes.
    const INDEXED: bool = size_of::<T::Indexes>() > 0;

    /// Brings the indexes from the old object under a key to the present one.
    pub(super) fn relist(&mut self, key: &T::Key, old: Option<&T>) {
        if Self::INDEXED {
            // A value whose comparison panics leaves a table without an engine.
            let engine = self.engine.take();
            T::relist(&mut self.indexes, key, old, self.objects.get(key).map(|object| &**object));
            self.engine = engine;
        }
    }

    /// Lists the object that was lent last.
    pub(super) fn settle(&mut self) {
        if Self::INDEXED
            && let Some(key) = self.lent.take()
        {
            self.relist(&key, None);
        }
    }

    /// Takes an object off the lists, because its value is about to change.
    pub(super) fn lend(&mut self, key: &T::Key) {
        if Self::INDEXED {
            self.settle();
            if let Some(object) = self.objects.get(key) {
                let engine = self.engine.take();
                T::relist(&mut self.indexes, key, Some(object), None);
                self.engine = engine;
                self.lent = Some(key.clone());
            }
        }
    }
}
