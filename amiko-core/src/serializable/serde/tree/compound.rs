//! Values that are made of others.

use super::super::super::{Json, WriteError};
use super::super::names::{NUMBER, Order, RAW};
use super::key::key;
use super::{Grown, Walk, around, beside, grow, shape_of, tagged, text_of};
use serde_core::ser::{self, Serialize};

/// The elements of an array.
pub(in super::super) struct Elements<'w> {
    walk: &'w Walk,
    variant: Option<&'static str>,
    order: Order,
    shape: u64,
    elements: Vec<Json>,
}

impl<'w> Elements<'w> {
    pub(super) fn new(walk: &'w Walk, kind: &str, variant: Option<&'static str>, order: Order) -> Self {
        let shape = shape_of(kind, variant.unwrap_or_default());
        Self { walk, variant, order, shape, elements: Vec::new() }
    }

    fn add<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), WriteError> {
        let at = self.elements.len();
        let grown = grow(self.walk, value).map_err(|error| error.at(&format!("[{at}]")))?;
        self.shape = beside(self.shape, grown.shape);
        self.elements.push(grown.json);
        Ok(())
    }

    fn grown(mut self) -> Result<Grown, WriteError> {
        self.walk.arrange(self.order, &mut self.elements, text_of);
        let json = Json::Array(self.elements);
        Ok(Grown { json: tagged(self.variant, json), shape: self.shape })
    }
}

/// The entries of a map.
pub(in super::super) struct Entries<'w> {
    walk: &'w Walk,
    order: Order,
    shape: u64,
    /// Of an entry that isn't complete.
    key: String,
    entries: Vec<(String, Json)>,
}

impl<'w> Entries<'w> {
    pub(super) fn new(walk: &'w Walk, order: Order) -> Self {
        Self { walk, order, shape: shape_of("map", ""), key: String::new(), entries: Vec::new() }
    }
}

impl ser::SerializeMap for Entries<'_> {
    type Ok = Grown;
    type Error = WriteError;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), WriteError> {
        // Of which types it is made counts as well: 1 and "1" are the same text.
        self.shape = beside(self.shape, grow(self.walk, value)?.shape);
        self.key = key(self.walk, value)?;
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), WriteError> {
        let grown = grow(self.walk, value).map_err(|error| error.at(&self.key))?;
        self.shape = beside(self.shape, grown.shape);
        self.entries.push((std::mem::take(&mut self.key), grown.json));
        Ok(())
    }

    fn end(mut self) -> Result<Grown, WriteError> {
        self.walk.arrange(self.order, &mut self.entries, |(key, _)| key.clone());
        Ok(Grown { json: Json::Object(self.entries), shape: self.shape })
    }
}

/// The fields of a struct, which are written in the order of their names.
pub(in super::super) struct Fields<'w> {
    walk: &'w Walk,
    name: &'static str,
    variant: Option<&'static str>,
    shape: u64,
    fields: Vec<(String, Json)>,
}

impl<'w> Fields<'w> {
    pub(super) fn new(walk: &'w Walk, name: &'static str, variant: Option<&'static str>) -> Self {
        let shape = around(shape_of("struct", name), shape_of("", variant.unwrap_or_default()));
        Self { walk, name, variant, shape, fields: Vec::new() }
    }

    fn add<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), WriteError> {
        let grown = grow(self.walk, value).map_err(|error| error.at(name))?;
        self.shape = beside(self.shape, grown.shape);
        self.fields.push((name.to_owned(), grown.json));
        Ok(())
    }

    fn grown(mut self) -> Result<Grown, WriteError> {
        self.fields.sort_by(|(one, _), (other, _)| one.cmp(other));
        let json = match (self.name, self.fields.as_slice()) {
            (NUMBER, [(name, Json::String(text))]) if name == NUMBER => {
                Json::number(text).map_err(WriteError::unreadable)?
            }
            (RAW, [(name, Json::String(text))]) if name == RAW => {
                let json = Json::parse(text).map_err(WriteError::unreadable)?;
                if text_of(&json) != *text {
                    return Err(WriteError::unreadable(
                        "expected JSON without blanks and needless escapes, found some",
                    ));
                }
                json
            }
            _ => Json::Object(self.fields),
        };
        Ok(Grown { json: tagged(self.variant, json), shape: self.shape })
    }
}

macro_rules! compound {
    ($($trait:ident for $type:ident: $method:ident($($name:ident)?)),* $(,)?) => {$(
        impl ser::$trait for $type<'_> {
            type Ok = Grown;
            type Error = WriteError;

            fn $method<T: ?Sized + Serialize>(&mut self, $($name: &'static str,)? value: &T) -> Result<(), WriteError> {
                self.add($($name,)? value)
            }

            fn end(self) -> Result<Grown, WriteError> {
                self.grown()
            }
        }
    )*};
}

compound! {
    SerializeSeq for Elements: serialize_element(), SerializeTuple for Elements: serialize_element(),
    SerializeTupleStruct for Elements: serialize_field(), SerializeTupleVariant for Elements: serialize_field(),
    SerializeStruct for Fields: serialize_field(name), SerializeStructVariant for Fields: serialize_field(name),
}
