//! The document: the state of the node, its timers and its connections, as one text.
//!
//! Invariant: a snapshot and the journal's patches after it give the same document, byte for byte, as the one in
//! memory.

use super::cause::Cause;
use crate::dispatcher::{Beside, Connection, Pending, Timer};
use crate::machine::Node;
use crate::per_type::PerType;
use crate::serializable::{
    Change, Classes, Json, Patch, Pointer, Problem, ReadError, Reader, Schema, Serializable, WriteError, Writer,
    apply_patch, from_json, read_field, schema, take_field,
};
use crate::store::{Recovery, Refused};
use crate::time::Time;
use crate::tree::{Nothing, Object, StrongReferences, Table, classes_of_node, has_strong};
use crate::version::Version;
use std::any::TypeId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The format of the files that this version writes.
const FORMAT: u32 = 1;
const FIELDS: &[&str] = &["format", "seq", "schema", "state", "timers", "connections", "answers", "effects"];

/// Everything on a node's disk. A copy shares its objects.
#[derive(Clone)]
pub struct Document<N: Node> {
    /// The node.
    pub state: N,
    /// Its timers, its connections, and the answers that it has given.
    pub beside: Beside<N>,
}

impl<N: Node> Document<N> {
    /// A node without anything beside it.
    pub fn new(state: N) -> Self {
        Self { state, beside: Beside::default() }
    }
}

impl<N: Node> From<N> for Document<N> {
    fn from(state: N) -> Self {
        Self::new(state)
    }
}

/// The description of a node's classes. It is made once per type.
pub(super) fn classes<N: Node>() -> Arc<Classes> {
    static KNOWN: PerType<Arc<Classes>> = PerType::new();
    KNOWN.of::<N>(|| Arc::new(classes_of_node::<N>()))
}

/// Writes the document as a snapshot.
pub(super) fn write_document<N: Node>(
    mut out: Writer,
    version: Version,
    state: &N,
    beside: &Beside<N>,
) -> Result<Writer, WriteError> {
    out.begin_object()?;
    out.key("format");
    out.integer(FORMAT);
    out.key("seq");
    out.integer(version.0);
    out.key("schema");
    out.string(&schema::fingerprint::<Document<N>>());
    out.entry_key("state");
    state.write(&mut out)?;
    out.entry_key("timers");
    beside.timers.write(&mut out)?;
    out.entry_key("connections");
    beside.connections.write(&mut out)?;
    // A document without answers or effects is as it was before there were any.
    if !beside.answers.is_empty() {
        out.entry_key("answers");
        beside.answers.write(&mut out)?;
    }
    if !beside.effects.is_empty() {
        out.entry_key("effects");
        beside.effects.write(&mut out)?;
    }
    out.end_object();
    out.outcome(0, Ok(()))?;
    Ok(out)
}

/// Patches have paths like `/state/accounts/alice/balance`: the document as a whole is only ever patched.
impl<N: Node> Serializable for Document<N> {
    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.begin_object()?;
        out.key("state");
        self.state.write(out)?;
        out.key("timers");
        self.beside.timers.write(out)?;
        out.key("connections");
        self.beside.connections.write(out)?;
        if !self.beside.answers.is_empty() {
            out.key("answers");
            self.beside.answers.write(out)?;
        }
        if !self.beside.effects.is_empty() {
            out.key("effects");
            self.beside.effects.write(out)?;
        }
        out.end_object();
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        const CLASS: &str = "document";
        let (mut format, mut sequence, mut schema) = (None::<u32>, None::<u64>, None::<String>);
        let (mut state, mut timers, mut connections) = (None, None, None);
        let (mut answers, mut effects) = (None, None);
        input.begin_object()?;
        while let Some(key) = input.key()? {
            match &*key {
                "format" => read_field(&mut format, "format", CLASS, input)?,
                "seq" => read_field(&mut sequence, "seq", CLASS, input)?,
                "schema" => read_field(&mut schema, "schema", CLASS, input)?,
                "state" => read_field(&mut state, "state", CLASS, input)?,
                "timers" => read_field(&mut timers, "timers", CLASS, input)?,
                "connections" => read_field(&mut connections, "connections", CLASS, input)?,
                "answers" => read_field(&mut answers, "answers", CLASS, input)?,
                "effects" => read_field(&mut effects, "effects", CLASS, input)?,
                other => input.unknown_field(other, CLASS, FIELDS)?,
            }
            if format.is_some_and(|format| format > FORMAT) {
                return Err(input.invalid(format!("expected format {FORMAT}, found a newer one: use a newer version")));
            }
        }
        take_field(format, "format", CLASS, input)?;
        take_field(sequence, "seq", CLASS, input)?;
        take_field(schema, "schema", CLASS, input)?;
        let effects: Table<Pending<N>> = effects.unwrap_or_default();
        tell_apart(&effects).map_err(|reason| input.invalid(reason))?;
        Ok(Self {
            state: take_field(state, "state", CLASS, input)?,
            beside: Beside {
                timers: take_field(timers, "timers", CLASS, input)?,
                connections: take_field(connections, "connections", CLASS, input)?,
                answers: answers.unwrap_or_default(),
                effects,
            },
        })
    }

    fn apply(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        match pointer.split() {
            Some((segment, rest)) => match &*segment {
                "state" => self.state.apply(rest, change),
                "timers" => self.beside.timers.apply(rest, change),
                "connections" => self.beside.connections.apply(rest, change),
                "answers" => self.beside.answers.apply(rest, change),
                "effects" => self.beside.effects.apply(rest, change),
                other => Err(Pointer::no_such_path(other)),
            },
            None => Err(Pointer::no_such_path("")),
        }
    }

    fn schema(schema: &mut Schema) -> String {
        N::schema(schema);
        Timer::<N>::schema(schema);
        // A node without effects has the shape that it had before there were any.
        if TypeId::of::<N::Effects>() != TypeId::of::<Nothing>() {
            Pending::<N>::schema(schema);
        }
        Connection::<N>::schema(schema)
    }
}

/// Whether the numbers and keys of effects, which may have been edited by hand, tell them apart, now and later.
fn tell_apart<N: Node>(effects: &Table<Pending<N>>) -> Result<(), String> {
    // No process asks for so many.
    const LARGEST: u64 = u64::MAX / 2;
    let (mut numbers, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for (id, Pending { number, key, .. }) in effects.iter() {
        if *number > LARGEST {
            return Err(format!("expected an effect with a number of at most {LARGEST}, found {number}: {id}"));
        }
        if !numbers.insert(*number) {
            return Err(format!("expected effects with different numbers, found a second {number}: {id}"));
        }
        if !keys.insert(*key) {
            return Err(format!("expected effects with different keys, found one that another has: {id}"));
        }
    }
    Ok(())
}

/// What has been read back so far.
pub(super) enum Restored<N: Node> {
    /// Nothing, in a new store.
    Nothing,
    /// Objects of this program's classes.
    Typed(Box<Document<N>>),
    /// JSON written by a program with other classes. Its patches refer to the objects as they were there, so they are
    /// applied before anything is read or migrated.
    Foreign(Json),
}

impl<N: Node> Restored<N> {
    /// The document, if there is one, and whether another program has written it.
    pub(super) fn finish(self) -> Result<(Option<Document<N>>, bool), ReadError> {
        match self {
            Self::Nothing => Ok((None, false)),
            Self::Typed(document) => Ok((Some(*document), false)),
            Self::Foreign(json) => Ok((Some(from_json(&json.to_string())?), true)),
        }
    }
}

impl<N: Node> Recovery for Restored<N> {
    fn snapshot(&mut self, _sequence: u64, document: &str) -> Result<(), Refused> {
        let mut input = Reader::new(document);
        let same =
            input.peek_field("schema").map_err(refused)?.as_deref() == Some(&*schema::fingerprint::<Document<N>>());
        *self = if same {
            let read = Document::read(&mut input).and_then(|read| input.end().map(|()| read));
            Self::Typed(Box::new(read.map_err(refused)?))
        } else {
            let json = Json::parse(document).map_err(refused)?;
            // Read as a whole at once, so that a document that can't be migrated is refused with its place.
            from_json::<Document<N>>(document).map_err(refused_by_class)?;
            Self::Foreign(json)
        };
        Ok(())
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        let mut input = Reader::new(record);
        match self {
            Self::Typed(document) => read_record(&mut **document, &mut input).map_err(refused),
            Self::Foreign(json) => read_record(json, &mut input).map_err(refused),
            Self::Nothing => {
                let before = sequence.saturating_sub(1);
                let reason =
                    format!("expected a snapshot of version {before} before it, found none; restore it from a copy");
                Err(Refused { reason, line: 1, byte: 0 })
            }
        }
    }
}

pub(super) fn refused(error: ReadError) -> Refused {
    let place = error.place();
    Refused { reason: error.reason(), line: place.line, byte: place.byte }
}

/// The same for a document of a program with other classes, with the class that can't be read.
fn refused_by_class(error: ReadError) -> Refused {
    let class = error.class();
    let refused = refused(error);
    let Some(class) = class else { return refused };
    Refused { reason: format!("{} (in class {class}, which may need a migration)", refused.reason), ..refused }
}

/// Begins a journal record: the part before the operations of its patch.
pub(super) fn begin_record<N: Node>(
    patch: &mut Patch,
    version: Version,
    time: Time,
    cause: &Cause<N>,
    rejected: Option<&str>,
    limit: usize,
) -> Result<(), WriteError> {
    patch.begin_inside(limit, |out| {
        out.begin_object()?;
        out.raw("\"seq\":");
        out.integer(version.0);
        out.raw(",\"time\":");
        time.write(out)?;
        out.raw(",\"cause\":");
        cause.write(out)?;
        if let Some(reason) = rejected {
            out.raw(",\"rejected\":");
            out.text(reason);
        }
        out.raw(",\"patch\":[");
        Ok(())
    })
}

/// The part after them.
pub(super) const RECORD_END: &str = "]}";

/// Applies one record. Time, cause and rejection are for people.
pub(super) fn read_record<T: Serializable>(document: &mut T, input: &mut Reader<'_>) -> Result<(), ReadError> {
    let mut patched = false;
    input.begin_object()?;
    while let Some(key) = input.key()? {
        match &*key {
            "seq" | "time" | "cause" | "rejected" => drop(input.skip()?),
            "patch" if patched => return Err(input.error(Problem::Duplicate { field: "patch".into() })),
            "patch" => {
                patched = true;
                apply_patch(document, input)?;
            }
            other => input.unknown_field(other, "record", &["seq", "time", "cause", "rejected", "patch"])?,
        }
    }
    if !patched {
        return Err(input.error(Problem::MissingField { field: "patch", class: "record" }));
    }
    input.end()
}

/// Who strongly refers to whom in a node and in the tables beside it.
pub(super) fn references<N: Node>(node: &N, beside: &Beside<N>) -> StrongReferences {
    static KINDS: PerType<Arc<[&'static str]>> = PerType::new();
    let kinds = KINDS.of::<N>(|| {
        let timers = has_strong(Timer::<N>::schema).then_some(Timer::<N>::KIND);
        let connections = has_strong(Connection::<N>::schema).then_some(Connection::<N>::KIND);
        let effects = has_strong(Pending::<N>::schema).then_some(Pending::<N>::KIND);
        N::strong_kinds().into_iter().chain(timers).chain(connections).chain(effects).collect()
    });
    StrongReferences::of(node, kinds, |visit| beside.visit_objects(visit))
}
