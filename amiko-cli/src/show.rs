//! A document: all of it, what stands at a path, and what differs between two versions.
//!
//! Invariant: what is left out is counted.

use crate::arguments::{Diff, Export, Show};
use crate::directory::{load, records, version_at};
use crate::failure::Failure;
use crate::output::{Output, Style};
use amiko_inspector::reading::{json, plain};
use amiko_inspector::reading::{Path, Tree};
use amiko_core::serializable::Json;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// `amiko show`.
pub(crate) fn show(show: &Show, output: &mut Output) -> Result<(), Failure> {
    let state = load(&show.directory, version_at(&show.directory, show.at.at.as_deref())?)?;
    let path = Path::parse(&show.path);
    let found = state.tree.at(&path).ok_or_else(|| Failure::no_path(&show.path, state.version))?;
    if output.json {
        return output.document(&found.to_json());
    }
    let title =
        format!("version {}{}", state.version, if path.0.is_empty() { String::new() } else { format!(" {path}") });
    let title = output.bold(&plain(&title));
    output.line(&title)?;
    if !path.0.is_empty() {
        return lines(found, 1, show.entries, output);
    }
    // The rest of a document says how it is kept.
    for part in ["state", "timers", "connections", "answers", "effects"] {
        if let Some(tree) = found.at(&Path::parse(part)) {
            let about = output.dim(&about(tree));
            let part = output.styled(part, Style::Key);
            output.line(&format!("  {part} {about}"))?;
            lines(tree, 2, show.entries, output)?;
        }
    }
    Ok(())
}

/// A value, with its fields below it.
fn lines(tree: &Tree, depth: usize, most: usize, output: &mut Output) -> Result<(), Failure> {
    let indent = "  ".repeat(depth);
    let named: Vec<(String, &Tree)> = match tree {
        Tree::Leaf(leaf) => {
            let leaf = output.leaf(leaf);
            return output.line(&format!("{indent}{leaf}"));
        }
        Tree::List(values) => values.iter().enumerate().map(|(number, value)| (number.to_string(), value)).collect(),
        Tree::Map(map) => {
            map.iter().filter(|(name, _)| *name != "_class").map(|(name, tree)| (name.to_owned(), tree)).collect()
        }
    };
    // An object has all its fields; a table may be long.
    let whole = most == 0 || matches!(tree, Tree::Map(map) if map.get("_class").is_some());
    let shown = if whole { named.len() } else { most };
    for (name, value) in named.iter().take(shown) {
        let name = output.styled(&plain(name), Style::Key);
        match value {
            Tree::Leaf(leaf) => {
                let leaf = output.leaf(leaf);
                output.line(&format!("{indent}{name}: {leaf}"))?;
            }
            inner => {
                let about = output.dim(&about(inner));
                output.line(&format!("{indent}{name} {about}"))?;
                lines(inner, depth + 1, most, output)?;
            }
        }
    }
    if named.len() > shown {
        let rest = output.dim(&format!("{indent}… {} more: --entries 0 shows all", named.len() - shown));
        output.line(&rest)?;
    }
    Ok(())
}

/// The class of an object, or how many entries there are.
fn about(tree: &Tree) -> String {
    match tree {
        Tree::Leaf(_) => String::new(),
        Tree::List(values) => format!("[{}]", values.len()),
        Tree::Map(map) => match map.get("_class") {
            Some(Tree::Leaf(Json::String(class))) => plain(class),
            _ => format!("({})", map.len()),
        },
    }
}

/// `amiko export`.
pub(crate) fn export(export: &Export, output: &mut Output) -> Result<(), Failure> {
    let state = load(&export.directory, version_at(&export.directory, export.at.at.as_deref())?)?;
    output.document(&state.tree.to_json())
}

/// `amiko diff`: of the paths that events between them have changed, those that differ.
pub(crate) fn diff(diff: &Diff, output: &mut Output) -> Result<(), Failure> {
    let from = version_at(&diff.directory, Some(&diff.from))?;
    let to = version_at(&diff.directory, diff.to.as_deref())?;
    let (old, new) = (load(&diff.directory, from)?, load(&diff.directory, to)?);
    let mut paths = BTreeSet::new();
    let (low, high) = (old.version.min(new.version), old.version.max(new.version));
    records(&diff.directory, low + 1, |record| {
        if record.version > high {
            return Ok(ControlFlow::Break(()));
        }
        paths.extend(record.paths().cloned());
        Ok(ControlFlow::Continue(()))
    })?;
    let mut changes = Vec::new();
    let mut covered: Option<Path> = None;
    for path in paths {
        // What stands below a path that was compared was compared with it.
        if covered.as_ref().is_some_and(|above| above.touches(&path)) {
            continue;
        }
        let (before, after) = (old.tree.at(&path), new.tree.at(&path));
        if before != after {
            changes.push((path.clone(), before.map(Tree::to_json), after.map(Tree::to_json)));
        }
        covered = Some(path);
    }
    print(&changes, old.version, new.version, output)
}

type Changed = (Path, Option<Json>, Option<Json>);

fn print(changes: &[Changed], from: u64, to: u64, output: &mut Output) -> Result<(), Failure> {
    if output.json {
        let one = |(path, before, after): &Changed| {
            let mut fields = vec![("path".to_owned(), Json::text(&path.to_string()))];
            fields.extend(before.clone().map(|value| ("from".to_owned(), value)));
            fields.extend(after.clone().map(|value| ("to".to_owned(), value)));
            Json::Object(fields)
        };
        return output.document(&Json::Array(changes.iter().map(one).collect()));
    }
    let title = output.bold(&format!("version {from} to {to}: {} changes", changes.len()));
    output.line(&title)?;
    for (path, before, after) in changes {
        let path = plain(&path.to_string());
        let value = |value: &Json| plain(&json(value));
        let line = match (before, after) {
            (Some(before), Some(after)) => {
                let before = output.styled(&value(before), Style::Removed);
                let after = output.styled(&value(after), Style::Added);
                format!("  {}: {before} → {after}", output.styled(&path, Style::Key))
            }
            (None, Some(after)) => output.styled(&format!("+ {path}: {}", value(after)), Style::Added),
            (Some(before), None) => output.styled(&format!("- {path}: {}", value(before)), Style::Removed),
            (None, None) => continue,
        };
        output.line(&line)?;
    }
    Ok(())
}
