//! The parts of a value.

use super::super::super::{Json, ReadError, Unknown};
use super::Value;
use super::key::Key;
use serde_core::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// The elements of an array.
pub(super) struct Elements {
    rest: std::vec::IntoIter<Json>,
    taken: usize,
    unknown: Unknown,
}

impl Elements {
    pub(super) fn visit<'de, V: Visitor<'de>>(
        values: Vec<Json>,
        unknown: Unknown,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let mut elements = Self { rest: values.into_iter(), taken: 0, unknown };
        let value = visitor.visit_seq(&mut elements)?;
        match elements.rest.len() {
            0 => Ok(value),
            more => Err(Error::custom(format!("expected {} elements, found {more} more", elements.taken))),
        }
    }
}

impl<'de> SeqAccess<'de> for &mut Elements {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some(json) = self.rest.next() else { return Ok(None) };
        let value = seed.deserialize(Value { json, unknown: self.unknown });
        let value = value.map_err(|error| error.within(format!("[{}]", self.taken)))?;
        self.taken += 1;
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The entries of an object.
pub(super) struct Entries {
    rest: std::vec::IntoIter<(String, Json)>,
    /// That of the key that was taken last.
    value: Option<(String, Json)>,
    unknown: Unknown,
}

impl Entries {
    pub(super) fn visit<'de, V: Visitor<'de>>(
        fields: Vec<(String, Json)>,
        unknown: Unknown,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let mut entries = Self { rest: fields.into_iter(), value: None, unknown };
        let value = visitor.visit_map(&mut entries)?;
        match entries.rest.len() {
            0 => Ok(value),
            more => Err(Error::custom(format!("expected no more fields, found {more} more"))),
        }
    }
}

impl<'de> MapAccess<'de> for &mut Entries {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some((key, json)) = self.rest.next() else { return Ok(None) };
        let read = seed.deserialize(Key(key.clone()));
        self.value = Some((key, json));
        read.map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ReadError> {
        let Some((key, json)) = self.value.take() else { return Err(Error::custom("expected a key first")) };
        seed.deserialize(Value { json, unknown: self.unknown }).map_err(|error| error.within(key))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// A variant with something in it.
pub(super) struct Variant {
    pub(super) variant: String,
    pub(super) json: Json,
    pub(super) unknown: Unknown,
}

/// What is in it.
pub(super) struct Content(Value);

impl<'de> EnumAccess<'de> for Variant {
    type Error = ReadError;
    type Variant = Content;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Content), ReadError> {
        let variant = seed.deserialize(self.variant.into_deserializer())?;
        Ok((variant, Content(Value { json: self.json, unknown: self.unknown })))
    }
}

impl<'de> VariantAccess<'de> for Content {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.0.json {
            Json::Null => Ok(()),
            _ => Err(Error::custom("expected a variant without fields")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.0.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, ReadError> {
        self.0.deserialize_any(visitor)
    }
}

/// An object of one field with a text, which `serde_json` knows.
pub(super) struct Single {
    name: Option<&'static str>,
    text: String,
}

impl Single {
    pub(super) fn new(name: &'static str, text: &str) -> Self {
        Self { name: Some(name), text: text.to_owned() }
    }
}

impl<'de> MapAccess<'de> for Single {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some(name) = self.name.take() else { return Ok(None) };
        seed.deserialize(serde_core::de::value::BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(std::mem::take(&mut self.text).into_deserializer())
    }
}
