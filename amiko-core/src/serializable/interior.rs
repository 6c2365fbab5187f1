//! Fields that change through a shared reference: refused at compile time, as far as the type reveals it.
//!
//! Invariant: an object changes through `&mut` only, after its old version was kept.

use super::codec::{Codec, Probe};
use super::{ReadError, Reader, WriteError, Writer};
use std::cell::{Cell, LazyCell, OnceCell, RefCell, UnsafeCell};
use std::collections::{BTreeMap, HashMap, LinkedList, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, RwLock};

/// Resolved before the methods of any trait: serde writes some of these types, but their changes would go unnoticed.
impl<T: Interior> Probe<T> {
    /// There is no codec.
    pub fn codec(self: &&&Self) -> InteriorMutability {
        InteriorMutability
    }
}

/// The codec of a type that can't be part of a state.
#[derive(Debug, Clone, Copy)]
pub struct InteriorMutability;

/// Implemented for nothing: requiring it produces the explanation.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be part of a state: it has interior mutability",
    label = "changes through a shared reference",
    note = "a change through a shared reference escapes the undo log and the journal: write the value itself, which is changed through `&mut`"
)]
pub trait Unshared {}

impl<T: Unshared> Codec<T> for InteriorMutability {
    fn write(&self, _: &T, _: &mut Writer) -> Result<(), WriteError> {
        Err(WriteError::Unreadable { reason: "it has interior mutability".into() })
    }

    fn read(&self, input: &mut Reader<'_>) -> Result<T, ReadError> {
        Err(input.expected("a value without interior mutability"))
    }
}

/// Types that change through a shared reference: those of the standard library, and its containers of them.
pub trait Interior {}

macro_rules! interior {
    ($($type:ident),* $(,)?) => {$(
        impl<T> Interior for $type<T> {}
    )*};
}

interior! { Cell, RefCell, OnceCell, LazyCell, UnsafeCell, Mutex, RwLock, OnceLock, LazyLock }

macro_rules! atomics {
    ($($width:literal: $($type:ident),*;)*) => {$($(
        #[cfg(target_has_atomic = $width)]
        impl Interior for std::sync::atomic::$type {}
    )*)*};
}

atomics! {
    "8": AtomicBool, AtomicI8, AtomicU8;
    "16": AtomicI16, AtomicU16;
    "32": AtomicI32, AtomicU32;
    "64": AtomicI64, AtomicU64;
    "ptr": AtomicIsize, AtomicUsize;
}

macro_rules! containers {
    ($($type:ident),* $(,)?) => {$(
        impl<T: Interior> Interior for $type<T> {}
    )*};
}

containers! { Option, Box, Rc, Arc, Vec, VecDeque, LinkedList }

impl<T: Interior, const N: usize> Interior for [T; N] {}
impl<K, V: Interior> Interior for BTreeMap<K, V> {}
impl<K, V: Interior, S> Interior for HashMap<K, V, S> {}
impl<T: Interior, E> Interior for Result<T, E> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::__private_0_1_0::{Native, ProbeNative as _, ProbeSerde as _};
    use crate::serializable::Serde;
    use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

    /// The expression by which the derive finds the codec of a field of this type.
    macro_rules! codec {
        ($type:ty) => {
            (&&&&Probe::<$type>::new()).codec()
        };
    }

    #[test]
    fn what_changes_through_a_shared_reference_is_told_from_what_doesnt() {
        macro_rules! all {
            ($expected:ident: $($type:ty),* $(,)?) => {$( let _: $expected = codec!($type); )*};
        }
        all!(
            InteriorMutability: Cell<u8>, RefCell<u8>, OnceCell<u8>, Mutex<u8>, RwLock<String>, OnceLock<u8>,
            LazyLock<u8>, AtomicBool, AtomicU64, AtomicUsize, Option<Box<AtomicBool>>, Vec<Mutex<u8>>, Arc<Mutex<u8>>,
            [AtomicU64; 2], BTreeMap<String, Mutex<u8>>, HashMap<String, RwLock<u8>>, Result<Mutex<u8>, u8>,
        );
        all!(Native: u8, Option<u8>, Vec<String>, Arc<u64>, BTreeMap<String, u8>);
        all!(Serde: f32, Result<u8, u8>, std::time::Duration);
    }
}
