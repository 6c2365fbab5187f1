//! What makes a timer repeat: an optional field of the timer.
//!
//! Invariant: a timer that fires once has no trace of it, neither in its text nor in the schema, so that documents from
//! before there were repeating timers are what they were, byte for byte.

use crate::schedule::{Fields, Schedule};
use crate::serializable::flatten::{FieldName, Flatten};
use crate::serializable::{
    Change, Kept, Patch, Pointer, Problem, ReadError, Reader, Schema, Serializable, Summary, WriteError, Writer, schema,
};

/// When a timer is due again, and what its owner hasn't heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repeat {
    pub(super) schedule: Schedule,
    /// Runs that the owner rejected since the last one that it took.
    pub(super) missed: u64,
}

/// `{"every":"15m"}`, or `{"calendar":"0 9 * * MON-FRI","zone":"Europe/Berlin"}`; with `"missed":2` if some were.
impl Serializable for Repeat {
    const EXACT: bool = true;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.begin_object()?;
        self.schedule.write_fields(out);
        if self.missed > 0 {
            out.key("missed");
            out.integer(self.missed);
        }
        out.end_object();
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        let before = input.clone();
        let (mut fields, mut missed) = (Fields::default(), None);
        input.begin_object()?;
        while let Some(key) = input.key()? {
            match &*key {
                "every" => read_once(&mut fields.every, "every", input)?,
                "calendar" => read_once(&mut fields.calendar, "calendar", input)?,
                "zone" => read_once(&mut fields.zone, "zone", input)?,
                "missed" => read_once(&mut missed, "missed", input)?,
                other => input.unknown_field(other, "repeat", &["every", "calendar", "zone", "missed"])?,
            }
        }
        Ok(Self { schedule: fields.schedule(&before)?, missed: missed.unwrap_or_default() })
    }

    fn weight(&self, kept: Kept) -> usize {
        if kept == Kept::Alone { self.schedule.weight() } else { 0 }
    }

    fn schema(_: &mut Schema) -> String {
        "repeat".into()
    }
}

fn read_once<T: Serializable>(
    slot: &mut Option<T>,
    name: &'static str,
    input: &mut Reader<'_>,
) -> Result<(), ReadError> {
    if slot.is_some() {
        return Err(input.error(Problem::Duplicate { field: name.into() }));
    }
    *slot = Some(T::read(input).map_err(|error| error.within(name))?);
    Ok(())
}

/// The field of a timer: a pointer, since most have none.
#[derive(Debug, Clone, Default)]
pub(super) struct Repeating(Option<Box<Repeat>>);

const NAME: &str = "repeat";

impl From<Repeat> for Repeating {
    fn from(repeat: Repeat) -> Self {
        Self(Some(Box::new(repeat)))
    }
}

impl Repeating {
    pub(super) fn get(&self) -> Option<&Repeat> {
        self.0.as_deref()
    }

    pub(super) fn get_mut(&mut self) -> Option<&mut Repeat> {
        self.0.as_deref_mut()
    }
}

/// What the timer has of it beside its text: as a value by itself it never stands anywhere.
impl Serializable for Repeating {
    const EXACT: bool = true;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        self.0.write(out)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        Serializable::read(input).map(Self)
    }

    #[inline]
    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        if self.0.is_none() && old.0.is_none() {
            return Ok(());
        }
        patch.entry(&NAME.to_owned(), old.0.as_ref(), self.0.as_ref())
    }

    fn weight(&self, kept: Kept) -> usize {
        self.0.as_ref().map_or(0, |repeat| repeat.weight(kept))
    }

    fn apply(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        if let Some((segment, _)) = pointer.split().and_then(|(_, deeper)| deeper.split()) {
            return Err(Pointer::no_such_path(&segment));
        }
        self.0 = match change {
            Change::Add(input) | Change::Replace(input) => Some(Serializable::read(input)?),
            Change::Remove => None,
        };
        Ok(())
    }

    fn schema(_: &mut Schema) -> String {
        NAME.into()
    }
}

impl Flatten for Repeating {
    const NAMES: &'static [FieldName] = &[FieldName::Name(NAME)];

    type Partial = Option<Box<Repeat>>;

    #[inline]
    fn write_fields(&self, out: &mut Writer) -> Result<(), WriteError> {
        let Some(repeat) = &self.0 else { return Ok(()) };
        out.key(NAME);
        repeat.write(out)
    }

    fn partial() -> Self::Partial {
        None
    }

    fn read_in_order(
        partial: &mut Self::Partial,
        class: &'static str,
        input: &mut Reader<'_>,
    ) -> Result<(), ReadError> {
        if input.known_key("\"repeat\":") {
            Self::read_named_field(partial, NAME, class, input).map(drop)
        } else {
            Ok(())
        }
    }

    fn read_named_field(
        partial: &mut Self::Partial,
        name: &str,
        class: &'static str,
        input: &mut Reader<'_>,
    ) -> Result<bool, ReadError> {
        if name != NAME {
            return Ok(false);
        }
        read_once(partial, NAME, input).map_err(|error| error.of_class(class))?;
        Ok(true)
    }

    fn from_partial(partial: Self::Partial, _: &'static str, _: &Reader<'_>) -> Result<Self, ReadError> {
        Ok(Self(partial))
    }

    fn summarize_fields(&self, out: &mut Summary) {
        if let Some(repeat) = &self.0 {
            out.field(NAME, |out| out.text(&repeat.schedule.to_string()));
        }
    }

    /// As it was before there were repeating timers: what is read and written hasn't changed for the others.
    fn describe_fields(_: &mut schema::Fields<'_>) {}
}
