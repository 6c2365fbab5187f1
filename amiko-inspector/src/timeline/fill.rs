//! Filling a timeline with a document, entry by entry: it may be large.
//!
//! Invariant: nothing secret comes in.

use super::HIDDEN;
use super::section::Section;
use amiko_core::serializable::{Classes, Json};
use amiko_core::{ReadError, Reader};

/// Whether a text may have something secret in it. An unusual name may be written with escapes.
pub(super) fn may_have_secrets(classes: &Classes, text: &str) -> bool {
    let is_usual = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    classes.secrets().any(|name| !is_usual(name) || text.contains(name))
}

/// The text of a value, without secrets.
fn visible_text(classes: &Classes, text: &str) -> Result<String, ReadError> {
    if !may_have_secrets(classes, text) {
        return Ok(text.to_owned());
    }
    let mut json = Json::parse(text)?;
    classes.hide(&mut json);
    Ok(json.to_string())
}

/// Fills sections with a document, entry by entry: it may be large.
pub(super) fn fill(classes: &Classes, input: &mut Reader<'_>, sections: &mut Vec<Section>) -> Result<(), ReadError> {
    input.begin_object()?;
    while let Some(member) = input.key()? {
        if member == "state" {
            fill_state(classes, input, sections)?;
        } else if let Some(section) = sections.iter_mut().find(|section| section.path == [&*member]) {
            fill_table(classes, input, section)?;
        } else {
            input.skip()?;
        }
    }
    input.end()
}

fn fill_state(classes: &Classes, input: &mut Reader<'_>, sections: &mut Vec<Section>) -> Result<(), ReadError> {
    let mut fields = Vec::new();
    let class = input.peek_field("_class")?;
    input.begin_object()?;
    while let Some(field) = input.key()? {
        let text = input.skip()?;
        if classes.is_secret(&field) {
            fields.push((field.into(), Json::text(HIDDEN).to_string()));
        } else if is_table(classes, class.as_deref(), &field, text) {
            let mut section = Section::new(&["state", &field]);
            fill_table(classes, &mut Reader::new(text), &mut section)?;
            sections.push(section);
        } else {
            fields.push((field.into(), visible_text(classes, text)?));
        }
    }
    sections[0].fill(fields);
    Ok(())
}

fn fill_table(classes: &Classes, input: &mut Reader<'_>, section: &mut Section) -> Result<(), ReadError> {
    let mut entries = Vec::new();
    input.begin_object()?;
    while let Some(key) = input.key()? {
        let text = input.skip()?;
        let text = if classes.is_secret(&key) { Json::text(HIDDEN).to_string() } else { visible_text(classes, text)? };
        entries.push((key.into(), text));
    }
    section.fill(entries);
    Ok(())
}

/// Whether a field of the node has entries, rather than being an object with fields or something else. If its class doesn't say
/// so, its text does.
fn is_table(classes: &Classes, class: Option<&str>, field: &str, text: &str) -> bool {
    let fields = class.and_then(|class| classes.class_named(class)).unwrap_or_default();
    if let Some(ty) = fields.iter().find(|known| known.name == field).and_then(|known| known.ty.as_deref()) {
        return (ty.starts_with("table of ") || ty.starts_with("map of ")) && !ty.ends_with(" or null");
    }
    let mut input = Reader::new(text);
    input.begin_object().is_ok() && !matches!(input.key(), Ok(Some(name)) if name == "_class")
}
