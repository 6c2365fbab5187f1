//! Past versions, read while nothing is written.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::*;
use crate::store::{Access, Archive, LockError, OpenError, OsVfs, StoreError, Usage, Vfs};

fn recover_at(path: &Path, version: u64) -> Result<(Recovered, Log), RecoverError> {
    let mut log = Log::default();
    let recovered = Directory::open_at(path, version).unwrap().recover(&mut log)?;
    Ok((recovered, log))
}

/// Everything in a directory.
fn contents(path: &Path) -> Vec<(String, Vec<u8>)> {
    names(path).into_iter().map(|name| (name.clone(), fs::read(path.join(name)).unwrap())).collect()
}

#[test]
fn every_version_that_is_kept_can_be_read() {
    for retention in [Retention::Forever, Retention::Count(2)] {
        let folder = folder();
        ten_records_and_two(folder.path(), retention);
        let oldest = if retention == Retention::Forever { 2 } else { 6 };
        let before = contents(folder.path());
        for version in 0..20 {
            match recover_at(folder.path(), version) {
                Ok((recovered, log)) => {
                    assert_eq!((recovered.sequence, recovered.torn, recovered.damaged), (version, None, vec![]));
                    assert_eq!(log, Log::expected(Some((version / 2 * 2).min(10)), version));
                    assert!((oldest..=12).contains(&version));
                }
                Err(RecoverError::NotKept { directory, version: asked, oldest: named }) => {
                    assert_eq!((directory.as_path(), asked, named), (folder.path(), version, oldest));
                    assert!(version < oldest);
                }
                Err(RecoverError::NotYet { directory, version: asked, newest }) => {
                    assert_eq!((directory.as_path(), asked, newest), (folder.path(), version, 12));
                    assert!(version > 12);
                }
                Err(error) => panic!("{version}: {error}"),
            }
        }
        let error = recover_at(folder.path(), u64::MAX).unwrap_err();
        assert!(matches!(error, RecoverError::NotYet { newest: 12, .. }), "{error}");
        let error = recover_at(folder.path(), 1).unwrap_err().to_string();
        assert!(error.contains(&format!("expected a version from {oldest} on")), "{error}");
        assert_eq!(contents(folder.path()), before);
    }
}

#[test]
fn a_journal_without_a_snapshot_has_every_version() {
    let folder = folder();
    journal_of(folder.path(), 3);
    for version in 0..=3 {
        assert_eq!(recover_at(folder.path(), version).unwrap().1, Log::expected(None, version));
    }
    let error = recover_at(folder.path(), 4).unwrap_err();
    assert!(matches!(error, RecoverError::NotYet { newest: 3, .. }), "{error}");
}

#[test]
fn a_directory_in_use_can_be_read() {
    let folder = folder();
    let mut writer = open(folder.path());
    recover(&mut writer);
    for last in 1..=40 {
        append(&mut writer, last..=last);
        let newest = recover_at(folder.path(), last).unwrap_err();
        assert!(matches!(newest, RecoverError::NotYet { newest, .. } if newest == last - 1), "{newest}");
        writer.sync().unwrap();
        assert_eq!(recover_at(folder.path(), last).unwrap().0.sequence, last);
        if last % 7 == 0 {
            // Begun, and finished a record later.
            writer.begin_snapshot(last, Time::default()).unwrap();
            write_document(&mut writer, last);
        } else if last % 7 == 1 && last > 1 {
            writer.finish_snapshot().unwrap();
            writer.sync().unwrap();
            assert_eq!(recover_at(folder.path(), last).unwrap().1, Log::expected(Some(last - 1), last));
        }
        let mut log = Log::default();
        Archive::open_with_vfs(folder.path(), None, OsVfs).unwrap().recover(&mut log).unwrap();
        assert_eq!(log.records.last().map(|(sequence, _)| *sequence), Some(last));
    }
}

/// The file system of a process that may only read. It calls a function before it opens a file.
struct ReadOnly<F>(F);

fn forbidden<T>() -> io::Result<T> {
    Err(io::ErrorKind::PermissionDenied.into())
}

impl<F: Fn() + Send + 'static> Vfs for ReadOnly<F> {
    type File = fs::File;
    type Lock = ();

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        forbidden()
    }

    fn lock(&self, _: &Path, _: Access) -> Result<(), LockError> {
        forbidden().map_err(LockError::Io)
    }

    fn create(&self, _: &Path) -> io::Result<fs::File> {
        forbidden()
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<fs::File> {
        (self.0)();
        if access == Access::Read { OsVfs.open(path, access) } else { forbidden() }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        OsVfs.list(path)
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        forbidden()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        forbidden()
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        forbidden()
    }
}

/// Calls a function when something is handed over.
struct Told<F> {
    log: Log,
    tell: F,
}

impl<F: FnMut()> Recovery for Told<F> {
    fn snapshot(&mut self, sequence: u64, document: &str) -> Result<(), Refused> {
        (self.tell)();
        self.log.snapshot(sequence, document)
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        (self.tell)();
        self.log.record(sequence, record)
    }
}

#[test]
fn a_newer_snapshot_may_take_the_place_of_what_is_read() {
    let kept = |version, while_it_opens: bool| {
        let folder = folder();
        let mut writer = open(folder.path());
        recover(&mut writer);
        commit(&mut writer, 1..=2);
        snapshot(&mut writer, 2);
        commit(&mut writer, 3..=6);
        let writer = Arc::new(Mutex::new(Some(writer)));
        let compact = move |wanted: bool| {
            if let Some(mut writer) = writer.lock().unwrap().take_if(|_| wanted) {
                snapshot(&mut writer, 6);
            }
        };
        let (opened, handed_over) = (compact.clone(), || compact(!while_it_opens));
        let vfs = ReadOnly(move || opened(while_it_opens));
        let mut told = Told { log: Log::default(), tell: handed_over };
        let recovered = Archive::open_with_vfs(folder.path(), Some(version), vfs).unwrap().recover(&mut told)?;
        assert_eq!(names(folder.path()), ["LOCK", "journal-7.jsonl", "snapshot-6.json"]);
        assert_eq!(recovered.sequence, version);
        Ok(told.log)
    };
    // What was opened is read to its end.
    assert_eq!(kept(5, false).unwrap(), Log::expected(Some(2), 5));
    assert_eq!(kept(6, false).unwrap(), Log::expected(Some(2), 6));
    // What is gone is looked for again, as nothing was handed over.
    assert_eq!(kept(6, true).unwrap(), Log::expected(Some(6), 6));
    let error = kept(5, true).unwrap_err();
    assert!(matches!(error, RecoverError::NotKept { version: 5, oldest: 6, .. }), "{error}");
}

#[test]
fn a_journal_that_grows_while_it_is_read_is_not_damaged() {
    let folder = folder();
    let mut writer =
        Directory::open_with(folder.path(), DirectorySettings { segment_chunk: 1 << 20, ..settings() }).unwrap();
    recover(&mut writer);
    commit(&mut writer, 1..=2);
    let mut last = 2;
    // More than is read ahead, at the first record.
    let grow = || {
        if last == 2 {
            last = 2_000;
            commit(&mut writer, 3..=last);
        }
    };
    let mut told = Told { log: Log::default(), tell: grow };
    let recovered = Directory::open_at(folder.path(), 1_900).unwrap().recover(&mut told).unwrap();
    assert_eq!((recovered.sequence, recovered.torn), (1_900, None));
    assert_eq!(told.log, Log::expected(None, 1_900));
}

#[test]
fn a_directory_that_may_only_be_read_is_enough() {
    let folder = folder();
    ten_records_and_two(folder.path(), Retention::Forever);
    // What a recovery by the owner would clear away or cut off.
    fs::write(folder.path().join("snapshot-11.json.tmp"), "{").unwrap();
    let path = folder.path().join("journal-11.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{}\n{{\"crc\":\"torn", text.trim_end())).unwrap();
    let before = contents(folder.path());
    for (version, last) in [(Some(7), 7), (Some(12), 12), (None, 12)] {
        let mut archive = Archive::open_with_vfs(folder.path(), version, ReadOnly(|| ())).unwrap();
        let mut log = Log::default();
        let recovered = archive.recover(&mut log).unwrap();
        assert_eq!(recovered.sequence, last);
        assert_eq!(recovered.torn.is_some(), version.is_none(), "{version:?}");
        assert_eq!(log, Log::expected(Some(if last == 7 { 6 } else { 10 }), last));
    }
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn an_archive_takes_nothing() {
    let folder = folder();
    ten_records_and_two(folder.path(), Retention::Forever);
    let mut archive = Directory::open_at(folder.path(), 3).unwrap();
    assert!(matches!(archive.append(4, &record(4)), Err(StoreError::NotRecovered)));
    assert!(matches!(archive.begin_sync(), Err(StoreError::NotRecovered)));
    assert!(matches!(archive.begin_snapshot(3, Time::default()), Err(StoreError::NotRecovered)));
    assert_eq!(archive.usage(), Usage::default());
    recover(&mut archive);
    assert!(matches!(archive.append(4, &record(4)), Err(StoreError::ReadOnly)));
    assert!(archive.begin_sync().unwrap().is_none());
    // There is nothing to compact.
    assert_eq!(archive.usage(), Usage::default());
    // An engine that would like to have a snapshot needn't know.
    archive.begin_snapshot(3, Time::default()).unwrap();
    archive.write_snapshot("{").unwrap();
    archive.finish_snapshot().unwrap();
    archive.sync().unwrap();
    assert!(matches!(archive.recover(&mut Log::default()), Err(RecoverError::NotFresh)));
    assert_eq!(recover_at(folder.path(), 3).unwrap().1, Log::expected(Some(2), 3));
}

#[test]
fn a_directory_that_is_not_there_is_not_created() {
    let path: PathBuf = folder().path().join("missing");
    let error = Directory::open_at(&path, 1).unwrap_err();
    assert!(matches!(&error, OpenError::Io { action: "list", path: named, .. } if *named == path), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_past_version_has_damaged_snapshots_passed_over() {
    let folder = folder();
    ten_records_and_two(folder.path(), Retention::Forever);
    fs::write(folder.path().join("snapshot-6.json"), "{").unwrap();
    for version in [6, 7] {
        let (recovered, log) = recover_at(folder.path(), version).unwrap();
        assert_eq!(log, Log::expected(Some(4), version));
        let [damaged] = &recovered.damaged[..] else { panic!("{:?}", recovered.damaged) };
        assert!(damaged.file.ends_with("snapshot-6.json"));
    }
    assert_eq!(recover_at(folder.path(), 8).unwrap().0.damaged, []);
    fs::write(folder.path().join("snapshot-2.json"), "{").unwrap();
    let error = recover_at(folder.path(), 3).unwrap_err();
    assert!(matches!(&error, RecoverError::Damaged { path, .. } if path.ends_with("snapshot-2.json")), "{error}");
}
