//! Sizes, times, rates, and what there is most of.
//!
//! Invariant: a file that isn't a node's isn't counted; beside the document, memory is bounded by an hour's seconds, the classes, and
//! what is listed.

use crate::arguments::Stat;
use crate::directory::Source;
use crate::failure::Failure;
use crate::output::Output;
use crate::phases;
use amiko_core::serializable::Json;
use amiko_inspector::reading::Record;
use amiko_inspector::reading::{Map, Path, Tree};
use amiko_inspector::reading::{json, plain, time};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::ops::ControlFlow;
use std::time::SystemTime;

/// `amiko stat`.
pub(crate) fn stat(stat: &Stat, secrets: bool, output: &mut Output) -> Result<(), Failure> {
    let source = Source::open(&stat.directory, secrets)?;
    if stat.phases {
        return phases::stat(&source, output);
    }
    let mut state = source.load(None)?;
    // A key may be inside of a secret.
    state.tree = Tree::from(source.shown(&Path::default(), &state.tree));
    let mut journal = Journal::default();
    source.records(0, |record| {
        journal.count(&record);
        Ok(ControlFlow::Continue(()))
    })?;
    let mut tables = tables(&state.tree, stat.objects);
    tables.list.sort_by_key(|table| Reverse(table.bytes));
    tables.list.truncate(stat.tables);
    let objects = tables.biggest();
    let tables = tables.list;
    let files = files(&stat.directory);
    if output.json {
        return output.document(&document(state.version, &journal, &files, &tables, &objects));
    }
    let title = output.bold(&format!("version {}", state.version));
    output.line(&title)?;
    journal.lines().iter().try_for_each(|line| output.line(line))?;
    for File { name, bytes, .. } in files.iter().filter(|file| file.snapshot.is_none()) {
        output.line(&format!("{bytes:>12} bytes  {}", plain(name)))?;
    }
    for File { name, bytes, snapshot, written } in &files {
        let Some(version) = snapshot else { continue };
        let behind = state.version.saturating_sub(*version);
        let written = written.map_or_else(String::new, |millis| format!(", written {}", time(millis)));
        output.line(&format!("{bytes:>12} bytes  {}: {behind} versions ago{written}", plain(name)))?;
    }
    for Table { name, entries, bytes } in &tables {
        output.line(&format!("{bytes:>12} bytes  {entries:>8} entries of {}", plain(name)))?;
    }
    for (bytes, path) in &objects {
        output.line(&format!("{bytes:>12} bytes  {}", plain(path)))?;
    }
    let mut classes: Vec<_> = journal.classes.into_iter().collect();
    classes.sort_by_key(|(_, count)| Reverse(*count));
    classes
        .iter()
        .take(stat.tables)
        .try_for_each(|(class, count)| output.line(&format!("{count:>12} events began with {}", plain(class))))
}

fn document(version: u64, journal: &Journal, files: &[File], tables: &[Table], objects: &[(usize, String)]) -> Json {
    let number = |number: u64| Json::integer(number);
    let size = |size: usize| Json::integer(size as u64);
    let table = |table: &Table| {
        let Table { name, entries, bytes } = table;
        object([("table", Json::text(name)), ("entries", size(*entries)), ("bytes", size(*bytes))])
    };
    let snapshot = |file: &File| {
        let written = file.written.map_or(Json::Null, number);
        let version = number(file.snapshot?);
        Some(object([("version", version), ("bytes", number(file.bytes)), ("written", written)]))
    };
    let biggest = |(bytes, path): &(usize, String)| object([("path", Json::text(path)), ("bytes", size(*bytes))]);
    let classes = journal.classes.iter().map(|(class, count)| (class.clone(), number(*count)));
    object([
        ("version", number(version)),
        ("events", number(journal.events)),
        ("rejected", number(journal.rejected)),
        ("first", journal.first.map_or(Json::Null, |(version, _)| number(version))),
        ("millis", number(journal.span())),
        ("last_minute", number(journal.within(MINUTE))),
        ("last_hour", number(journal.within(HOUR))),
        ("bytes", number(files.iter().map(|file| file.bytes).sum())),
        ("snapshots", Json::Array(files.iter().filter_map(snapshot).collect())),
        ("classes", Json::Object(classes.collect())),
        ("tables", Json::Array(tables.iter().map(table).collect())),
        ("objects", Json::Array(objects.iter().map(biggest).collect())),
    ])
}

fn object<const N: usize>(fields: [(&str, Json); N]) -> Json {
    Json::Object(fields.map(|(name, value)| (name.to_owned(), value)).to_vec())
}

/// In seconds.
const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;

/// What there is in the journal.
#[derive(Default)]
struct Journal {
    events: u64,
    rejected: u64,
    classes: BTreeMap<String, u64>,
    /// The version and the time of the first event.
    first: Option<(u64, u64)>,
    last: u64,
    /// Events of the last hour, by their second.
    seconds: VecDeque<(u64, u64)>,
}

impl Journal {
    fn count(&mut self, record: &Record) {
        self.events += 1;
        self.rejected += u64::from(record.rejected.is_some());
        self.first.get_or_insert((record.version, record.time));
        self.last = record.time;
        *self.classes.entry(record.class().unwrap_or("(no message)").to_owned()).or_default() += 1;
        let second = record.time / 1_000;
        match self.seconds.back_mut() {
            // A time that goes back counts as the second before it.
            Some((newest, count)) if second <= *newest => *count += 1,
            _ => self.seconds.push_back((second, 1)),
        }
        while self.seconds.front().is_some_and(|(oldest, _)| oldest.saturating_add(HOUR) <= second) {
            self.seconds.pop_front();
        }
    }

    /// Milliseconds between the first event and the last one.
    fn span(&self) -> u64 {
        self.first.map_or(0, |(_, begin)| self.last.saturating_sub(begin))
    }

    /// Events in so many seconds, of which the last event is in the last one.
    fn within(&self, seconds: u64) -> u64 {
        let Some((newest, _)) = self.seconds.back() else { return 0 };
        let recent = self.seconds.iter().rev().take_while(|(second, _)| second.saturating_add(seconds) > *newest);
        recent.map(|(_, count)| count).sum()
    }

    fn lines(&self) -> Vec<String> {
        let Some((from, begin)) = self.first else { return Vec::new() };
        let mut lines = vec![
            format!("{} events since version {from}, {} of them rejected", self.events, self.rejected),
            format!("from {} to {}", time(begin), time(self.last)),
        ];
        if self.span() > 0 {
            // Between so many events there is one gap less.
            let gaps = self.events.saturating_sub(1);
            lines.push(format!("{} events a second on average", rate(gaps, self.span())));
        }
        for (name, seconds) in [("minute", MINUTE), ("hour", HOUR)] {
            let count = self.within(seconds);
            lines.push(format!("{} a second in the last {name}: {count} events", rate(count, seconds * 1_000)));
        }
        lines
    }
}

/// Events a second, with three digits that say something.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn rate(events: u64, millis: u64) -> String {
    let rate = events as f64 * 1_000.0 / millis as f64;
    match rate {
        100.0.. => format!("{rate:.0}"),
        10.0.. => format!("{rate:.1}"),
        1.0.. => format!("{rate:.2}"),
        0.1.. => format!("{rate:.3}"),
        _ => format!("{rate:.5}"),
    }
}

struct Table {
    name: String,
    entries: usize,
    bytes: usize,
}

/// The tables of a document, and the biggest of their entries.
struct Tables {
    list: Vec<Table>,
    most: usize,
    biggest: BinaryHeap<Reverse<(usize, Reverse<String>)>>,
}

impl Tables {
    fn add(&mut self, path: &str, table: &Map) {
        let name = path.trim_start_matches('/').to_owned();
        let mut bytes = "{}".len();
        for (number, (key, value)) in table.iter().enumerate() {
            let size = json(&value.to_json()).len();
            bytes += size + json(&Json::String(key.to_owned())).len() + ":".len() + usize::from(number > 0);
            let small = self.biggest.len() >= self.most
                && self.biggest.peek().is_none_or(|Reverse((smallest, _))| size <= *smallest);
            if small {
                continue;
            }
            let path = format!("{path}{}", Path(vec![key.to_owned()]));
            self.biggest.push(Reverse((size, Reverse(path))));
            if self.biggest.len() > self.most {
                self.biggest.pop();
            }
        }
        self.list.push(Table { name, entries: table.len(), bytes });
    }

    /// The biggest one first.
    fn biggest(&mut self) -> Vec<(usize, String)> {
        let sorted = std::mem::take(&mut self.biggest).into_sorted_vec();
        sorted.into_iter().map(|Reverse((bytes, Reverse(path)))| (bytes, path)).collect()
    }
}

/// A table is an object of the document, or of its state, that has no class.
fn tables(tree: &Tree, most: usize) -> Tables {
    let mut tables = Tables { list: Vec::new(), most, biggest: BinaryHeap::new() };
    let Tree::Map(document) = tree else { return tables };
    let state = document.get("state").and_then(|state| if let Tree::Map(state) = state { Some(state) } else { None });
    let beside = document.iter().filter(|(name, _)| *name != "state").map(|field| ("", field));
    let within = state.into_iter().flat_map(Map::iter).map(|field| ("/state", field));
    for (prefix, (name, value)) in beside.chain(within) {
        if let Tree::Map(table) = value
            && table.get("_class").is_none()
        {
            tables.add(&format!("{prefix}{}", Path(vec![name.to_owned()])), table);
        }
    }
    tables
}

/// A file of the node.
struct File {
    name: String,
    bytes: u64,
    /// The version, if it is a snapshot.
    snapshot: Option<u64>,
    /// In milliseconds since 1970.
    written: Option<u64>,
}

/// The files of the node, by the versions in them.
fn files(directory: &std::path::Path) -> Vec<File> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let number = |name: &str, prefix: &str, suffix: &str| -> Option<u64> {
        name.strip_prefix(prefix)?.strip_suffix(suffix)?.parse().ok()
    };
    let numbered = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        let snapshot = number(&name, "snapshot-", ".json");
        let version = snapshot.or_else(|| number(&name, "journal-", ".jsonl"))?;
        let metadata = entry.metadata().ok()?;
        let since = metadata.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let written = since.and_then(|since| u64::try_from(since.as_millis()).ok());
        Some((version, File { name, bytes: metadata.len(), snapshot, written }))
    });
    let mut files: Vec<_> = numbered.collect();
    files.sort_by_key(|(version, _)| *version);
    files.into_iter().map(|(_, file)| file).collect()
}
