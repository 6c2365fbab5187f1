//! Objects for people: a tree of lines for a terminal.
//!
//! Invariant: a summary shows no secret, no control character and no bidirectional formatting character, and its size
//! is bounded whatever the size of the object.

use super::{Secrets, Serializable, WriteError, Writer};

/// How much a summary shows.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct SummaryLimits {
    /// Entries shown per collection; the others are counted. Default 3.
    pub entries: usize,
    /// Characters of one value. Default 60.
    pub width: usize,
    /// Levels of nesting. Default 8.
    pub depth: usize,
}

impl Default for SummaryLimits {
    fn default() -> Self {
        Self { entries: 3, width: 60, depth: 8 }
    }
}

/// Builds a summary.
#[derive(Debug, Default)]
pub struct Summary {
    out: String,
    depth: usize,
    limits: SummaryLimits,
}

/// The summary of a value, for a terminal.
///
/// ```
/// use amiko_core::prelude::*;
/// use amiko_core::serializable::summary;
///
/// #[derive(Serializable)]
/// struct Account { balance: u64, #[amiko(secret)] pin: Secret<u32>, notes: Vec<String> }
///
/// let notes = (1..=5).map(|number| format!("note {number}")).collect();
/// let account = Account { balance: 7, pin: Secret::new(1234), notes };
/// assert_eq!(summary(&account), "\
/// Account
///   balance: 7
///   pin: (secret)
///   notes: 5
///     note 1
///     note 2
///     note 3
///     … 2 more");
/// ```
pub fn summary<T: Serializable>(value: &T) -> String {
    summary_with(value, SummaryLimits::default())
}

/// The same, with other limits.
pub fn summary_with<T: Serializable>(value: &T, limits: SummaryLimits) -> String {
    let mut out = Summary { limits, ..Summary::default() };
    value.summarize(&mut out);
    out.out
}

impl Summary {
    /// The text of the summary.
    pub fn into_string(self) -> String {
        self.out
    }

    /// Adds a value to the current line: shortened and escaped.
    pub fn text(&mut self, text: &str) {
        for (count, character) in text.chars().enumerate() {
            if count == self.limits.width {
                self.out.push('…');
                return;
            }
            push_plain(&mut self.out, character);
        }
    }

    /// Adds the text that `write` writes, without secrets.
    pub(crate) fn text_by(&mut self, write: impl FnOnce(&mut Writer) -> Result<(), WriteError>) {
        let mut text = Writer::new().with_secrets(Secrets::Hidden);
        match write(&mut text) {
            Ok(()) => self.text(text.as_str()),
            Err(error) => self.text(&error.to_string()),
        }
    }

    /// An object of a class, with its fields.
    pub fn object(&mut self, class: &str, fields: impl FnOnce(&mut Self)) {
        if self.begin_object(class) {
            fields(self);
            self.end_object();
        }
    }

    /// Begins an object of a class; false if its fields aren't shown: for the code that the derive writes.
    #[doc(hidden)]
    pub fn begin_object(&mut self, class: &str) -> bool {
        self.text(class);
        self.deeper()
    }

    /// Ends an object whose fields are shown: for the code that the derive writes.
    #[doc(hidden)]
    pub fn end_object(&mut self) {
        self.depth -= 1;
    }

    /// A field of the current object.
    pub fn field(&mut self, name: &str, value: impl FnOnce(&mut Self)) {
        self.name(name);
        value(self);
    }

    /// The name of a field, whose value follows.
    pub(super) fn name(&mut self, name: &str) {
        self.line();
        self.entry(name);
    }

    /// A collection: its length, and its first entries.
    pub fn collection<I>(&mut self, count: usize, entries: I, mut show: impl FnMut(&mut Self, I::Item))
    where
        I: IntoIterator,
    {
        self.out.push_str(&grouped(count));
        let shown = self.limits.entries;
        self.nested(|out| {
            for entry in entries.into_iter().take(shown) {
                out.line();
                show(out, entry);
            }
            if count > shown {
                out.line();
                let rest = format!("… {} more", grouped(count - shown));
                out.out.push_str(&rest);
            }
        });
    }

    /// The name of an entry of a collection.
    pub fn entry(&mut self, key: &str) {
        self.text(key);
        self.out.push_str(": ");
    }

    fn nested(&mut self, inside: impl FnOnce(&mut Self)) {
        if self.deeper() {
            inside(self);
            self.depth -= 1;
        }
    }

    /// Begins a level; false if it isn't shown.
    fn deeper(&mut self) -> bool {
        let shown = self.depth < self.limits.depth;
        if shown {
            self.depth += 1;
        } else {
            self.out.push_str(" …");
        }
        shown
    }

    fn line(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", self.depth));
    }
}

/// `9997` as `9,997`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Appends a character that is safe on a terminal; control characters and Unicode's bidirectional formatting
/// characters are escaped.
fn push_plain(out: &mut String, character: char) {
    match character {
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
            out.extend(character.escape_unicode());
        }
        control if control.is_control() => out.extend(control.escape_default()),
        other => out.push(other),
    }
}
