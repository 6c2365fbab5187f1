//! The disk fails, once or for good, at every operation.

use crate::history::History;
use crate::workload::*;
use crate::{in_parallel, sample, seed};
use amiko_core::sim::{Fate, Fault, Pending, Random, SimVfs};
use amiko_core::store::Work;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

const FAULTS: [Fault; 5] = [Fault::Io, Fault::Full, Fault::ShortWrite(1), Fault::ShortWrite(70), Fault::Sync];

/// Has a node live on disks that fail, in every way and at every operation, and looks at what is left of each.
fn on_failing_disks(look: impl Fn(&SimVfs, &History, &mut Random) -> Result<(), String> + Sync) {
    let (begun, seed) = (Instant::now(), seed());
    let steps = steps(seed, 0, 60);
    let (disk, first) = (SimVfs::new(), History::new());
    first.clone().live(&disk, true, &steps).unwrap();
    let (lives, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    in_parallel(sample(disk.operations(), 5), |number| {
        let operation = 1 + number;
        let random = &mut Random::new(seed ^ operation << 32);
        for (fault, once) in FAULTS.into_iter().flat_map(|fault| [(fault, true), (fault, false)]) {
            // Soon after a fault the power goes, too: later there may be a snapshot that makes up for it.
            for after in [1 + random.below(6), 1 + random.below(30), u64::MAX - operation] {
                let (disk, mut history) = (SimVfs::new(), first.clone());
                if once {
                    disk.fail_at(operation, fault)
                } else {
                    disk.fail_from(operation, fault)
                }
                disk.fail_from(operation + after, Fault::Halt);
                let what =
                    |text| format!("{text}\nafter {fault:?} at {operation}, once: {once}, no power {after} later");
                let life = history.live(&disk, true, &steps).map_err(what)?;
                lives.fetch_add(1, Relaxed);
                failed.fetch_add(u64::from(life.failed), Relaxed);
                disk.clear_faults();
                look(&disk, &history, random).map_err(what)?;
            }
        }
        Ok(())
    });
    println!("{lives:?} lives on disks that fail, {failed:?} of them noticed in a sync: {:.1?}", begun.elapsed());
    assert!(failed.into_inner() > 100);
}

/// Whatever fails and whenever: nothing is acknowledged that isn't durable, and nothing at all after that.
#[test]
fn a_failing_disk_costs_nothing_that_was_acknowledged() {
    on_failing_disks(reopen);
}

/// What a process recovers after a sync has failed in the one before may stand in the memory of the system alone, and the
/// next sync of it writes nothing. Who has seen it must not lose it again.
///
/// That the sync of a directory fails and a later one succeeds isn't held against a store: there is no way to write a name
/// again, and file systems go read-only then.
#[test]
fn what_is_recovered_after_a_failed_sync_is_durable() {
    on_failing_disks(|disk, history, random| {
        let next = disk.kill();
        let version = history.check(&next, history.range())?;
        // Recovery syncs the directory, so a new name that is pending after it is one that was lost.
        if next.pending().iter().any(|pending| matches!(pending, Pending::Created { .. } | Pending::Renamed { .. })) {
            return Ok(());
        }
        for image in [next.crash(|_| Fate::Dropped), next.crash_by_chance(random)] {
            let what = |text| format!("{text}\nafter a kill, a recovery and a crash");
            history.check(&image, version..=version).map_err(what)?;
        }
        Ok(())
    });
}

/// Newlines that the process before has filled a file with may stand in the memory of the system alone. Who relied on them
/// would find zeros behind a record that the power was cut in, which no torn write leaves.
#[test]
fn what_a_failed_sync_has_filled_is_filled_again() {
    let order = |text: &str| envelope(vec![Order::Note { text: text.into() }]);
    for sync in 1..=3 {
        let disk = SimVfs::new();
        let mut bank = open(&disk, settings(false)).unwrap();
        bank.command(order(&"long ".repeat(200)), None, moment(1)).unwrap();
        disk.fail_at(disk.operations() + sync, Fault::Sync);
        disk.fail_at(disk.operations() + sync + 1, Fault::Sync);
        let failed = bank.sync().is_err();
        drop(bank);

        let next = disk.kill();
        let mut bank = open(&next, settings(false)).unwrap();
        let version = bank.version().0;
        bank.command(order("short"), None, moment(2)).unwrap();
        let done = bank.begin_write().unwrap().map(Work::run);
        bank.end_sync(done.unwrap()).unwrap();
        let Some(Pending::Written { bytes, .. }) = next.pending().pop() else { panic!("nothing was written") };
        for from in 0..bytes {
            let mut left = next.pending().len();
            let image = next.crash(|_| {
                left -= 1;
                if left == 0 { Fate::Holed { from, to: from + 1 } } else { Fate::Dropped }
            });
            let bank = open(&image, settings(false)).unwrap_or_else(|error| panic!("{error:?}: {failed}, {from}"));
            assert!(bank.version().0 == version || from == bytes - 1, "{from} of {bytes}");
        }
    }
}

/// Opens a disk that works again: as the next process finds it, and as crashes leave it.
fn reopen(disk: &SimVfs, history: &History, random: &mut Random) -> Result<(), String> {
    history.check(&disk.kill(), history.range()).map_err(|text| format!("{text}\nafter a kill"))?;
    let images = [disk.crash(|_| Fate::Dropped), disk.crash_by_chance(random), disk.crash_by_chance(random)];
    for image in images {
        history.check_and_go_on(&image, history.range()).map_err(|text| format!("{text}\nafter a crash"))?;
    }
    Ok(())
}

/// A disk that reads another bit than was written: recovery says so, or it doesn't matter.
#[test]
fn a_bit_that_is_read_wrong_never_makes_a_wrong_state() {
    let (begun, seed) = (Instant::now(), seed());
    let steps = steps(seed, 0, 60);
    let (disk, first) = (SimVfs::new(), History::new());
    first.clone().live(&disk, true, &steps).unwrap();
    let (refused, harmless) = (AtomicU64::new(0), AtomicU64::new(0));
    in_parallel(sample(disk.operations(), 10), |number| {
        let random = &mut Random::new(seed ^ number << 32);
        let (disk, mut history) = (SimVfs::new(), first.clone());
        disk.fail_from(1 + number, Fault::Halt);
        history.live(&disk, true, &steps)?;
        let image = disk.crash_by_chance(random);
        let whole = image.kill();
        history.check(&whole, history.range())?;
        for operation in 1..=whole.operations() {
            for _ in 0..40 {
                let (disk, bit) = (image.kill(), random.next());
                disk.fail_at(operation, Fault::BitFlip(bit));
                let what = |text| format!("{text}\nwith bit {bit} wrong in operation {operation}");
                let counter = match open(&disk, settings(true)) {
                    Err(Refusal::Typed(_)) => &refused,
                    Err(refusal) => return Err(what(format!("{refusal:?}"))),
                    Ok(bank) => {
                        history.verify(&bank, history.range()).map_err(what)?;
                        &harmless
                    }
                };
                // Nor does what was read wrong get to where it was read from.
                history.check(&disk.kill(), history.range()).map_err(|text| what(format!("{text}\nafterwards")))?;
                counter.fetch_add(1, Relaxed);
            }
        }
        Ok(())
    });
    println!("bits read wrong: {refused:?} refused, {harmless:?} harmless: {:.1?}", begun.elapsed());
    assert!(refused.into_inner() > 100);
}
