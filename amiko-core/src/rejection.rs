//! Why an event was undone.
//!
//! Invariant: a rejection names the whole chain of messages that led to it.

use std::borrow::Cow;
use std::fmt;

/// A handler's no. The event is undone as a whole: no state, no timer, no message and no output of it remains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    reason: Cow<'static, str>,
    /// The messages from the one that came in to the one that was rejected.
    chain: Vec<Delivery>,
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
        Self { reason: reason.into(), chain: Vec::new() }
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The messages that led to it, from the one that came in to the one that was rejected.
    pub fn chain(&self) -> &[Delivery] {
        &self.chain
    }

    /// Notes which object the message was for that is rejected.
    pub(crate) fn addressed(mut self, to: String) -> Self {
        self.chain = vec![Delivery { kind: "", class: None, to: Some(to) }];
        self
    }

    pub(crate) fn to(&self) -> Option<String> {
        self.chain.last().and_then(|delivery| delivery.to.clone())
    }

    pub(crate) fn with_chain(mut self, chain: Vec<Delivery>) -> Self {
        self.chain = chain;
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
        f.write_str(&self.reason)?;
        for (index, delivery) in self.chain.iter().rev().enumerate() {
            write!(f, "{}{delivery}", if index == 0 { " (in " } else { ", sent by " })?;
        }
        if self.chain.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl std::error::Error for Rejection {}
