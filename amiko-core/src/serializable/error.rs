//! What can go wrong while writing and reading, and where.
//!
//! Invariant: an error about a place in the input names it: path, line, column and byte.

use std::borrow::Cow;
use std::fmt;

/// A value that has no exact JSON form. Whatever was written can be read back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// NaN or an infinity: JSON has no number for it.
    NotFinite {
        /// The number: `NaN`, `inf` or `-inf`.
        found: String,
    },
    /// The text exceeds the writer's limit.
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A string is longer than a reader accepts.
    LongString {
        /// The limit in bytes.
        limit: usize,
    },
    /// One of the other errors, inside a part of the value.
    At {
        /// Where in the value: `links.alice.channels[0].amountLocal`.
        path: String,
        /// The error itself; never another `At`.
        error: Box<WriteError>,
    },
    /// A value inside `Some` that is written as `null`, which reads back as `None`.
    NullInSome,
    /// A transparent variant holds a value whose class doesn't identify the variant.
    NoVariant {
        /// The class, if there is one.
        class: Option<&'static str>,
    },
    /// A value that can be written but doesn't read back as the same.
    Unreadable {
        /// serde's message.
        reason: String,
    },
    /// Objects and arrays are nested deeper than a reader accepts.
    TooDeep {
        /// The limit in levels.
        limit: u32,
    },
}

impl WriteError {
    /// The error without its place in the value.
    pub fn problem(&self) -> &Self {
        match self {
            Self::At { error, .. } => error,
            other => other,
        }
    }

    /// Where in the value; empty for the whole value, or if the place is unknown.
    pub fn path(&self) -> &str {
        match self {
            Self::At { path, .. } => path,
            _ => "",
        }
    }

    /// The same error, one level further out: `path` leads to the value that contains it.
    #[must_use]
    pub(crate) fn at(self, path: &str) -> Self {
        let (inner, error) = match self {
            Self::At { path, error } => (path, error),
            error => (String::new(), Box::new(error)),
        };
        let separator = if path.is_empty() || inner.is_empty() || inner.starts_with('[') { "" } else { "." };
        let path = format!("{path}{separator}{inner}");
        if path.is_empty() { *error } else { Self::At { path, error } }
    }

    pub(crate) fn unreadable(reason: impl fmt::Display) -> Self {
        Self::Unreadable { reason: reason.to_string() }
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At { path, error } => write!(f, "{path}: {error}"),
            Self::LongString { limit } => {
                write!(f, "expected a string of at most {limit} bytes as it stands in JSON, found a longer one")
            }
            Self::NotFinite { found } => {
                write!(f, "expected a finite number, found {found}: JSON can't hold it")
            }
            Self::NullInSome => f.write_str(
                "expected a value that isn't written as null inside of Some, found one: it would be read as None",
            ),
            Self::NoVariant { class } => {
                let class = class.unwrap_or("no class");
                write!(
                    f,
                    "expected a class of its own in a transparent variant, found {class}: it would be read as another"
                )
            }
            Self::Unreadable { reason } => {
                write!(f, "expected a value that can be read back, found one that can't: {reason}")
            }
            Self::TooLong { limit } => write!(f, "the text would be longer than the limit of {limit} bytes"),
            Self::TooDeep { limit } => {
                write!(f, "expected at most {limit} levels of nesting, found more: flatten the object")
            }
        }
    }
}

impl std::error::Error for WriteError {}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Line, counted from 1.
    pub line: u64,
    /// Column in characters, counted from 1.
    pub column: u64,
    /// Offset in bytes, counted from 0.
    pub byte: u64,
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The input holds something else.
    Expected {
        /// What was expected.
        expected: Cow<'static, str>,
        /// What was found, shortened.
        found: String,
    },
    /// A required field is missing.
    MissingField {
        /// Its name in JSON.
        field: &'static str,
        /// The class that requires it.
        class: &'static str,
    },
    /// A field that the class doesn't have.
    UnknownField {
        /// Its name.
        field: String,
        /// The class that was read.
        class: &'static str,
        /// The fields that it has.
        known: Vec<&'static str>,
    },
    /// A field or map key that occurs twice in one object.
    Duplicate {
        /// Its name.
        field: String,
    },
    /// A class that isn't allowed here.
    UnknownClass {
        /// The name that was found.
        found: String,
        /// The names that are allowed here.
        known: Vec<&'static str>,
    },
    /// A limit of the reader was exceeded.
    Limit {
        /// Which limit, with its value.
        what: String,
    },
    /// A patch operation names something that isn't there.
    NoSuchPath {
        /// The part of the path that wasn't found.
        segment: String,
    },
    /// A value that its type refuses.
    Invalid {
        /// Why.
        reason: String,
    },
}

/// A text that couldn't be read. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    problem: Problem,
    place: Place,
    /// Outermost last: each level pushes its own segment while the error propagates.
    path: Vec<String>,
    /// The innermost class that was being read.
    class: Option<&'static str>,
}

impl ReadError {
    pub(crate) fn new(problem: Problem, place: Place) -> Self {
        Self(Box::new(Inner { problem, place, path: Vec::new(), class: None }))
    }

    /// The same error, one level further out.
    #[must_use]
    pub fn within(mut self, segment: impl AsRef<str>) -> Self {
        // Keys are untrusted input: shortened, and escaped for a terminal.
        self.0.path.push(shorten(segment.as_ref()).escape_debug().to_string());
        self
    }

    /// The same error, in a field of this class, unless it is in one inside that has said so: for classes that are written by hand.
    #[must_use]
    pub fn of_class(mut self, class: &'static str) -> Self {
        self.0.class.get_or_insert(class);
        self
    }

    /// The innermost class that was being read, if there was one.
    pub fn class(&self) -> Option<&'static str> {
        match self.0.problem {
            Problem::MissingField { class, .. } | Problem::UnknownField { class, .. } => Some(class),
            _ => self.0.class,
        }
    }

    /// The same error at another place in the text.
    pub(crate) fn moved(mut self, place: Place) -> Self {
        self.0.place = place;
        self
    }

    /// The problem.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// Where in the text.
    pub fn place(&self) -> Place {
        self.0.place
    }

    /// Where in the object: `links.alice.channels[0].amountLocal`; empty for the whole object.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for segment in self.0.path.iter().rev() {
            if !segment.starts_with('[') && !path.is_empty() {
                path.push('.');
            }
            path.push_str(segment);
        }
        path
    }

    /// The error without its place in the text, for callers that name the place themselves.
    pub fn reason(&self) -> String {
        let path = self.path();
        if path.is_empty() { self.0.problem.to_string() } else { format!("{path}: {}", self.0.problem) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expected { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::MissingField { field, class } => {
                write!(f, "expected the field {field:?} of class {class}, found none")
            }
            Self::UnknownField { field, class, known } => {
                write!(f, "expected a field of class {class} ({}), found {field:?}", known.join(", "))
            }
            Self::Duplicate { field } => write!(f, "expected each field once, found {field:?} twice"),
            Self::UnknownClass { found, known } => {
                write!(f, "expected the class {}, found {found:?}", known.join(" or "))
            }
            Self::Limit { what } => write!(f, "expected {what}, found more"),
            Self::NoSuchPath { segment } => write!(f, "expected a path that exists, found nothing at {segment:?}"),
            Self::Invalid { reason } => f.write_str(reason),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {}, column {})", self.reason(), self.0.place.line, self.0.place.column)
    }
}

impl std::error::Error for ReadError {}

/// A name from untrusted input, short enough for an error message.
pub(crate) fn shorten(name: &str) -> String {
    const SHOWN: usize = 60;
    if name.chars().count() <= SHOWN { name.into() } else { name.chars().take(SHOWN).chain(['…']).collect() }
}
