//! What a record of a journal says: when, why, and what changed.
//!
//! Invariant: it shows what is in the record, whichever classes wrote it.

use super::text::{json, plain, time};
use super::tree::{Change, Operation, Path};
use amiko_core::serializable::Json;

/// A record of a journal.
pub struct Record {
    /// The version that it made.
    pub version: u64,
    /// In milliseconds since 1970.
    pub time: u64,
    /// What caused it.
    pub cause: Json,
    /// Why it was rejected, if it only used up its input.
    pub rejected: Option<String>,
    /// What it changed.
    pub patch: Vec<Operation>,
    /// The whole of it.
    pub json: Json,
}

/// What a part of a line says.
#[derive(Clone, Copy)]
pub enum Mark {
    /// Something is new.
    Added,
    /// Something is gone.
    Removed,
    /// It was rejected.
    Rejected,
}

impl Record {
    /// Reads one; none if it isn't one.
    pub fn read(version: u64, text: &str) -> Option<Self> {
        Self::of(version, Json::parse(text).ok()?)
    }

    /// The same of one that is JSON already.
    pub fn of(version: u64, json: Json) -> Option<Self> {
        let time = json.get("time")?.as_u64()?;
        let cause = json.get("cause")?.clone();
        let rejected = json.get("rejected").and_then(Json::as_str).map(str::to_owned);
        let Json::Array(operations) = json.get("patch")? else { return None };
        let patch = operations.iter().map(Operation::of).collect::<Option<_>>()?;
        Some(Self { version, time, cause, rejected, patch, json })
    }

    /// The class of the cause, as `Command`.
    pub fn cause_class(&self) -> &str {
        self.cause.get("_class").and_then(Json::as_str).or_else(|| self.cause.as_str()).unwrap_or("event")
    }

    /// The class of the message that it began with.
    pub fn class(&self) -> Option<&str> {
        let message = self.cause.get("envelope")?.get("message")?;
        message.get("_class").and_then(Json::as_str).or_else(|| message.as_str())
    }

    /// The kind and the key of the object that the message was for.
    pub fn object(&self) -> Option<String> {
        let envelope = self.cause.get("envelope")?;
        let (kind, id) = (envelope.get("kind")?.as_str()?, envelope.get("id")?);
        Some(format!("{kind}/{}", id.as_str().map_or_else(|| json(id), str::to_owned)))
    }

    /// Whether it is about an object: its message was for it, or it changed it. An object is `KIND/KEY`, or `TABLE/KEY`.
    pub fn is_about(&self, object: &str) -> bool {
        if self.object().as_deref() == Some(object) {
            return true;
        }
        let Some((table, key)) = object.split_once('/') else { return false };
        self.patch.iter().any(|operation| match operation.path.0.as_slice() {
            [root, found, entry, ..] if root == "state" => found == table && entry == key,
            [root, owned, ..] if root != "state" => owned.starts_with(&format!("{object}/")),
            _ => false,
        })
    }

    /// Why it happened, in a few words.
    pub fn why(&self) -> String {
        let mut why = self.cause_class().to_owned();
        for field in ["connection", "timer", "effect"] {
            if let Some(id) = self.cause.get(field).and_then(Json::as_str) {
                why.push(' ');
                why.push_str(&plain(id));
            }
        }
        if let Some(class) = self.class() {
            why.push_str(&format!(" {}", plain(class)));
        }
        if let Some(object) = self.object() {
            // The node itself has no key.
            why.push_str(&format!(" → {}", plain(object.trim_end_matches('/'))));
        }
        why
    }

    /// What it changed, in a few words.
    pub fn what(&self, mark: &dyn Fn(Mark, &str) -> String) -> String {
        /// Changes that are shown; the others are counted.
        const SHOWN: usize = 3;
        let changed = |operation: &Operation| match &operation.change {
            Change::Add(_) => mark(Mark::Added, &short(operation)),
            Change::Remove => mark(Mark::Removed, &short(operation)),
            Change::Replace(_) => short(operation),
        };
        let mut changes: Vec<String> = self.patch.iter().take(SHOWN).map(changed).collect();
        if self.patch.len() > SHOWN {
            changes.push(format!("and {} more", self.patch.len() - SHOWN));
        }
        match &self.rejected {
            Some(reason) => mark(Mark::Rejected, &format!("rejected: {}", plain(reason))),
            None => changes.join(", "),
        }
    }

    /// One line for people, in which `mark` makes some parts look as they do.
    pub fn line(&self, mark: &dyn Fn(Mark, &str) -> String) -> String {
        format!("{:>8}  {}  {}  {}", self.version, time(self.time), self.why(), self.what(mark))
    }

    /// The paths that it changed.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.patch.iter().map(|operation| &operation.path)
    }
}

fn short(operation: &Operation) -> String {
    /// Characters of a value that are shown.
    const SHOWN: usize = 40;
    let path = plain(operation.path.to_string().trim_start_matches("/state/").trim_start_matches('/'));
    let value = |tree: &super::tree::Tree| {
        let text = plain(&json(&tree.to_json()));
        if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN).chain(['…']).collect() }
    };
    match &operation.change {
        Change::Add(tree) => format!("+ {path} {}", value(tree)),
        Change::Replace(tree) => format!("{path} = {}", value(tree)),
        Change::Remove => format!("- {path}"),
    }
}

/// An operation with its whole value.
pub fn long(operation: &Operation) -> String {
    match &operation.change {
        Change::Add(tree) => format!("add     {} {}", operation.path, json(&tree.to_json())),
        Change::Replace(tree) => format!("replace {} {}", operation.path, json(&tree.to_json())),
        Change::Remove => format!("remove  {}", operation.path),
    }
}
