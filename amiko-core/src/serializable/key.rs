//! Keys: values that have an exact text, and so can name entries of a map or a table.
//!
//! Invariant: `decode(encode(key))` is the key, and different keys have different texts.

mod composite;

use super::scan::contains;
use super::{Reference, decode_key};
use std::borrow::Cow;
use std::fmt;
use std::hash::Hash;

pub use composite::{Joined, Parts, called_key, readable_key, split_key};

/// Writes a kind and a key as people read them.
pub(crate) fn write_name(f: &mut impl fmt::Write, kind: &str, key: &str) -> fmt::Result {
    f.write_str(kind)?;
    if key.is_empty() {
        return Ok(());
    }
    f.write_str(" ")?;
    // Most keys need no escapes; checking each character is slow.
    let plain = key.is_ascii() && !contains(key.as_bytes(), b' ', [b'"', b'\'', b'\\', 0x7f]);
    if plain { f.write_str(key) } else { write!(f, "{}", key.escape_debug()) }
}

/// A type with an exact text that names objects and map entries.
///
/// Derive it: `#[derive(Key)]`, for a struct of one or more keys, or for an enum of names.
///
/// ```
/// use amiko_core::prelude::*;
/// use std::collections::BTreeMap;
///
/// #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
/// struct Slot { shelf: u64, sku: String }
///
/// let slot = Slot { shelf: 7, sku: "nuts".into() };
/// let stock = BTreeMap::from([(slot, 3_u8)]);
/// assert_eq!(to_json(&stock)?, r#"{"7/nuts":3}"#);
/// assert_eq!(from_json::<BTreeMap<Slot, u8>>(r#"{"7/nuts":3}"#)?, stock);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Keys are text (`String`, `Box<str>`, `Arc<str>`, `char`), integers, `bool`, bytes (`Vec<u8>`, `[u8; N]`),
/// [`Id`](crate::Id), [`Time`](crate::Time), [`PublicKey`](crate::PublicKey), IP and socket addresses, tuples of two
/// to four keys, and with the feature `uuid` a `Uuid`.
///
/// # Requirements
///
/// On disk a key is only its text; in memory it is found by `Eq`, `Ord` and `Hash`. These must agree: equal keys have
/// equal texts, and different keys have different texts; `decode` returns the key that was passed to `encode`, and
/// accepts no other text for it. A key that compares only part of itself, for example ignoring case, must be
/// normalized when it is created.
///
/// The text is readable text in which a leading `!` is doubled, or `!x` and hex. An ASCII writer turns readable text
/// that isn't ASCII into `!x` and hex; the `decode` of a `String` reads both.
///
/// A hand-written `Key` should also implement `schema_name`, describing the form of the text, and change it whenever the
/// form changes. The schema lock can't see how a key is written: without it, an old file with keys of another form
/// would open, and fail only at the first of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a key",
    label = "expected a key, like `String`, `u64` or `Id<_>`",
    note = "if `{Self}` is yours, add `#[derive(Key)]` to it: it may be a struct of keys, or an enum of names"
)]
pub trait Key: Clone + Ord + Hash + fmt::Debug + Send + Sync + 'static {
    /// Whether such keys are known to be equal only if their texts are, and to read back unchanged. For other keys
    /// this is checked each time.
    #[doc(hidden)]
    const EXACT: bool = false;

    /// Whether the text of every such key is ASCII that needs no escape, neither in JSON nor in a path: digits, or hex. Then
    /// nobody looks for something to escape.
    #[doc(hidden)]
    const PLAIN: bool = false;

    /// The key as text: a key of a JSON object.
    fn encode(&self) -> Cow<'_, str>;

    /// Lends the same text: keys that aren't text build it without a heap allocation.
    #[inline]
    fn with_text<R>(&self, lend: impl FnOnce(&str) -> R) -> R {
        lend(&self.encode())
    }

    /// The name of such keys in a schema. It reveals a change of their form.
    fn schema_name() -> String {
        "key".into()
    }

    /// Approximate number of heap bytes that the key keeps; see
    /// [`Serializable::weight`](super::Serializable::weight).
    fn weight_of_key(&self) -> usize {
        self.with_text(str::len)
    }

    /// Visits the key, if it is an ID.
    fn reference(&self, _visit: &mut dyn FnMut(Reference<'_>)) {}

    /// The inverse of [`Key::encode`].
    ///
    /// # Errors
    /// What was expected instead.
    fn decode(text: &str) -> Result<Self, &'static str>;
}

/// The suffix that a schema adds to the name of a collection with such a key: empty for text, the most common key,
/// and for a key of unknown form.
pub(crate) fn by<K: Key>() -> String {
    match K::schema_name().as_str() {
        "text" | "key" => String::new(),
        called => format!(" by {called}"),
    }
}

/// The argument of [`Id::new`](crate::Id::new) for a key of type `K`: the key itself or a borrow of it, or text if
/// the key can be made from text.
///
/// ```
/// use amiko_core::IntoKey;
///
/// // A literal is a key of any integer width.
/// let number: u64 = 7.into_key();
/// let text: String = "alice".into_key();
/// assert_eq!((number, text.as_str()), (7, "alice"));
/// ```
///
/// Only the first of the implementations fits an integer literal, so the compiler can infer its type. That is why
/// other integers aren't widened here as `Into` would.
#[diagnostic::on_unimplemented(
    message = "a key of type `{K}` can't be made of `{Self}`",
    label = "expected `{K}`, `&{K}`, or text where a key can be made of it",
    note = "write the key itself, or make one with `.into()`; text is taken where `{K}` implements `From<&str>`"
)]
pub trait IntoKey<K> {
    /// The key.
    fn into_key(self) -> K;
}

impl<K: Key> IntoKey<K> for K {
    fn into_key(self) -> K {
        self
    }
}

impl<K: Key> IntoKey<K> for &K {
    fn into_key(self) -> K {
        self.clone()
    }
}

// Otherwise the error would say that an integer isn't made of text, instead of naming the key of this object.
#[diagnostic::do_not_recommend]
impl<'a, K: Key + From<&'a str>> IntoKey<K> for &'a str {
    fn into_key(self) -> K {
        self.into()
    }
}

#[diagnostic::do_not_recommend]
impl<K: Key + From<String>> IntoKey<K> for Cow<'_, str> {
    fn into_key(self) -> K {
        self.into_owned().into()
    }
}

impl Key for String {
    const EXACT: bool = true;

    #[inline]
    fn weight_of_key(&self) -> usize {
        self.len()
    }

    fn schema_name() -> String {
        "text".into()
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

/// Lends a few characters followed by the lower-case hex of some bytes, as one text: for keys that are a hash or a
/// public key. Short ones need no heap allocation.
///
/// ```
/// assert_eq!(amiko_core::serializable::with_hex("!x", &[1, 0xAB], str::to_owned), "!x01ab");
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

/// The key of the only object of its kind: the node itself.
impl Key for () {
    const EXACT: bool = true;
    const PLAIN: bool = true;

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
    const EXACT: bool = true;
    const PLAIN: bool = true;

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

impl Key for Vec<u8> {
    const PLAIN: bool = true;

    fn schema_name() -> String {
        "bytes".into()
    }

    fn encode(&self) -> Cow<'_, str> {
        Cow::Owned(self.with_text(str::to_owned))
    }

    fn with_text<R>(&self, lend: impl FnOnce(&str) -> R) -> R {
        with_hex("!x", self, lend)
    }

    fn decode(text: &str) -> Result<Self, &'static str> {
        exact(decode_key(text)?, text, "\"!x\" and hex in lower case")
    }
}

/// The key, if this is its canonical text.
pub(crate) fn exact<K: Key>(key: K, text: &str, expected: &'static str) -> Result<K, &'static str> {
    if key.with_text(|only| only == text) { Ok(key) } else { Err(expected) }
}

macro_rules! integer_keys {
    ($($type:ty),*) => {$(
        impl Key for $type {
            const EXACT: bool = true;
            const PLAIN: bool = true;

            #[inline]
            fn weight_of_key(&self) -> usize {
                0
            }

            fn schema_name() -> String {
                "integer".into()
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
                exact(number, text, "an integer without leading zeros or plus")
            }
        }
    )*};
}

integer_keys!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::Map;
    use crate::serializable::{Serializable, Text, Writer, apply, diff, from_json};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The key is read back from its text, and from maps in both writer modes; and a patch finds it.
    pub(crate) fn comes_back<K: Key>(key: K) {
        key.with_text(|text| {
            assert_eq!(text, key.encode());
            assert_eq!(K::decode(text).as_ref(), Ok(&key));
        });
        let (map, empty) = (BTreeMap::from([(key.clone(), 7_u8)]), BTreeMap::new());
        assert_eq!(apply(&empty, &diff(&empty, &map).unwrap()).as_ref(), Ok(&map));
        assert_eq!(apply(&map, &diff(&map, &empty).unwrap()).as_ref(), Ok(&empty));
        comes_back_from_json(&map);
        comes_back_from_json(&[(key, 7_u8)].into_iter().collect::<Map<K, u8>>());
    }

    pub(crate) fn comes_back_from_json<T: Serializable + PartialEq + fmt::Debug>(value: &T) {
        for mode in [Text::Unicode, Text::Ascii] {
            let mut out = Writer::new().with_text(mode);
            value.write(&mut out).unwrap();
            assert!(mode == Text::Unicode || out.as_str().is_ascii(), "{out:?}");
            assert_eq!(from_json::<T>(out.as_str()).as_ref(), Ok(value), "{out:?}");
        }
    }

    pub(crate) fn refuses<K: Key>(texts: &[&str]) {
        for text in texts {
            assert!(K::decode(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn keys_are_read_back(number in any::<i128>(), text in any::<String>(), bytes in any::<[u8; 32]>()) {
            comes_back(number);
            comes_back(format!("!{text}"));
            comes_back(text);
            comes_back(bytes);
            comes_back(());
            // Shorter than any hash, and longer than the stack buffer.
            comes_back([bytes[0]; 0]);
            comes_back([bytes[0]; 100]);
        }
    }
}
