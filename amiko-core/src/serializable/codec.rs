//! How a field is written and read: natively, by serde, or by the codec in `#[amiko(with = …)]`.
//!
//! Invariant: whichever codec a field uses, it is read back exactly or refused while writing.

use super::{
    Change, Json, Kept, Patch, Pointer, ReadError, Reader, Reference, Schema, Secrets, Serializable, Summary,
    WriteError, Writer, serde,
};
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use std::marker::PhantomData;

/// A way to write and read values of a type, for `#[amiko(with = path)]`: `path` is a value of a type that implements
/// this trait. Two methods are enough; the others have defaults that work on the text.
///
/// ```
/// use amiko_core::prelude::*;
/// use amiko_core::serializable::Codec;
/// use amiko_core::{ReadError, Reader, WriteError, Writer};
///
/// struct Percent;
///
/// impl Codec<f64> for Percent {
///     fn write(&self, value: &f64, out: &mut Writer) -> Result<(), WriteError> {
///         out.text(&format!("{}%", value * 100.0));
///         Ok(())
///     }
///
///     fn read(&self, input: &mut Reader<'_>) -> Result<f64, ReadError> {
///         let before = input.clone();
///         let text = input.text()?;
///         let number = text.strip_suffix('%').and_then(|digits| digits.parse::<f64>().ok());
///         number.map(|percent| percent / 100.0).ok_or_else(|| before.expected("a number and %"))
///     }
/// }
///
/// #[derive(Serializable)]
/// struct Discount { #[amiko(with = Percent)] rate: f64 }
///
/// assert_eq!(to_json(&Discount { rate: 0.25 })?, r#"{"_class":"Discount","rate":"25%"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Codec<T> {
    /// As [`Serializable::write`].
    ///
    /// # Errors
    /// The value has no exact text.
    fn write(&self, value: &T, out: &mut Writer) -> Result<(), WriteError>;

    /// As [`Serializable::read`].
    ///
    /// # Errors
    /// The input holds something else.
    fn read(&self, input: &mut Reader<'_>) -> Result<T, ReadError>;

    /// As [`Serializable::missing`].
    fn missing(&self) -> Option<T> {
        None
    }

    /// As [`Serializable::difference`].
    ///
    /// # Errors
    /// The value has no exact text.
    fn difference(&self, new: &T, old: &T, patch: &mut Patch) -> Result<(), WriteError> {
        let (mut before, mut after) = (Writer::new(), Writer::new());
        self.write(old, &mut before)?;
        self.write(new, &mut after)?;
        if before.as_str() == after.as_str() {
            return Ok(());
        }
        patch.free(self.weight(old, Kept::Shared));
        patch.replace_with(|out| self.write(new, out))
    }

    /// Whether the difference is known to be empty, and frees nothing, found at hardly any cost; false says nothing.
    #[doc(hidden)]
    #[inline]
    fn same(&self, _new: &T, _old: &T) -> bool {
        false
    }

    /// As [`Serializable::weight`].
    fn weight(&self, value: &T, kept: Kept) -> usize {
        super::weight::of_text(kept, |out| self.write(value, out))
    }

    /// As [`Serializable::apply`].
    ///
    /// # Errors
    /// The pointer leads deeper than the value goes, or the new value doesn't fit the type.
    fn apply(&self, value: &mut T, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        let input = super::pointer::whole_value(pointer, change)?;
        *value = self.read(input)?;
        Ok(())
    }

    /// As [`Serializable::references`].
    fn references(&self, _value: &T, _visit: &mut dyn FnMut(Reference<'_>)) {}

    /// As [`Serializable::summarize`].
    fn summarize(&self, value: &T, out: &mut Summary) {
        out.text_by(|text| self.write(value, text));
    }

    /// As [`Serializable::schema`].
    fn schema(&self, _schema: &mut Schema) -> String {
        "custom".into()
    }
}

/// Compares one field of a class whose part of the path is known beforehand: for the code that the derive writes.
///
/// # Errors
/// The new value has no exact text.
#[inline]
pub fn difference_with<T, C: Codec<T>>(
    codec: &C,
    piece: &'static str,
    old: &T,
    new: &T,
    patch: &mut Patch,
) -> Result<(), WriteError> {
    // Most fields of an object that has changed are the same: nothing is done for them.
    if codec.same(new, old) {
        return Ok(());
    }
    patch.within_field(piece, |patch| codec.difference(new, old, patch))
}

/// [`Patch::free_copy`] for a field with a codec: for the code that the derive writes.
pub fn free_copy_with<T, C: Codec<T>>(codec: &C, old: &T, patch: &mut Patch) {
    patch.free(size_of::<T>() + codec.weight(old, Kept::Alone));
}

/// The codec of types that are [`Serializable`].
#[derive(Debug, Clone, Copy)]
pub struct Native;

impl<T: Serializable> Codec<T> for Native {
    #[inline]
    fn write(&self, value: &T, out: &mut Writer) -> Result<(), WriteError> {
        super::write_value(value, out)
    }

    #[inline]
    fn read(&self, input: &mut Reader<'_>) -> Result<T, ReadError> {
        T::read(input)
    }

    fn missing(&self) -> Option<T> {
        T::missing()
    }

    #[inline]
    fn difference(&self, new: &T, old: &T, patch: &mut Patch) -> Result<(), WriteError> {
        new.difference(old, patch)
    }

    #[inline]
    fn same(&self, new: &T, old: &T) -> bool {
        new.same(old)
    }

    #[inline]
    fn weight(&self, value: &T, kept: Kept) -> usize {
        value.weight(kept)
    }

    fn apply(&self, value: &mut T, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        value.apply(pointer, change)
    }

    fn references(&self, value: &T, visit: &mut dyn FnMut(Reference<'_>)) {
        value.references(visit);
    }

    fn summarize(&self, value: &T, out: &mut Summary) {
        value.summarize(out);
    }

    fn schema(&self, schema: &mut Schema) -> String {
        T::schema(schema)
    }
}

/// The codec of serde types that aren't [`Serializable`]: the output is that of `serde_json`, but a value that
/// wouldn't read back as the same is refused.
///
/// Classes inside them are recognized: their secrets, their references and their schema. Entries of a map are written
/// in the order of their keys if they come from a hash map or a B-tree, and otherwise in the order of the map.
#[derive(Debug, Clone, Copy)]
pub struct Serde;

impl<T: Serialize + DeserializeOwned + 'static> Codec<T> for Serde {
    fn write(&self, value: &T, out: &mut Writer) -> Result<(), WriteError> {
        let json =
            if out.hides_secrets() { serde::to_tree(value, Secrets::Hidden)? } else { serde::to_exact_json(value)? };
        json.write(out)
    }

    fn read(&self, input: &mut Reader<'_>) -> Result<T, ReadError> {
        serde::from_json(input)
    }

    fn missing(&self) -> Option<T> {
        // serde, too, reads a missing `Option` as `None`.
        let value = serde::from_json(&mut Reader::new("null")).ok()?;
        serde::to_tree(&value, Secrets::Written).is_ok_and(|json| json == Json::Null).then_some(value)
    }

    fn difference(&self, new: &T, old: &T, patch: &mut Patch) -> Result<(), WriteError> {
        serde::difference(new, old, patch)
    }

    fn apply(&self, value: &mut T, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        if pointer.split().is_none() {
            *value = self.read(super::pointer::whole_value(pointer, change)?)?;
            return Ok(());
        }
        let nowhere = |error: WriteError| Reader::new("").invalid(error.to_string());
        let mut json = serde::to_tree(value, Secrets::Written).map_err(nowhere)?;
        json.apply(pointer, change)?;
        let text = super::to_json(&json).map_err(nowhere)?;
        *value = self.read(&mut Reader::new(&text))?;
        Ok(())
    }

    fn references(&self, value: &T, visit: &mut dyn FnMut(Reference<'_>)) {
        serde::references(value, visit);
    }

    fn schema(&self, schema: &mut Schema) -> String {
        serde::schema::<T>(schema)
    }

    fn weight(&self, value: &T, kept: Kept) -> usize {
        // The text, without checking that it can be read back.
        let json = serde::to_tree(value, Secrets::Written);
        json.map_or(0, |json| super::weight::of_text(kept, |out| json.write(out)))
    }
}

/// The codec of a [`Map`](crate::Map) whose values use this codec: entry by entry, so that the cost is proportional
/// to the change.
#[derive(Debug, Clone, Copy)]
pub struct Entries<C>(pub C);

/// Chooses between [`Native`] and [`Serde`] for a type, at compile time: for the code that the derive writes.
///
/// `(&&&&Probe::<T>::new()).codec()` picks the first of four methods that fits, because the compiler looks first for
/// a method on the type with the most references. The last one fits every type and fails with the message of
/// [`Serializable`], so that a user who forgot a derive sees that message.
pub struct Probe<T>(PhantomData<T>);

impl<T> Probe<T> {
    /// A probe for one type.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// Fits types that are [`Serializable`].
pub trait ProbeNative {
    /// Their codec.
    fn codec(&self) -> Native {
        Native
    }
}

impl<T: Serializable> ProbeNative for &&&Probe<T> {}

/// Fits this crate's maps of serde values.
pub trait ProbeMap {
    /// Their codec.
    fn codec(&self) -> Entries<Serde> {
        Entries(Serde)
    }
}

/// Fits serde types.
pub trait ProbeSerde {
    /// Their codec.
    fn codec(&self) -> Serde {
        Serde
    }
}

impl<T: Serialize + DeserializeOwned + 'static> ProbeSerde for &Probe<T> {}

/// Fits every type.
pub trait ProbeNeither {
    /// Their codec.
    fn codec(&self) -> Native {
        Native
    }
}

impl<T> ProbeNeither for Probe<T> {}
