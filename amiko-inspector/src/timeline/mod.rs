//! A document at every version that is kept.
//!
//! Each entry of a table is kept as text, at its newest version. Each event is kept with what it changed as that was before. So
//! what an entry was at a version is what the first event after that version found there: no version is built, however far back
//! it is. An entry that is changed all the time is kept as a whole now and then, and in between as what undoes each change.
//!
//! Invariant: nothing secret comes in; and what is kept of the past takes no more memory than its limit.

mod fill;
mod records;
mod section;

use crate::reading::{Change, Operation, Path, Record, Tree};
use amiko_core::Reader;
use amiko_core::serializable::{Classes, Json};
use fill::{fill, may_have_secrets};
use records::{Records, Stored};
use section::{Section, Then};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// The parts of a document that have entries, besides the tables of the state.
const BESIDE: [&str; 4] = ["timers", "connections", "answers", "effects"];

/// What stands in the place of a secret.
const HIDDEN: &str = "(secret)";

/// An entry that an event changed, and what it found there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Before {
    section: usize,
    key: String,
    was: Was,
}

/// What an event found under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Was {
    Nothing,
    Text(String),
    /// What leads back to it from what the event left: a patch. An entry that is changed all the time is written as a whole once
    /// for [`TOGETHER`] events at the most.
    Undo(String),
}

/// After so many events all entries are texts again.
const TOGETHER: u64 = 128;

impl Before {
    fn bytes(&self) -> usize {
        self.key.len()
            + match &self.was {
                Was::Nothing => 0,
                Was::Text(text) | Was::Undo(text) => text.len(),
            }
    }
}

/// Why a text can't be taken into a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimelineError {
    /// The document isn't one.
    Document,
    /// The record isn't one.
    Record {
        /// Its version.
        version: u64,
    },
    /// A record that doesn't follow the last one.
    Gap {
        /// The version that was expected.
        expected: u64,
        /// The version that was found.
        found: u64,
    },
    /// The patch of a record doesn't fit the document before it.
    Patch {
        /// Its version.
        version: u64,
        /// Where.
        path: String,
    },
}

impl fmt::Display for TimelineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document => f.write_str("expected the document of a node, found something else"),
            Self::Record { version } => write!(f, "expected a record of version {version}, found something else"),
            Self::Gap { expected, found } => write!(f, "expected the record of version {expected}, found {found}"),
            Self::Patch { version, path } => {
                write!(f, "the record of version {version} doesn't fit the document before it, at {path}")
            }
        }
    }
}

impl std::error::Error for TimelineError {}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// Places that stand side by side: their names, and how many entries each table has.
    Parts(Vec<(String, Part)>),
    /// A table with so many entries.
    Table(usize),
    /// A value.
    Value(Tree),
}

/// One of several places.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// A table with so many entries.
    Table(usize),
    /// A value.
    Value(Tree),
}

/// Some entries of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Their keys and values.
    pub entries: Vec<(String, Tree)>,
    /// The key behind which there may be more.
    pub more: Option<String>,
}

/// Older texts that are looked through for one page of a table: each may have to be decompressed.
const OLDER: usize = 2_000;

/// What an event changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// Where.
    pub path: Path,
    /// What was there before it.
    pub before: Option<Tree>,
    /// What was there after it.
    pub after: Option<Tree>,
}

/// A document at every version that is kept.
pub struct Timeline {
    classes: Classes,
    /// The oldest version that can be shown.
    base: u64,
    newest: u64,
    /// Touches of entries are counted from here.
    origin: u64,
    sections: Vec<Section>,
    records: Records,
    /// Entries inside of which something was changed lately: their texts aren't up to date. Empty between two calls.
    open: HashMap<(usize, String), Tree>,
}

impl Timeline {
    /// Begins with a document, and what is known of its classes. What is kept of events takes so many bytes at most.
    ///
    /// # Errors
    /// It isn't a document.
    pub fn new(classes: Classes, version: u64, document: &str, limit: usize) -> Result<Self, TimelineError> {
        let mut sections = vec![Section::new(&["state"])];
        sections.extend(BESIDE.iter().map(|part| Section::new(&[part])));
        fill(&classes, &mut Reader::new(document), &mut sections).map_err(|_| TimelineError::Document)?;
        let records = Records::new(version + 1, limit);
        let open = HashMap::new();
        Ok(Self { classes, base: version, newest: version, origin: version, sections, records, open })
    }

    /// What is known of the classes.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// The oldest version that can be shown, and the newest.
    pub fn versions(&self) -> (u64, u64) {
        (self.base, self.newest)
    }

    /// Memory of what is kept of events, in bytes.
    pub fn bytes(&self) -> usize {
        self.records.bytes()
    }

    /// Takes in the next record.
    ///
    /// # Errors
    /// It isn't the next one, or doesn't fit.
    pub fn push(&mut self, version: u64, text: &str) -> Result<(), TimelineError> {
        self.push_all([(version, text)])
    }

    /// Takes in the next records. It is faster than one at a time.
    ///
    /// # Errors
    /// As [`Timeline::push`]; those before the one that is wrong are taken.
    pub fn push_all<'r>(&mut self, records: impl IntoIterator<Item = (u64, &'r str)>) -> Result<(), TimelineError> {
        let outcome = records.into_iter().try_for_each(|(version, text)| self.take(version, text));
        self.settle();
        outcome
    }

    /// The same, of several: [`Timeline::settle`] has to follow before anybody looks.
    pub(crate) fn take(&mut self, version: u64, text: &str) -> Result<(), TimelineError> {
        let expected = self.newest + 1;
        if version != expected {
            return Err(TimelineError::Gap { expected, found: version });
        }
        let wrong = || TimelineError::Record { version };
        let mut json = Json::parse(text).map_err(|_| wrong())?;
        let mut kept = None;
        // Most records have nothing to hide, and are kept as they are.
        if may_have_secrets(&self.classes, text) {
            self.classes.hide(&mut json);
            kept = Some(json.to_string());
        }
        let record = Record::of(version, json).ok_or_else(wrong)?;
        let mut before = Found::default();
        for operation in record.patch {
            let path = operation.path.clone();
            if !self.apply(operation, version, &mut before) {
                return Err(TimelineError::Patch { version, path: path.to_string() });
            }
        }
        let stored = Stored { text: kept.unwrap_or_else(|| text.to_owned()), before: before.list };
        self.newest = version;
        if let Some((first, gone)) = self.records.push(stored, record.time) {
            self.forget(first, &gone);
        }
        if version.is_multiple_of(TOGETHER) {
            self.settle();
        }
        Ok(())
    }

    fn forget(&mut self, first: u64, gone: &[Stored]) {
        self.base = first + gone.len() as u64 - 1;
        let touched = gone.iter().flat_map(|stored| &stored.before).map(|before| (before.section, before.key.as_str()));
        for (section, key) in touched.collect::<HashSet<_>>() {
            if let Some(section) = self.sections.get_mut(section) {
                section.forget(key, self.origin, self.base);
            }
        }
    }

    /// Writes the entries anew that were changed inside.
    pub(crate) fn settle(&mut self) {
        for ((section, key), tree) in self.open.drain() {
            if let Some(entry) = self.sections.get_mut(section).and_then(|section| section.entries.get_mut(&*key)) {
                entry.now = Some(tree.to_json().to_string().into());
            }
        }
    }

    /// Where a path leads: the section, the key in it, and the rest.
    fn locate<'p>(&self, path: &'p [String]) -> Option<(usize, Option<&'p str>, &'p [String])> {
        let (root, rest) = path.split_first()?;
        if root == "state" {
            let Some((field, rest)) = rest.split_first() else { return Some((0, None, &[])) };
            let table = self.sections.iter().position(|section| section.path.get(1) == Some(field));
            return match (table, rest.split_first()) {
                (None, _) => Some((0, Some(field), rest)),
                (Some(table), None) => Some((table, None, &[])),
                (Some(table), Some((key, rest))) => Some((table, Some(key), rest)),
            };
        }
        let section = self.sections.iter().position(|section| section.path == [root.as_str()])?;
        match rest.split_first() {
            None => Some((section, None, &[])),
            Some((key, rest)) => Some((section, Some(key), rest)),
        }
    }

    fn apply(&mut self, Operation { path, change }: Operation, version: u64, before: &mut Found) -> bool {
        match self.locate(&path.0) {
            None => false,
            Some((section, Some(key), [])) => {
                let text = match change {
                    Change::Add(value) | Change::Replace(value) => Some(value.to_json().to_string()),
                    Change::Remove => None,
                };
                self.set(section, key, text, version, before);
                true
            }
            Some((section, Some(key), rest)) => {
                let operation = Operation { path: Path(rest.to_vec()), change };
                self.change(section, key, operation, version, before)
            }
            Some((section, None, _)) => self.replace(section, &path, change, version, before),
        }
    }

    /// Puts other entries in the place of those of a section.
    fn replace(&mut self, section: usize, path: &Path, change: Change, version: u64, before: &mut Found) -> bool {
        let (Change::Add(Tree::Map(map)) | Change::Replace(Tree::Map(map))) = change else {
            // A table that is no more.
            let keys: Vec<Box<str>> = self.sections[section].entries.keys().cloned().collect();
            keys.iter().for_each(|key| self.set(section, key, None, version, before));
            return true;
        };
        let keys: Vec<Box<str>> = self.sections[section].entries.keys().cloned().collect();
        for key in keys.iter().filter(|key| map.get(key).is_none()) {
            self.set(section, key, None, version, before);
        }
        map.iter().all(|(key, value)| {
            let mut path = path.clone();
            path.0.push(key.to_owned());
            self.apply(Operation { path, change: Change::Add(value.clone()) }, version, before)
        })
    }

    /// Changes something inside of an entry.
    fn change(&mut self, section: usize, key: &str, operation: Operation, version: u64, before: &mut Found) -> bool {
        let place = (section, key.to_owned());
        if !self.open.contains_key(&place) {
            let now = self.sections[section].entries.get(key).and_then(|entry| entry.now.as_deref());
            let Some((text, json)) = now.and_then(|now| Some((now.to_owned(), Json::parse(now).ok()?))) else {
                return false;
            };
            before.note(section, key, || Was::Text(text));
            self.open.insert(place.clone(), Tree::from(json));
        }
        let Some(tree) = self.open.get_mut(&place) else { return false };
        before.note(section, key, || Was::Undo("[]".into()));
        let known = before.get_mut(section, key);
        if let Some(Before { was: Was::Undo(patch), .. }) = known {
            let Some(undo) = tree.undo(&operation) else { return false };
            let end = if patch.len() > 2 { "," } else { "" };
            // What comes last is undone first.
            patch.replace_range(0..1, &format!("[{}{end}", undo.to_json()));
        }
        self.sections[section].touch(key, self.origin, version);
        tree.apply(operation)
    }

    /// Puts an entry in the place of another, or removes it.
    fn set(&mut self, section: usize, key: &str, text: Option<String>, version: u64, before: &mut Found) {
        if let Some(tree) = self.open.remove(&(section, key.to_owned())) {
            let known = before.get_mut(section, key);
            if let Some(Before { was, .. }) = known
                && let Was::Undo(patch) = was
            {
                *was = Was::Text(undone(tree.clone(), patch).to_json().to_string());
            }
            if let Some(entry) = self.sections[section].entries.get_mut(key) {
                entry.now = Some(tree.to_json().to_string().into());
            }
        }
        let value = self.sections[section].set(key, text, self.origin, version);
        before.note(section, key, || value.map_or(Was::Nothing, Was::Text));
    }

    /// The record of a version.
    pub fn record(&self, version: u64) -> Option<Record> {
        Record::read(version, &self.records.get(version)?.text)
    }

    /// What an event changed first; at most so much of it.
    pub fn changes(&self, version: u64, most: usize) -> Vec<Changed> {
        let Some(record) = self.record(version) else { return Vec::new() };
        let changed = record.patch.into_iter().take(most).map(|operation| {
            let path = operation.path;
            let before = self.value(&path, version.saturating_sub(1));
            Changed { before, after: self.value(&path, version), path }
        });
        changed.collect()
    }

    /// Looks at the events from a version back, newest first, until it is told to stop. Of at most so many the text is looked at.
    pub fn back(&self, from: u64, mut visit: impl FnMut(u64, &str) -> bool) {
        self.records.back(from, |version, stored| visit(version, &stored.text));
    }

    /// Versions and the times of their events, in milliseconds since 1970, some hundred events apart.
    pub fn times(&self) -> impl Iterator<Item = (u64, u64)> {
        self.records.times()
    }

    /// What stands at a path, at a version.
    pub fn look(&self, path: &Path, version: u64) -> Option<Place> {
        if path.0.is_empty() {
            let mut parts = vec![("state".to_owned(), Part::Table(self.fields(version).count()))];
            parts.extend(
                self.sections
                    .iter()
                    .filter(|section| section.path[0] != "state")
                    .map(|section| (section.path[0].clone(), Part::Table(section.count(version)))),
            );
            return Some(Place::Parts(parts));
        }
        match self.locate(&path.0)? {
            (0, None, _) => Some(Place::Parts(self.fields(version).collect())),
            (section, None, _) => Some(Place::Table(self.sections[section].count(version))),
            _ => self.value(path, version).map(Place::Value),
        }
    }

    /// The fields of the state: its tables, and the others.
    fn fields(&self, version: u64) -> impl Iterator<Item = (String, Part)> {
        let tables = self.sections.iter().filter(|section| section.path.len() > 1);
        let tables = tables.map(move |section| (section.path[1].clone(), Part::Table(section.count(version))));
        let fields = self.sections[0].after(None).filter(|(name, _)| !name.starts_with('_'));
        let fields =
            fields.filter_map(move |(name, _)| Some((name.to_owned(), Part::Value(self.entry(0, name, version)?))));
        tables.chain(fields)
    }

    /// The value at a path, at a version; none if there is none, or if it is a table.
    pub fn value(&self, path: &Path, version: u64) -> Option<Tree> {
        let (section, key, rest) = self.locate(&path.0)?;
        let entry = self.entry(section, key?, version)?;
        entry.at(&Path(rest.to_vec())).cloned()
    }

    fn text(&self, section: usize, key: &str, version: u64) -> Option<String> {
        match self.sections.get(section)?.entries.get(key)?.then(self.origin, version) {
            Then::Same(text) => text.map(str::to_owned),
            Then::Absent => None,
            Then::Before(event) => self.before(section, key, event),
        }
    }

    /// What an entry was before an event that changed it.
    fn before(&self, section: usize, key: &str, event: u64) -> Option<String> {
        let entry = self.sections.get(section)?.entries.get(key)?;
        let mut undos = Vec::new();
        let mut text = None;
        for touch in entry.touched(self.origin).filter(|touch| *touch >= event) {
            match self.records.was(touch, section, key)? {
                Was::Nothing => return None,
                Was::Text(found) => {
                    text = Some(found);
                    break;
                }
                Was::Undo(patch) => undos.push(patch),
            }
        }
        let text = text.or_else(|| entry.now.as_deref().map(str::to_owned))?;
        if undos.is_empty() {
            return Some(text);
        }
        let tree = Tree::from(Json::parse(&text).ok()?);
        let tree = undos.iter().rev().fold(tree, |tree, patch| undone(tree, patch));
        Some(tree.to_json().to_string())
    }

    fn entry(&self, section: usize, key: &str, version: u64) -> Option<Tree> {
        Json::parse(&self.text(section, key, version)?).ok().map(Tree::from)
    }

    /// The entries of a table after a key whose key or text contains what is looked for.
    pub fn page(&self, path: &Path, version: u64, after: Option<&str>, find: &str, most: usize) -> Option<Page> {
        let (section, None, _) = self.locate(&path.0)? else { return None };
        let mut page = Page { entries: Vec::new(), more: None };
        let (mut last, mut older) = (None, 0);
        for (key, entry) in self.sections[section].after(after) {
            let known = find.is_empty() || key.contains(find);
            let before;
            let text = match entry.then(self.origin, version) {
                Then::Absent | Then::Same(None) => continue,
                Then::Same(Some(now)) => now,
                Then::Before(event) => {
                    older += usize::from(!known);
                    before = self.before(section, key, event);
                    before.as_deref().unwrap_or_default()
                }
            };
            let wanted = known || text.contains(find);
            if (wanted && page.entries.len() == most) || older > OLDER {
                page.more = last.map(str::to_owned);
                break;
            }
            last = Some(key);
            if wanted {
                page.entries.extend(Json::parse(text).ok().map(|json| (key.to_owned(), Tree::from(json))));
            }
        }
        Some(page)
    }

    /// The events that changed an entry, newest first.
    pub fn history(&self, path: &Path) -> Vec<u64> {
        let Some((section, Some(key), _)) = self.locate(&path.0) else { return Vec::new() };
        let entry = self.sections[section].entries.get(key);
        entry.map(|entry| entry.touched(self.origin).rev().collect()).unwrap_or_default()
    }

    /// Where a text stands as a whole string in the newest version: at most so many places.
    pub fn mentions(&self, text: &str, most: usize) -> Vec<Path> {
        let quoted = Json::text(text).to_string();
        let mut found = Vec::new();
        for section in &self.sections {
            for (key, entry) in section.after(None) {
                if entry.now.as_deref().is_some_and(|now| now.contains(&quoted)) {
                    let mut path = section.path.clone();
                    path.push(key.to_owned());
                    found.push(Path(path));
                    if found.len() == most {
                        return found;
                    }
                }
            }
        }
        found
    }

    /// What an object is called that is given as `KIND/KEY` or as `TABLE/KEY`: both.
    pub fn names_of(&self, object: &str) -> Vec<String> {
        let mut names = vec![object.to_owned()];
        if let Some((name, key)) = object.split_once('/') {
            let other = self.table_of(name).or_else(|| self.classes.kind_of(name));
            names.extend(other.map(|other| format!("{other}/{key}")));
        }
        names
    }

    /// The table in which objects of a kind are.
    pub fn table_of(&self, kind: &str) -> Option<&str> {
        self.classes.tables().find(|(_, known)| *known == kind).map(|(table, _)| table)
    }
}

/// What one event has found so far.
#[derive(Default)]
struct Found {
    list: Vec<Before>,
    /// Where in the list, if it is long.
    places: HashMap<(usize, String), usize>,
}

impl Found {
    /// A list shorter than this is looked through.
    const MANY: usize = 32;

    fn place(&self, section: usize, key: &str) -> Option<usize> {
        if self.list.len() < Self::MANY {
            return self.list.iter().position(|known| known.section == section && known.key == key);
        }
        self.places.get(&(section, key.to_owned())).copied()
    }

    fn get_mut(&mut self, section: usize, key: &str) -> Option<&mut Before> {
        self.place(section, key).and_then(|place| self.list.get_mut(place))
    }

    /// Notes what was found under a key, unless that is known.
    fn note(&mut self, section: usize, key: &str, was: impl FnOnce() -> Was) {
        if self.place(section, key).is_some() {
            return;
        }
        self.list.push(Before { section, key: key.to_owned(), was: was() });
        if self.list.len() >= Self::MANY {
            let new = self.places.len();
            let places = self.list.iter().enumerate().skip(new);
            self.places.extend(places.map(|(place, known)| ((known.section, known.key.clone()), place)));
        }
    }
}

/// A value after a patch that was made here.
fn undone(mut tree: Tree, patch: &str) -> Tree {
    let Ok(Json::Array(operations)) = Json::parse(patch) else { return tree };
    for operation in operations.iter().filter_map(Operation::of) {
        tree.apply(operation);
    }
    tree
}

/// Whether a value is hidden.
pub fn is_hidden(tree: &Tree) -> bool {
    matches!(tree, Tree::Leaf(Json::String(_))) && matches!(tree, Tree::Leaf(leaf) if leaf.as_str() == Some(HIDDEN))
}
