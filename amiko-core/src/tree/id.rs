//! Typed IDs: how an object of the tree names another one.
//!
//! Invariant: an `Id<A>` can't be used in place of an `Id<B>`, though both have the same form on disk.

use crate::serializable::write_name;
use crate::serializable::{
    IntoKey, Kept, Key, Patch, ReadError, Reader, Reference, Schema, Serializable, Summary, WriteError, Writer, by,
    same_key, schema::quoted, write_key,
};
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

crate::serializable::of_serde!([T: Object] Id<T>);

/// A class whose objects live in a [`Table`](crate::Table) and are named by an [`Id`].
///
/// Derive it: `#[derive(Serializable)] #[amiko(key = String)]`. Its kind is the name of the class with a lower-case
/// first letter, or `#[amiko(kind = "…")]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no key, so nothing can name it",
    note = "add `#[amiko(key = String)]` below `#[derive(Serializable)]` of `{Self}`"
)]
pub trait Object: Serializable + Clone {
    /// Identifies an object of the class.
    type Key: Key;
    /// What it replies to commands, if it is a machine: `#[amiko(reply = u64)]`. `()` by default, which needs no reply.
    type Reply: Serializable;
    /// Its secondary indexes: `#[amiko(index(by_owner = owner))]`. `()` by default, which is none.
    type Indexes: Default + Clone + Send + Sync + 'static;
    /// Distinguishes the names of this class from those of others.
    const KIND: &'static str;

    /// Brings the indexes from an old object under a key to a new one; for the code that the derive writes.
    #[doc(hidden)]
    #[inline]
    fn relist(_indexes: &mut Self::Indexes, _key: &Self::Key, _old: Option<&Self>, _new: Option<&Self>) {}
}

/// The table's requirements on a class, which every [`Object`] meets. A class without a key implements it too, with a
/// key that can't exist. So the compiler reports a missing key once, where an object is required, and not at every
/// use of a table. The derive implements it: a class of the derive gets its key from there, not from a hand-written
/// `Object`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no key, so nothing can name it",
    note = "add `#[amiko(key = String)]` below `#[derive(Serializable)]` of `{Self}`"
)]
pub trait Keyed: Serializable {
    /// The type of its key.
    type Key: Key;
    /// Its secondary indexes.
    type Indexes: Default + Clone + Send + Sync + 'static;
    /// The kind of its objects.
    const KIND: &'static str;

    /// As [`Object::relist`].
    #[inline]
    fn relist(_indexes: &mut Self::Indexes, _key: &Self::Key, _old: Option<&Self>, _new: Option<&Self>) {}
}

impl<T: Object> Keyed for T {
    type Key = <T as Object>::Key;
    type Indexes = <T as Object>::Indexes;
    const KIND: &'static str = <T as Object>::KIND;

    #[inline]
    fn relist(indexes: &mut Self::Indexes, key: &Self::Key, old: Option<&Self>, new: Option<&Self>) {
        <T as Object>::relist(indexes, key, old, new);
    }
}

/// The key of a class without keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoKey {}

impl Key for NoKey {
    const EXACT: bool = true;

    fn encode(&self) -> Cow<'_, str> {
        match *self {}
    }

    fn decode(_: &str) -> Result<Self, &'static str> {
        Err("no key, since the class has none")
    }
}

/// The name of an object of class `T`.
///
/// ```
/// use amiko_core::prelude::*;
///
/// #[derive(Clone, Serializable)]
/// #[amiko(key = String)]
/// struct Account { balance: u64 }
///
/// let alice: Id<Account> = Id::new("alice");
/// assert_eq!(alice.to_string(), "account alice");
/// assert_eq!(to_json(&alice)?, r#""alice""#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Id<T: Object>(T::Key);

impl<T: Object> Id<T> {
    /// The ID of the object with this key.
    ///
    /// ```
    /// use amiko_core::prelude::*;
    /// # #[derive(Clone, Serializable)] #[amiko(key = String)] struct Account {}
    /// # #[derive(Clone, Serializable)] #[amiko(key = u64)] struct Deposit {}
    /// # #[derive(Clone, Serializable)] #[amiko(key = (u64, String))] struct Slot {}
    ///
    /// let name = String::from("alice");
    /// assert_eq!(Id::<Account>::new("alice"), Id::new(&name));
    /// assert_eq!(Id::<Deposit>::new(1).to_string(), "deposit 1");
    /// assert_eq!(Id::<Slot>::new((1, "nuts".into())).to_string(), "slot 1/nuts");
    /// ```
    pub fn new(key: impl IntoKey<T::Key>) -> Self {
        Self(key.into_key())
    }

    /// The key.
    pub fn key(&self) -> &T::Key {
        &self.0
    }
}

impl<T: Object<Key = ()>> Id<T> {
    /// The ID of a node that is a machine itself, of which there is one.
    pub const fn node() -> Self {
        Self(())
    }
}

// Written out, because a derive would require the same traits of `T`.
impl<T: Object> Clone for Id<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Object> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Object> Eq for Id<T> {}

impl<T: Object> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Object> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl<T: Object> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T: Object> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", T::KIND, self.0)
    }
}

/// The kind and the key: `account alice`; for the node, which has no key, only the kind. Control characters are
/// escaped, since keys may come from outside.
impl<T: Object> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.with_text(|key| write_name(f, T::KIND, key))
    }
}

impl<T: Object> Serializable for Id<T> {
    const EXACT: bool = true;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        write_key(&self.0, |text| out.key_text(text, T::Key::PLAIN))
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        let before = input.clone();
        let text = input.string()?;
        T::Key::decode(&text).map(Self).map_err(|expected| before.expected(expected))
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        if self.same(old) { Ok(()) } else { patch.replace(self) }
    }

    #[inline]
    fn same(&self, old: &Self) -> bool {
        self == old && same_key(&self.0, &old.0)
    }

    fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
        visit(Reference { kind: Cow::Borrowed(T::KIND), key: self.0.encode(), strong: false });
    }

    fn summarize(&self, out: &mut Summary) {
        out.text(&self.0.encode());
    }

    fn schema(_: &mut Schema) -> String {
        <Self as Key>::schema_name()
    }

    #[inline]
    fn weight(&self, kept: Kept) -> usize {
        if kept == Kept::Alone { self.0.weight_of_key() } else { 0 }
    }
}

impl<T: Object> Key for Id<T> {
    const EXACT: bool = T::Key::EXACT;
    const PLAIN: bool = T::Key::PLAIN;

    fn schema_name() -> String {
        format!("ID of a {}{}", quoted(T::KIND), by::<T::Key>())
    }

    #[inline]
    fn weight_of_key(&self) -> usize {
        self.0.weight_of_key()
    }

    fn reference(&self, visit: &mut dyn FnMut(Reference<'_>)) {
        self.references(visit);
    }

    fn encode(&self) -> Cow<'_, str> {
        self.0.encode()
    }

    #[inline]
    fn with_text<R>(&self, lend: impl FnOnce(&str) -> R) -> R {
        self.0.with_text(lend)
    }

    fn decode(text: &str) -> Result<Self, &'static str> {
        T::Key::decode(text).map(Self)
    }
}
