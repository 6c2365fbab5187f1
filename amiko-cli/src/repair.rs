//! Salvages a damaged directory, without the classes of its node.
//!
//! Invariant: it changes nothing without `--yes`, and removes nothing with it. What only the node's classes know, its rules and
//! strong references, isn't checked; `amiko_core::engine::repair` does that.

use crate::arguments::Repair;
use crate::directory::Replay;
use crate::failure::Failure;
use crate::output::Output;
use crate::verify::{findings, name, show};
use amiko_core::WriteError;
use amiko_core::serializable::{Json, Lines, Serializable, Writer};
use amiko_core::store::Repair as Plan;
use amiko_inspector::reading::Tree;
use amiko_inspector::reading::plain;

/// `amiko repair`.
pub(crate) fn repair(repair: &Repair, output: &mut Output) -> Result<(), Failure> {
    let plan = Plan::plan(&repair.directory, Replay::default)?;
    let healthy = plan.report().is_healthy();
    let json = if output.json { Some(fields(&plan)?) } else { None };
    if json.is_none() {
        show(plan.report(), output)?;
        if healthy {
            return output.line(&format!("no file is damaged, and nothing was changed: version {}", plan.version()));
        }
        preview(&plan, output)?;
    }
    let done = repair.yes && !healthy;
    if done {
        // Whoever can't be told what it does may not want it.
        output.flush()?;
        let repaired = plan.run()?;
        if json.is_none() {
            let directory = plain(&repair.directory.to_string_lossy());
            output.line(&format!("done: {directory} opens at version {} now", repaired.version))?;
        }
    }
    if let Some(mut fields) = json {
        fields.push(("repaired".into(), Json::Bool(done)));
        output.document(&Json::Object(fields))?;
    }
    if done || healthy { Ok(()) } else { Err(Failure::Unrepaired) }
}

/// The plan, for programs.
fn fields(plan: &Plan) -> Result<Vec<(String, Json)>, Failure> {
    let destination = plan.destination()?;
    let moved = if destination.is_some() { plan.aside() } else { &[] };
    let text = |path: &std::path::PathBuf| Json::text(&path.to_string_lossy());
    Ok(vec![
        ("version".into(), Json::integer(plan.version())),
        ("newest".into(), Json::integer(plan.report().newest)),
        ("lost".into(), Json::integer(lost(plan))),
        ("findings".into(), findings(plan.report())),
        ("aside".into(), destination.as_ref().map_or(Json::Null, text)),
        ("moved".into(), Json::Array(moved.iter().map(|path| Json::text(&name(path))).collect())),
    ])
}

fn lost(plan: &Plan) -> u64 {
    plan.report().newest.saturating_sub(plan.version())
}

/// The plan, for people.
fn preview(plan: &Plan, output: &mut Output) -> Result<(), Failure> {
    let (version, newest) = (plan.version(), plan.report().newest);
    let salvaged = output.bold(&format!("version {version} can be salvaged"));
    output.line(&salvaged)?;
    output.line(&match lost(plan) {
        0 => "no version is known to be lost".to_owned(),
        1 => format!("lost: version {newest}"),
        lost => format!("lost: versions {} to {newest}, {lost} at most", version.saturating_add(1)),
    })?;
    if let Some(destination) = plan.destination()? {
        output.line(&format!("put aside in {}:", plain(&destination.to_string_lossy())))?;
        plan.aside().iter().try_for_each(|path| output.line(&format!("  {}", name(path))))?;
        output.line(&format!(
            "so the history begins anew: `log`, `blame` and `show --at` see nothing before {version}"
        ))?;
    }
    let unchecked = "not checked, because it takes the classes of the node: its rules, and strong references";
    let unchecked = output.dim(unchecked);
    output.line(&unchecked)
}

/// The text of a document as of a version, as an engine writes it, with a line for each entry of a table; entries of tables keep the
/// order of the files, where an engine sorts them by their keys.
pub(crate) fn document(tree: &Tree, version: u64) -> Result<String, WriteError> {
    let mut json = tree.to_json();
    json.set("seq", Json::integer(version));
    let mut out = Writer::new().with_lines(Lines::PerEntry);
    write(&json, Part::Document, &mut out)?;
    // What no engine could read back is an error here, and not a snapshot.
    out.finish()
}

/// Of a document, what has lines of its own.
#[derive(Clone, Copy)]
enum Part {
    Document,
    State,
    Table,
}

fn write(json: &Json, part: Part, out: &mut Writer) -> Result<(), WriteError> {
    let Json::Object(members) = json else { return json.write(out) };
    out.begin_object()?;
    for (name, value) in members {
        match (part, name.as_str()) {
            (Part::State, _) | (Part::Document, "format" | "seq" | "schema") => out.key(name),
            (Part::Document | Part::Table, _) => out.entry_key(name),
        }
        match part {
            Part::Document if name == "state" => write(value, Part::State, out)?,
            Part::Document | Part::State if is_table(value) => write(value, Part::Table, out)?,
            _ => value.write(out)?,
        }
    }
    out.end_object();
    Ok(())
}

/// Whether it has objects by their keys.
fn is_table(json: &Json) -> bool {
    let Json::Object(members) = json else { return false };
    json.get("_class").is_none() && members.iter().all(|(_, value)| value.get("_class").is_some())
}
