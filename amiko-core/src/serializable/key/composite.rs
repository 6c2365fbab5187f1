//! Keys composed of several keys: the texts of the parts, joined by `/`.
//!
//! Invariant: a composite key has one text, plus the hex form that an ASCII writer makes of it; any other is refused.

use super::Key;
use crate::serializable::{Reference, Text, Writer, each_escaped};
use std::borrow::Cow;
use std::str::Split;

/// The readable text that a key's text stands for.
///
/// Unlike a `String`, it has no second form: `!x` and hex is accepted only where an ASCII writer would have written
/// it.
///
/// # Errors
/// What was expected instead.
pub fn readable_key(text: &str) -> Result<Cow<'_, str>, &'static str> {
    match text.strip_prefix('!') {
        None => Ok(Cow::Borrowed(text)),
        Some(rest) if rest.starts_with('!') => Ok(Cow::Borrowed(rest)),
        Some(_) => {
            let readable = String::decode(text)?;
            let mut ascii = Writer::new().with_text(Text::Ascii);
            ascii.text(&readable);
            let same = ascii.as_str().trim_matches('"') == text;
            if same { Ok(Cow::Owned(readable)) } else { Err("readable text, or \"!x\" and hex where it isn't ASCII") }
        }
    }
}

/// The text of several keys: for the code that the derive writes.
#[derive(Default)]
pub struct Joined {
    text: String,
    /// There is a part already; its text may be empty.
    begun: bool,
}

impl Joined {
    /// Appends the text of another part.
    pub fn push(&mut self, part: &str) {
        if std::mem::replace(&mut self.begun, true) {
            self.text.push('/');
        }
        each_escaped(part, |piece| self.text.push_str(piece));
    }

    /// The whole key, encoded as text.
    pub fn encode(mut self) -> Cow<'static, str> {
        if self.text.starts_with('!') {
            self.text.insert(0, '!');
        }
        Cow::Owned(self.text)
    }
}

/// The parts of a composite key, one after the other: for the code that the derive writes.
pub struct Parts<'t> {
    texts: Split<'t, char>,
    expected: &'static str,
}

impl Parts<'_> {
    /// The next part. The functions of `Key` are passed in rather than required by a bound, so that a part that isn't
    /// a key causes only one error.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn part<K>(
        &mut self,
        decode: impl FnOnce(&str) -> Result<K, &'static str>,
        encode: impl FnOnce(&K) -> Cow<'_, str>,
    ) -> Result<K, &'static str> {
        let escaped = self.texts.next().ok_or(self.expected)?;
        if escaped.split('~').skip(1).any(|after| !after.starts_with(['0', '1'])) {
            return Err("~0 for ~ and ~1 for / in each part");
        }
        // In this order, so that "~01" becomes "~1" and not "/".
        let text = escaped.replace("~1", "/").replace("~0", "~");
        let key = decode(&text)?;
        // A part may have a second form on its own, but not inside another key.
        if encode(&key) == text { Ok(key) } else { Err("each part in the form in which it is written") }
    }
}

/// The inverse of [`Joined`]: takes the parts and checks that none is left over.
///
/// # Errors
/// What was expected instead.
pub fn split_key<K>(
    text: &str,
    expected: &'static str,
    take: impl FnOnce(&mut Parts<'_>) -> Result<K, &'static str>,
) -> Result<K, &'static str> {
    let text = readable_key(text)?;
    let mut parts = Parts { texts: text.split('/'), expected };
    let key = take(&mut parts)?;
    if parts.texts.next().is_none() { Ok(key) } else { Err(expected) }
}

/// The schema name of a key with these parts; for a tuple, which has no name, `name` is empty.
pub fn called_key(name: &str, parts: &[String]) -> String {
    // A part that itself has several parts is put in parentheses.
    let parts = parts.iter().map(|part| if part.contains(',') { format!("({part})") } else { part.clone() });
    let space = if name.is_empty() { "" } else { " " };
    format!("key{space}{name} of {}", parts.collect::<Vec<_>>().join(", "))
}

macro_rules! tuples {
    ($($expected:literal: $($name:ident $index:tt),+;)*) => {$(
        impl<$($name: Key),+> Key for ($($name,)+) {
            const EXACT: bool = true $(&& $name::EXACT)+;

            fn schema_name() -> String {
                called_key("", &[$($name::schema_name()),+])
            }

            fn encode(&self) -> Cow<'_, str> {
                let mut joined = Joined::default();
                $(self.$index.with_text(|text| joined.push(text));)+
                joined.encode()
            }

            fn reference(&self, visit: &mut dyn FnMut(Reference<'_>)) {
                $(self.$index.reference(visit);)+
            }

            fn decode(text: &str) -> Result<Self, &'static str> {
                split_key(text, $expected, |parts| Ok(($(parts.part($name::decode, $name::encode)?,)+)))
            }
        }
    )*};
}

tuples! {
    "2 keys joined by /": A 0, B 1;
    "3 keys joined by /": A 0, B 1, C 2;
    "4 keys joined by /": A 0, B 1, C 2, D 3;
}

#[cfg(test)]
mod tests {
    use super::super::tests::{comes_back, refuses};
    use super::*;
    use crate::Id;
    use proptest::prelude::*;

    #[test]
    fn the_text_of_a_tuple_is_readable() {
        assert_eq!((7_u64, "nuts".to_owned()).encode(), "7/nuts");
        assert_eq!(("a/b".to_owned(), "~c".to_owned()).encode(), "a~1b/~0c");
        assert_eq!(("!a".to_owned(), [1_u8, 2]).encode(), "!!!a/!x0102");
        assert_eq!(((1_u8, 2_u8), String::new()).encode(), "1~12/");
        assert_eq!(<((u8, u8), String)>::schema_name(), "key of (key of integer, integer), text");
    }

    #[test]
    fn what_would_be_written_otherwise_is_refused() {
        type Slot = (u64, String);
        refuses::<Slot>(&["", "7", "7/a/b", "07/a", "7/~", "7/~2", "7/!x61", "7/!a", "/a", "!!7/a", "!7/a"]);
        // The hex of "7/a", which is ASCII, and of "7/ä" in capitals.
        refuses::<Slot>(&["!x372f61", "!x372FC3A4", "!x37"]);
        assert_eq!(Slot::decode("!x372fc3a4"), Ok((7, "ä".into())));
        assert_eq!(Slot::decode("7/ä"), Ok((7, "ä".into())));
    }

    #[derive(Clone, crate::Serializable)]
    #[amiko(key = String)]
    struct Shelf {}

    #[test]
    fn a_composite_refers_to_what_its_parts_name() {
        let mut found = Vec::new();
        (7_u8, Id::<Shelf>::new("top")).reference(&mut |reference| found.push(reference.key.into_owned()));
        assert_eq!(found, ["top"]);
    }

    proptest! {
        #[test]
        fn tuples_of_keys_are_read_back(
            one in any::<String>(), other in "[!~/x0-1ä\u{7f}\n]{0,6}", number in any::<i64>(), bytes in any::<[u8; 4]>(),
        ) {
            comes_back((one.clone(), other.clone()));
            comes_back((other.clone(), number, one.clone()));
            comes_back((bytes, other.clone(), (), number));
            comes_back(((other, one), (number, bytes)));
        }
    }
}
