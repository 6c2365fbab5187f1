//! A serde value from [`Json`]: what [`tree`](super::tree) has made of it.
//!
//! Invariant: a number is handed over as it stands, or in a way that shows that it was rounded when it is written again.

mod access;
mod key;

use super::super::{Json, Place, Problem, ReadError, Unknown, to_json};
use super::names::{NUMBER, RAW};
use super::passing::{CLASS, ClassDeserializer, Given};
use access::{Elements, Entries, Single, Variant};
use serde_core::de::{self, Deserializer, IntoDeserializer, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::new(Problem::Invalid { reason: reason.to_string() }, Place::default())
    }
}

/// A deserializer of [`Json`].
pub(super) struct Value {
    json: Json,
    unknown: Unknown,
}

/// Reads a value of a type of serde.
pub(super) fn read<T: de::DeserializeOwned>(json: Json, unknown: Unknown) -> Result<T, ReadError> {
    T::deserialize(Value { json, unknown })
}

impl Value {
    fn class<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let text = to_json(&self.json).map_err(de::Error::custom)?;
        visitor.visit_newtype_struct(ClassDeserializer(Given::Text(text, self.unknown), PhantomData))
    }
}

/// Hands over a number, whatever is expected.
fn number<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, ReadError> {
    // Zero has a sign, which an integer hasn't.
    if text != "-0" {
        if let Ok(number) = text.parse() {
            return visitor.visit_u64(number);
        }
        if let Ok(number) = text.parse() {
            return visitor.visit_i64(number);
        }
        if let Ok(number) = text.parse() {
            return visitor.visit_u128(number);
        }
        if let Ok(number) = text.parse() {
            return visitor.visit_i128(number);
        }
    }
    let rounded = float(text)?;
    if precise() && serde_json::to_string(&rounded).ok().as_deref() != Some(text) {
        return visitor.visit_map(Single::new(NUMBER, text));
    }
    visitor.visit_f64(rounded)
}

fn float(text: &str) -> Result<f64, ReadError> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| de::Error::custom(format!("expected a number within the range of 64 bits, found {text}")))
}

/// Whether `serde_json` keeps numbers as they are written, and expects a map of its own for them.
fn precise() -> bool {
    static PRECISE: OnceLock<bool> = OnceLock::new();
    *PRECISE.get_or_init(|| {
        serde_json::from_str::<serde_json::Number>("1.50").is_ok_and(|number| number.to_string() == "1.50")
    })
}

impl<'de> Deserializer<'de> for Value {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.json {
            Json::Null => visitor.visit_unit(),
            Json::Bool(value) => visitor.visit_bool(value),
            Json::Number(text) => number(&text, visitor),
            Json::String(text) => visitor.visit_string(text),
            Json::Array(values) => Elements::visit(values, self.unknown, visitor),
            Json::Object(fields) => Entries::visit(fields, self.unknown, visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.json {
            Json::Number(text) => match text.parse::<f32>() {
                Ok(number) if number.is_finite() => visitor.visit_f32(number),
                _ => Err(de::Error::custom(format!("expected a number within the range of 32 bits, found {text}"))),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.json {
            Json::Number(text) => visitor.visit_f64(float(text)?),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.json {
            Json::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match name {
            CLASS => self.class(visitor),
            RAW => {
                let text = to_json(&self.json).map_err(de::Error::custom)?;
                visitor.visit_map(Single::new(RAW, &text))
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.json {
            Json::String(variant) => visitor.visit_enum(variant.into_deserializer()),
            Json::Object(mut fields) if fields.len() == 1 => match fields.pop() {
                Some((variant, json)) => visitor.visit_enum(Variant { variant, json, unknown: self.unknown }),
                None => Err(de::Error::custom("expected a variant")),
            },
            other => Err(de::Error::custom(format!(
                "expected the name of a variant, or an object of one field that has it, found {}",
                found(&other)
            ))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    serde_core::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

fn found(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a truth value",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}
