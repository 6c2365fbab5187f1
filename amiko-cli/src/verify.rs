//! Checks all files of a directory that isn't in use.
//!
//! Invariant: it changes nothing, and says everything that is wrong. What only the node's classes know, rules and references, is
//! for the node's own check.

use crate::arguments::Verify;
use crate::directory::Replay;
use crate::failure::Failure;
use crate::output::Output;
use crate::repair;
use amiko_core::serializable::Json;
use amiko_core::store::{Finding, Inspection, Refused, Report, verify as check};
use amiko_inspector::reading::plain;
use amiko_inspector::reading::{Path, Tree};

impl Inspection for Replay {
    fn check(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn compare(&self, _: u64, document: &str) -> Result<(), Refused> {
        let refused = |reason: &str| Refused { reason: reason.to_owned(), byte: 0, line: 1 };
        let found = Tree::from(Json::parse(document).map_err(|_| refused("expected JSON"))?);
        let Some(tree) = &self.tree else { return Ok(()) };
        let at = |tree: &Tree, name: &str| tree.at(&Path::parse(name)).cloned();
        // Another program has lifted it to classes of its own.
        if at(tree, "schema") != at(&found, "schema") {
            return Ok(());
        }
        // Where a document has no place for a table, the table is empty.
        let part = |tree: &Tree, name: &str| {
            at(tree, name).unwrap_or_else(|| Tree::Map(amiko_inspector::reading::Map::default()))
        };
        let differs = ["state", "timers", "connections", "answers", "effects"]
            .iter()
            .find(|name| part(tree, name) != part(&found, name));
        differs.map_or(Ok(()), |name| {
            Err(refused(&format!("expected the {name} that the journal leads to, found others")))
        })
    }

    fn document(&self, version: u64) -> Result<String, String> {
        let tree = self.tree.as_ref().ok_or("expected a snapshot, found none")?;
        repair::document(tree, version).map_err(|error| error.to_string())
    }
}

/// `amiko verify`.
pub(crate) fn verify(verify: &Verify, output: &mut Output) -> Result<(), Failure> {
    let report = check(&verify.directory, Replay::default)?;
    let damage = report.findings.iter().filter(|finding| !finding.is_harmless()).count();
    if output.json {
        output.document(&Json::Object(vec![
            ("newest".into(), Json::integer(report.newest)),
            ("healthy".into(), Json::Bool(report.is_healthy())),
            ("findings".into(), findings(&report)),
        ]))?;
    } else {
        show(&report, output)?;
        if damage == 0 {
            output.line(&format!("no file is damaged; it opens at version {}", report.newest))?;
        }
    }
    if damage == 0 { Ok(()) } else { Err(Failure::Findings { damage }) }
}

/// What was found, for programs.
pub(crate) fn findings(report: &Report) -> Json {
    let finding = |finding: &Finding| {
        Json::Object(vec![
            ("text".into(), Json::text(&finding.to_string())),
            ("harmless".into(), Json::Bool(finding.is_harmless())),
        ])
    };
    Json::Array(report.findings.iter().map(finding).collect())
}

/// The files, and what was found in them.
pub(crate) fn show(report: &Report, output: &mut Output) -> Result<(), Failure> {
    for file in &report.files {
        let versions = file.versions.map_or("no version".into(), |(first, last)| format!("versions {first} to {last}"));
        output.line(&format!("{:>12} bytes  {}: {versions}", file.bytes, name(&file.path)))?;
    }
    for finding in &report.findings {
        let text = plain(&finding.to_string());
        let text =
            if finding.is_harmless() { output.dim(&format!("left by a crash: {text}")) } else { output.bold(&text) };
        output.line(&text)?;
    }
    Ok(())
}

/// The name of a file in the directory.
pub(crate) fn name(path: &std::path::Path) -> String {
    plain(&path.file_name().unwrap_or_default().to_string_lossy())
}
