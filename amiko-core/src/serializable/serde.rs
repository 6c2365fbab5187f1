//! serde on both sides: our classes as serde types, and serde types as fields of our classes.
//!
//! Invariant: a serde type is written only if it is read back as what it was, as far as serde lets anybody tell.

use super::{Json, Serializable, WriteError, from_json, to_json};
use serde_core::de::{self, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_core::ser::{self, Serialize, SerializeMap, SerializeSeq, Serializer};
use std::fmt;

/// A value of ours in any format of serde: as an object in those that people read, else as its text.
///
/// # Errors
/// The value has no exact text, or the format can't hold it.
pub fn serialize<T: Serializable, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    let text = to_json(value).map_err(ser::Error::custom)?;
    if !serializer.is_human_readable() {
        return serializer.serialize_str(&text);
    }
    Json::parse(&text).map_err(ser::Error::custom)?.serialize(serializer)
}

/// The other side of [`serialize`].
///
/// # Errors
/// Something else stands there.
pub fn deserialize<'de, T: Serializable, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = if deserializer.is_human_readable() {
        <Json as de::Deserialize>::deserialize(deserializer)?.to_string()
    } else {
        <String as de::Deserialize>::deserialize(deserializer)?
    };
    from_json(&text).map_err(|error| de::Error::custom(error.reason()))
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::String(text) => serializer.serialize_str(text),
            Self::Number(text) => serialize_number(text, serializer),
            Self::Array(values) => {
                let mut array = serializer.serialize_seq(Some(values.len()))?;
                values.iter().try_for_each(|value| array.serialize_element(value))?;
                array.end()
            }
            Self::Object(fields) => {
                let mut object = serializer.serialize_map(Some(fields.len()))?;
                fields.iter().try_for_each(|(name, value)| object.serialize_entry(name, value))?;
                object.end()
            }
        }
    }
}

fn serialize_number<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    if let Ok(number) = text.parse::<u64>() {
        serializer.serialize_u64(number)
    } else if let Ok(number) = text.parse::<i64>() {
        serializer.serialize_i64(number)
    } else if let Ok(number) = text.parse::<u128>() {
        serializer.serialize_u128(number)
    } else if let Ok(number) = text.parse::<i128>() {
        serializer.serialize_i128(number)
    } else {
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => serializer.serialize_f64(number),
            _ => Err(ser::Error::custom("expected a number that serde can hold, found a larger one")),
        }
    }
}

impl<'de> de::Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

/// What `serde_json` calls the only field of a number, if a program has its feature `arbitrary_precision` on.
const PRECISE: &str = "$serde_json::private::Number";

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_none<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::integer(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::integer(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Json, E> {
        Ok(Json::integer(value))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Json, E> {
        Ok(Json::integer(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        to_json(&value).map(Json::Number).map_err(E::custom)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = array.next_element()? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let mut fields: Vec<(String, Json)> = Vec::new();
        while let Some((name, value)) = object.next_entry::<String, Json>()? {
            fields.push((name, value));
        }
        match fields.as_slice() {
            [(name, Json::String(number))] if name == PRECISE => Ok(Json::Number(number.clone())),
            _ => Ok(Json::Object(fields)),
        }
    }
}

/// The JSON of a serde type, as `serde_json` writes it, but refused where it can't be read back.
pub(super) fn to_exact_json<T: Serialize + DeserializeOwned>(value: &T) -> Result<String, WriteError> {
    let unreadable = |error: &dyn fmt::Display| WriteError::Unreadable { reason: error.to_string() };
    value.serialize(Checker)?;
    let written = serde_json::to_string(value).map_err(|error| unreadable(&error))?;
    // The order of a hash must not reach the text.
    let sorted = |text: &str| Json::parse(text).map(Json::sorted).map_err(|error| unreadable(&error));
    let text = sorted(&written)?.to_string();
    let read: T = serde_json::from_str(&text).map_err(|error| unreadable(&error))?;
    match serde_json::to_string(&read) {
        Ok(again) if again == written || sorted(&again)?.to_string() == text => Ok(text),
        Ok(_) => Err(unreadable(&"reading it back gives another value")),
        Err(error) => Err(unreadable(&error)),
    }
}

impl ser::Error for WriteError {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::Unreadable { reason: reason.to_string() }
    }
}

/// Writes nothing, and finds what `serde_json` would change in silence: numbers that aren't finite, and what is written as
/// `null` inside of `Some`. Says of each value whether it is written as `null`.
struct Checker;

/// Checks the parts of a value.
struct Parts;

macro_rules! plain {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method(self, _: $type) -> Result<bool, WriteError> {
            Ok(false)
        }
    )*};
}

impl Serializer for Checker {
    type Ok = bool;
    type Error = WriteError;
    type SerializeSeq = Parts;
    type SerializeTuple = Parts;
    type SerializeTupleStruct = Parts;
    type SerializeTupleVariant = Parts;
    type SerializeMap = Parts;
    type SerializeStruct = Parts;
    type SerializeStructVariant = Parts;

    plain! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8],
    }

    fn serialize_f32(self, value: f32) -> Result<bool, WriteError> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<bool, WriteError> {
        if value.is_finite() { Ok(false) } else { Err(WriteError::NotFinite { found: value.to_string() }) }
    }

    fn serialize_none(self) -> Result<bool, WriteError> {
        Ok(true)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<bool, WriteError> {
        if value.serialize(self)? { Err(WriteError::NullInSome) } else { Ok(false) }
    }

    fn serialize_unit(self) -> Result<bool, WriteError> {
        Ok(true)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<bool, WriteError> {
        Ok(true)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<bool, WriteError> {
        Ok(false)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<bool, WriteError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<bool, WriteError> {
        value.serialize(self).map(|_| false)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts, WriteError> {
        Ok(Parts)
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts, WriteError> {
        Ok(Parts)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts, WriteError> {
        Ok(Parts)
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Parts, WriteError> {
        Ok(Parts)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts, WriteError> {
        Ok(Parts)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts, WriteError> {
        Ok(Parts)
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Parts, WriteError> {
        Ok(Parts)
    }
}

macro_rules! parts {
    ($($compound:ident: $method:ident($($name:ident: $key:ty)?)),* $(,)?) => {$(
        impl ser::$compound for Parts {
            type Ok = bool;
            type Error = WriteError;

            fn $method<T: ?Sized + Serialize>(&mut self, $($name: $key,)? value: &T) -> Result<(), WriteError> {
                value.serialize(Checker).map(drop)
            }

            fn end(self) -> Result<bool, WriteError> {
                Ok(false)
            }
        }
    )*};
}

parts! {
    SerializeSeq: serialize_element(), SerializeTuple: serialize_element(), SerializeTupleStruct: serialize_field(),
    SerializeTupleVariant: serialize_field(), SerializeStruct: serialize_field(_name: &'static str),
    SerializeStructVariant: serialize_field(_name: &'static str),
}

impl SerializeMap for Parts {
    type Ok = bool;
    type Error = WriteError;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, _: &T) -> Result<(), WriteError> {
        // `serde_json` itself refuses keys that it can't write.
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), WriteError> {
        value.serialize(Checker).map(drop)
    }

    fn end(self) -> Result<bool, WriteError> {
        Ok(false)
    }
}
