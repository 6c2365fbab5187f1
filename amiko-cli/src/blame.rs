//! Who set a value.
//!
//! Invariant: the event that is shown is the last one that changed the value, what it is in, or a part of it.

use crate::arguments::Blame;
use crate::directory::Source;
use crate::failure::Failure;
use crate::output::Output;
use amiko_core::serializable::Json;
use amiko_inspector::reading::{Path, Record, json, plain};
use std::ops::ControlFlow;

/// `amiko blame`.
pub(crate) fn blame(blame: &Blame, secrets: bool, output: &mut Output) -> Result<(), Failure> {
    let source = Source::open(&blame.directory, secrets)?;
    let state = source.load(None)?;
    let path = Path::parse(&blame.path);
    let found = state.tree.at(&path).ok_or_else(|| Failure::no_path(&blame.path, state.version))?;
    let found = source.shown(&path, found);
    let mut last: Option<Record> = None;
    let mut first = None;
    source.records(0, |record| {
        first.get_or_insert(record.version);
        if record.version > state.version {
            return Ok(ControlFlow::Break(()));
        }
        if record.paths().any(|changed| changed.touches(&path)) {
            last = Some(record);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if output.json {
        let fields = [
            ("path", Json::text(&path.to_string())),
            ("value", found),
            ("record", last.map_or(Json::Null, |record| record.json)),
        ];
        return output.document(&Json::Object(fields.map(|(name, value)| (name.to_owned(), value)).to_vec()));
    }
    output.line(&format!("{} = {}", plain(&path.to_string()), plain(&json(&found))))?;
    match (last, first) {
        (Some(record), _) => output.record(&record),
        (None, Some(first)) => output.line(&format!("set before version {first}, the first whose record is kept")),
        (None, None) => output.line("set in the snapshot: no record is kept"),
    }
}
