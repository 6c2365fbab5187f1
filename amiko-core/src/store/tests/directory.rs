//! The files of a directory: what they look like, who may open them, what is cleared away.

use std::fs;

use super::*;
use crate::store::OpenError;

#[test]
fn files_are_json() {
    let folder = folder();
    let mut store = open(folder.path());
    recover(&mut store);
    commit(&mut store, 1..=2);
    snapshot(&mut store, 2);
    append(&mut store, 3..=5);
    store.sync().unwrap();
    drop(store);

    assert_eq!(names(folder.path()), ["LOCK", "journal-3.jsonl", "snapshot-2.json"]);
    let text = fs::read_to_string(folder.path().join("snapshot-2.json")).unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(parsed["seq"], 2);
    assert!(parsed["crc"].is_string());

    let text = fs::read_to_string(folder.path().join("journal-3.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!((&lines[0]["format"], &lines[0]["first"], &lines[0]["follows"]), (&1.into(), &3.into(), &2.into()));
    assert_eq!((&lines[0]["previous"], &lines[0]["time"]), (&1.into(), &0.into()));
    assert_eq!((&lines[1]["seq"], lines[1].get("group")), (&3.into(), None));
    assert_eq!((&lines[3]["seq"], &lines[3]["group"]), (&5.into(), &3.into()));
    assert!(lines.iter().all(|line| line["crc"].as_str().unwrap().len() == 8));
}

#[test]
fn format_stays_the_same() {
    let folder = folder();
    let mut store = Directory::open_with(folder.path(), DirectorySettings { segment_chunk: 1, ..settings() }).unwrap();
    recover(&mut store);
    store.append(1, r#"{"seq":1,"a":1}"#).unwrap();
    store.append(2, r#"{"seq":2,"a":1}"#).unwrap();
    store.sync().unwrap();
    let journal = fs::read_to_string(folder.path().join("journal-1.jsonl")).unwrap();
    store.begin_snapshot(2, Time::default()).unwrap();
    store.write_snapshot(r#"{"format":1,"seq":2}"#).unwrap();
    store.finish_snapshot().unwrap();
    store.sync().unwrap();
    let snapshot = fs::read_to_string(folder.path().join("snapshot-2.json")).unwrap();
    assert_eq!(
        journal,
        concat!(
            r#"{"crc":"e97950d7","format":1,"first":1,"follows":0,"time":0}"#,
            "\n",
            r#"{"crc":"8ab8b6b9","seq":1,"a":1}"#,
            "\n",
            r#"{"crc":"9892a644","group":1,"seq":2,"a":1}"#,
            "\n",
        )
    );
    assert_eq!(snapshot, "{\"format\":1,\"seq\":2,\n\"crc\":\"b45b3085\"}\n");
}

#[test]
fn file_size_changes_a_chunk_at_a_time() {
    let folder = folder();
    let mut store = open(folder.path());
    recover(&mut store);
    for sequence in 1..=20 {
        commit(&mut store, sequence..=sequence);
        let size = fs::metadata(folder.path().join("journal-1.jsonl")).unwrap().len();
        assert_eq!(size % 256, 0);
    }
    drop(store);
    assert_eq!(reopen(folder.path()).unwrap().1, Log::expected(None, 20));
}

#[test]
fn large_records_and_snapshots() {
    let folder = folder();
    let mut store = open(folder.path());
    recover(&mut store);
    let text = "é}\\n".repeat(200_000);
    let record = format!("{{\"seq\":1,\"a\":\"{text}\"}}");
    store.append(1, &record).unwrap();
    store.begin_snapshot(1, Time::default()).unwrap();
    for piece in ["{\"format\":1,\"a\":\"", &text, "\",\"b\":{\"c\":1}", "", "}"] {
        store.write_snapshot(piece).unwrap();
    }
    store.sync().unwrap();
    drop(store);
    assert_eq!(reopen(folder.path()).unwrap().1.records, [(1, record)]);

    let mut store = open(folder.path());
    recover(&mut store);
    let document = format!("{{\"format\":1,\"a\":\"{text}\"}}");
    store.begin_snapshot(1, Time::default()).unwrap();
    store.write_snapshot(&document).unwrap();
    store.finish_snapshot().unwrap();
    store.sync().unwrap();
    drop(store);
    assert_eq!(reopen(folder.path()).unwrap().1.snapshot, Some((1, document)));
}

#[test]
fn second_lock_is_refused_by_name() {
    let folder = folder();
    let first = open(folder.path());
    let error = Directory::open(folder.path()).unwrap_err();
    let pid = std::process::id();
    assert!(matches!(&error, OpenError::Locked { holder: Some(holder), .. } if *holder == pid));
    assert_eq!(
        error.to_string(),
        format!(
            "another process (pid {pid}) is using {}; stop it first, or open another directory",
            folder.path().display()
        )
    );
    drop(first);
    Directory::open(folder.path()).unwrap();
}

#[cfg(unix)]
#[test]
fn a_lock_holds_when_its_file_is_removed() {
    let folder = folder();
    let mut store = open(folder.path());
    recover(&mut store);
    commit(&mut store, 1..=2);
    fs::remove_file(folder.path().join("LOCK")).unwrap();
    // The new file names nobody.
    for _ in 0..2 {
        let error = Directory::open(folder.path()).unwrap_err();
        assert!(matches!(&error, OpenError::Locked { holder: None, .. }), "{error}");
    }
    drop(store);
    assert_eq!(reopen(folder.path()).unwrap().1, Log::expected(None, 2));
}

#[test]
fn a_file_in_place_of_the_directory_is_named() {
    let folder = folder();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    let error = Directory::open(&path).unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

#[cfg(unix)]
#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let path = folder.path().join("store");
    let mut store = open(&path);
    recover(&mut store);
    commit(&mut store, 1..=1);
    snapshot(&mut store, 1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for name in names(&path) {
        assert_eq!(mode(&path.join(&name)), 0o600, "{name}");
    }
}

#[test]
fn leftovers_are_cleared_away_and_other_files_are_not() {
    let folder = folder();
    journal_of(folder.path(), 3);
    let old = fs::read(folder.path().join("journal-1.jsonl")).unwrap();
    let mut store = open(folder.path());
    recover(&mut store);
    snapshot(&mut store, 3);
    drop(store);

    let others = ["README", "journal-0.jsonl", "snapshot-3.json.old", "x.tmp"];
    for name in others {
        fs::write(folder.path().join(name), "{").unwrap();
    }
    for name in ["snapshot-9.json.tmp", "journal-4.jsonl.tmp", "snapshot-1.json"] {
        fs::write(folder.path().join(name), "{").unwrap();
    }
    fs::write(folder.path().join("journal-1.jsonl"), old).unwrap();
    assert_eq!(reopen(folder.path()).unwrap().1, Log::expected(Some(3), 3));
    let mut left = names(folder.path());
    left.retain(|name| !others.contains(&name.as_str()));
    assert_eq!(left, ["LOCK", "journal-4.jsonl", "snapshot-3.json"]);
    assert_eq!(names(folder.path()).len(), 3 + others.len());
}

#[test]
fn crash_between_begin_and_finish() {
    let folder = folder();
    let mut store = open(folder.path());
    recover(&mut store);
    commit(&mut store, 1..=2);
    store.begin_snapshot(2, Time::default()).unwrap();
    store.write_snapshot("{\"format\":1").unwrap();
    commit(&mut store, 3..=4);
    drop(store);
    assert!(names(folder.path()).contains(&"snapshot-2.json.tmp".to_owned()));

    let mut store = open(folder.path());
    assert_eq!(recover(&mut store).1, Log::expected(None, 4));
    assert_eq!(names(folder.path()), ["LOCK", "journal-1.jsonl", "journal-3.jsonl"]);
    commit(&mut store, 5..=5);
    snapshot(&mut store, 5);
    drop(store);
    assert_eq!(names(folder.path()), ["LOCK", "journal-6.jsonl", "snapshot-5.json"]);
    assert_eq!(reopen(folder.path()).unwrap().1, Log::expected(Some(5), 5));
}

#[test]
fn refusal_of_a_visitor_is_placed() {
    struct Picky;
    impl Recovery for Picky {
        fn snapshot(&mut self, _: u64, _: &str) -> Result<(), Refused> {
            Ok(())
        }
        fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
            match record.find("patch") {
                Some(byte) if sequence == 2 => {
                    Err(Refused { reason: "no patches".to_owned(), byte: byte as u64, line: 1 })
                }
                _ => Ok(()),
            }
        }
    }
    let folder = folder();
    journal_of(folder.path(), 3);
    let error = open(folder.path()).recover(&mut Picky).unwrap_err();
    let RecoverError::Refused { path, line, byte, reason } = error else { panic!("{error}") };
    assert_eq!((line, reason.as_str()), (3, "no patches"));
    let text = fs::read_to_string(path).unwrap();
    assert!(text[byte as usize..].starts_with("patch"));
    assert_eq!(text[..byte as usize].matches('\n').count(), 2);
}
