//! References that must resolve: `#[amiko(strong)]`.
//!
//! Invariant: after every commit each strong reference names an object that is there. The index knows who refers to whom, so
//! that the check costs what the event changed, also where an object goes.

use crate::machine::Node;
use crate::rejection::Rejection;
use crate::serializable::Polymorphic;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The kind and the key of an object, as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The kind.
    pub kind: &'static str,
    /// The key, as text.
    pub key: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.key.escape_debug())
    }
}

/// An object that an event touched, before and after it: for the code that the derive writes.
#[doc(hidden)]
pub struct Touched<'t> {
    pub kind: &'static str,
    pub key: Cow<'t, str>,
    /// Its class has strong references.
    pub strong: bool,
    pub old: Option<&'t dyn Polymorphic>,
    pub new: Option<&'t dyn Polymorphic>,
}

/// Who strongly refers to whom: the named object first.
#[derive(Default)]
pub(crate) struct StrongReferences(BTreeMap<Name, BTreeSet<Name>>);

/// What an event changed in the index.
#[derive(Default)]
pub(crate) struct ReferenceChanges {
    gone: Vec<(Name, Name)>,
    new: Vec<(Name, Name)>,
}

impl StrongReferences {
    /// The index of a whole node.
    pub(crate) fn of<N: Node>(node: &N) -> Self {
        let mut index = Self::default();
        if <N as Node>::STRONG {
            node.visit_objects(&mut |touched| {
                pairs(&touched, touched.new).into_iter().for_each(|(target, owner)| index.add(target, owner));
            });
        }
        index
    }

    /// Whether every strong reference of a whole node resolves.
    pub(crate) fn resolve<N: Node>(&self, node: &N) -> Result<(), Rejection> {
        let dangling = self.0.iter().find(|(target, _)| !node.contains(target.kind, &target.key));
        match dangling.and_then(|(target, owners)| Some((target, owners.first()?))) {
            None => Ok(()),
            Some((target, owner)) => {
                Err(Rejection::new(format!("expected {target}, to which {owner} refers, found none")))
            }
        }
    }

    /// Takes over what an event changed, if every strong reference then resolves.
    pub(crate) fn check<N: Node>(&mut self, node: &N, undo: &N::Undo) -> Result<ReferenceChanges, Rejection> {
        let mut changes = ReferenceChanges::default();
        if !<N as Node>::STRONG {
            return Ok(changes);
        }
        let mut removed = Vec::new();
        node.visit_touched(undo, &mut |touched| {
            if touched.strong {
                let (old, new) = (pairs(&touched, touched.old), pairs(&touched, touched.new));
                changes.gone.extend(old.difference(&new).cloned());
                changes.new.extend(new.difference(&old).cloned());
            }
            if touched.old.is_some() && touched.new.is_none() {
                removed.push(Name { kind: touched.kind, key: touched.key.into_owned() });
            }
        });
        for (target, owner) in &changes.gone {
            self.remove(target, owner);
        }
        for (target, owner) in &changes.new {
            self.add(target.clone(), owner.clone());
        }
        let dangling = changes.new.iter().find(|(target, _)| !node.contains(target.kind, &target.key));
        let left = removed.iter().find_map(|target| Some((target.clone(), self.0.get(target)?.first()?.clone())));
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
        self.0.entry(target).or_default().insert(owner);
    }

    fn remove(&mut self, target: &Name, owner: &Name) {
        if let Some(owners) = self.0.get_mut(target) {
            owners.remove(owner);
            if owners.is_empty() {
                self.0.remove(target);
            }
        }
    }
}

/// The strong references of one version of an object: whom it names, and itself.
fn pairs(touched: &Touched<'_>, object: Option<&dyn Polymorphic>) -> BTreeSet<(Name, Name)> {
    let mut pairs = BTreeSet::new();
    if let Some(object) = object.filter(|_| touched.strong) {
        let owner = Name { kind: touched.kind, key: touched.key.clone().into_owned() };
        object.references_object(&mut |reference| {
            if reference.strong {
                let target = Name { kind: reference.kind, key: reference.key.into_owned() };
                pairs.insert((target, owner.clone()));
            }
        });
    }
    pairs
}

/// Everything that refers to an object: for [`Node::referrers`].
pub(crate) fn referrers<N: Node>(node: &N, kind: &str, key: &str) -> Vec<Name> {
    let mut found = Vec::new();
    node.visit_objects(&mut |touched| {
        let mut refers = false;
        if let Some(object) = touched.new {
            object.references_object(&mut |reference| refers |= reference.kind == kind && reference.key == key);
        }
        if refers {
            found.push(Name { kind: touched.kind, key: touched.key.into_owned() });
        }
    });
    found
}
