//! The keys of fields as they are in JSON. They are known at code generation, so nothing scans them later.

use proc_macro2::TokenStream;
use quote::quote;

/// A string as it is in JSON, without its quotes: the same text that the `Writer` makes.
fn escaped(text: &str) -> String {
    let mut json = String::new();
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            control if control < ' ' => json.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => json.push(other),
        }
    }
    json
}

/// A key with its quotes and its colon.
pub(super) fn literal(name: &str) -> String {
    format!("\"{}\":", escaped(name))
}

/// Writes the key of a field, always with a comma, because `_class` comes first.
pub(super) fn write(name: &str) -> TokenStream {
    let key = format!(",{}", literal(name));
    quote!(__out.raw(#key);)
}

/// The beginning of an object of this class.
pub(super) fn begin_class(class: &str) -> String {
    format!("{{\"_class\":\"{}\"", escaped(class))
}

/// A field as a segment of a JSON Pointer (RFC 6901) inside a JSON string.
pub(crate) fn piece(name: &str) -> String {
    format!("/{}", escaped(&name.replace('~', "~0").replace('/', "~1")))
}
