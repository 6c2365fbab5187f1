//! `Serializable` for the types of the standard library.
//!
//! Invariant: each either comes back exactly or is refused; none has a second form.

use super::patch::replace_whole;
use super::weight::{of_elements, whole};
use super::{
    Change, Kept, Patch, Pointer, ReadError, Reader, Reference, Schema, Serializable, Summary, WriteError, Writer,
};
use crate::sabotage::sabotaged;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// The methods of a type that keeps nothing on the heap.
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

/// The methods of a type that is compared and replaced as a whole; for types whose values are equal only if their texts are.
macro_rules! whole {
    () => {
        fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
            if self == old {
                return Ok(());
            }
            patch.free(old.weight(Kept::Shared));
            patch.replace(self)
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
        if self.to_bits() == old.to_bits() { Ok(()) } else { patch.replace(self) }
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
    fn weight(&self, kept: Kept) -> usize {
        if kept == Kept::Shared { whole(&**self) } else { 0 }
    }
}

pub(super) fn index(segment: &str, length: usize) -> Result<usize, ReadError> {
    let canonical = segment == "0" || !segment.starts_with(['0', '+']);
    match segment.parse() {
        Ok(index) if canonical && index < length => Ok(index),
        _ => Err(Pointer::no_such_path(segment)),
    }
}

impl<T: Serializable> Serializable for Vec<T> {
    const EXACT: bool = T::EXACT;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        T::write_slice(self, out)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        T::read_slice(input)
    }

    fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
        self.iter().for_each(|value| value.references(visit));
    }

    fn summarize(&self, out: &mut Summary) {
        T::summarize_slice(self, out);
    }

    fn schema(schema: &mut Schema) -> String {
        T::schema_of_slice(schema)
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        if T::difference_of_slice(self, old, patch)? {
            return Ok(());
        }
        patch.free(old.weight(Kept::Shared));
        patch.replace(self)
    }

    #[inline]
    fn weight(&self, kept: Kept) -> usize {
        let own = if kept == Kept::Alone { size_of_val(self.as_slice()) } else { 0 };
        own + T::weight_of_slice(self, kept)
    }

    fn apply(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        let Some((segment, rest)) = pointer.split() else { return replace_whole(self, pointer, change) };
        let here = rest.split().is_none();
        match change {
            Change::Add(input) if here => {
                let at = if segment == "-" { self.len() } else { index(&segment, self.len() + 1)? };
                self.insert(at, T::read(input)?);
                Ok(())
            }
            Change::Remove if here => {
                self.remove(index(&segment, self.len())?);
                Ok(())
            }
            deeper => {
                let at = index(&segment, self.len())?;
                self[at].apply(rest, deeper)
            }
        }
    }
}

impl<T: Serializable, const N: usize> Serializable for [T; N] {
    const EXACT: bool = T::EXACT;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        T::write_slice(self, out)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        let before = input.clone();
        let values = T::read_slice(input)?;
        let length = values.len();
        values.try_into().map_err(|_| before.invalid(format!("expected {N} elements or bytes, found {length}")))
    }

    fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
        self.iter().for_each(|value| value.references(visit));
    }

    fn summarize(&self, out: &mut Summary) {
        T::summarize_slice(self, out);
    }

    fn schema(schema: &mut Schema) -> String {
        format!("{}, {N} of them", T::schema_of_slice(schema))
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        if T::difference_of_slice(self, old, patch)? { Ok(()) } else { patch.replace(self) }
    }

    #[inline]
    fn weight(&self, kept: Kept) -> usize {
        T::weight_of_slice(self, kept)
    }

    fn apply(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        let Some((segment, rest)) = pointer.split() else { return replace_whole(self, pointer, change) };
        self[index(&segment, N)?].apply(rest, change)
    }
}

impl<T: Serializable> Serializable for VecDeque<T> {
    const EXACT: bool = T::EXACT;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.begin_array()?;
        for value in self {
            out.element();
            value.write(out)?;
        }
        out.end_array();
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        // Not as a slice: bytes are an array of numbers here, as they are written.
        super::read_elements(input).map(Self::from)
    }

    fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
        self.iter().for_each(|value| value.references(visit));
    }

    fn summarize(&self, out: &mut Summary) {
        out.collection(self.len(), self, |out, value| value.summarize(out));
    }

    fn schema(schema: &mut Schema) -> String {
        format!("list of {}", T::schema(schema))
    }

    fn weight(&self, kept: Kept) -> usize {
        let (front, back) = self.as_slices();
        let own = if kept == Kept::Alone { self.len() * size_of::<T>() } else { 0 };
        own + T::weight_of_slice(front, kept) + T::weight_of_slice(back, kept)
    }
}

impl<T: Serializable + Ord> Serializable for BTreeSet<T> {
    const EXACT: bool = T::EXACT;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.begin_array()?;
        for value in self {
            out.element();
            value.write(out)?;
        }
        out.end_array();
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        let mut set = Self::new();
        input.begin_array()?;
        while input.element()? {
            let before = input.clone();
            if !set.insert(T::read(input)?) {
                return Err(before.invalid("expected each element of a set once, found one twice"));
            }
        }
        Ok(set)
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        if sabotaged("equality_decides") && self == old {
            return Ok(());
        }
        // Whether elements are equal is for their type to say, and only their text says whether they are the same.
        super::difference_of_text(self, old, patch)
    }

    fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
        self.iter().for_each(|value| value.references(visit));
    }

    fn summarize(&self, out: &mut Summary) {
        out.collection(self.len(), self, |out, value| value.summarize(out));
    }

    fn schema(schema: &mut Schema) -> String {
        format!("set of {}", T::schema(schema))
    }

    fn weight(&self, kept: Kept) -> usize {
        let own = if kept == Kept::Alone { self.len() * size_of::<T>() } else { 0 };
        own + of_elements(self, kept)
    }
}

macro_rules! tuples {
    ($($length:literal: $($name:ident $index:tt),+;)*) => {$(
        impl<$($name: Serializable),+> Serializable for ($($name,)+) {
            const EXACT: bool = true $(&& $name::EXACT)+;

            fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
                out.begin_array()?;
                $(
                    out.element();
                    self.$index.write(out)?;
                )+
                out.end_array();
                Ok(())
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
                input.begin_array()?;
                let tuple = ($({
                    if !input.element()? {
                        return Err(input.invalid(concat!("expected an array of ", $length, " elements")));
                    }
                    $name::read(input).map_err(|error| error.within(concat!("[", $index, "]")))?
                },)+);
                if input.element()? {
                    return Err(input.invalid(concat!("expected an array of ", $length, " elements")));
                }
                Ok(tuple)
            }

            fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
                $(self.$index.references(visit);)+
            }

            fn weight(&self, kept: Kept) -> usize {
                0 $(+ self.$index.weight(kept))+
            }

            fn schema(schema: &mut Schema) -> String {
                let types = [$($name::schema(schema)),+];
                format!("tuple of {}", types.join(", "))
            }
        }
    )*};
}

tuples! {
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
}
