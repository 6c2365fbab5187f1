//! Where in a document phases are, as far as `classes.json` says so.
//!
//! Invariant: what is hidden isn't looked into; elements of lists and sets aren't either, for they have no names that stay.

use crate::failure::Failure;
use amiko_core::serializable::{ClassField, Classes, Json};
use amiko_inspector::reading::{Map, Tree};
use std::collections::{BTreeSet, HashMap};

/// The classes of a node, by the phases in them.
pub(crate) struct Shape {
    classes: Vec<Class>,
    named: HashMap<String, usize>,
    /// The names of what is hidden, be they of fields or keys.
    hidden: BTreeSet<String>,
}

struct Class {
    name: String,
    /// Its fields or its variants.
    fields: Vec<(String, Type)>,
    is_enum: bool,
    /// Whether it is an enum of phases.
    has_phases: bool,
    /// Whether a field is in one of them.
    is_field: bool,
}

/// A type, as far as it leads to phases.
#[derive(Clone, Copy)]
pub(super) struct Type {
    /// So many keys lead to it: those of tables and maps.
    keys: usize,
    leaf: Leaf,
}

#[derive(Clone, Copy)]
enum Leaf {
    /// It is in a phase of this enum.
    Phase(usize),
    Class(usize),
    /// Of whichever class it says.
    Any,
    Other,
}

/// A phase that something is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Within {
    /// The enum.
    pub(crate) of: usize,
    /// The place of the phase among those of its enum; behind all of them, if the enum hasn't got it any more.
    pub(crate) phase: usize,
}

/// Words in the name of a class that are looked at.
const MOST_WORDS: usize = 64;

/// Begins the type of a field that is in a phase.
const PHASE: &str = "phase of class ";

impl Shape {
    /// `hidden`: whether secrets are.
    pub(crate) fn of(classes: &Classes, hidden: bool) -> Result<Self, Failure> {
        let shape = Self::new(classes, hidden);
        if shape.enums().next().is_none() {
            return Err(Failure::Missing(
                "expected fields that are in a phase in `classes.json`, found none; the next start of a program that has some writes them"
                    .into(),
            ));
        }
        Ok(shape)
    }

    fn new(classes: &Classes, hidden: bool) -> Self {
        let named = classes.classes().enumerate().map(|(place, (name, _))| (name.to_owned(), place)).collect();
        let types = || classes.classes().flat_map(|(_, fields)| fields).filter_map(|field| field.ty.as_deref());
        let of_phases: BTreeSet<&str> = types().filter_map(|ty| bare(ty).strip_prefix(PHASE)).collect();
        let secrets: BTreeSet<&str> = classes.secrets().filter(|_| hidden).collect();
        // A number is no name of an entry, though it is one of a field.
        let hidden = secrets.iter().filter(|name| classes.is_secret(name)).map(|&name| name.to_owned()).collect();
        let mut shape = Self { classes: Vec::new(), named, hidden };
        for (name, fields) in classes.classes() {
            let variant = format!("class {name}::");
            let is_variant = |field: &ClassField| {
                field.next.is_some() || field.ty.as_deref().is_none_or(|ty| ty.starts_with(&variant))
            };
            let ty = |field: &ClassField| match field.ty.as_deref() {
                Some(ty) if !secrets.contains(&*field.name) => shape.read(ty),
                _ => Type { keys: 0, leaf: Leaf::Other },
            };
            let class = Class {
                name: name.to_owned(),
                fields: fields.iter().map(|field| (field.name.clone(), ty(field))).collect(),
                is_enum: fields.iter().any(is_variant),
                has_phases: of_phases.contains(name) || fields.iter().any(|field| field.next.is_some()),
                is_field: of_phases.contains(name),
            };
            shape.classes.push(class);
        }
        shape
    }

    /// What a type leads to, by its name.
    fn read(&self, ty: &str) -> Type {
        let (mut ty, mut keys) = (bare(ty), 0);
        while let Some((_, value)) = ty.strip_prefix("map of ").and_then(|map| map.split_once(" to ")) {
            (ty, keys) = (bare(value), keys + 1);
        }
        let class = |name: &str| self.named.get(name).copied();
        let leaf = if let Some(name) = ty.strip_prefix(PHASE) {
            class(name).map(Leaf::Phase)
        } else if let Some(table) = ty.strip_prefix("table of class ") {
            keys += 1;
            // What follows the name of the class is of its keys.
            let ends = table.match_indices([' ', ',']).map(|(end, _)| end).take(MOST_WORDS).chain([table.len()]);
            ends.filter_map(|end| class(table.get(..end)?)).last().map(Leaf::Class)
        } else if let Some(name) = ty.strip_prefix("class ") {
            class(name).map(Leaf::Class)
        } else {
            ty.starts_with("any ").then_some(Leaf::Any)
        };
        Type { keys, leaf: leaf.unwrap_or(Leaf::Other) }
    }

    /// The enums of phases that some field is in.
    pub(crate) fn enums(&self) -> impl Iterator<Item = (usize, &str)> {
        let named = self.classes.iter().enumerate().filter(|(_, class)| class.is_field);
        named.map(|(place, class)| (place, class.name.as_str()))
    }

    /// The phases of an enum.
    pub(crate) fn phases(&self, of: usize) -> impl Iterator<Item = &str> {
        self.fields(of).iter().map(|(name, _)| name.as_str())
    }

    fn fields(&self, class: usize) -> &[(String, Type)] {
        self.classes.get(class).map_or(&[], |class| &class.fields)
    }

    fn name(&self, class: usize) -> &str {
        self.classes.get(class).map_or("", |class| &class.name)
    }

    /// The type of an object, by the class that it says it has.
    pub(super) fn of_object(&self, tree: &Tree) -> Option<Type> {
        let class = self.named.get(called(tree)?)?;
        Some(Type { keys: 0, leaf: Leaf::Class(*class) })
    }

    /// The type of what is in a phase of this enum.
    pub(super) fn of_enum(of: usize) -> Type {
        Type { keys: 0, leaf: Leaf::Phase(of) }
    }

    /// The variant of an enum that is called so: a variant that is written as what it holds has the name of that.
    fn variant(&self, of: usize, called: &str) -> Option<usize> {
        let fields = self.fields(of);
        let holds = |ty: &Type| matches!(ty.leaf, Leaf::Class(class) if self.name(class) == called);
        let own = fields.iter().position(|(name, _)| name == called);
        own.or_else(|| fields.iter().position(|(_, ty)| holds(ty)))
    }

    /// The class with the fields of a variant.
    fn data(&self, of: usize, variant: usize) -> Option<usize> {
        match self.fields(of).get(variant)?.1 {
            Type { keys: 0, leaf: Leaf::Class(class) } => Some(class),
            _ => None,
        }
    }

    /// The type of a part of something, by the name of the part; `phase` is the one that it is in.
    pub(super) fn part(&self, ty: Type, name: &str, phase: Option<Within>) -> Option<Type> {
        if ty.keys > 0 {
            let leaf = if self.hidden.contains(name) { Leaf::Other } else { ty.leaf };
            return Some(Type { keys: ty.keys - 1, leaf });
        }
        let field = |class: usize| {
            let found = self.fields(class).iter().find(|(field, _)| field == name);
            found.map(|(_, ty)| *ty)
        };
        let leads = |ty: &Type| !matches!(ty.leaf, Leaf::Other);
        match ty.leaf {
            Leaf::Class(class) if !self.classes.get(class)?.is_enum => field(class),
            // What only keeps a phase isn't in it, nor in those inside.
            Leaf::Class(class) if self.classes.get(class)?.has_phases => None,
            Leaf::Class(of) | Leaf::Phase(of) => match phase.filter(|phase| phase.of == of) {
                Some(phase) => self.data(of, phase.phase).and_then(field),
                // Nothing says which variant it is: whichever has such a field.
                None => (0..self.fields(of).len())
                    .filter_map(|variant| self.data(of, variant))
                    .filter_map(field)
                    .find(leads),
            },
            Leaf::Any | Leaf::Other => None,
        }
    }

    /// Finds each phase in a value of this type, and where it is. A value that was read isn't nested deeper than a reader allows.
    pub(super) fn find(&self, ty: Type, value: &Tree, path: &mut String, found: &mut dyn FnMut(&str, Within)) {
        if ty.keys > 0 {
            let Tree::Map(map) = value else { return };
            let ty = Type { keys: ty.keys - 1, ..ty };
            return each(map, path, &mut |key, value, path| {
                if !self.hidden.contains(key) {
                    self.find(ty, value, path, found);
                }
            });
        }
        let class = match (ty.leaf, called(value)) {
            (Leaf::Phase(of), Some(called)) => {
                let variant = self.variant(of, called);
                found(path, Within { of, phase: variant.unwrap_or(self.fields(of).len()) });
                variant.and_then(|variant| self.data(of, variant))
            }
            (Leaf::Class(class), called) => match self.classes.get(class) {
                Some(Class { has_phases: true, .. }) => None,
                Some(Class { is_enum: true, .. }) => {
                    called.and_then(|called| self.data(class, self.variant(class, called)?))
                }
                _ => Some(class),
            },
            (Leaf::Any, Some(called)) => self.named.get(called).copied(),
            _ => None,
        };
        if let (Some(class), Tree::Map(map)) = (class, value) {
            each(map, path, &mut |name, value, path| {
                if let Some((_, ty)) = self.fields(class).iter().find(|(field, _)| field == name) {
                    self.find(*ty, value, path, found);
                }
            });
        }
    }
}

/// A type without what doesn't matter for what stands in it.
fn bare(ty: &str) -> &str {
    ty.trim_end_matches(" or null").trim_start_matches("secret ")
}

/// The name of a variant, or of the class of an object.
fn called(tree: &Tree) -> Option<&str> {
    match tree {
        Tree::Leaf(Json::String(_)) => tree_text(tree),
        Tree::Map(map) => map.get("_class").and_then(tree_text),
        _ => None,
    }
}

fn tree_text(tree: &Tree) -> Option<&str> {
    if let Tree::Leaf(leaf) = tree { leaf.as_str() } else { None }
}

/// Each field of an object, or entry of a table, with its path.
fn each(map: &Map, path: &mut String, visit: &mut dyn FnMut(&str, &Tree, &mut String)) {
    let length = path.len();
    for (name, value) in map.iter() {
        join(path, name);
        visit(name, value, path);
        path.truncate(length);
    }
}

/// Adds a segment to a path (a JSON Pointer, RFC 6901).
pub(super) fn join(path: &mut String, name: &str) {
    path.push('/');
    for character in name.chars() {
        match character {
            '~' => path.push_str("~0"),
            '/' => path.push_str("~1"),
            other => path.push(other),
        }
    }
}
