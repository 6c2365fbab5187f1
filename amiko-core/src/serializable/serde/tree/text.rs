//! What a class says of itself, as text.

use super::super::super::WriteError;
use super::super::passing::CLASS;
use serde_core::ser::{self, Impossible, Serialize, Serializer};

/// Asks a class for one of its fields.
pub(super) fn face<T: ?Sized + Serialize>(class: &T, wanted: &'static str) -> Result<String, WriteError> {
    class.serialize(Faces { wanted, found: String::new() })
}

/// Takes one field of what a class offers, and lets the others be.
struct Faces {
    wanted: &'static str,
    found: String,
}

/// Takes a string.
struct Take;

const ODD: &str = "a class says what it is, and nothing else";

macro_rules! refused {
    ($($method:ident($($argument:ty),*)),* $(,)?) => {$(
        fn $method(self, $(_: $argument),*) -> Result<String, WriteError> {
            Err(WriteError::unreadable(ODD))
        }
    )*};
}

macro_rules! only_strings {
    ($($kind:ident: $method:ident($($argument:ty),*)),* $(,)?) => {
        refused! {
            serialize_bool(bool), serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
            serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64), serialize_f32(f32),
            serialize_f64(f64), serialize_char(char), serialize_bytes(&[u8]), serialize_none(), serialize_unit(),
            serialize_unit_struct(&'static str), serialize_unit_variant(&'static str, u32, &'static str),
        }

        type SerializeSeq = Impossible<String, WriteError>;
        type SerializeTuple = Impossible<String, WriteError>;
        type SerializeTupleStruct = Impossible<String, WriteError>;
        type SerializeTupleVariant = Impossible<String, WriteError>;
        type SerializeMap = Impossible<String, WriteError>;
        type SerializeStructVariant = Impossible<String, WriteError>;

        fn serialize_some<T: ?Sized + Serialize>(self, _: &T) -> Result<String, WriteError> {
            Err(WriteError::unreadable(ODD))
        }

        fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, _: &T) -> Result<String, WriteError> {
            Err(WriteError::unreadable(ODD))
        }

        fn serialize_newtype_variant<T: ?Sized + Serialize>(
            self, _: &'static str, _: u32, _: &'static str, _: &T,
        ) -> Result<String, WriteError> {
            Err(WriteError::unreadable(ODD))
        }

        $(fn $method(self, $(_: $argument),*) -> Result<Self::$kind, WriteError> {
            Err(WriteError::unreadable(ODD))
        })*

        fn is_human_readable(&self) -> bool {
            false
        }
    };
}

macro_rules! compounds {
    () => {
        only_strings! {
            SerializeSeq: serialize_seq(Option<usize>), SerializeTuple: serialize_tuple(usize),
            SerializeTupleStruct: serialize_tuple_struct(&'static str, usize),
            SerializeTupleVariant: serialize_tuple_variant(&'static str, u32, &'static str, usize),
            SerializeMap: serialize_map(Option<usize>),
            SerializeStructVariant: serialize_struct_variant(&'static str, u32, &'static str, usize),
        }
    };
}

impl Serializer for Faces {
    type Ok = String;
    type Error = WriteError;
    type SerializeStruct = Self;

    compounds!();

    refused! { serialize_str(&str) }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Self, WriteError> {
        if name == CLASS { Ok(self) } else { Err(WriteError::unreadable(ODD)) }
    }
}

impl ser::SerializeStruct for Faces {
    type Ok = String;
    type Error = WriteError;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, field: &'static str, value: &T) -> Result<(), WriteError> {
        if field == self.wanted {
            self.found = value.serialize(Take)?;
        }
        Ok(())
    }

    fn end(self) -> Result<String, WriteError> {
        Ok(self.found)
    }
}

impl Serializer for Take {
    type Ok = String;
    type Error = WriteError;
    type SerializeStruct = Impossible<String, WriteError>;

    compounds!();

    fn serialize_str(self, text: &str) -> Result<String, WriteError> {
        Ok(text.to_owned())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, WriteError> {
        Err(WriteError::unreadable(ODD))
    }
}
