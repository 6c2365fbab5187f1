//! A serde value as JSON, and everything that is to be known of it on the way: classes in it, and of which types it is made.
//!
//! Invariant: whatever `serde_json` would change silently is refused: numbers that aren't finite, and values inside
//! `Some` that are written as `null`.

mod compound;
mod key;
mod text;

use super::super::{Json, ReadLimits, Secrets, WriteError, from_json, to_json};
use super::names::{self, Order};
use super::passing::Walking;
use super::passing::{CLASS, HIDDEN, NAME, REFERENCES, TEXT};
use compound::{Elements, Entries, Fields};
use serde_core::ser::{self, Serialize, Serializer};
use std::any::type_name;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use text::face;

/// A reference in a class: kind, key, and whether it is strong.
pub(super) type Found = (String, String, bool);

/// What is found out about a value while it is walked through.
#[derive(Default)]
pub(super) struct Walk {
    secrets: Secrets,
    /// Whether references are looked for.
    references: bool,
    pub(super) found: RefCell<Vec<Found>>,
    /// The names of the classes that were met.
    pub(super) classes: RefCell<BTreeSet<String>>,
    /// The length of the shortest container of which it isn't known what its order means, if it is of any consequence.
    pub(super) unknown_order: Cell<Option<usize>>,
    /// Keys that weren't shown.
    hidden_keys: Cell<usize>,
    /// How deep it is inside the value: no deeper than a reader goes, whatever somebody has put together.
    depth: Cell<u32>,
}

impl Walk {
    pub(super) fn new(secrets: Secrets) -> Self {
        Self { secrets, ..Self::default() }
    }

    pub(super) fn for_references() -> Self {
        Self { references: true, ..Self::default() }
    }

    /// Walks through a value.
    pub(super) fn through<T: Serialize>(&self, value: &T) -> Result<Grown, WriteError> {
        let _walking = Walking::begin();
        grow(self, value)
    }

    /// Brings entries into the order that they are written in.
    fn arrange<E>(&self, order: Order, entries: &mut [E], text: impl Fn(&E) -> String) {
        if order == Order::Kept || entries.len() < 2 {
            return;
        }
        if order == Order::Sorted {
            return entries.sort_by_cached_key(text);
        }
        if !entries.is_sorted_by_key(text) {
            let shortest = self.unknown_order.get().map_or(entries.len(), |other| other.min(entries.len()));
            self.unknown_order.set(Some(shortest));
        }
    }
}

/// What became of a value.
pub(super) struct Grown {
    pub(super) json: Json,
    /// Of which types of serde's data model it is made, by FNV-1a (Fowler, Noll and Vo): the same text may be another value, as
    /// with variants of an untagged enum that overlap.
    pub(super) shape: u64,
}

impl Grown {
    fn of(json: Json, kind: &str) -> Self {
        Self { json, shape: shape_of(kind, "") }
    }

    /// The same inside of something else.
    fn inside(self, kind: &str, name: &str) -> Self {
        Self { shape: around(shape_of(kind, name), self.shape), ..self }
    }
}

fn shape_of(kind: &str, name: &str) -> u64 {
    let bytes = kind.bytes().chain([0]).chain(name.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn around(outer: u64, inner: u64) -> u64 {
    outer.rotate_left(5).wrapping_mul(31).wrapping_add(inner)
}

/// One part of several: their order doesn't count, since that of a hash is another one each time, and any other is in the text.
fn beside(all: u64, part: u64) -> u64 {
    all.wrapping_add(part.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Walks through a value of this type.
fn grow<T: ?Sized + Serialize>(walk: &Walk, value: &T) -> Result<Grown, WriteError> {
    let ty = type_name::<T>();
    if names::interior(ty) {
        let reason =
            format!("expected a value, found {ty}, which can be changed without anybody noticing: write the value");
        return Err(WriteError::unreadable(reason));
    }
    const LIMIT: u32 = ReadLimits::DEFAULT.depth;
    let depth = walk.depth.get();
    // Of what is inside, only some makes a level of JSON: a pointer, say, doesn't. Nothing of it goes as deep as this.
    if depth > 4 * LIMIT {
        return Err(WriteError::TooDeep { limit: LIMIT });
    }
    walk.depth.set(depth + 1);
    let grown = value.serialize(Tree { walk, ty });
    walk.depth.set(depth);
    grown
}

/// A serializer that makes [`Json`].
#[derive(Clone, Copy)]
pub(super) struct Tree<'w> {
    walk: &'w Walk,
    /// The type that is being written, as far as serde tells.
    ty: &'static str,
}

impl ser::Error for WriteError {
    fn custom<T: std::fmt::Display>(reason: T) -> Self {
        Self::unreadable(reason)
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method(self, value: $type) -> Result<Grown, WriteError> {
            Ok(Grown::of(Json::integer(value), stringify!($type)))
        }
    )*};
}

impl<'w> Serializer for Tree<'w> {
    type Ok = Grown;
    type Error = WriteError;
    type SerializeSeq = Elements<'w>;
    type SerializeTuple = Elements<'w>;
    type SerializeTupleStruct = Elements<'w>;
    type SerializeTupleVariant = Elements<'w>;
    type SerializeMap = Entries<'w>;
    type SerializeStruct = Fields<'w>;
    type SerializeStructVariant = Fields<'w>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
    }

    fn serialize_bool(self, value: bool) -> Result<Grown, WriteError> {
        Ok(Grown::of(Json::Bool(value), "bool"))
    }

    fn serialize_f32(self, value: f32) -> Result<Grown, WriteError> {
        Ok(Grown::of(float(value, value.is_finite())?, "f32"))
    }

    fn serialize_f64(self, value: f64) -> Result<Grown, WriteError> {
        Ok(Grown::of(float(value, value.is_finite())?, "f64"))
    }

    fn serialize_char(self, value: char) -> Result<Grown, WriteError> {
        Ok(Grown::of(Json::String(value.to_string()), "char"))
    }

    fn serialize_str(self, value: &str) -> Result<Grown, WriteError> {
        Ok(Grown::of(Json::String(value.to_owned()), "str"))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Grown, WriteError> {
        Ok(Grown::of(Json::Array(value.iter().map(|byte| Json::integer(*byte)).collect()), "bytes"))
    }

    fn serialize_none(self) -> Result<Grown, WriteError> {
        Ok(Grown::of(Json::Null, "none"))
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<Grown, WriteError> {
        let inner = grow(self.walk, value)?;
        if inner.json == Json::Null { Err(WriteError::NullInSome) } else { Ok(inner.inside("some", "")) }
    }

    fn serialize_unit(self) -> Result<Grown, WriteError> {
        Ok(Grown::of(Json::Null, "unit"))
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<Grown, WriteError> {
        Ok(Grown::of(Json::Null, "unit struct").inside("unit struct", name))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Grown, WriteError> {
        Ok(Grown::of(Json::String(variant.to_owned()), "unit variant").inside("unit variant", variant))
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Grown, WriteError> {
        if name == CLASS { self.class(value) } else { Ok(grow(self.walk, value)?.inside("newtype struct", name)) }
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Grown, WriteError> {
        let inner = grow(self.walk, value)?.inside("newtype variant", variant);
        Ok(Grown { json: tagged(Some(variant), inner.json), ..inner })
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'w>, WriteError> {
        Ok(Elements::new(self.walk, "sequence", None, names::order(self.ty)))
    }

    fn serialize_tuple(self, _: usize) -> Result<Elements<'w>, WriteError> {
        Ok(Elements::new(self.walk, "tuple", None, Order::Kept))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Elements<'w>, WriteError> {
        Ok(Elements::new(self.walk, name, None, Order::Kept))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Elements<'w>, WriteError> {
        Ok(Elements::new(self.walk, "tuple variant", Some(variant), Order::Kept))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'w>, WriteError> {
        Ok(Entries::new(self.walk, names::order(self.ty)))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields<'w>, WriteError> {
        Ok(Fields::new(self.walk, name, None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields<'w>, WriteError> {
        Ok(Fields::new(self.walk, "struct variant", Some(variant)))
    }
}

impl Tree<'_> {
    /// A class of ours: its text is put in as it is.
    fn class<T: ?Sized + Serialize>(self, value: &T) -> Result<Grown, WriteError> {
        let name = face(value, NAME)?;
        if self.walk.references {
            let found: Vec<Found> = from_json(&face(value, REFERENCES)?).map_err(WriteError::unreadable)?;
            self.walk.found.borrow_mut().extend(found);
            return Ok(Grown::of(Json::Bool(true), "class"));
        }
        let wanted = if self.walk.secrets == Secrets::Hidden { HIDDEN } else { TEXT };
        let json = Json::parse(&face(value, wanted)?).map_err(WriteError::unreadable)?;
        let grown = Grown::of(json, "class").inside("class", &name);
        self.walk.classes.borrow_mut().insert(name);
        Ok(grown)
    }
}

/// A number as `serde_json` writes it: the shortest text that is read back as the same.
fn float<F: Serialize + std::fmt::Display>(value: F, finite: bool) -> Result<Json, WriteError> {
    if !finite {
        return Err(WriteError::NotFinite { found: value.to_string() });
    }
    serde_json::to_string(&value).map(Json::Number).map_err(WriteError::unreadable)
}

/// What is in a variant, if it is one.
fn tagged(variant: Option<&str>, json: Json) -> Json {
    match variant {
        Some(variant) => Json::Object(vec![(variant.to_owned(), json)]),
        None => json,
    }
}

/// A value as JSON, to be compared: nobody has looked whether it can be read back.
fn text_of(json: &Json) -> String {
    to_json(json).unwrap_or_default()
}
