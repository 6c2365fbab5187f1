//! Checks the files of a stopped node.
//!
//! Invariant: it changes nothing, and reports every fault. A link in conflict is no damage: the files are intact, but
//! they may not be the newest.

use crate::failure::Failure;
use crate::show::moment;
use crate::{screen, summary};
use amiko_core::engine;
use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use amiko_core::store::{FileKind, FileReport, Finding, Report};
use amiko_examples::payment::PaymentNode;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn verify(directory: &Path, json: bool) -> Result<ExitCode, Failure> {
    let report = engine::verify::<PaymentNode>(directory).map_err(|error| Failure::open(&error))?;
    let conflicts = if report.is_healthy() { conflicts(directory, report.newest)? } else { Vec::new() };
    if !json {
        show(&report);
        screen::section("in conflict", &conflicts);
    }
    if report.is_healthy() {
        if json {
            screen::print(document(&report, &conflicts));
        } else {
            let verdict = if conflicts.is_empty() { "all is well" } else { "no file is damaged" };
            let directory = screen::plain(&directory.display().to_string());
            screen::say(format_args!("\n{verdict}: {directory} opens at version {}", report.newest));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let damaged = Failure::Damaged(format!(
        "{} is damaged; nothing was changed: `amiko-node repair --dir {0}` shows what can be salvaged, and asks",
        directory.display()
    ));
    Err(damaged.beside(document(&report, &conflicts)))
}

/// Signs in the state itself that it is older than it should be.
fn conflicts(directory: &Path, version: u64) -> Result<Vec<String>, Failure> {
    let store = Directory::open_at(directory, version).map_err(|error| Failure::open(&error))?;
    let engine = Engine::open(store, Settings::default()).map_err(|error| Failure::engine(&error, directory))?;
    Ok(summary::conflicts(&engine))
}

/// The files, and their faults.
pub(crate) fn show(report: &Report) {
    let rows: Vec<Vec<String>> = report.files.iter().map(row).collect();
    screen::say(screen::table(&["file", "holds", "versions", "bytes", "time"], &rows));
    for (head, harmless) in [("damage", false), ("left by a crash, which opening clears away", true)] {
        let mut findings = report.findings.iter().filter(|finding| finding.is_harmless() == harmless).peekable();
        if findings.peek().is_some() {
            screen::say(format_args!("\n{head}"));
        }
        findings.for_each(|finding| screen::say(format_args!("  {}", screen::plain(&finding.to_string()))));
    }
}

fn row(file: &FileReport) -> Vec<String> {
    let versions = match file.versions {
        Some((first, last)) if first == last => first.to_string(),
        Some((first, last)) => format!("{first}–{last}"),
        None => "none".into(),
    };
    // Before the first event there is no time.
    let time = file.time.filter(|time| time.as_millis() > 0).map(moment).unwrap_or_default();
    vec![name(&file.path), holds(file.kind).into(), versions, file.bytes.to_string(), time]
}

/// The name of a file in its directory.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn holds(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Snapshot => "snapshot",
        FileKind::Journal => "journal",
        _ => "leftover",
    }
}

/// The report as JSON.
fn document(report: &Report, conflicts: &[String]) -> Json {
    let text = |text: &str| Json::String(text.to_owned());
    let object = |fields: Vec<(&str, Json)>| {
        Json::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let file = |file: &FileReport| {
        object(vec![
            ("file", text(&name(&file.path))),
            ("holds", text(holds(file.kind))),
            ("from", file.versions.map_or(Json::Null, |(first, _)| Json::integer(first))),
            ("to", file.versions.map_or(Json::Null, |(_, last)| Json::integer(last))),
            ("bytes", Json::integer(file.bytes)),
            ("time", file.time.map_or(Json::Null, |time| Json::integer(time.as_millis()))),
        ])
    };
    let finding = |finding: &Finding| {
        let (path, place) = finding.place();
        object(vec![
            ("file", text(&name(path))),
            ("line", place.map_or(Json::Null, |(line, _)| Json::integer(line))),
            ("byte", place.map_or(Json::Null, |(_, byte)| Json::integer(byte))),
            ("damage", Json::Bool(!finding.is_harmless())),
            ("text", text(&finding.to_string())),
        ])
    };
    object(vec![
        ("healthy", Json::Bool(report.is_healthy())),
        ("newest", Json::integer(report.newest)),
        ("files", Json::Array(report.files.iter().map(file).collect())),
        ("findings", Json::Array(report.findings.iter().map(finding).collect())),
        ("conflicts", Json::Array(conflicts.iter().map(|conflict| text(conflict)).collect())),
    ])
}
