//! A node on its way from a directory into a database, or back.
//!
//! Invariant: what it is copied from isn't in use, and isn't changed; there is a whole copy in the end, or none.

use crate::arguments::Copy;
use crate::database::Address;
use crate::directory::Replay;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::verify::show;
use amiko_core::serializable::Json;
use amiko_core::store::{Finding, verify};
use amiko_inspector::reading::plain;
use amiko_postgres::{Copied, export_checked, import};
use std::path::Path;

/// `amiko copy`.
pub(crate) fn copy(copy: &Copy, output: &mut Output) -> Result<(), Failure> {
    let copied = match (Address::parse(&copy.from)?, Address::parse(&copy.to)?) {
        (None, Some(to)) => {
            // That the journal leads to each snapshot is more than checksums tell.
            let report = verify(&copy.from, Replay::default)?;
            if !report.is_healthy() {
                show(&report, output)?;
                let damage = report.findings.iter().filter(|finding| !finding.is_harmless()).count();
                return Err(Failure::Findings { damage });
            }
            let mut progress = Progress::begin();
            import(&copy.from, &to.url, &to.node, |_| progress.event())?
        }
        (Some(from), None) => {
            let mut progress = Progress::begin();
            export_checked(&from.url, &from.node, &copy.to, check, |_| progress.event())?
        }
        (None, None) => return Err(one_of_each("two directories")),
        (Some(_), Some(_)) => return Err(one_of_each("two nodes in databases")),
    };
    if output.json {
        return output.document(&document(&copied));
    }
    let Copied { first, last, records, snapshots, bytes, .. } = copied;
    let to = Address::parse(&copy.to)?.map_or_else(|| plain(&copy.to.to_string_lossy()), |to| to.shown());
    let copied = output.bold(&format!("copied versions {first} to {last} to {to}"));
    output.line(&copied)?;
    output.line(&format!("{records} records and {snapshots} snapshots, {bytes} bytes: read back, and the same"))
}

/// What is wrong with a copy, and so with what it was copied from.
fn check(path: &Path) -> Result<(), String> {
    let report = verify(path, Replay::default).map_err(|error| error.to_string())?;
    let damage = report.findings.iter().filter(|finding| !finding.is_harmless()).map(Finding::to_string);
    match damage.reduce(|all, one| format!("{all}\n{one}")) {
        None => Ok(()),
        // The files have no other names in the database.
        Some(damage) => Err(format!("nothing was copied: {damage}").replace(&*path.to_string_lossy(), "postgres")),
    }
}

fn one_of_each(found: &str) -> Failure {
    let expected = "expected a directory and a node in a database, as postgres://user@host/database#node";
    Failure::Usage(format!("{expected}, found {found}"))
}

/// What was copied, for programs.
fn document(copied: &Copied) -> Json {
    let fields = [
        ("first", copied.first),
        ("last", copied.last),
        ("records", copied.records),
        ("snapshots", copied.snapshots),
        ("bytes", copied.bytes),
    ];
    Json::Object(fields.map(|(name, number)| (name.to_owned(), Json::integer(number))).to_vec())
}
