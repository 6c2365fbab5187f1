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
    let shape = value.serialize(Checker)?;
    let written = serde_json::to_string(value).map_err(|error| unreadable(&error))?;
    // The order of a hash must not reach the text.
    let sorted = |text: &str| Json::parse(text).map(Json::sorted).map_err(|error| unreadable(&error));
    let text = sorted(&written)?.to_string();
    let read: T = serde_json::from_str(&text).map_err(|error| unreadable(&error))?;
    let again = serde_json::to_string(&read).map_err(|error| unreadable(&error))?;
    // The same text may be another value, as with variants of an untagged enum that overlap: then it has another shape.
    let same = again == written || sorted(&again)?.to_string() == text;
    if same && read.serialize(Checker)? == shape {
        return Ok(text);
    }
    Err(unreadable(&"reading it back gives another value"))
}

impl ser::Error for WriteError {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::Unreadable { reason: reason.to_string() }
    }
}

/// Of which types of serde's data model a value is made, and whether it is written as `null`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    null: bool,
    hash: u64,
}

impl Shape {
    /// A type of the data model, and the name of a struct or variant, by FNV-1a (Fowler, Noll and Vo).
    fn of(kind: &str, name: &str) -> Self {
        let bytes = kind.bytes().chain([0]).chain(name.bytes());
        let hash =
            bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self { null: false, hash }
    }

    fn null(kind: &str, name: &str) -> Self {
        Self { null: true, ..Self::of(kind, name) }
    }

    /// The same around a value.
    fn around(self, inner: Self) -> Self {
        Self { null: inner.null, hash: self.hash.rotate_left(5).wrapping_mul(31).wrapping_add(inner.hash) }
    }
}

/// Writes nothing, and finds what `serde_json` would change in silence: numbers that aren't finite, and what is written as
/// `null` inside of `Some`.
struct Checker;

/// Checks the parts of a value. Their order doesn't count: that of a hash is another one each time, and any other order is in
/// the text.
struct Parts(Shape);

impl Parts {
    fn add<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), WriteError> {
        let part = value.serialize(Checker)?;
        self.0.hash = self.0.hash.wrapping_add(part.hash.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Ok(())
    }
}

macro_rules! plain {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method(self, _: $type) -> Result<Shape, WriteError> {
            Ok(Shape::of(stringify!($method), ""))
        }
    )*};
}

impl Serializer for Checker {
    type Ok = Shape;
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

    fn serialize_f32(self, value: f32) -> Result<Shape, WriteError> {
        self.serialize_f64(f64::from(value)).map(|_| Shape::of("f32", ""))
    }

    fn serialize_f64(self, value: f64) -> Result<Shape, WriteError> {
        if value.is_finite() {
            Ok(Shape::of("f64", ""))
        } else {
            Err(WriteError::NotFinite { found: value.to_string() })
        }
    }

    fn serialize_none(self) -> Result<Shape, WriteError> {
        Ok(Shape::null("none", ""))
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<Shape, WriteError> {
        let inner = value.serialize(self)?;
        if inner.null { Err(WriteError::NullInSome) } else { Ok(Shape::of("some", "").around(inner)) }
    }

    fn serialize_unit(self) -> Result<Shape, WriteError> {
        Ok(Shape::null("unit", ""))
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<Shape, WriteError> {
        Ok(Shape::null("unit struct", name))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Shape, WriteError> {
        Ok(Shape::of("unit variant", variant))
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Shape, WriteError> {
        Ok(Shape::of("newtype struct", name).around(value.serialize(self)?))
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Shape, WriteError> {
        let shape = Shape::of("newtype variant", variant).around(value.serialize(self)?);
        Ok(Shape { null: false, ..shape })
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts, WriteError> {
        Ok(Parts(Shape::of("sequence", "")))
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts, WriteError> {
        Ok(Parts(Shape::of("tuple", "")))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Parts, WriteError> {
        Ok(Parts(Shape::of("tuple struct", name)))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts, WriteError> {
        Ok(Parts(Shape::of("tuple variant", variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts, WriteError> {
        Ok(Parts(Shape::of("map", "")))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Parts, WriteError> {
        Ok(Parts(Shape::of("struct", name)))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts, WriteError> {
        Ok(Parts(Shape::of("struct variant", variant)))
    }
}

macro_rules! parts {
    ($($compound:ident: $method:ident($($name:ident: $key:ty)?)),* $(,)?) => {$(
        impl ser::$compound for Parts {
            type Ok = Shape;
            type Error = WriteError;

            fn $method<T: ?Sized + Serialize>(&mut self, $($name: $key,)? value: &T) -> Result<(), WriteError> {
                self.add(value)
            }

            fn end(self) -> Result<Shape, WriteError> {
                Ok(self.0)
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
    type Ok = Shape;
    type Error = WriteError;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, _: &T) -> Result<(), WriteError> {
        // `serde_json` itself refuses keys that it can't write.
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), WriteError> {
        self.add(value)
    }

    fn end(self) -> Result<Shape, WriteError> {
        Ok(self.0)
    }
}
