//! The path to the place where a value's text ends. It is found from the text, so that normal writing pays nothing
//! for it.

/// An open nesting level.
enum Level<'t> {
    /// With the key of the current entry; none before the first.
    Object(Option<&'t str>),
    Array(usize),
}

/// The path to the end of a partly written text: `links.alice.channels[0].amountLocal`; empty for the whole value.
pub(super) fn of_the_end(text: &str) -> String {
    shown(&levels(text))
}

fn levels(text: &str) -> Vec<Level<'_>> {
    let mut levels = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.as_bytes().get(at) {
        at += 1;
        match byte {
            b'{' => levels.push(Level::Object(None)),
            b'[' => levels.push(Level::Array(0)),
            b'}' | b']' => drop(levels.pop()),
            b',' => match levels.last_mut() {
                Some(Level::Object(key)) => *key = None,
                Some(Level::Array(index)) => *index += 1,
                None => {}
            },
            b'"' => {
                let length = string(&text.as_bytes()[at..]);
                if let Some(Level::Object(key @ None)) = levels.last_mut() {
                    *key = text.get(at..at + length);
                }
                at += length + 1;
            }
            _ => {}
        }
    }
    levels
}

/// The length of the string that begins here, up to its closing quote or the end of the text.
fn string(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn shown(levels: &[Level<'_>]) -> String {
    /// Levels shown of a value that is nested too deeply.
    const SHOWN: usize = 16;
    let mut path = String::new();
    for level in levels.iter().take(SHOWN) {
        match level {
            Level::Array(index) => path.push_str(&format!("[{index}]")),
            Level::Object(Some(key)) => {
                path.push_str(if path.is_empty() { "" } else { "." });
                path.push_str(&crate::serializable::shorten(key));
            }
            Level::Object(None) => {}
        }
    }
    if levels.len() > SHOWN {
        path.push('…');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::of_the_end;

    #[test]
    fn the_path_leads_to_where_the_text_breaks_off() {
        for (text, path) in [
            ("", ""),
            (
                "{\"_class\":\"Bank\",\"accounts\":{\n\"al\\\"ice\":{\"notes\":[1,{\"a\":\"}\"},",
                "accounts.al\\\"ice.notes[2]",
            ),
            ("[[1,2],[3],{\"key\":", "[2].key"),
            ("{\"a\":\"", "a"),
            ("{\"a\":1,", ""),
            ("[", "[0]"),
            ("\\", ""),
        ] {
            assert_eq!(of_the_end(text), path, "{text}");
        }
        assert_eq!(of_the_end(&"[".repeat(1000)), format!("{}…", "[0]".repeat(16)));
    }
}
