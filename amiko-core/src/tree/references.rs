//! References that must resolve: `#[amiko(strong)]`.
//!
//! Invariant: after every commit each strong reference names an existing object. The index knows who refers to whom,
//! so the cost of the check is proportional to the event's changes, also when an object is removed.

use super::id::Id;
use super::id::Object;
use super::node::Tree;
use super::touched::{Name, Touched};
use crate::rejection::Rejection;
use crate::serializable::{Key, Polymorphic, Reference};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The kind of the node itself, whose own fields may refer to objects too.
const NODE: &str = "node";

/// Who strongly refers to whom: the referenced object comes first.
#[derive(Default)]
pub(crate) struct StrongReferences {
    /// The kinds that can contain strong references: other kinds are skipped.
    kinds: Arc<[&'static str]>,
    index: BTreeMap<Name, BTreeSet<Name>>,
}

/// The changes of an event to the index.
#[derive(Default)]
pub(crate) struct ReferenceChanges {
    gone: Vec<(Name, Name)>,
    new: Vec<(Name, Name)>,
}

impl StrongReferences {
    /// The index of a whole node and of the tables beside it: `kinds` are those that can contain strong references,
    /// `beside` visits the objects of those tables.
    pub(crate) fn of<N: Tree>(
        node: &N,
        kinds: Arc<[&'static str]>,
        beside: impl FnOnce(&mut dyn FnMut(Touched<'_>)),
    ) -> Self {
        let mut index = Self { kinds, index: BTreeMap::new() };
        if index.kinds.is_empty() {
            return index;
        }
        let mut found = BTreeSet::new();
        let mut visit = |touched: Touched<'_>| index.add_pairs(&touched, touched.new, &mut found);
        node.visit_objects(&mut visit);
        beside(&mut visit);
        if index.kinds.contains(&NODE) {
            found.extend(pairs_of(NODE, "", |visit| node.own_references(visit)));
        }
        found.into_iter().for_each(|(target, owner)| index.add(target, owner));
        index
    }

    /// Whether every strong reference of a whole node resolves.
    pub(crate) fn resolve<N: Tree>(&self, node: &N) -> Result<(), Rejection> {
        let dangling = self.index.iter().find(|(target, _)| !node.contains(&target.kind, &target.key));
        match dangling.and_then(|(target, owners)| Some((target, owners.first()?))) {
            None => Ok(()),
            Some((target, owner)) => {
                Err(Rejection::new(format!("expected {target}, to which {owner} refers, found none")))
            }
        }
    }

    /// Applies the changes of an event, if every strong reference then resolves. `beside` visits the objects that it
    /// touched in the tables beside the node.
    #[inline]
    pub(crate) fn check<N: Tree>(
        &mut self,
        node: &N,
        undo: &N::Undo,
        beside: impl FnOnce(&mut dyn FnMut(Touched<'_>)),
    ) -> Result<ReferenceChanges, Rejection> {
        // Most nodes have no strong references.
        if self.kinds.is_empty() { Ok(ReferenceChanges::default()) } else { self.check_all(node, undo, beside) }
    }

    fn check_all<N: Tree>(
        &mut self,
        node: &N,
        undo: &N::Undo,
        beside: impl FnOnce(&mut dyn FnMut(Touched<'_>)),
    ) -> Result<ReferenceChanges, Rejection> {
        let mut changes = ReferenceChanges::default();
        let mut removed = Vec::new();
        let mut visit = |touched: Touched<'_>| {
            let (mut old, mut new) = (BTreeSet::new(), BTreeSet::new());
            self.add_pairs(&touched, touched.old, &mut old);
            self.add_pairs(&touched, touched.new, &mut new);
            changes.compare(&old, &new);
            if touched.old.is_some() && touched.new.is_none() {
                removed.push(Name { kind: Cow::Borrowed(touched.kind), key: touched.key.into_owned() });
            }
        };
        node.visit_touched(undo, &mut visit);
        beside(&mut visit);
        if self.kinds.contains(&NODE) {
            let mut touched = false;
            let old = pairs_of(NODE, "", |visit| touched = N::old_references(undo, visit));
            if touched {
                changes.compare(&old, &pairs_of(NODE, "", |visit| node.own_references(visit)));
            }
        }
        for (target, owner) in &changes.gone {
            self.remove(target, owner);
        }
        for (target, owner) in &changes.new {
            self.add(target.clone(), owner.clone());
        }
        let dangling = changes.new.iter().find(|(target, _)| !node.contains(&target.kind, &target.key));
        let left = removed.iter().find_map(|target| Some((target.clone(), self.index.get(target)?.first()?.clone())));
        match dangling.cloned().or(left) {
            None => Ok(changes),
            Some((target, owner)) => {
                self.revert(changes);
                Err(Rejection::new(format!("expected {target}, to which {owner} refers, found none")))
            }
        }
    }

    /// Undoes what an event changed.
    pub(crate) fn revert(&mut self, changes: ReferenceChanges) {
        for (target, owner) in &changes.new {
            self.remove(target, owner);
        }
        for (target, owner) in changes.gone {
            self.add(target, owner);
        }
    }

    fn add(&mut self, target: Name, owner: Name) {
        self.index.entry(target).or_default().insert(owner);
    }

    fn remove(&mut self, target: &Name, owner: &Name) {
        if let Some(owners) = self.index.get_mut(target) {
            owners.remove(owner);
            if owners.is_empty() {
                self.index.remove(target);
            }
        }
    }

    /// Adds the strong references of one version of an object.
    fn add_pairs(&self, touched: &Touched<'_>, object: Option<&dyn Polymorphic>, pairs: &mut BTreeSet<(Name, Name)>) {
        if let Some(object) = object.filter(|_| self.kinds.contains(&touched.kind)) {
            pairs.extend(pairs_of(touched.kind, &touched.key, |visit| object.references_object(visit)));
        }
    }
}

impl ReferenceChanges {
    fn compare(&mut self, old: &BTreeSet<(Name, Name)>, new: &BTreeSet<(Name, Name)>) {
        self.gone.extend(old.difference(new).cloned());
        self.new.extend(new.difference(old).cloned());
    }
}

/// The strong references of an object, as pairs of the referenced object and the object itself.
fn pairs_of(
    kind: &'static str,
    key: &str,
    references: impl FnOnce(&mut dyn FnMut(Reference<'_>)),
) -> BTreeSet<(Name, Name)> {
    let mut pairs = BTreeSet::new();
    references(&mut |reference| {
        if reference.strong {
            let target = Name { kind: Cow::Owned(reference.kind.into_owned()), key: reference.key.into_owned() };
            pairs.insert((target, Name { kind: Cow::Borrowed(kind), key: key.to_owned() }));
        }
    });
    pairs
}

/// The objects that contain this ID, strong or not, and the node if its own fields do. Walks the whole node.
pub fn referrers<N: Tree, T: Object>(node: &N, id: &Id<T>) -> Vec<Name> {
    let mut referrers = Referrers { kind: T::KIND, key: &id.key().encode(), found: Vec::new() };
    referrers.of_node(node);
    referrers.found
}

/// Everything that refers to an object: for [`referrers`] and [`Engine::referrers`](crate::Engine::referrers).
pub(crate) struct Referrers<'k> {
    pub(crate) kind: &'k str,
    pub(crate) key: &'k str,
    pub(crate) found: Vec<Name>,
}

impl Referrers<'_> {
    pub(crate) fn of_node<N: Tree>(&mut self, node: &N) {
        self.look(NODE, "", |visit| node.own_references(visit));
        node.visit_objects(&mut |touched| self.of_object(touched));
    }

    pub(crate) fn of_object(&mut self, touched: Touched<'_>) {
        if let Some(object) = touched.new {
            self.look(touched.kind, &touched.key, |visit| object.references_object(visit));
        }
    }

    fn look(&mut self, kind: &'static str, key: &str, references: impl FnOnce(&mut dyn FnMut(Reference<'_>))) {
        let mut refers = false;
        references(&mut |reference| refers |= reference.kind == self.kind && reference.key == self.key);
        if refers {
            self.found.push(Name { kind: Cow::Borrowed(kind), key: key.to_owned() });
        }
    }
}
