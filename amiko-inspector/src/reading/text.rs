//! What of a state may be shown on a terminal.
//!
//! Invariant: nothing that is shown here can move a cursor, change the writing direction, or look like nothing.

use amiko_core::serializable::Json;
use std::fmt::Write;
use std::time::{Duration, SystemTime};
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// A text in one line, with everything escaped that isn't printable.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        // Nearly all are, and to look up a category takes longer than everything else that is done with a record.
        if (' '..='~').contains(&character) {
            plain.push(character);
            continue;
        }
        let hidden = character.general_category_group() == GeneralCategoryGroup::Other
            || matches!(
                character.general_category(),
                GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator
            );
        match character {
            '\n' | '\r' | '\t' => plain.extend(character.escape_default()),
            _ if hidden => plain.extend(character.escape_unicode()),
            printable => plain.push(printable),
        }
    }
    plain
}

/// The text of a value in one line.
pub fn json(json: &Json) -> String {
    json.to_string()
}

/// A moment, in UTC; in milliseconds since 1970 if its year has more than four digits.
pub fn time(millis: u64) -> String {
    let moment = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis));
    let mut text = String::new();
    match moment.map(|moment| write!(text, "{}", humantime::format_rfc3339_millis(moment))) {
        Some(Ok(())) => text,
        _ => format!("{millis} ms"),
    }
}
