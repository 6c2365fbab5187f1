//! References from one object to another.

use std::borrow::Cow;

/// An ID inside an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference<'r> {
    /// The kind of the referenced object.
    pub kind: Cow<'r, str>,
    /// Its key, as text.
    pub key: Cow<'r, str>,
    /// `#[amiko(strong)]`: the object must exist when an event commits.
    pub strong: bool,
}
