//! Files that aren't as they were written: cut at the end, refused everywhere else.

use std::fs;

use super::disk::Disk;
use super::*;
use crate::store::format;

const JOURNAL: &str = "journal-1.jsonl";

/// A simulated disk, which is fast, with a journal of three records in three syncs: its bytes, and where its last record
/// begins.
fn small_journal() -> (Disk, Vec<u8>, usize) {
    let disk = Disk::default();
    let mut store = disk.open();
    recover(&mut store);
    commit(&mut store, 1..=3);
    let bytes = disk.read(JOURNAL);
    let last = bytes.trim_ascii_end().iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    (disk, bytes, last)
}

#[test]
fn torn_tail_is_cut_at_every_byte() {
    let (disk, bytes, last) = small_journal();
    let end = bytes.trim_ascii_end().len();
    for at in last..end {
        for preallocated in [true, false] {
            let mut torn = bytes[..at].to_vec();
            if preallocated {
                torn.resize(bytes.len(), b'\n');
            }
            disk.change(JOURNAL, &torn);
            let mut store = disk.open();
            let (recovered, log) = recover(&mut store);
            assert_eq!((recovered.sequence, log), (2, Log::expected(None, 2)));
            match recovered.torn {
                None => assert_eq!(at, last),
                Some(cut) => {
                    let path = Path::new("store").join(JOURNAL);
                    assert_eq!((cut.file, cut.line, cut.byte), (path, 4, last as u64));
                    assert_eq!(cut.bytes_cut, (at - last) as u64);
                }
            }
            commit(&mut store, 3..=4);
            drop(store);
            let (recovered, log) = disk.reopen().unwrap();
            assert_eq!((recovered.torn, log), (None, Log::expected(None, 4)));
        }
    }
}

#[test]
fn last_newline_may_be_missing() {
    let (disk, bytes, _) = small_journal();
    disk.change(JOURNAL, bytes.trim_ascii_end());
    let mut store = disk.open();
    let (recovered, log) = recover(&mut store);
    assert_eq!((recovered.torn, log), (None, Log::expected(None, 3)));
    commit(&mut store, 4..=4);
    drop(store);
    assert_eq!(disk.reopen().unwrap().1, Log::expected(None, 4));
}

#[test]
fn every_changed_bit_of_a_journal_is_noticed() {
    let (disk, bytes, last) = small_journal();
    let end = bytes.trim_ascii_end().len();
    let mut torn = 0;
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            disk.change(JOURNAL, &changed);
            // What says where a record ends, and the lines that are empty.
            let may_look_torn =
                at > end || (at >= last && [bytes[at], changed[at]].iter().any(|byte| b"\"\\{}[]\n".contains(byte)));
            match disk.reopen() {
                Ok((recovered, log)) => {
                    assert!(may_look_torn, "byte {at}, bit {bit} was taken for the end of a write");
                    let kept = if at > end { 3 } else { 2 };
                    assert_eq!(log, Log::expected(None, kept), "byte {at}, bit {bit}");
                    assert!(recovered.torn.is_some());
                    torn += usize::from(at <= end);
                }
                Err(error) => {
                    let RecoverError::Damaged { path, byte, .. } = &error else {
                        panic!("byte {at}, bit {bit}: {error}")
                    };
                    assert!(path.ends_with(JOURNAL));
                    let line = bytes[..at].iter().rposition(|byte| *byte == b'\n');
                    assert_eq!(*byte, line.map_or(0, |newline| newline as u64 + 1));
                    assert_eq!(disk.read(JOURNAL), changed, "a refused file was changed");
                }
            }
        }
    }
    assert!(torn < (end - last) * 8 / 3, "{torn} bits of the last record");
}

/// Whoever changes the newest record with an editor hears of its checksum, and doesn't lose it.
#[test]
fn a_record_that_was_changed_by_hand_is_refused() {
    let folder = folder();
    journal_of(folder.path(), 3);
    let path = folder.path().join(JOURNAL);
    let text = fs::read_to_string(&path).unwrap().replace("\"value\":3", "\"value\":33");
    fs::write(&path, &text).unwrap();
    let error = reopen(folder.path()).unwrap_err();
    assert!(matches!(error, RecoverError::Damaged { line: 4, .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn every_changed_bit_of_a_snapshot_is_noticed() {
    let disk = Disk::default();
    let mut store = disk.open();
    recover(&mut store);
    snapshot(&mut store, 0);
    drop(store);
    let name = "snapshot-0.json";
    let bytes = disk.read(name);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            disk.change(name, &changed);
            let error = disk.reopen().unwrap_err();
            assert!(matches!(error, RecoverError::Damaged { .. }), "byte {at}: {error}");
        }
        disk.change(name, &bytes[..at]);
        let error = disk.reopen().unwrap_err();
        assert!(matches!(error, RecoverError::Damaged { .. }), "cut at {at}: {error}");
    }
}

#[test]
fn torn_group_is_cut_wherever_it_is_torn() {
    let folder = folder();
    let path = folder.path().join("journal-1.jsonl");
    let mut store = open(folder.path());
    recover(&mut store);
    commit(&mut store, 1..=2);
    append(&mut store, 3..=6);
    store.sync().unwrap();
    drop(store);
    let text = fs::read_to_string(&path).unwrap();
    let starts: Vec<usize> = text.match_indices("{\"crc\"").map(|(at, _)| at).collect();

    // Of a group that was never synced, the second record didn't reach the disk and others did.
    let mut torn = text.clone().into_bytes();
    torn[starts[4]..starts[5]].fill(b'\n');
    fs::write(&path, &torn).unwrap();
    let (recovered, log) = reopen(folder.path()).unwrap();
    assert_eq!(log, Log::expected(None, 3));
    let cut = recovered.torn.unwrap();
    assert_eq!((cut.line, cut.byte), (5, starts[4] as u64));
    assert_eq!(cut.bytes_cut as usize, text.trim_end().len() - starts[4]);
    assert_eq!(reopen(folder.path()).unwrap().0.torn, None);

    // The same in what was synced before that group is damage.
    let mut damaged = text.clone().into_bytes();
    damaged[starts[2]..starts[3]].fill(b'\n');
    fs::write(&path, &damaged).unwrap();
    let error = reopen(folder.path()).unwrap_err();
    assert!(matches!(error, RecoverError::Damaged { line: 3, .. }), "{error}");
}

#[test]
fn only_the_last_segment_may_be_torn() {
    let folder = folder();
    journal_of(folder.path(), 2);
    let mut store = open(folder.path());
    recover(&mut store);
    store.begin_snapshot(2, Time::default()).unwrap();
    store.sync().unwrap();
    drop(store);
    let path = folder.path().join("journal-1.jsonl");
    let mut text = fs::read(&path).unwrap();
    let end = text.trim_ascii_end().len();
    text[end - 1] = b'\n';
    fs::write(&path, text).unwrap();
    let error = reopen(folder.path()).unwrap_err();
    assert!(matches!(error, RecoverError::Damaged { line: 3, .. }), "{error}");
}

#[test]
fn gap_in_the_sequence() {
    let folder = folder();
    journal_of(folder.path(), 3);
    let path = folder.path().join(JOURNAL);
    let text = fs::read_to_string(&path).unwrap();
    let without: String =
        text.split_inclusive('\n').enumerate().filter(|(index, _)| *index != 2).map(|(_, line)| line).collect();
    fs::write(&path, without).unwrap();
    let error = reopen(folder.path()).unwrap_err();
    assert!(matches!(error, RecoverError::Sequence { line: 3, expected: 2, found: 3, .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains(".jsonl:3 (byte "), "{message}");
}

#[test]
fn missing_files_are_named() {
    let folder = folder();
    let file = |name: &str| folder.path().join(name);
    let mut store = open(folder.path());
    recover(&mut store);
    commit(&mut store, 1..=2);
    snapshot(&mut store, 2);
    commit(&mut store, 3..=4);
    store.begin_snapshot(4, Time::default()).unwrap();
    commit(&mut store, 5..=5);
    drop(store);
    let missing = |name: &str| {
        let aside = file("aside");
        fs::rename(file(name), &aside).unwrap();
        let error = reopen(folder.path()).unwrap_err();
        fs::rename(aside, file(name)).unwrap();
        error
    };

    let error = missing("snapshot-2.json");
    let RecoverError::MissingSnapshot { path, segment } = error else { panic!("{error}") };
    assert_eq!((path, segment), (file("snapshot-2.json"), file("journal-3.jsonl")));

    let error = missing("journal-3.jsonl");
    let RecoverError::MissingSegment { path, reached, resumes } = error else { panic!("{error}") };
    assert_eq!((path, reached, resumes), (file("journal-3.jsonl"), 2, Some(5)));

    // The end of a journal can't be told from one that was never written, but a snapshot has
    // always had one behind it.
    snapshot(&mut { open_recovered(folder.path()) }, 5);
    let error = missing("journal-6.jsonl");
    let RecoverError::MissingSegment { path, reached, resumes } = error else { panic!("{error}") };
    assert_eq!((path, reached, resumes), (file("journal-6.jsonl"), 5, None));
    reopen(folder.path()).unwrap();
}

fn open_recovered(path: &Path) -> Directory {
    let mut store = open(path);
    recover(&mut store);
    store
}

#[test]
fn newer_formats_are_refused_as_such() {
    let folder = folder();
    let mut store = open_recovered(folder.path());
    store.begin_snapshot(0, Time::default()).unwrap();
    store.write_snapshot("{\"format\":2,\"new\":true}").unwrap();
    store.finish_snapshot().unwrap();
    store.sync().unwrap();
    drop(store);
    let error = reopen(folder.path()).unwrap_err();
    let RecoverError::NewerFormat { path, format: 2, supported: 1 } = &error else { panic!("{error}") };
    assert!(path.ends_with("snapshot-0.json"));
    assert!(error.to_string().contains("was written by a newer version"), "{error}");

    fs::remove_file(path).unwrap();
    let body = "\"format\":3,\"whatever\":[]}";
    let line = format!("{{\"crc\":\"{:08x}\",{body}\n", crc32c::crc32c(body.as_bytes()));
    fs::write(folder.path().join("journal-1.jsonl"), line).unwrap();
    let error = reopen(folder.path()).unwrap_err();
    assert!(matches!(error, RecoverError::NewerFormat { format: 3, .. }), "{error}");
}

#[test]
fn header_belongs_to_its_file() {
    let folder = folder();
    fs::write(
        folder.path().join("journal-1.jsonl"),
        format::header(format::Header { first: 7, previous: None, time: Time::default() }),
    )
    .unwrap();
    let error = reopen(folder.path()).unwrap_err();
    assert!(matches!(error, RecoverError::Damaged { line: 1, byte: 0, .. }), "{error}");
    fs::write(folder.path().join("journal-1.jsonl"), "").unwrap();
    let error = reopen(folder.path()).unwrap_err();
    assert!(matches!(error, RecoverError::Damaged { line: 1, byte: 0, .. }), "{error}");
}

proptest::proptest! {
    /// Nothing that a file may hold makes recovery panic, or hands over a record that was never
    /// appended.
    #[test]
    fn any_bytes_are_survived(
        at in 0_usize..600,
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
    ) {
        let (disk, mut text, _) = small_journal();
        let at = at.min(text.len());
        let end = (at + bytes.len()).min(text.len());
        text.splice(at..end, bytes);
        disk.change(JOURNAL, &text);
        if let Ok((recovered, log)) = disk.reopen() {
            proptest::prop_assert_eq!(log, Log::expected(None, recovered.sequence));
        }
    }
}
