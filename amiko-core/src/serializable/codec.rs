//! How a field is written and read: natively, by serde, or as its class says with `#[amiko(with = …)]`.
//!
//! Invariant: whichever way a field goes, it comes back exactly or is refused while writing.

use super::{
    Change, Kept, Patch, Pointer, ReadError, Reader, Reference, Schema, Serializable, Summary, WriteError, Writer,
};
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use std::marker::PhantomData;

/// A way to write and read values of a type: for `#[amiko(with = path)]`, where `path` is a value of a type that implements
/// this. Two methods are enough; the others have defaults that work on the text.
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
    /// Something else stands there.
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

    /// As [`Serializable::weight`].
    fn weight(&self, value: &T, kept: Kept) -> usize {
        super::weight::of_text(kept, |out| self.write(value, out))
    }

    /// As [`Serializable::apply`].
    ///
    /// # Errors
    /// The path leads further in than there is anything, or the new value isn't one of the type.
    fn apply(&self, value: &mut T, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        let input = super::patch::whole_value(pointer, change)?;
        *value = self.read(input)?;
        Ok(())
    }

    /// As [`Serializable::references`].
    fn references(&self, _value: &T, _visit: &mut dyn FnMut(Reference<'_>)) {}

    /// As [`Serializable::summarize`].
    fn summarize(&self, value: &T, out: &mut Summary) {
        let mut text = Writer::new();
        match self.write(value, &mut text) {
            Ok(()) => out.text(text.as_str()),
            Err(error) => out.text(&error.to_string()),
        }
    }

    /// As [`Serializable::schema`].
    fn schema(&self, _schema: &mut Schema) -> String {
        "custom".into()
    }
}

/// The way of types that are [`Serializable`].
#[derive(Debug, Clone, Copy)]
pub struct Native;

impl<T: Serializable> Codec<T> for Native {
    #[inline]
    fn write(&self, value: &T, out: &mut Writer) -> Result<(), WriteError> {
        value.write(out)
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

/// The way of types that are serde's and not [`Serializable`]: as `serde_json` would write them, but refused where reading
/// would give something else.
#[derive(Debug, Clone, Copy)]
pub struct Serde;

impl<T: Serialize + DeserializeOwned> Codec<T> for Serde {
    fn write(&self, value: &T, out: &mut Writer) -> Result<(), WriteError> {
        out.raw(&super::serde::to_exact_json(value)?);
        Ok(())
    }

    fn read(&self, input: &mut Reader<'_>) -> Result<T, ReadError> {
        let before = input.clone();
        let text = input.skip()?;
        serde_json::from_str(text).map_err(|error| before.invalid(error.to_string()))
    }

    fn missing(&self) -> Option<T> {
        // serde, too, takes a missing `Option` for `None`.
        serde_json::from_str("null").ok().filter(|value| serde_json::to_string(value).is_ok_and(|text| text == "null"))
    }

    fn schema(&self, _: &mut Schema) -> String {
        "of serde".into()
    }
}

/// Chooses between [`Native`] and [`Serde`] for a type, at compile time: for the code that the derive writes.
///
/// `(&&&Probe::<T>::new()).codec()` finds the first of three methods that fits, because the compiler looks for a method on
/// the type with the most references first. The last one fits every type and then fails with the message of
/// [`Serializable`], so that a user who forgot a derive is told so.
#[doc(hidden)]
pub struct Probe<T>(PhantomData<T>);

impl<T> Probe<T> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

#[doc(hidden)]
pub trait ProbeNative {
    fn codec(&self) -> Native {
        Native
    }
}

impl<T: Serializable> ProbeNative for &&Probe<T> {}

#[doc(hidden)]
pub trait ProbeSerde {
    fn codec(&self) -> Serde {
        Serde
    }
}

impl<T: Serialize + DeserializeOwned> ProbeSerde for &Probe<T> {}

#[doc(hidden)]
pub trait ProbeNeither {
    fn codec(&self) -> Native {
        Native
    }
}

impl<T> ProbeNeither for Probe<T> {}
