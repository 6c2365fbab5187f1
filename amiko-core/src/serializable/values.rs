//! `Serializable` for the types of the standard library.
//!
//! Invariant: each is read back exactly or refused; none has a second form.

use super::pointer::replace_whole;
use super::weight::whole;
use super::{
    Change, Kept, Patch, Pointer, ReadError, Reader, Reference, Schema, Serializable, Summary, WriteError, Writer,
};
use std::sync::Arc;

/// The methods of a type without heap memory.
macro_rules! weightless {
    () => {
        #[inline]
        fn weight(&self, _: Kept) -> usize {
            0
        }

        #[inline]
        fn weight_of_slice(_: &[Self], _: Kept) -> usize {
            0
        }
    };
}

/// The methods of a type that is compared and replaced as a whole, and whose values are equal only if their texts
/// are.
macro_rules! whole {
    () => {
        fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
            if self == old {
                return Ok(());
            }
            patch.free(old.weight(Kept::Shared));
            patch.replace(self)
        }

        #[inline]
        fn same(&self, old: &Self) -> bool {
            self == old
        }
    };
}

/// The methods of a pointer to a value.
macro_rules! pointer {
    ($inner:ident, $new:path, $mutable:path) => {
        const EXACT: bool = $inner::EXACT;

        fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
            (**self).write(out)
        }

        fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
            $inner::read(input).map($new)
        }

        fn class(&self) -> Option<&'static str> {
            (**self).class()
        }

        fn is_class(name: &str) -> bool {
            $inner::is_class(name)
        }

        fn classes(known: &mut Vec<&'static str>) {
            $inner::classes(known);
        }

        fn missing() -> Option<Self> {
            $inner::missing().map($new)
        }

        fn is_null(&self) -> bool {
            (**self).is_null()
        }

        fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
            (**self).references(visit);
        }

        fn summarize(&self, out: &mut Summary) {
            (**self).summarize(out);
        }

        fn schema(schema: &mut Schema) -> String {
            $inner::schema(schema)
        }

        fn apply(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
            $mutable(self).apply(pointer, change)
        }
    };
}

macro_rules! integers {
    ($($type:ty: $expected:literal),* $(,)?) => {$(
        impl Serializable for $type {
            const EXACT: bool = true;

            fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
                out.integer(*self);
                Ok(())
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
                input.integer($expected)
            }

            fn schema(_: &mut Schema) -> String {
                $expected.trim_start_matches("an ").into()
            }

            whole!();

            weightless!();
        }
    )*};
}

integers! {
    i8: "an integer of 8 bits", i16: "an integer of 16 bits", i32: "an integer of 32 bits",
    i64: "an integer of 64 bits", i128: "an integer of 128 bits", isize: "an integer",
    u16: "an unsigned integer of 16 bits", u32: "an unsigned integer of 32 bits",
    u64: "an unsigned integer of 64 bits", u128: "an unsigned integer of 128 bits", usize: "an unsigned integer",
}

impl Serializable for u8 {
    const EXACT: bool = true;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.integer(*self);
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        input.integer("an unsigned integer of 8 bits")
    }

    fn summarize_slice(slice: &[Self], out: &mut Summary) {
        out.text(&hex::encode(slice));
    }

    fn schema(_: &mut Schema) -> String {
        "unsigned integer of 8 bits".into()
    }

    fn schema_of_slice(_: &mut Schema) -> String {
        "bytes".into()
    }

    whole!();

    weightless!();

    fn write_slice(slice: &[Self], out: &mut Writer) -> Result<(), WriteError> {
        out.bytes(slice);
        Ok(())
    }

    fn read_slice(input: &mut Reader<'_>) -> Result<Vec<Self>, ReadError> {
        input.bytes()
    }

    fn difference_of_slice(new: &[Self], old: &[Self], _: &mut Patch) -> Result<bool, WriteError> {
        Ok(new == old)
    }
}

impl Serializable for bool {
    const EXACT: bool = true;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.bool(*self);
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        input.bool()
    }

    fn schema(_: &mut Schema) -> String {
        "true or false".into()
    }

    whole!();

    weightless!();
}

impl Serializable for f64 {
    const EXACT: bool = true;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.float(*self)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        input.float()
    }

    fn schema(_: &mut Schema) -> String {
        "number".into()
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        // By bits: 0.0 and -0.0 are equal, but not the same.
        if self.same(old) { Ok(()) } else { patch.replace(self) }
    }

    #[inline]
    fn same(&self, old: &Self) -> bool {
        self.to_bits() == old.to_bits()
    }

    weightless!();
}

impl Serializable for String {
    const EXACT: bool = true;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.text(self);
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        input.text().map(std::borrow::Cow::into_owned)
    }

    fn summarize(&self, out: &mut Summary) {
        out.text(self);
    }

    fn schema(_: &mut Schema) -> String {
        "text".into()
    }

    whole!();

    #[inline]
    fn weight(&self, kept: Kept) -> usize {
        if kept == Kept::Alone { self.len() } else { 0 }
    }
}

impl Serializable for () {
    const EXACT: bool = true;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.null();
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        if input.null() { Ok(()) } else { Err(input.expected("null")) }
    }

    fn is_null(&self) -> bool {
        true
    }

    fn schema(_: &mut Schema) -> String {
        "nothing".into()
    }

    whole!();

    weightless!();
}

impl<T: Serializable> Serializable for Option<T> {
    const EXACT: bool = T::EXACT;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        match self {
            Some(value) if value.is_null() => Err(WriteError::NullInSome),
            Some(value) => value.write(out),
            None => {
                out.null();
                Ok(())
            }
        }
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        if input.null() { Ok(None) } else { T::read(input).map(Some) }
    }

    fn missing() -> Option<Self> {
        Some(None)
    }

    fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
        self.iter().for_each(|value| value.references(visit));
    }

    fn summarize(&self, out: &mut Summary) {
        match self {
            Some(value) => value.summarize(out),
            None => out.text("none"),
        }
    }

    fn schema(schema: &mut Schema) -> String {
        format!("{} or null", T::schema(schema))
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        match (self, old) {
            (None, None) => Ok(()),
            (Some(new), Some(old)) if !new.is_null() => new.difference(old, patch),
            _ => {
                patch.free(old.weight(Kept::Shared));
                patch.replace(self)
            }
        }
    }

    #[inline]
    fn same(&self, old: &Self) -> bool {
        match (self, old) {
            (None, None) => true,
            // A value that is written as `null` is refused by the difference.
            (Some(new), Some(old)) => new.same(old) && !new.is_null(),
            _ => false,
        }
    }

    #[inline]
    fn weight(&self, kept: Kept) -> usize {
        self.as_ref().map_or(0, |value| value.weight(kept))
    }

    fn apply(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        match self {
            Some(value) if pointer.split().is_some() => value.apply(pointer, change),
            _ => replace_whole(self, pointer, change),
        }
    }
}

impl<T: Serializable> Serializable for Box<T> {
    pointer!(T, Box::new, Box::as_mut);

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        (**self).difference(old, patch)
    }

    #[inline]
    fn same(&self, old: &Self) -> bool {
        (**self).same(old)
    }

    #[inline]
    fn weight(&self, kept: Kept) -> usize {
        (**self).weight(kept) + if kept == Kept::Alone { size_of::<T>() } else { 0 }
    }
}

impl<T: Serializable + Clone> Serializable for Arc<T> {
    pointer!(T, Arc::new, Arc::make_mut);

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        if Arc::ptr_eq(self, old) {
            return Ok(());
        }
        patch.free(size_of::<T>() + (**old).weight(Kept::Alone));
        (**self).difference(old, patch)
    }

    #[inline]
    fn same(&self, old: &Self) -> bool {
        // Equal values that aren't shared free one of them.
        Arc::ptr_eq(self, old)
    }

    #[inline]
    fn weight(&self, kept: Kept) -> usize {
        if kept == Kept::Shared { whole(&**self) } else { 0 }
    }
}

#[cfg(feature = "bytes")]
impl Serializable for bytes::Bytes {
    const EXACT: bool = true;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.bytes(self);
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        input.bytes().map(Self::from)
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        if self == old {
            return Ok(());
        }
        patch.free(old.len());
        patch.replace(self)
    }

    #[inline]
    fn same(&self, old: &Self) -> bool {
        self == old
    }

    fn weight(&self, kept: Kept) -> usize {
        // A copy shares the bytes.
        if kept == Kept::Shared { self.len() } else { 0 }
    }

    fn summarize(&self, out: &mut Summary) {
        out.text(&hex::encode(self));
    }

    fn schema(_: &mut Schema) -> String {
        "bytes".into()
    }
}

/// It holds no data, so nothing is written.
impl<T: Send + Sync + 'static> Serializable for std::marker::PhantomData<T> {
    const EXACT: bool = true;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.null();
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        if input.null() { Ok(Self) } else { Err(input.expected("null")) }
    }

    fn missing() -> Option<Self> {
        Some(Self)
    }

    fn is_null(&self) -> bool {
        true
    }

    fn difference(&self, _: &Self, _: &mut Patch) -> Result<(), WriteError> {
        Ok(())
    }

    #[inline]
    fn same(&self, _: &Self) -> bool {
        true
    }

    fn weight(&self, _: Kept) -> usize {
        0
    }

    fn schema(_: &mut Schema) -> String {
        "nothing".into()
    }
}
