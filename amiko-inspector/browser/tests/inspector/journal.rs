//! What the files of a node say, without any code of it: what a browser is compared with.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The files of a node.
pub(crate) struct Journal {
    /// Its records by version.
    pub(crate) records: BTreeMap<u64, Value>,
    /// Those in which there is a secret.
    pub(crate) with_secrets: BTreeSet<u64>,
    /// All secrets, as they are on disk, and the key of the node.
    pub(crate) secrets: BTreeSet<String>,
}

impl Journal {
    pub(crate) fn read(directory: &Path) -> Self {
        let classes: Value =
            serde_json::from_str(&fs::read_to_string(directory.join("classes.json")).unwrap()).unwrap();
        let names = classes["secrets"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
        let names: BTreeSet<String> = names.collect();
        let key = fs::read_to_string(directory.join("key")).unwrap().trim().to_owned();
        let mut journal =
            Self { records: BTreeMap::new(), with_secrets: BTreeSet::new(), secrets: BTreeSet::from([key]) };
        for file in fs::read_dir(directory).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with("snapshot-") {
                let snapshot = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
                secrets(&snapshot, &names, &mut journal.secrets);
            } else if name.starts_with("journal-") {
                journal.lines(&fs::read_to_string(&path).unwrap(), &names);
            }
        }
        journal
    }

    /// A journal has room behind its last line.
    fn lines(&mut self, text: &str, names: &BTreeSet<String>) {
        for line in text.lines().filter(|line| line.starts_with('{')) {
            let record: Value = serde_json::from_str(line).unwrap();
            // The first line says what the file is.
            let Some(version) = record["seq"].as_u64() else { continue };
            let mut found = BTreeSet::new();
            secrets(&record, names, &mut found);
            for operation in record["patch"].as_array().unwrap() {
                let path = operation["path"].as_str().unwrap();
                if path.split('/').any(|segment| names.contains(segment)) {
                    texts(&operation["value"], &mut found);
                }
            }
            if !found.is_empty() {
                self.with_secrets.insert(version);
            }
            self.secrets.extend(found);
            self.records.insert(version, record);
        }
    }

    /// The newest version.
    pub(crate) fn newest(&self) -> u64 {
        *self.records.last_key_value().unwrap().0
    }

    /// The versions whose records are such, newest first.
    pub(crate) fn versions(&self, is: impl Fn(&Value) -> bool) -> Vec<u64> {
        self.records.iter().rev().filter(|(_, record)| is(record)).map(|(version, _)| *version).collect()
    }

    /// How many messages an event sent to peers.
    pub(crate) fn sent(&self, version: u64) -> usize {
        let patch = self.records[&version]["patch"].as_array().unwrap();
        let is_sent = |path: &str| path.starts_with("/connections/") && path.contains("/outbox/");
        patch.iter().filter(|change| change["op"] == "add" && is_sent(change["path"].as_str().unwrap())).count()
    }
}

/// The class of the message that an event began with.
pub(crate) fn class(record: &Value) -> &str {
    record["cause"]["envelope"]["message"]["_class"].as_str().unwrap_or_default()
}

/// The class of what a peer sent.
pub(crate) fn remote_class(record: &Value) -> &str {
    record["cause"]["envelope"]["message"]["message"]["_class"].as_str().unwrap_or_default()
}

/// Everything that has one of these names.
fn secrets(value: &Value, names: &BTreeSet<String>, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            if names.contains(name) { texts(value, found) } else { secrets(value, names, found) }
        }),
        Value::Array(values) => values.iter().for_each(|value| secrets(value, names, found)),
        _ => {}
    }
}

/// Bytes are on disk as hex digits behind a mark.
fn texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let text = text.trim_start_matches("!x");
            assert!(text.len() >= 32, "a secret that is so short may be on a page by chance: {text}");
            found.insert(text.to_owned());
        }
        Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        _ => {}
    }
}
