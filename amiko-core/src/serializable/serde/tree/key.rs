//! Keys of serde's maps, as text: what JSON has for them.

use super::super::super::{Json, Secrets, WriteError};
use super::super::passing::{CLASS, HIDDEN, TEXT};
use super::text::face;
use super::{Walk, float};
use serde_core::ser::{Impossible, Serialize, Serializer};

/// The text of a key.
pub(super) fn key<T: ?Sized + Serialize>(walk: &Walk, key: &T) -> Result<String, WriteError> {
    key.serialize(Key(walk))
}

struct Key<'w>(&'w Walk);

fn no_text<T>() -> Result<T, WriteError> {
    Err(WriteError::unreadable(
        "expected a key that is a text, a number, a truth value or a unit variant, found another",
    ))
}

macro_rules! as_text {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method(self, value: $type) -> Result<String, WriteError> {
            Ok(value.to_string())
        }
    )*};
}

macro_rules! refused {
    ($($method:ident($($argument:ty),*) -> $result:ty),* $(,)?) => {$(
        fn $method(self, $(_: $argument),*) -> Result<$result, WriteError> {
            no_text()
        }
    )*};
}

type No = Impossible<String, WriteError>;

impl Serializer for Key<'_> {
    type Ok = String;
    type Error = WriteError;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    as_text! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_char: char, serialize_str: &str,
    }

    fn serialize_f32(self, value: f32) -> Result<String, WriteError> {
        float(value, value.is_finite()).map(|number| number.to_string())
    }

    fn serialize_f64(self, value: f64) -> Result<String, WriteError> {
        float(value, value.is_finite()).map(|number| number.to_string())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<String, WriteError> {
        Ok(variant.to_owned())
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<String, WriteError> {
        if name != CLASS {
            return key(self.0, value);
        }
        let text = face(value, TEXT)?;
        if self.0.secrets == Secrets::Hidden && text != face(value, HIDDEN)? {
            // Two that aren't shown are still two.
            self.0.hidden_keys.set(self.0.hidden_keys.get() + 1);
            return Ok(format!("(secret {})", self.0.hidden_keys.get()));
        }
        match Json::parse(&text).map_err(WriteError::unreadable)? {
            Json::String(text) | Json::Number(text) => Ok(text),
            _ => no_text(),
        }
    }

    refused! {
        serialize_bytes(&[u8]) -> String, serialize_none() -> String, serialize_unit() -> String,
        serialize_unit_struct(&'static str) -> String,
        serialize_seq(Option<usize>) -> No, serialize_tuple(usize) -> No,
        serialize_tuple_struct(&'static str, usize) -> No,
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No,
        serialize_map(Option<usize>) -> No, serialize_struct(&'static str, usize) -> No,
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> No,
    }

    fn serialize_some<T: ?Sized + Serialize>(self, _: &T) -> Result<String, WriteError> {
        no_text()
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<String, WriteError> {
        no_text()
    }
}
