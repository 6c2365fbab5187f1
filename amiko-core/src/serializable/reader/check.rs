//! Whether a text is JSON that a class could read.

use super::super::Problem;
use super::{ReadError, Reader};
use crate::serializable::shorten;
use std::borrow::Cow;
use std::collections::HashSet;

/// An open nesting level.
enum Level<'a> {
    /// With the names seen so far.
    Object(HashSet<Cow<'a, str>>),
    Array,
}

impl<'a> Reader<'a> {
    /// Skips one value and checks all of it: its grammar, the reader's limits, and that no object has a duplicate
    /// name.
    ///
    /// # Errors
    /// The error, with its place.
    pub(crate) fn check(&mut self) -> Result<(), ReadError> {
        // A loop instead of recursion, as in `skip`.
        let mut open: Vec<Level<'a>> = Vec::new();
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.begin_object()?;
                    open.push(Level::Object(HashSet::new()));
                }
                Some(b'[') => {
                    self.begin_array()?;
                    open.push(Level::Array);
                }
                _ => drop(self.skip()?),
            }
            loop {
                let more = match open.last_mut() {
                    None => return Ok(()),
                    Some(Level::Array) => self.element()?,
                    Some(Level::Object(names)) => self.new_name(names)?,
                };
                if more {
                    break;
                }
                open.pop();
            }
        }
    }

    /// Whether the current object has another name; a duplicate is an error.
    fn new_name(&mut self, names: &mut HashSet<Cow<'a, str>>) -> Result<bool, ReadError> {
        let Some(name) = self.key()? else { return Ok(false) };
        if names.contains(&name) {
            return Err(self.error(Problem::Duplicate { field: shorten(&name) }));
        }
        names.insert(name);
        Ok(true)
    }
}
