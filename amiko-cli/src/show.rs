//! A document: all of it, what stands at a path, and what differs between two versions.
//!
//! Invariant: what is left out is counted.

use crate::arguments::{Diff, Export, Show};
use crate::directory::Source;
use crate::failure::Failure;
use crate::output::{Output, Style};
use amiko_core::serializable::Json;
use amiko_inspector::reading::{Path, Tree, json, plain};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// `amiko show`.
pub(crate) fn show(show: &Show, secrets: bool, output: &mut Output) -> Result<(), Failure> {
    let source = Source::open(&show.directory, secrets)?;
    let state = source.load(source.version_at(show.at.at.as_deref())?)?;
    let path = Path::parse(&show.path);
    let found = state.tree.at(&path).ok_or_else(|| Failure::no_path(&show.path, state.version))?;
    let found = &Tree::from(source.shown(&path, found));
    let page = match &show.from {
        Some(key) => Some(page_after(found, key, show)?),
        None => None,
    };
    if output.json {
        let entry = |(name, tree): (String, &Tree)| (name, tree.to_json());
        return output.document(&match page {
            Some(page) if matches!(found, Tree::List(_)) => {
                Json::Array(page.shown.into_iter().map(|(_, tree)| tree.to_json()).collect())
            }
            Some(page) => Json::Object(page.shown.into_iter().map(entry).collect()),
            None => found.to_json(),
        });
    }
    let title =
        format!("version {}{}", state.version, if path.0.is_empty() { String::new() } else { format!(" {path}") });
    let title = output.bold(&plain(&title));
    output.line(&title)?;
    if !path.0.is_empty() {
        let Some(page) = page.or_else(|| Page::of(found, show.entries)) else { return leaf(found, output) };
        fields(&page, 1, show.entries, output)?;
        let next = page.shown.last().and_then(|(key, _)| next(show, state.version, key));
        return rest(&page, 1, &next.unwrap_or_else(|| ALL.into()), output);
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

const ALL: &str = "--entries 0 shows all";

/// Fields of an object, or entries of a table or a list.
struct Page<'t> {
    shown: Vec<(String, &'t Tree)>,
    /// How many follow.
    rest: usize,
}

impl<'t> Page<'t> {
    /// All fields of an object; at most so many entries of a table, or all if that is 0. None if it is neither.
    fn of(tree: &'t Tree, most: usize) -> Option<Self> {
        Self::beginning(tree, most, 0)
    }

    fn beginning(tree: &'t Tree, most: usize, at: usize) -> Option<Self> {
        let (named, count): (Box<dyn Iterator<Item = (String, &'t Tree)>>, usize) = match tree {
            Tree::Leaf(_) => return None,
            Tree::List(values) => {
                (Box::new(values.iter().enumerate().map(|(at, value)| (at.to_string(), value))), values.len())
            }
            Tree::Map(map) => {
                let named = map.iter().filter(|(name, _)| *name != CLASS);
                (Box::new(named.map(|(name, tree)| (name.to_owned(), tree))), map.len())
            }
        };
        let whole = most == 0 || is_object(tree);
        let shown: Vec<_> = named.skip(at).take(if whole { usize::MAX } else { most }).collect();
        let rest = if whole { 0 } else { count.saturating_sub(at).saturating_sub(shown.len()) };
        Some(Self { shown, rest })
    }
}

const CLASS: &str = "_class";

fn is_object(tree: &Tree) -> bool {
    matches!(tree, Tree::Map(map) if map.get(CLASS).is_some())
}

/// The entries after one of them, in the order of the document.
fn page_after<'t>(tree: &'t Tree, key: &str, show: &Show) -> Result<Page<'t>, Failure> {
    let at = match tree {
        Tree::Map(map) if !is_object(tree) => map.iter().position(|(name, _)| name == key),
        Tree::List(values) => key.parse().ok().filter(|at| *at < values.len()),
        _ => {
            let path = plain(&show.path);
            return Err(Failure::Usage(format!("expected a table or a list at {path:?} for --from, found neither")));
        }
    };
    let missing = || {
        let (key, path) = (plain(key), plain(&show.path));
        Failure::Missing(format!("expected an entry {key:?} in {path:?} for --from, found none"))
    };
    at.and_then(|at| Page::beginning(tree, show.entries, at + 1)).ok_or_else(missing)
}

/// The command that shows the next page, as of the same version; none if it has something that a line can't show.
fn next(show: &Show, version: u64, key: &str) -> Option<String> {
    let directory = quoted(show.directory.to_str()?)?;
    let (path, key) = (quoted(&show.path)?, quoted(key)?);
    Some(format!("amiko show {directory} {path} --at={version} --entries={} --from={key}", show.entries))
}

/// A word for a shell.
fn quoted(word: &str) -> Option<String> {
    let bare = |character: char| character.is_ascii_alphanumeric() || "/._-~:@+,".contains(character);
    if plain(word) != word {
        return None;
    }
    if !word.is_empty() && !word.starts_with('~') && word.chars().all(bare) {
        return Some(word.to_owned());
    }
    Some(format!("'{}'", word.replace('\'', r"'\''")))
}

/// A value, with its fields below it.
fn lines(tree: &Tree, depth: usize, most: usize, output: &mut Output) -> Result<(), Failure> {
    let Some(page) = Page::of(tree, most) else { return leaf(tree, output) };
    fields(&page, depth, most, output)?;
    rest(&page, depth, ALL, output)
}

/// All that there is to show.
fn leaf(tree: &Tree, output: &mut Output) -> Result<(), Failure> {
    let Tree::Leaf(leaf) = tree else { return Ok(()) };
    let leaf = output.leaf(leaf);
    output.line(&format!("  {leaf}"))
}

fn fields(page: &Page<'_>, depth: usize, most: usize, output: &mut Output) -> Result<(), Failure> {
    let indent = "  ".repeat(depth);
    for (name, value) in &page.shown {
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
    Ok(())
}

/// How many aren't shown, and how they would be.
fn rest(page: &Page<'_>, depth: usize, how: &str, output: &mut Output) -> Result<(), Failure> {
    if page.rest == 0 {
        return Ok(());
    }
    let rest = output.dim(&format!("{}… {} more: {how}", "  ".repeat(depth), page.rest));
    output.line(&rest)
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
pub(crate) fn export(export: &Export, secrets: bool, output: &mut Output) -> Result<(), Failure> {
    let source = Source::open(&export.directory, secrets)?;
    let state = source.load(source.version_at(export.at.at.as_deref())?)?;
    output.document(&source.shown(&Path::default(), &state.tree))
}

/// `amiko diff`: of the paths that events between them have changed, those that differ.
pub(crate) fn diff(diff: &Diff, secrets: bool, output: &mut Output) -> Result<(), Failure> {
    let source = Source::open(&diff.directory, secrets)?;
    let from = source.version_at(Some(&diff.from))?;
    let to = source.version_at(diff.to.as_deref())?;
    let (old, new) = (source.load(from)?, source.load(to)?);
    let mut paths = BTreeSet::new();
    let (low, high) = (old.version.min(new.version), old.version.max(new.version));
    source.records(low + 1, |record| {
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
            let shown = |tree: Option<&Tree>| tree.map(|tree| source.shown(&path, tree));
            changes.push((path.clone(), shown(before), shown(after)));
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
