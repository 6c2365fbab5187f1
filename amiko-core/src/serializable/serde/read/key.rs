//! Keys of serde's maps, which JSON has as text.

use super::super::super::{Json, ReadError, Unknown, to_json};
use super::super::passing::{CLASS, ClassDeserializer, Given};
use serde_core::de::{Deserializer, Error, IntoDeserializer, Visitor};
use std::marker::PhantomData;

/// The text of a key.
pub(super) struct Key(pub(super) String);

macro_rules! parsed {
    ($($method:ident: $type:ty => $visit:ident),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            match self.0.parse::<$type>() {
                // One text for one key: "7", never "07" or "+7".
                Ok(key) if is_text_of(&key, &self.0) => visitor.$visit(key),
                _ => visitor.visit_string(self.0),
            }
        }
    )*};
}

/// Whether this is how the key is written.
fn is_text_of(key: &impl serde_core::Serialize, text: &str) -> bool {
    serde_json::to_string(key).is_ok_and(|written| written == text)
}

impl<'de> Deserializer<'de> for Key {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_string(self.0)
    }

    parsed! {
        deserialize_bool: bool => visit_bool, deserialize_i8: i8 => visit_i8, deserialize_i16: i16 => visit_i16,
        deserialize_i32: i32 => visit_i32, deserialize_i64: i64 => visit_i64, deserialize_i128: i128 => visit_i128,
        deserialize_u8: u8 => visit_u8, deserialize_u16: u16 => visit_u16, deserialize_u32: u32 => visit_u32,
        deserialize_u64: u64 => visit_u64, deserialize_u128: u128 => visit_u128, deserialize_f32: f32 => visit_f32,
        deserialize_f64: f64 => visit_f64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if name != CLASS {
            return visitor.visit_newtype_struct(self);
        }
        let text = to_json(&Json::String(self.0)).map_err(Error::custom)?;
        visitor.visit_newtype_struct(ClassDeserializer(Given::Text(text, Unknown::Deny), PhantomData))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    serde_core::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
