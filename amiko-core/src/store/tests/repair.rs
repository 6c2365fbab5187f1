//! What is salvaged, whatever is damaged and wherever the repair itself is killed.

use std::collections::BTreeSet;

use super::disk::{Disk, Random, Spoil};
use super::*;
use crate::store::{Repair, RepairError, Retention, verify_with_vfs};

/// What becomes of a file; it is gone if there is none.
type Change = Option<Box<Spoil>>;

/// Damage to the files of three generations.
struct Case {
    /// What is left.
    version: u64,
    spoiled: Vec<(&'static str, Change)>,
}

impl Case {
    fn disk(&self) -> Disk {
        let disk = generations();
        for (name, change) in &self.spoiled {
            disk.spoil(name, change.as_deref());
        }
        disk
    }
}

/// Three generations: snapshots of 0, 3 and 6, and records up to 8, some of them synced together.
fn generations() -> Disk {
    let disk = Disk::default();
    let settings = DirectorySettings { retention: Retention::Forever, ..settings() };
    let mut store = Directory::open_with_vfs("store", settings, disk.clone()).unwrap();
    recover(&mut store);
    snapshot(&mut store, 0);
    commit(&mut store, 1..=3);
    snapshot(&mut store, 3);
    append(&mut store, 4..=5);
    store.sync().unwrap();
    commit(&mut store, 6..=6);
    snapshot(&mut store, 6);
    commit(&mut store, 7..=8);
    disk
}

/// Changes a byte of the record of this version, or of the first line.
fn in_record(version: u64) -> impl Fn(&[u8]) -> Vec<u8> {
    move |bytes| {
        let mut text = String::from_utf8(bytes.to_vec()).unwrap();
        let at = text.find(&format!("\"seq\":{version},\"cause")).unwrap() + 9;
        text.replace_range(at..=at, "C");
        text.into_bytes()
    }
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[20] ^= 4;
    bytes
}

fn torn(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let end = bytes.trim_ascii_end().len();
    bytes[end - 3..end].fill(b'\n');
    bytes
}

fn plan(disk: &Disk) -> Result<Repair<Disk>, RepairError> {
    Repair::plan_with_vfs("store", Log::default, disk.clone())
}

fn cases() -> Vec<Case> {
    fn case<const N: usize>(version: u64, spoiled: [(&'static str, Change); N]) -> Case {
        Case { version, spoiled: spoiled.into() }
    }
    fn in_version(version: u64) -> Change {
        Some(Box::new(in_record(version)))
    }
    let (flip, tear) = (|| -> Change { Some(Box::new(flipped)) }, || -> Change { Some(Box::new(torn)) });
    vec![
        // A bit in the middle of the last segment.
        case(6, [("journal-7.jsonl", in_version(7))]),
        // Its header.
        case(6, [("journal-7.jsonl", flip())]),
        // The newest snapshot: an older one and the whole journal lead as far.
        case(8, [("snapshot-6.json", flip())]),
        // The same, and a torn end.
        case(7, [("snapshot-6.json", flip()), ("journal-7.jsonl", tear())]),
        // The newest snapshot and a record before it.
        case(4, [("snapshot-6.json", flip()), ("journal-4.jsonl", in_version(5))]),
        // Two snapshots, and the segment in the middle is gone.
        case(3, [("snapshot-6.json", flip()), ("snapshot-3.json", flip()), ("journal-4.jsonl", None)]),
        // Only what is older than the newest snapshot: nothing of the present is lost.
        case(8, [("journal-4.jsonl", None)]),
        // The last segment is gone.
        case(6, [("journal-7.jsonl", None)]),
        // Nothing but the very first snapshot is good.
        case(0, [("snapshot-3.json", None), ("snapshot-6.json", None), ("journal-1.jsonl", in_version(1))]),
    ]
}

#[test]
fn repair_killed_anywhere_reaches_the_same_version_and_removes_nothing() {
    let mut tried = 0;
    for (index, case) in cases().into_iter().enumerate() {
        let version = case.version;
        for operation in 1.. {
            let mut finished = false;
            for seed in 0..4 {
                let mut random = Random(seed);
                let disk = case.disk();
                let before = disk.contents();
                let what = format!("case {index}, operation {operation}, seed {seed}");

                disk.fail_at(operation);
                let repair = plan(&disk).unwrap();
                assert!(!repair.report().is_healthy(), "{what}");
                assert_eq!(repair.version(), version, "{what}");
                match repair.run() {
                    Ok(repaired) => {
                        assert_eq!(repaired.version, version, "{what}");
                        finished = true;
                    }
                    Err(RepairError::Io { .. }) => tried += 1,
                    Err(error) => panic!("{what}: {error}"),
                }
                disk.fail_at(usize::MAX);
                // Else only the process was killed.
                if seed > 0 {
                    disk.crash(&mut random);
                }
                let again = plan(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(again.version(), version, "{what}");
                assert!(again.report().is_healthy() || !finished, "{what}");
                again.run().unwrap();

                let after: BTreeSet<Vec<u8>> = disk.contents().into_iter().map(|(_, bytes)| bytes).collect();
                for (path, bytes) in before {
                    assert!(after.contains(&bytes), "{what}: {} is gone", path.display());
                }
                let report = verify_with_vfs("store", Log::default, disk.clone()).unwrap();
                assert!(report.findings.is_empty(), "{what}: {:?}", report.findings);
                let mut store = disk.open();
                assert_eq!(recover(&mut store).1, Log::expected(Some(version), version), "{what}");
                commit(&mut store, version + 1..=version + 2);
            }
            if finished {
                break;
            }
        }
    }
    assert!(tried > 200, "{tried}");
}

/// In between a store opens at the version that is salvaged, if it opens at all.
#[test]
fn opening_what_is_half_repaired_never_goes_further_back() {
    for (index, case) in cases().into_iter().enumerate() {
        let version = case.version;
        for operation in 1..40 {
            let disk = case.disk();
            disk.fail_at(operation);
            let _ = plan(&disk).unwrap().run();
            disk.fail_at(usize::MAX);
            disk.crash(&mut Random(operation as u64));
            let mut log = Log::default();
            if let Ok(recovered) = disk.open().recover(&mut log) {
                assert_eq!(recovered.sequence, version, "case {index}, operation {operation}");
            }
        }
    }
}

#[test]
fn a_healthy_store_stays_as_it_is() {
    for spoiled in [false, true] {
        let disk = generations();
        if spoiled {
            disk.spoil("journal-7.jsonl", Some(&torn));
        }
        let before = disk.contents();
        let repair = plan(&disk).unwrap();
        assert!(repair.report().is_healthy());
        assert_eq!(repair.run().unwrap().aside, None);
        assert_eq!(disk.contents(), before);
    }
}

#[test]
fn what_a_program_cannot_decide_is_refused() {
    let disk = generations();
    for name in ["snapshot-0.json", "snapshot-3.json", "snapshot-6.json"] {
        disk.spoil(name, Some(&flipped));
    }
    let before = disk.contents();
    // The journal from the first record on is still there, for a store that begins with nothing.
    assert_eq!(plan(&disk).unwrap().version(), 8);
    disk.spoil("journal-1.jsonl", Some(&flipped));
    assert!(matches!(plan(&disk), Err(RepairError::Nothing { .. })));

    let disk = generations();
    disk.spoil(
        "snapshot-6.json",
        Some(&|_: &[u8]| {
            let text = "{\"format\":2,\"new\":true";
            let crc = crc32c::crc32c(text.as_bytes());
            format!("{text},\n\"crc\":\"{crc:08x}\"}}\n").into_bytes()
        }),
    );
    assert!(matches!(plan(&disk), Err(RepairError::Undecided(RecoverError::NewerFormat { .. }))));
    assert_eq!(disk.contents().len(), before.len());

    let folder = tempfile::tempdir().unwrap();
    journal_of(folder.path(), 2);
    let (right, wrong) = (folder.path().join("journal-1.jsonl"), folder.path().join("journal-01.jsonl"));
    fs::copy(&right, &wrong).unwrap();
    let error = Repair::plan(folder.path(), Log::default).unwrap_err();
    assert!(matches!(error, RepairError::Undecided(RecoverError::Duplicate { .. })), "{error}");
    fs::remove_file(&right).unwrap();
    let error = Repair::plan(folder.path(), Log::default).unwrap_err();
    assert!(matches!(error, RepairError::Undecided(RecoverError::Misnamed { .. })), "{error}");
}
