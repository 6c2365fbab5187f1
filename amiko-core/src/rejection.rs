//! Why an event was undone.
//!
//! Invariant: a rejection names the whole chain of messages that led to it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A handler's refusal. The event is undone as a whole: no state, no timer, no message and no output of it remains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    reason: Cow<'static, str>,
    /// None while it is only a reason, which handlers make many of that are never used. Shared, since whoever asked for
    /// the event gets the rejection, and the engine keeps it.
    path: Option<Arc<Path>>,
}

/// How it came to a rejection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Path {
    /// The messages from the one that came in to the one that was rejected.
    chain: Vec<Delivery>,
    /// Which object the last one was for, until there is a chain.
    to: Option<String>,
}

/// One message of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The kind of the object that it was for.
    pub kind: &'static str,
    /// The class of the message, if it has one.
    pub class: Option<&'static str>,
    /// Which object it was for; known of the last of a chain.
    pub to: Option<String>,
}

impl Rejection {
    /// A rejection for this reason: lower case, no full stop, saying what was expected and what was found.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), path: None }
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The messages that led to it, from the one that came in to the one that was rejected.
    pub fn chain(&self) -> &[Delivery] {
        self.path.as_ref().map_or(&[], |path| &path.chain)
    }

    /// Notes which object the message was for that is rejected.
    pub(crate) fn addressed(mut self, to: String) -> Self {
        Arc::make_mut(self.path.get_or_insert_default()).to = Some(to);
        self
    }

    /// Notes the deliveries that led to it, the last one being that which is rejected.
    pub(crate) fn with_chain(mut self, mut chain: Vec<Delivery>) -> Self {
        let path = Arc::make_mut(self.path.get_or_insert_default());
        if let Some(last) = chain.last_mut() {
            last.to = path.to.take();
        }
        path.chain = chain;
        self
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.class.unwrap_or("a message"), self.to.as_deref().unwrap_or(self.kind))
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())?;
        for (index, delivery) in self.chain().iter().rev().enumerate() {
            write!(f, "{}{delivery}", if index == 0 { " (in " } else { ", sent by " })?;
        }
        if self.chain().is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl std::error::Error for Rejection {}
