//! A node on its way from a directory into another one, into a database, or back.
//!
//! Invariant: what it is copied from isn't changed; there is a whole copy in the end, or none.

use crate::arguments::Copy;
use crate::database::Address;
use crate::directory::Replay;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::verify::show;
use amiko_core::serializable::Json;
use amiko_core::store::{Backup, Finding, backup, verify};
use amiko_inspector::reading::plain;
use amiko_postgres::{Copied, export_checked, import};
use std::path::Path;

/// `amiko copy`.
pub(crate) fn copy(copy: &Copy, output: &mut Output) -> Result<(), Failure> {
    let copied: Numbers = match (Address::parse(&copy.from)?, Address::parse(&copy.to)?) {
        (None, Some(to)) => {
            // That the journal leads to each snapshot is more than checksums tell.
            let report = verify(&copy.from, Replay::default)?;
            if !report.is_healthy() {
                show(&report, output)?;
                let damage = report.findings.iter().filter(|finding| !finding.is_harmless()).count();
                return Err(Failure::Findings { damage });
            }
            let mut progress = Progress::begin();
            import(&copy.from, &to.url, &to.node, |_| progress.event())?.into()
        }
        (Some(from), None) => {
            let mut progress = Progress::begin();
            export_checked(&from.url, &from.node, &copy.to, check, |_| progress.event())?.into()
        }
        (None, None) => {
            let mut progress = Progress::begin();
            backup(&copy.from, &copy.to, check_backup, |_| progress.event())?.into()
        }
        (Some(_), Some(_)) => return Err(one_of_each("two nodes in databases")),
    };
    if output.json {
        return output.document(&copied.document());
    }
    let Numbers { first, last, records, snapshots, bytes } = copied;
    let to = Address::parse(&copy.to)?.map_or_else(|| plain(&copy.to.to_string_lossy()), |to| to.shown());
    let copied = output.bold(&format!("copied versions {first} to {last} to {to}"));
    output.line(&copied)?;
    output.line(&format!("{records} records and {snapshots} snapshots, {bytes} bytes: read back, and the same"))
}

/// What is wrong with a copy, and so with what it was copied from. The places are those of files that nobody has.
fn check(path: &Path) -> Result<(), String> {
    let report = verify(path, Replay::default).map_err(|error| error.to_string())?;
    let damage = report.findings.iter().filter(|finding| !finding.is_harmless()).map(Finding::to_string);
    match damage.reduce(|all, one| format!("{all}\n{one}")) {
        None => Ok(()),
        // The files have no other names in the database.
        Some(damage) => Err(format!("nothing was copied: {damage}").replace(&*path.to_string_lossy(), "postgres")),
    }
}

/// The same of a directory, whose own files say better where it is.
fn check_backup(path: &Path) -> Result<(), String> {
    check(path).map_err(|_| {
        "nothing was copied, as the journal doesn't lead to what it should: `amiko verify` says where, once the node has stopped".into()
    })
}

fn one_of_each(found: &str) -> Failure {
    let expected = "expected a directory, or one and a node in a database, as postgres://user@host/database#node";
    Failure::Usage(format!("{expected}, found {found}"))
}

/// What was copied.
struct Numbers {
    first: u64,
    last: u64,
    records: u64,
    snapshots: u64,
    bytes: u64,
}

impl From<Copied> for Numbers {
    fn from(copied: Copied) -> Self {
        let Copied { first, last, records, snapshots, bytes, .. } = copied;
        Self { first, last, records, snapshots, bytes }
    }
}

impl From<Backup> for Numbers {
    fn from(copied: Backup) -> Self {
        let Backup { first, last, records, snapshots, bytes, .. } = copied;
        Self { first, last, records, snapshots, bytes }
    }
}

impl Numbers {
    /// For programs.
    fn document(&self) -> Json {
        let fields = [
            ("first", self.first),
            ("last", self.last),
            ("records", self.records),
            ("snapshots", self.snapshots),
            ("bytes", self.bytes),
        ];
        Json::Object(fields.map(|(name, number)| (name.to_owned(), Json::integer(number))).to_vec())
    }
}
