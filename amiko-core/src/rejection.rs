//! Why an event was undone.
//!
//! Invariant: a rejection names the whole chain of messages that led to it.

use crate::serializable::write_name;
use std::any::type_name;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// A handler's refusal. The event is undone as a whole: no state, no timer, no message and no output of it remains.
///
/// `?` makes one of any error. Whoever sent the command gets that error back by its type.
///
/// ```
/// use amiko_core::Rejection;
///
/// fn parse(text: &str) -> Result<u64, Rejection> {
///     Ok(text.parse::<u64>()?)
/// }
///
/// let rejection = parse("seven").unwrap_err();
/// assert_eq!(rejection.reason(), "invalid digit found in string");
/// assert!(rejection.downcast_ref::<std::num::ParseIntError>().is_some());
/// ```
///
/// It isn't an [`Error`] itself, because `?` couldn't take every error then; it becomes a `Box<dyn Error>`.
#[derive(Clone)]
pub struct Rejection {
    reason: Cow<'static, str>,
    /// None while it is only a reason, which handlers make many of that are never used. Shared, since whoever asked for
    /// the event gets the rejection, and the engine keeps it.
    details: Option<Arc<Details>>,
}

#[derive(Debug, Clone, Default)]
struct Details {
    chain: Chain,
    /// The application's own error.
    error: Option<Arc<dyn Error + Send + Sync>>,
    /// What kind of reason it is, if it isn't just a text.
    class: Option<&'static str>,
}

/// The messages from the one that was rejected back to the one that came in. The keys stand one after the other in one
/// text, because most rejections are never shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    links: Vec<(&'static str, Option<&'static str>, usize)>,
    keys: String,
}

impl Chain {
    /// Adds the message that caused the last one.
    pub(crate) fn push(&mut self, kind: &'static str, class: Option<&'static str>, key: &str) {
        self.keys.push_str(key);
        self.links.push((kind, class, self.keys.len()));
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = Delivery<'_>> + ExactSizeIterator {
        self.links.iter().enumerate().map(|(index, (kind, class, end))| {
            let begin = index.checked_sub(1).and_then(|before| self.links.get(before)).map_or(0, |before| before.2);
            Delivery { kind, class: *class, key: self.keys.get(begin..*end).unwrap_or_default() }
        })
    }
}

/// One message of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The kind of the object that it was for.
    pub kind: &'static str,
    /// The class of the message, if it has one.
    pub class: Option<&'static str>,
    /// The text of that object's key.
    pub key: &'a str,
}

impl Rejection {
    /// A rejection for this reason: lower case, no full stop, saying what was expected and what was found.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), details: None }
    }

    /// The reason. For an error, its text and those of its sources.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The application's own error, if it was made of one of this type.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.details.as_ref()?.error.as_ref()?.downcast_ref()
    }

    /// The messages that led to it, from the one that came in to the one that was rejected.
    pub fn chain(&self) -> impl DoubleEndedIterator<Item = Delivery<'_>> + ExactSizeIterator {
        self.links().iter().rev()
    }

    /// What kind of reason it is: the type of the application's own error, a panic, or just a text.
    #[inline]
    pub(crate) fn class(&self) -> &'static str {
        self.details.as_ref().and_then(|details| details.class).unwrap_or("text")
    }

    /// A rejection because of a panic.
    pub(crate) fn of_panic(reason: String) -> Self {
        let details = Details { class: Some("panic"), ..Details::default() };
        Self { reason: reason.into(), details: Some(Arc::new(details)) }
    }

    fn links(&self) -> &Chain {
        const NONE: &Chain = &Chain { links: Vec::new(), keys: String::new() };
        self.details.as_ref().map_or(NONE, |details| &details.chain)
    }

    /// Notes the deliveries that led to it, the last one being that which is rejected.
    pub(crate) fn with_chain(mut self, chain: Chain) -> Self {
        Arc::make_mut(self.details.get_or_insert_default()).chain = chain;
        self
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Rejection {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut next = error.source();
        while let Some(source) = next {
            reason.push_str(": ");
            reason.push_str(&source.to_string());
            next = source.source();
        }
        let class = Some(type_name::<E>());
        let details = Details { chain: Chain::default(), error: Some(Arc::new(error)), class };
        Self { reason: reason.into(), details: Some(Arc::new(details)) }
    }
}

/// Two rejections are equal if their reasons and chains are.
impl PartialEq for Rejection {
    fn eq(&self, other: &Self) -> bool {
        self.reason == other.reason && self.links() == other.links()
    }
}

impl Eq for Rejection {}

/// Its text, which is what `main` prints of an error.
impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rejection").field(&format_args!("{self}")).finish()
    }
}

impl fmt::Display for Delivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to ", self.class.unwrap_or("a message"))?;
        write_name(f, self.kind, self.key)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())?;
        for (index, delivery) in self.links().iter().enumerate() {
            write!(f, "{}{delivery}", if index == 0 { " (in " } else { ", sent by " })?;
        }
        if self.links().links.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl From<Rejection> for Box<dyn Error + Send + Sync> {
    fn from(rejection: Rejection) -> Self {
        rejection.to_string().into()
    }
}

impl From<Rejection> for Box<dyn Error> {
    fn from(rejection: Rejection) -> Self {
        rejection.to_string().into()
    }
}
