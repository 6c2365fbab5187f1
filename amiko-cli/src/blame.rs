//! Who set a value.
//!
//! Invariant: the event that is shown is the last one that changed the value, what it is in, or a part of it.

use crate::arguments::Blame;
use crate::directory::{load, records};
use crate::failure::Failure;
use crate::output::Output;
use amiko_core::serializable::Json;
use amiko_inspector::reading::Path;
use amiko_inspector::reading::Record;
use amiko_inspector::reading::{json, plain};
use std::ops::ControlFlow;

/// `amiko blame`.
pub(crate) fn blame(blame: &Blame, output: &mut Output) -> Result<(), Failure> {
    let state = load(&blame.directory, None)?;
    let path = Path::parse(&blame.path);
    let found = state.tree.at(&path).ok_or_else(|| Failure::no_path(&blame.path, state.version))?;
    let mut last: Option<Record> = None;
    let mut first = None;
    records(&blame.directory, 0, |record| {
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
            ("value", found.to_json()),
            ("record", last.map_or(Json::Null, |record| record.json)),
        ];
        return output.document(&Json::Object(fields.map(|(name, value)| (name.to_owned(), value)).to_vec()));
    }
    output.line(&format!("{} = {}", plain(&path.to_string()), plain(&json(&found.to_json()))))?;
    match (last, first) {
        (Some(record), _) => output.record(&record),
        (None, Some(first)) => output.line(&format!("set before version {first}, the first whose record is kept")),
        (None, None) => output.line("set in the snapshot: no record is kept"),
    }
}
