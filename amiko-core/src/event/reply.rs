//! What a machine replies to a command.
//!
//! Invariant: a reply reads back from its text as the same value.

use crate::serializable::{Polymorphic, ReadError, Serializable, WriteError, Writer, from_json};
use std::fmt;

/// The reply to a command: a value of the type that the machine names with `#[amiko(reply = Type)]`.
///
/// ```
/// use amiko_core::event::Reply;
///
/// let reply = Reply::new(7_u64);
/// assert_eq!(reply.to_json()?, "7");
/// assert_eq!(reply.read::<u64>()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reply(Kept);

enum Kept {
    Value(Box<dyn Polymorphic>),
    /// A value that was kept on disk.
    Text(Box<str>),
}

impl Reply {
    /// The reply with this value.
    pub fn new<T: Serializable>(value: T) -> Self {
        Self(Kept::Value(Box::new(value)))
    }

    pub(crate) fn of_text(text: &str) -> Self {
        Self(Kept::Text(text.into()))
    }

    /// Its text.
    ///
    /// # Errors
    /// The value has no exact text.
    pub fn to_json(&self) -> Result<String, WriteError> {
        match &self.0 {
            Kept::Text(text) => Ok(text.to_string()),
            Kept::Value(value) => {
                let mut out = Writer::new();
                value.write_object(&mut out)?;
                out.outcome(0, Ok(()))?;
                Ok(out.into_string())
            }
        }
    }

    /// Its value.
    ///
    /// # Errors
    /// It isn't of this type, or an older program has kept it in another form.
    pub fn read<T: Serializable + Clone>(&self) -> Result<T, ReadError> {
        match &self.0 {
            Kept::Text(text) => from_json(text),
            Kept::Value(value) => match (**value).as_any().downcast_ref::<T>() {
                Some(value) => Ok(value.clone()),
                // Another type may have the same text. One without any text is refused as nothing.
                None => from_json(&self.to_json().unwrap_or_default()),
            },
        }
    }
}

/// Hides the value: it may be secret.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply(…)")
    }
}
