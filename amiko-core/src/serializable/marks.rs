//! What a schema says beside the shapes of its classes: for people, and for programs without the classes.
//!
//! Invariant: none of it makes a program unable to read what another has written.

use std::collections::{BTreeMap, BTreeSet};

/// Begins the name of a type that is secret.
pub(super) const SECRET: &str = "secret ";

/// Begins the name of the type of a field that is in a phase, as nothing else of this type is.
pub(super) const PHASE: &str = "phase of ";

/// Separates the name of a table from the kind of its objects.
pub(super) const KIND: &str = ", kind ";

/// A field or a variant of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassField {
    /// Its name, as it is written.
    pub name: String,
    /// The name of its type, as a [`Schema`](super::Schema) has it; none for a variant of an enum without data. That of a field
    /// which is in a phase is `phase of class` and the enum.
    pub ty: Option<String>,
    /// For a phase: those that may follow it.
    pub next: Option<Vec<String>>,
    /// For a phase: what else people are told of it, such as its time-out.
    pub remarks: Vec<String>,
}

impl ClassField {
    pub(super) fn new(name: &str, ty: Option<&str>) -> Self {
        Self { name: name.to_owned(), ty: ty.map(str::to_owned), next: None, remarks: Vec::new() }
    }
}

/// What is known of the classes of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(super) classes: BTreeMap<String, Vec<ClassField>>,
    /// The class of the messages of each kind of machine.
    pub(super) machines: BTreeMap<String, String>,
    /// The names that are secret in any of the classes.
    pub(super) secrets: BTreeSet<String>,
}

/// Whether there is a secret in a type of this name.
pub(super) fn is_secret(ty: &str) -> bool {
    ty.contains(SECRET)
}

impl Marks {
    pub(super) fn class(&mut self, name: &str, fields: Vec<ClassField>) {
        let known = self.classes.entry(name.to_owned()).or_default();
        for field in fields {
            if field.ty.as_deref().is_some_and(is_secret) {
                self.secrets.insert(field.name.clone());
            }
            match known.iter_mut().find(|known| known.name == field.name) {
                Some(known) => *known = field,
                None => known.push(field),
            }
        }
    }

    pub(super) fn machine(&mut self, kind: &str, message: &str, reply: &str) {
        self.machines.insert(kind.to_owned(), message.to_owned());
        self.beside("message", message);
        self.beside("reply", reply);
    }

    pub(super) fn beside(&mut self, name: &str, ty: &str) {
        if is_secret(ty) {
            self.secrets.insert(name.to_owned());
        }
    }
}
