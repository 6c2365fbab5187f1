//! What of a text may be shown to people.
//!
//! Invariant: what is returned here can't move a cursor, change the writing direction, hide, or look like nothing, on
//! any terminal. Files keep texts as they are; only what is shown is escaped.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Whether a character is shown as it is. Control, format, private use and unassigned characters, line and paragraph
/// separators, and those that Unicode lets a terminal leave out, are not.
///
/// ```
/// use amiko_examples::printable::is_printable;
/// assert!("a é ß 字 ➜".chars().all(is_printable));
/// assert!(!"\n\u{1b}\u{9b}\u{200b}\u{202e}\u{feff}\u{e0041}".chars().any(is_printable));
/// ```
pub fn is_printable(character: char) -> bool {
    // Most characters are these; searching the table is slow.
    if character.is_ascii() {
        return matches!(character, ' '..='~');
    }
    !is_left_out(character)
        && character.general_category_group() != GeneralCategoryGroup::Other
        && !matches!(character.general_category(), GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator)
}

/// The marks and letters that a terminal may show as nothing: `Default_Ignorable_Code_Point` of `DerivedCoreProperties`
/// as far as no category says it. Unicode adds to its categories each year, but has added one range here in ten years.
fn is_left_out(character: char) -> bool {
    matches!(
        character,
        '\u{34f}' // joins nothing that can be seen
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // letters that fill a place
            | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' // variation selectors
    )
}

/// A text in one line, with everything escaped that isn't printable: `\n`, `\u{202e}`.
///
/// ```
/// assert_eq!(amiko_examples::printable::plain("a\nb \u{1b}[2J"), r"a\nb \u{1b}[2J");
/// ```
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            printable if is_printable(printable) => plain.push(printable),
            '\n' | '\r' | '\t' => plain.extend(character.escape_default()),
            other => plain.extend(other.escape_unicode()),
        }
    }
    plain
}

/// A text as one word of a shell's command line, for advice that people copy.
///
/// ```
/// use amiko_examples::printable::word;
/// assert_eq!((word("to_b"), word("it's b")), ("to_b".to_owned(), r"'it'\''s b'".to_owned()));
/// ```
pub fn word(text: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.');
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A JSON text with the same value, in which everything is escaped that isn't printable: `\u202e`. Newlines between
/// values stay.
///
/// ```
/// assert_eq!(amiko_examples::printable::json("{\"name\":\"\u{202e}\"}"), r#"{"name":"\u202e"}"#);
/// ```
pub fn json(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    for character in text.chars() {
        // A string of JSON has no newline, tab or return, so these stand between values.
        if is_printable(character) || matches!(character, '\n' | '\r' | '\t') {
            json.push(character);
        } else {
            character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| json.push_str(&format!("\\u{unit:04x}")));
        }
    }
    json
}
