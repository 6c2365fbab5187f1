//! Messages with their destinations, as text: for the code that the derive writes.

use super::StateMachine;
use crate::serializable::scan::is_plain_name;
use crate::serializable::{ReadError, Reader, Serializable, WriteError, Writer, read_field, take_field, write_value};
use crate::tree::Id;
use std::borrow::Cow;

/// Writes an envelope: for the code that the derive writes.
pub fn write_envelope<M: StateMachine>(out: &mut Writer, to: &Id<M>, message: &M::Message) -> Result<(), WriteError> {
    out.begin_object()?;
    if const { is_plain_name(M::KIND) } {
        out.raw("\"kind\":\"");
        out.raw(M::KIND);
        out.raw("\",\"id\":");
    } else {
        out.raw("\"kind\":");
        out.string(M::KIND);
        out.raw(",\"id\":");
    }
    to.write(out)?;
    out.raw(",\"message\":");
    write_value(message, out)?;
    out.end_object();
    Ok(())
}

/// Reads what follows the kind of an envelope: for the code that the derive writes.
pub fn read_envelope<M: StateMachine>(input: &mut Reader<'_>) -> Result<(Id<M>, M::Message), ReadError> {
    const CLASS: &str = "envelope";
    let (mut id, mut message) = (None, None);
    input.begin_object()?;
    let mut kind = None::<String>;
    while let Some(key) = input.key()? {
        match &*key {
            "kind" => read_field(&mut kind, "kind", CLASS, input)?,
            "id" => read_field(&mut id, "id", CLASS, input)?,
            "message" => read_field(&mut message, "message", CLASS, input)?,
            other => input.unknown_field(other, CLASS, &["kind", "id", "message"])?,
        }
    }
    Ok((take_field(id, "id", CLASS, input)?, take_field(message, "message", CLASS, input)?))
}

/// The kind of the next envelope: for the code that the derive writes.
pub fn peek_kind<'a>(input: &Reader<'a>) -> Result<Cow<'a, str>, ReadError> {
    input.peek_field("kind")?.ok_or_else(|| input.expected("an envelope with a \"kind\""))
}
