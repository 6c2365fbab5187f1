//! Typed IDs: how one object of the tree names another.
//!
//! Invariant: an `Id<A>` can't be used where an `Id<B>` is wanted, though both are the same text on disk.

use crate::scan::contains;
use crate::serializable::{
    Kept, Patch, ReadError, Reader, Reference, Schema, Serializable, Summary, WriteError, Writer, decode_key,
};
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A class whose objects live in a [`Table`](crate::Table) and are named by an [`Id`].
///
/// Derive it: `#[derive(Serializable)] #[amiko(key = String)]`. Its kind is the name of the class with a small first
/// letter, or `#[amiko(kind = "…")]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no key, so nothing can name it",
    note = "add `#[amiko(key = String)]` below `#[derive(Serializable)]` of `{Self}`"
)]
pub trait Object: Serializable + Clone {
    /// What tells two objects of the class apart.
    type Key: Key;
    /// What tells the names of this class from those of others.
    const KIND: &'static str;
}

/// A type that names objects, and that has an exact text.
pub trait Key: Clone + Ord + Hash + fmt::Debug + Send + Sync + 'static {
    /// The key as text: a key of a JSON object.
    fn encode(&self) -> Cow<'_, str>;

    /// Lends the same text: keys that aren't text themselves put it together without memory of its own.
    #[inline]
    fn with_text<R>(&self, lend: impl FnOnce(&str) -> R) -> R {
        lend(&self.encode())
    }

    /// What such keys are called in a schema.
    fn called() -> String {
        "key".into()
    }

    /// Bytes on the heap that the key keeps, roughly; see [`Serializable::weight`].
    fn weight_of_key(&self) -> usize {
        self.with_text(str::len)
    }

    /// Visits the key, if it is an ID.
    fn reference(&self, _visit: &mut dyn FnMut(Reference<'_>)) {}

    /// The other side of [`Key::encode`].
    ///
    /// # Errors
    /// What was expected instead.
    fn decode(text: &str) -> Result<Self, &'static str>;
}

impl Key for String {
    fn called() -> String {
        "text".into()
    }

    #[inline]
    fn weight_of_key(&self) -> usize {
        self.len()
    }

    fn encode(&self) -> Cow<'_, str> {
        if self.starts_with('!') { Cow::Owned(format!("!{self}")) } else { Cow::Borrowed(self) }
    }

    fn decode(text: &str) -> Result<Self, &'static str> {
        if !text.starts_with('!') {
            return Ok(text.into());
        }
        Self::from_utf8(decode_key(text)?).map_err(|_| "text, not binary")
    }
}

/// Lends a few characters and the lower-case hex of some bytes, as one text: for keys that are a hash or a public key, and
/// that put it together without memory of its own. Longer ones get some.
///
/// ```
/// assert_eq!(amiko_core::with_hex("!x", &[1, 0xAB], str::to_owned), "!x01ab");
/// ```
pub fn with_hex<R>(first: &str, bytes: &[u8], lend: impl FnOnce(&str) -> R) -> R {
    /// Two characters, and the 33 bytes of the longest public keys.
    const USUAL: usize = 2 + 2 * 33;
    let (mut text, length) = ([0; USUAL], first.len() + 2 * bytes.len());
    let on_the_stack = text.get_mut(..length).and_then(|text| {
        let (start, digits) = text.split_at_mut(first.len());
        start.copy_from_slice(first.as_bytes());
        hex::encode_to_slice(bytes, digits).ok()?;
        str::from_utf8(text).ok()
    });
    match on_the_stack {
        Some(text) => lend(text),
        None => lend(&format!("{first}{}", hex::encode(bytes))),
    }
}

/// The key of what there is only one of: the node itself.
impl Key for () {
    fn weight_of_key(&self) -> usize {
        0
    }

    fn encode(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn decode(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() { Ok(()) } else { Err("an empty text") }
    }
}

impl<const N: usize> Key for [u8; N] {
    #[inline]
    fn weight_of_key(&self) -> usize {
        0
    }

    fn encode(&self) -> Cow<'_, str> {
        Cow::Owned(self.with_text(str::to_owned))
    }

    fn with_text<R>(&self, lend: impl FnOnce(&str) -> R) -> R {
        with_hex("!x", self, lend)
    }

    fn decode(text: &str) -> Result<Self, &'static str> {
        decode_key(text)?.try_into().map_err(|_| "bytes of another length")
    }
}

macro_rules! integer_keys {
    ($($type:ty),*) => {$(
        impl Key for $type {
            fn called() -> String {
                "integer".into()
            }

            #[inline]
            fn weight_of_key(&self) -> usize {
                0
            }

            fn encode(&self) -> Cow<'_, str> {
                Cow::Owned(itoa::Buffer::new().format(*self).to_owned())
            }

            #[inline]
            fn with_text<R>(&self, lend: impl FnOnce(&str) -> R) -> R {
                lend(itoa::Buffer::new().format(*self))
            }

            fn decode(text: &str) -> Result<Self, &'static str> {
                // One text for one key: "7", never "07" or "+7".
                let number: Self = text.parse().map_err(|_| "an integer")?;
                if number.encode() == text { Ok(number) } else { Err("an integer without leading zeros or plus") }
            }
        }
    )*};
}

integer_keys!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

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
    /// The ID of the object that has this key.
    pub fn new(key: impl Into<T::Key>) -> Self {
        Self(key.into())
    }

    /// The key.
    pub fn key(&self) -> &T::Key {
        &self.0
    }
}

// Written out, because a derive would ask for the same of `T`.
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

/// The kind and the key: `account alice`; of the node, which has no key, the kind alone. Control characters are
/// escaped, since keys may come from outside.
impl<T: Object> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::KIND)?;
        self.0.with_text(|key| {
            if key.is_empty() {
                return Ok(());
            }
            f.write_str(" ")?;
            // Most keys have nothing to escape; to look at each character is slow.
            let plain = key.is_ascii() && !contains(key.as_bytes(), b' ', [b'"', b'\'', b'\\', 0x7f]);
            if plain { f.write_str(key) } else { key.escape_debug().fmt(f) }
        })
    }
}

impl<T: Object> Serializable for Id<T> {
    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        self.0.with_text(|text| out.encoded(text));
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        let before = input.clone();
        let text = input.string()?;
        T::Key::decode(&text).map(Self).map_err(|expected| before.expected(expected))
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        if self == old { Ok(()) } else { patch.replace(self) }
    }

    fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
        visit(Reference { kind: T::KIND, key: self.0.encode(), strong: false });
    }

    fn summarize(&self, out: &mut Summary) {
        out.text(&self.0.encode());
    }

    fn schema(_: &mut Schema) -> String {
        format!("ID of a {}", T::KIND)
    }

    #[inline]
    fn weight(&self, kept: Kept) -> usize {
        if kept == Kept::Alone { self.0.weight_of_key() } else { 0 }
    }
}

impl<T: Object> Key for Id<T> {
    fn called() -> String {
        format!("ID of a {}", T::KIND)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lends_what_it_encodes<K: Key>(key: K) {
        key.with_text(|text| {
            assert_eq!(text, key.encode());
            assert_eq!(K::decode(text).as_ref(), Ok(&key));
        });
    }

    proptest! {
        #[test]
        fn the_text_that_a_key_lends_is_the_one_that_it_encodes(
            number in any::<i128>(), text in any::<String>(), bytes in any::<[u8; 32]>(),
        ) {
            lends_what_it_encodes(number);
            lends_what_it_encodes(text);
            lends_what_it_encodes(bytes);
            // Shorter than any hash, and longer than what is put together without memory of its own.
            lends_what_it_encodes([bytes[0]; 0]);
            lends_what_it_encodes([bytes[0]; 100]);
        }
    }
}
