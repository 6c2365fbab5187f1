//! Sizes, times, and what there is most of.
//!
//! Invariant: a file that isn't a node's isn't counted.

use crate::arguments::Stat;
use crate::directory::{load, records};
use crate::failure::Failure;
use crate::output::Output;
use amiko_core::serializable::Json;
use amiko_inspector::reading::Tree;
use amiko_inspector::reading::{json, plain, time};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// `amiko stat`.
pub(crate) fn stat(stat: &Stat, output: &mut Output) -> Result<(), Failure> {
    let state = load(&stat.directory, None)?;
    let (mut first, mut last) = (None, None);
    let (mut events, mut rejected) = (0_u64, 0_u64);
    let mut classes: BTreeMap<String, u64> = BTreeMap::new();
    records(&stat.directory, 0, |record| {
        events += 1;
        rejected += u64::from(record.rejected.is_some());
        first.get_or_insert((record.version, record.time));
        last = Some((record.version, record.time));
        *classes.entry(record.class().unwrap_or("(no message)").to_owned()).or_default() += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    let mut tables = tables(&state.tree);
    tables.sort_by_key(|(_, _, bytes)| std::cmp::Reverse(*bytes));
    tables.truncate(stat.tables);
    let files = files(&stat.directory);
    if output.json {
        let number = |number: u64| Json::integer(number);
        let text = |text: &str| Json::text(text);
        let table = |(name, entries, bytes): &(String, usize, usize)| {
            object([("table", text(name)), ("entries", number(*entries as u64)), ("bytes", number(*bytes as u64))])
        };
        return output.document(&object([
            ("version", number(state.version)),
            ("events", number(events)),
            ("rejected", number(rejected)),
            ("first", first.map_or(Json::Null, |(version, _)| number(version))),
            ("bytes", number(files.iter().map(|(_, bytes)| bytes).sum())),
            ("classes", Json::Object(classes.into_iter().map(|(class, count)| (class, number(count))).collect())),
            ("tables", Json::Array(tables.iter().map(table).collect())),
        ]));
    }
    let title = output.bold(&format!("version {}", state.version));
    output.line(&title)?;
    if let (Some((from, begin)), Some((_, end))) = (first, last) {
        output.line(&format!("{events} events since version {from}, {rejected} of them rejected"))?;
        output.line(&format!("from {} to {}", time(begin), time(end)))?;
    }
    for (name, bytes) in &files {
        output.line(&format!("{bytes:>12} bytes  {}", plain(name)))?;
    }
    for (name, entries, bytes) in &tables {
        output.line(&format!("{bytes:>12} bytes  {entries:>8} entries of {}", plain(name)))?;
    }
    let mut classes: Vec<_> = classes.into_iter().collect();
    classes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    classes
        .iter()
        .take(stat.tables)
        .try_for_each(|(class, count)| output.line(&format!("{count:>12} events began with {}", plain(class))))
}

fn object<const N: usize>(fields: [(&str, Json); N]) -> Json {
    Json::Object(fields.map(|(name, value)| (name.to_owned(), value)).to_vec())
}

/// The tables of a document: their names, entries, and bytes.
fn tables(tree: &Tree) -> Vec<(String, usize, usize)> {
    let Tree::Map(document) = tree else { return Vec::new() };
    let of = |prefix: &str, tree: &Tree| -> Vec<(String, usize, usize)> {
        let Tree::Map(map) = tree else { return Vec::new() };
        let tables = map.iter().filter_map(|(name, value)| match value {
            Tree::Map(table) if table.get("_class").is_none() => {
                Some((format!("{prefix}{name}"), table.len(), json(&value.to_json()).len()))
            }
            _ => None,
        });
        tables.collect()
    };
    let mut found = of("", tree);
    found.retain(|(name, ..)| name != "state");
    found.extend(document.get("state").into_iter().flat_map(|state| of("state/", state)));
    found
}

/// The files of the node, with their sizes.
fn files(directory: &std::path::Path) -> Vec<(String, u64)> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let sized = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        let ours = (name.starts_with("snapshot-") && name.ends_with(".json"))
            || (name.starts_with("journal-") && name.ends_with(".jsonl"));
        ours.then(|| Some((name, entry.metadata().ok()?.len())))?
    });
    let mut files: Vec<_> = sized.collect();
    files.sort();
    files
}
