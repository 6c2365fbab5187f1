//! A class as a type of serde.
//!
//! serde carries values only in the types of its data model, which know neither classes nor secrets. So a class is passed
//! inside of a newtype whose name nobody else uses: to any other format a newtype is what is in it, and ours know the name.
//! They then say that what follows isn't for people, which no format says only halfway down, and get the class as its text.

use super::super::{Json, Reader, Secrets, Serializable, Unknown, WriteError, Writer, from_json, to_json};
use super::passing::{CLASS, Given, GivenVisitor, HIDDEN, NAME, REFERENCES, TEXT, aside, is_walking, to_pass_on};
use serde_core::Deserialize;
use serde_core::de::{self, Deserializer, Visitor};
use serde_core::ser::{self, Serialize, SerializeStruct, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// A value of ours in any format of serde: as an object in those that people read, else as its text.
///
/// # Errors
/// The value has no exact text, or the format can't hold it.
pub fn serialize<T: Serializable, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_newtype_struct(CLASS, &Seen(value))
    } else {
        serializer.serialize_str(&text_of(value).map_err(ser::Error::custom)?)
    }
}

/// The other side of [`serialize`].
///
/// # Errors
/// Something else stands there.
pub fn deserialize<'de, T: Serializable, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_newtype_struct(CLASS, ClassVisitor(PhantomData))
    } else {
        from_json(&String::deserialize(deserializer)?).map_err(|error| de::Error::custom(error.reason()))
    }
}

struct Seen<'v, T>(&'v T);

impl<T: Serializable> Serialize for Seen<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            if is_walking() {
                return Err(ser::Error::custom(format!(
                    "expected a class where it can be seen, found {} in a variant with a tag inside, in a flattened field, or as text: write `#[derive(Serializable)]` instead of serde's",
                    std::any::type_name::<T>()
                )));
            }
            let text = text_of(self.0).map_err(ser::Error::custom)?;
            return Json::parse(&text).map_err(ser::Error::custom)?.serialize(serializer);
        }
        let mut faces = serializer.serialize_struct(CLASS, 4)?;
        faces.serialize_field(NAME, &Face(self.0, name_of))?;
        faces.serialize_field(TEXT, &Face(self.0, text_of))?;
        faces.serialize_field(HIDDEN, &Face(self.0, text_without_secrets))?;
        faces.serialize_field(REFERENCES, &Face(self.0, references_of))?;
        faces.end()
    }
}

/// What a class gives if it is asked for it.
struct Face<'v, T>(&'v T, fn(&T) -> Result<String, WriteError>);

impl<T> Serialize for Face<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = aside(|| (self.1)(self.0)).map_err(ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

fn name_of<T>(_: &T) -> Result<String, WriteError> {
    Ok(std::any::type_name::<T>().to_owned())
}

fn text_of<T: Serializable>(value: &T) -> Result<String, WriteError> {
    to_json(value)
}

fn text_without_secrets<T: Serializable>(value: &T) -> Result<String, WriteError> {
    let mut out = Writer::new().with_secrets(Secrets::Hidden);
    value.write(&mut out)?;
    out.finish()
}

/// `[[kind, key, strong], …]`.
fn references_of<T: Serializable>(value: &T) -> Result<String, WriteError> {
    let mut found = Vec::new();
    value.references(&mut |reference| {
        found.push((reference.kind.to_string(), reference.key.to_string(), reference.strong));
    });
    to_json(&found)
}

struct ClassVisitor<T>(PhantomData<T>);

impl<T: Serializable> ClassVisitor<T> {
    fn read<E: de::Error>(text: &str, unknown: Unknown) -> Result<T, E> {
        let mut input = Reader::new(text).with_unknown(unknown);
        let read = T::read(&mut input).and_then(|value| input.end().map(|()| value));
        read.map_err(|error| E::custom(error.reason()))
    }

    fn read_json<E: de::Error>(json: &Json) -> Result<T, E> {
        Self::read(&to_json(json).map_err(E::custom)?, Unknown::Deny)
    }
}

impl<'de, T: Serializable> Visitor<'de> for ClassVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of a class")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        if deserializer.is_human_readable() {
            return Self::read_json(&Json::deserialize(deserializer)?);
        }
        match deserializer.deserialize_str(GivenVisitor)? {
            Given::Text(text, unknown) => Self::read(&text, unknown),
            Given::Nothing => Err(de::Error::custom(to_pass_on::<T>())),
        }
    }

    // Formats in which a newtype is what is in it even here.

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        Self::read_json(&Json::String(text.to_owned()))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        Self::read_json(&Json::deserialize(de::value::MapAccessDeserializer::new(map))?)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<T, A::Error> {
        Self::read_json(&Json::deserialize(de::value::SeqAccessDeserializer::new(seq))?)
    }
}

/// A type of ours that serde has to carry where it stands in containers of other crates.
macro_rules! of_serde {
    ([$($parameters:tt)*] $type:ty) => {
        impl<$($parameters)*> serde_core::Serialize for $type {
            fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::serializable::serde::serialize(self, serializer)
            }
        }

        impl<'de, $($parameters)*> serde_core::Deserialize<'de> for $type {
            fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::serializable::serde::deserialize(deserializer)
            }
        }
    };
}
pub(crate) use of_serde;
