//! `Serializable` for the lists, sets and tuples of the standard library.
//!
//! Invariant: hash order never reaches a text.

use super::pointer::{index, replace_whole};
use super::weight::of_elements;
use super::{
    Change, Kept, Patch, Pointer, ReadError, Reader, Reference, Schema, Serializable, Summary, WriteError, Writer,
    read_elements, to_json, write_elements,
};
use crate::observe;
use crate::sabotage::{Sabotage, sabotaged};
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};

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
        // A megabyte of bytes is compared in no time.
        if size_of::<T>() > 1 {
            observe::collection(self.len().max(old.len()), || patch.place());
        }
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
        write_elements(self, out)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        // Not as a slice: here, bytes are written as an array of numbers.
        read_elements(input).map(Self::from)
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

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        observe::collection(self.len().max(old.len()), || patch.place());
        super::difference_of_text(self, old, patch)
    }

    fn weight(&self, kept: Kept) -> usize {
        let (front, back) = self.as_slices();
        let own = if kept == Kept::Alone { self.len() * size_of::<T>() } else { 0 };
        own + T::weight_of_slice(front, kept) + T::weight_of_slice(back, kept)
    }
}

/// `Serializable` for a set of the standard library, given a function that iterates its elements in order.
macro_rules! set {
    ([$($parameters:tt)*] $set:ty, $in_order:path) => {
        impl<$($parameters)*> Serializable for $set {
            const EXACT: bool = T::EXACT;

            fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
                write_elements($in_order(self), out)
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
                let mut set = Self::default();
                input.begin_array()?;
                while input.element()? {
                    let before = input.clone();
                    let value = T::read(input).map_err(|error| error.within(format!("[{}]", set.len())))?;
                    if !set.insert(value) {
                        return Err(before.invalid("expected each element of a set once, found one twice"));
                    }
                }
                Ok(set)
            }

            fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
                observe::collection(self.len().max(old.len()), || patch.place());
                if sabotaged(Sabotage::EqualityDecides) {
                    return if self == old { Ok(()) } else { super::difference_of_text(self, old, patch) };
                }
                // The type decides whether elements are equal; only their text shows whether they are the same.
                super::difference_of_text(self, old, patch)
            }

            fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
                $in_order(self).for_each(|value| value.references(visit));
            }

            fn summarize(&self, out: &mut Summary) {
                out.collection(self.len(), $in_order(self), |out, value| value.summarize(out));
            }

            fn schema(schema: &mut Schema) -> String {
                format!("set of {}", T::schema(schema))
            }

            fn weight(&self, kept: Kept) -> usize {
                let own = if kept == Kept::Alone { self.len() * size_of::<T>() } else { 0 };
                own + of_elements(self, kept)
            }
        }
    };
}

set!([T: Serializable + Ord] BTreeSet<T>, BTreeSet::iter);
set!([T: Serializable + Ord + Hash, S: BuildHasher + Default + Send + Sync + 'static] HashSet<T, S>, sorted);

/// Ordered by the elements' type; by text, if the order doesn't distinguish two elements of the set.
fn sorted<T: Serializable + Ord, S>(set: &HashSet<T, S>) -> impl Iterator<Item = &T> {
    let text = |value: &T| to_json(value).unwrap_or_default();
    let mut values: Vec<_> = set.iter().collect();
    values.sort_unstable_by(|one, other| one.cmp(other).then_with(|| text(one).cmp(&text(other))));
    values.into_iter()
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
