//! What passes between a class and our own serializers, through serde, which knows nothing of classes.
//!
//! Invariant: no other format sees anything of it but the value itself.

use super::super::marks::is_secret;
use super::super::{Schema, Serializable, Unknown};
use serde_core::de::{self, Deserializer, Visitor};
use std::any::type_name;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

/// The name of the newtype around a class.
pub(super) const CLASS: &str = "$amiko::private::Class";

/// What a serializer of ours can ask a class for: a field each, of which the others are never put together.
pub(super) const NAME: &str = "name";
pub(super) const TEXT: &str = "text";
pub(super) const HIDDEN: &str = "hidden";
pub(super) const REFERENCES: &str = "references";

/// What a deserializer of ours puts in the place of a class.
pub(super) enum Given {
    /// Its text, and what becomes of fields that it doesn't know.
    Text(String, Unknown),
    /// Nothing: the class is to say what it looks like, in its error.
    Nothing,
}

/// Takes over what a deserializer of ours gives.
pub(super) struct GivenVisitor;

impl Visitor<'_> for GivenVisitor {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text of a class")
    }

    fn visit_str<E>(self, text: &str) -> Result<Given, E> {
        Ok(Given::Text(text.to_owned(), Unknown::Deny))
    }

    fn visit_bytes<E: de::Error>(self, text: &[u8]) -> Result<Given, E> {
        let text = std::str::from_utf8(text).map_err(E::custom)?;
        Ok(Given::Text(text.to_owned(), Unknown::Ignore))
    }

    fn visit_unit<E>(self) -> Result<Given, E> {
        Ok(Given::Nothing)
    }
}

/// A class where serde expects a value: what the visitor of a class is given.
pub(super) struct ClassDeserializer<E>(pub(super) Given, pub(super) PhantomData<E>);

impl<'de, E: de::Error> Deserializer<'de> for ClassDeserializer<E> {
    type Error = E;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        match &self.0 {
            Given::Text(text, Unknown::Deny) => visitor.visit_str(text),
            Given::Text(text, Unknown::Ignore) => visitor.visit_bytes(text.as_bytes()),
            Given::Nothing => visitor.visit_unit(),
        }
    }

    serde_core::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Begins what a class says of itself in the error that it gives to a tracer.
const MARK: &str = "$amiko::private::Schema\n";

/// A class that was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passed {
    /// The name of its type.
    pub(super) type_name: String,
    /// What a field of it is called in a schema.
    pub(super) called: String,
    /// Whether there is a strong reference in it.
    pub(super) strong: bool,
    /// Whether there is a secret in it.
    pub(super) secret: bool,
    /// It and the classes in it, as a schema has them.
    pub(super) text: String,
}

/// What a class says of itself.
pub(super) fn to_pass_on<T: Serializable>() -> String {
    let mut schema = Schema::default();
    let called = T::schema(&mut schema);
    let mut marked = Schema::with_marks();
    let secret = is_secret(&T::schema(&mut marked)) || !marked.into_marks().secrets.is_empty();
    format!("{MARK}{}\n{}\n{secret}\n{called}\n{}", type_name::<T>(), schema.has_strong(), schema.text())
}

/// The other side of [`to_pass_on`].
pub(super) fn passed(error: &str) -> Option<Passed> {
    // Types of other crates may have put words around it.
    let (_, said) = error.split_once(MARK)?;
    let (type_name, rest) = said.split_once('\n')?;
    let (strong, rest) = rest.split_once('\n')?;
    let (secret, rest) = rest.split_once('\n')?;
    let (called, text) = rest.split_once('\n')?;
    let owned = str::to_owned;
    Some(Passed {
        type_name: owned(type_name),
        called: owned(called),
        strong: strong == "true",
        secret: secret == "true",
        text: owned(text),
    })
}

thread_local! {
    /// How many walks this thread is in.
    static WALKS: Cell<usize> = const { Cell::new(0) };
}

/// While this exists, a class that isn't asked by one of our serializers is invisible to the walk: serde has put it
/// into a serializer of its own, as it does for internally tagged variants and for flattened fields.
pub(super) struct Walking;

impl Walking {
    pub(super) fn begin() -> Self {
        WALKS.set(WALKS.get() + 1);
        Self
    }
}

impl Drop for Walking {
    fn drop(&mut self) {
        WALKS.set(WALKS.get() - 1);
    }
}

/// Lets a class speak for itself: what it does with serde while it writes itself is no part of the walk.
pub(super) fn aside<T>(speak: impl FnOnce() -> T) -> T {
    struct Back(usize);
    impl Drop for Back {
        fn drop(&mut self) {
            WALKS.set(self.0);
        }
    }
    let _back = Back(WALKS.replace(0));
    speak()
}

/// Whether this thread walks through a value of serde.
pub(super) fn is_walking() -> bool {
    WALKS.get() > 0
}
