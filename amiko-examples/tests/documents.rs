//! What `docs/limits.md` says is there: each limit, and each test.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn table() -> String {
    fs::read_to_string(root().join("docs/limits.md")).unwrap()
}

/// `file::function` of every function in the Rust files of a folder.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let (file, text) = (path.file_stem().unwrap().to_str().unwrap(), fs::read_to_string(&path).unwrap());
            let names = text.lines().filter_map(|line| {
                line.trim_start().trim_start_matches("async ").strip_prefix("fn ")?.split(['(', '<']).next()
            });
            found.extend(names.map(|name| format!("{file}::{name}")));
        }
    }
}

#[test]
fn every_test_that_is_named_is_there() {
    let mut found = BTreeSet::new();
    for folder in
        ["amiko-core/src", "amiko-core/tests", "amiko-runtime/src", "amiko-runtime/tests", "amiko-examples/tests"]
    {
        functions(&root().join(folder), &mut found);
    }
    let table = table();
    let quoted = table.split('`').skip(1).step_by(2);
    let names: Vec<_> = quoted
        .filter(|text| text.contains("::") && text.chars().next().unwrap().is_lowercase() && *text != "file::test")
        .collect();
    assert!(names.len() > 50);
    let missing: Vec<_> = names.iter().filter(|name| !found.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_limit_is_named() {
    /// What of the settings is no limit.
    const OTHERS: [&str; 6] = ["listen", "conversation", "dialect", "durability", "log", "clock"];
    let table = table();
    for (file, begin) in [
        ("amiko-runtime/src/settings.rs", "pub struct RuntimeSettings {"),
        ("amiko-core/src/conversation/settings.rs", "pub struct ConversationSettings {"),
        ("amiko-core/src/event/limits.rs", "pub struct Limits {"),
        ("amiko-examples/src/payment/limits.rs", "pub struct PaymentLimits {"),
    ] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let fields = text.split_once(begin).unwrap().1.split_once("\n}").unwrap().0;
        let names = fields.lines().filter_map(|line| line.trim_start().strip_prefix("pub ")?.split(':').next());
        let names: Vec<_> = names.filter(|name| !OTHERS.contains(name)).collect();
        assert!(names.len() > 7);
        let missing: Vec<_> = names.iter().filter(|name| !table.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty(), "{file}: {missing:?}");
    }
}
