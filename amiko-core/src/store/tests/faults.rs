//! A disk that fails at any operation and then crashes in any way.

use super::disk::{Disk, Random};
use super::*;
use crate::store::{OpenError, StoreError, Work, verify_with_vfs};
use std::time::Duration;

/// What a caller knows about its store.
#[derive(Debug, Default)]
struct Known {
    appended: u64,
    synced: u64,
}

/// Works on a store until it fails.
fn work(store: &mut impl Store, known: &mut Known, random: &mut Random) -> Result<(), StoreError> {
    let mut writing = None;
    let mut out = None;
    for _ in 0..30 {
        match (random.below(9), writing) {
            (0..=3, _) => {
                store.append(known.appended + 1, &record(known.appended + 1))?;
                known.appended += 1;
            }
            (4..=6, _) => match out.take() {
                Some((work, covered)) => {
                    store.end_sync(Work::run(work))?;
                    known.synced = known.synced.max(covered);
                }
                None if random.below(2) == 0 => {
                    store.sync()?;
                    known.synced = known.appended;
                }
                None if random.below(2) == 0 => out = store.begin_write()?.map(|work| (work, 0)),
                None => out = store.begin_sync()?.map(|work| (work, known.appended)),
            },
            (_, None) => {
                store.begin_snapshot(known.appended, Time::from_secs(known.appended))?;
                writing = Some(known.appended);
                store.write_snapshot(&document(known.appended))?;
            }
            (_, Some(_)) => {
                store.finish_snapshot()?;
                writing = None;
            }
        }
    }
    // Work that is out at the end is dropped, or run without anybody knowing.
    if let Some((work, _)) = out.filter(|_| random.below(2) == 0) {
        drop(work.run());
    }
    Ok(())
}

/// Whatever fails and wherever it crashes: the store opens, with all that was synced, and with
/// nothing that wasn't appended; then it goes on.
#[test]
fn crashes_lose_nothing_that_was_synced() {
    let (mut torn, mut failed) = (0, 0);
    for seed in 0..3000 {
        let mut random = Random(seed);
        let disk = Disk::default();
        let mut known = Known::default();
        let age = Duration::from_secs(random.below(10));
        let retention = [Retention::Count(0), Retention::Bytes(2_000), Retention::Forever, Retention::Age(age)];
        let settings = DirectorySettings { retention: retention[random.below(4) as usize], ..settings() };
        for life in 0..4 {
            disk.repair();
            // What a crash leaves is no damage.
            match verify_with_vfs("store", Log::default, disk.clone()) {
                Ok(report) => assert!(report.is_healthy(), "seed {seed}, life {life}: {:?}", report.findings),
                Err(error) => assert!(matches!(error, OpenError::NoStore { .. }), "seed {seed}, life {life}: {error}"),
            }
            disk.fail_at(random.below(60) as usize);
            let mut store = disk.open_with(settings.clone());
            let mut log = Log::default();
            match store.recover(&mut log) {
                Ok(recovered) => {
                    let last = recovered.sequence;
                    assert!(
                        (known.synced..=known.appended).contains(&last),
                        "seed {seed}, life {life}: {last} isn't in {known:?}"
                    );
                    let snapshot = log.snapshot.as_ref().map(|(sequence, _)| *sequence);
                    assert_eq!(log, Log::expected(snapshot, last), "seed {seed}, life {life}");
                    torn += usize::from(recovered.torn.is_some());
                    // What was recovered once has to be there for good.
                    known = Known { appended: last, synced: last };
                    if work(&mut store, &mut known, &mut random).is_err() {
                        failed += 1;
                        assert!(matches!(store.sync(), Err(StoreError::Poisoned { .. })));
                    }
                }
                Err(RecoverError::Io { .. }) => failed += 1,
                Err(error) => panic!("seed {seed}, life {life}: {error}"),
            }
            drop(store);
            // Else only the process was killed, and the disk has all that was written.
            if random.below(3) > 0 {
                disk.crash(&mut random);
            }
        }
    }
    assert!(torn > 100 && failed > 1000, "too little was tried: {torn} torn, {failed} failed");
}

#[test]
fn nothing_is_synced_again_after_a_failed_sync() {
    let disk = Disk::default();
    let mut store = disk.open();
    recover(&mut store);
    commit(&mut store, 1..=1);
    // The write goes well and the sync doesn't.
    disk.fail_at(2);
    append(&mut store, 2..=2);
    store.sync().unwrap_err();
    assert!(matches!(store.append(3, &record(3)), Err(StoreError::Poisoned { .. })));
    store.sync().unwrap_err();
    assert_eq!(disk.operations(), 2, "a failed file was synced again");
    let cause = store.sync().unwrap_err().to_string();
    assert!(cause.contains("cannot sync store/journal-1.jsonl: the disk failed"), "{cause}");
}
