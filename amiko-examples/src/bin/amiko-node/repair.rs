//! Salvaging a damaged state directory.
//!
//! Invariant: the user has seen what will be lost before agreeing; every file is kept.

use crate::failure::{Failure, chain};
use crate::{owner, screen, verify};
use amiko_core::engine;
use amiko_core::serializable::Json;
use amiko_core::store::{Repair, RepairError};
use amiko_examples::payment::PaymentNode;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn repair(directory: &Path, yes: bool, json: bool) -> Result<ExitCode, Failure> {
    owner::check_directory(directory)?;
    let repair = engine::repair::<PaymentNode>(directory).map_err(|error| failure(&error))?;
    let (version, newest, healthy) = (repair.version(), repair.report().newest, repair.report().is_healthy());
    let files: Vec<String> = repair.aside().iter().map(|path| verify::name(path)).collect();
    if !json {
        verify::show(repair.report());
        screen::say("");
    }
    if !healthy {
        preview(&repair, directory, &files);
        if !yes && !screen::ask("repair it?") {
            return Err(Failure::Refused("nothing was changed: nobody agreed; --yes agrees beforehand".into()));
        }
    }
    let repaired = repair.run().map_err(|error| failure(&error))?;
    if json {
        let aside = repaired.aside.as_deref().map_or(Json::Null, |aside| Json::String(aside.display().to_string()));
        let moved = if healthy { Vec::new() } else { files.into_iter().map(Json::String).collect() };
        screen::print(Json::Object(vec![
            ("repaired".into(), Json::Bool(!healthy)),
            ("version".into(), Json::integer(version)),
            ("newest".into(), Json::integer(newest)),
            ("aside".into(), aside),
            ("moved".into(), Json::Array(moved)),
        ]));
    } else if healthy {
        screen::say(format_args!("nothing is damaged, and nothing was changed: version {version}"));
    } else {
        let directory = screen::plain(&directory.display().to_string());
        screen::say(format_args!("{directory} opens at version {version} now"));
    }
    Ok(ExitCode::SUCCESS)
}

fn preview(repair: &Repair, directory: &Path, files: &[String]) {
    let (version, newest) = (repair.version(), repair.report().newest);
    screen::tell(format_args!("version {version} can be salvaged"));
    match newest.saturating_sub(version) {
        0 => screen::tell("no version is known to be lost"),
        1 => screen::tell(format_args!("version {newest} will be lost")),
        lost => screen::tell(format_args!("versions {} to {newest} will be lost, {lost} at most", version + 1)),
    }
    if !files.is_empty() {
        let files = files.join(", ");
        screen::tell(format_args!("kept aside in {}/damaged-<n>: {files}", directory.display()));
    }
}

fn failure(error: &RepairError) -> Failure {
    match error {
        RepairError::Undecided(_) | RepairError::Nothing { .. } => Failure::Damaged(chain(error)),
        _ => Failure::Refused(chain(error)),
    }
}
