//! A disk that fails at any operation and then crashes in any way.

use super::disk::{Disk, Random};
use super::*;
use crate::store::StoreError;

/// What a caller knows about its store.
#[derive(Debug, Default)]
struct Known {
    appended: u64,
    synced: u64,
}

/// Works on a store until it fails.
fn work(store: &mut impl Store, known: &mut Known, random: &mut Random) -> Result<(), StoreError> {
    let mut writing = None;
    for _ in 0..30 {
        match (random.below(8), writing) {
            (0..=3, _) => {
                store.append(known.appended + 1, &record(known.appended + 1))?;
                known.appended += 1;
            }
            (4..=5, _) => {
                store.sync()?;
                known.synced = known.appended;
            }
            (_, None) => {
                store.begin_snapshot(known.appended, Time::default())?;
                writing = Some(known.appended);
                store.write_snapshot(&document(known.appended))?;
            }
            (_, Some(_)) => {
                store.finish_snapshot()?;
                writing = None;
            }
        }
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
        for life in 0..4 {
            disk.fail_at(random.below(60) as usize);
            let mut store = disk.open();
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
