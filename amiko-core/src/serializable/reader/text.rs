//! Text and bytes: the meaning of a JSON string, where a leading `!` is special.

use super::{ReadError, Reader};
use std::borrow::Cow;

impl<'a> Reader<'a> {
    /// Readable text: the inverse of [`Writer::text`](crate::serializable::Writer::text), and of
    /// [`Writer::bytes`](crate::serializable::Writer::bytes) if the bytes are UTF-8.
    ///
    /// # Errors
    /// The next value isn't a string, or a `!` isn't followed by `!` or by `x` and hex.
    #[inline]
    pub fn text(&mut self) -> Result<Cow<'a, str>, ReadError> {
        let start = self.at;
        let string = self.string()?;
        if !string.starts_with('!') {
            return Ok(string);
        }
        match decode(string) {
            Ok(Decoded::Text(text)) => Ok(text),
            Ok(Decoded::Bytes(bytes)) => {
                String::from_utf8(bytes).map(Cow::Owned).map_err(|_| self.expected_at(start, "text, not binary".into()))
            }
            Err(expected) => Err(self.expected_at(start, expected.into())),
        }
    }

    /// Bytes: `!x` and hex; a readable string stands for its own bytes.
    ///
    /// # Errors
    /// As [`Reader::text`].
    pub fn bytes(&mut self) -> Result<Vec<u8>, ReadError> {
        let start = self.at;
        let string = self.string()?;
        match decode(string) {
            Ok(Decoded::Text(text)) => Ok(text.into_owned().into_bytes()),
            Ok(Decoded::Bytes(bytes)) => Ok(bytes),
            Err(expected) => Err(self.expected_at(start, expected.into())),
        }
    }
}

enum Decoded<'a> {
    Text(Cow<'a, str>),
    Bytes(Vec<u8>),
}

fn decode(string: Cow<'_, str>) -> Result<Decoded<'_>, &'static str> {
    let Some(rest) = string.strip_prefix('!') else { return Ok(Decoded::Text(string)) };
    if let Some(digits) = rest.strip_prefix('x') {
        // const-hex also accepts the prefix `0x`, which isn't part of this format.
        let good = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bytes = if good { hex::decode(digits).ok() } else { None };
        return bytes.map(Decoded::Bytes).ok_or("\"!x\" and an even number of hex digits");
    }
    if rest.starts_with('!') {
        return Ok(Decoded::Text(Cow::Owned(rest.to_owned())));
    }
    Err("\"!x\" and hex, or \"!!\" and text")
}

/// Decodes a key that was written by [`encode_key`].
pub(crate) fn decode_key(key: &str) -> Result<Vec<u8>, &'static str> {
    match decode(Cow::Borrowed(key))? {
        Decoded::Text(text) => Ok(text.into_owned().into_bytes()),
        Decoded::Bytes(bytes) => Ok(bytes),
    }
}
