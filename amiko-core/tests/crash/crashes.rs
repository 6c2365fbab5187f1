//! The power goes: after every operation of a life, in the middle of recoveries, and anywhere by chance.

use crate::history::History;
use crate::workload::*;
use crate::{in_parallel, seed, wanted_images};
use amiko_core::sim::{Fate, Fault, Pending, Random, SimVfs};
use amiko_core::store::Vfs;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// So many of the newest pending changes are tried in all combinations.
const COMBINED: usize = 4;
/// A crash in a recovery is followed by one in the next recovery, and so on.
const DEEPEST: usize = 3;
const STEPS: usize = 110;

/// What was tried.
#[derive(Default)]
struct Tally {
    images: AtomicU64,
    /// Recoveries in the middle of which the power went: of a first crash, of such a recovery, …
    recoveries: [AtomicU64; DEEPEST],
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recoveries = self.recoveries.each_ref().map(|count| count.load(Relaxed));
        write!(f, "{} images opened, {recoveries:?} recoveries crashed by depth", self.images.load(Relaxed))
    }
}

#[test]
fn nothing_acknowledged_is_lost_whenever_the_power_goes() {
    let (begun, tally, seed) = (Instant::now(), Tally::default(), seed());
    let steps = steps(seed, 0, STEPS);
    let (disk, mut model) = (SimVfs::new(), History::new());
    let life = model.live(&disk, true, &steps).unwrap();
    let (versions, operations) = (model.committed(), disk.operations());
    let names = disk.list("store".as_ref()).unwrap();
    println!(
        "a life of {operations} operations, {versions} versions and {} rejections leaves {names:?}",
        life.rejected
    );
    // Else it isn't a life that shows anything.
    assert!(versions > 20 && life.rejected > 3 && !names.contains(&"snapshot-0.json".to_owned()));

    in_parallel(1..operations + 2, |operation| {
        let disk = SimVfs::new();
        disk.fail_from(operation, Fault::Halt);
        let mut history = History { documents: vec![model.documents[0].clone()], acknowledged: 0 };
        history.live(&disk, true, &steps)?;
        if !model.documents.starts_with(&history.documents) {
            return Err("the versions aren't those of a life without a crash".into());
        }
        let random = &mut Random::new(seed ^ operation << 32);
        every_image(&disk, &history, random, &tally)?;
        after_a_kill(&disk, &history, random, &tally)
    });
    println!("after every operation: {tally}, {:.1?}", begun.elapsed());

    const ROUNDS: u64 = 16;
    let mut rounds = 0;
    while tally.images.load(Relaxed) < wanted_images() {
        in_parallel(rounds..rounds + ROUNDS, |round| lives_by_chance(seed.wrapping_add(round), &model, &tally));
        rounds += ROUNDS;
    }
    println!("and {rounds} times several lives by chance: {tally}, {:.1?}", begun.elapsed());
}

/// Opens what crashes at this moment may leave: the newest pending changes in all combinations, the others by chance.
fn every_image(disk: &SimVfs, history: &History, random: &mut Random, tally: &Tally) -> Result<(), String> {
    let pending = disk.pending();
    let combined = pending.len().saturating_sub(COMBINED);
    // The fewer there are, the more places to tear them at.
    let tears = if pending.len() <= 2 { 12 } else { 2 };
    let choices: Vec<_> = pending[combined..].iter().map(|pending| choices(random, pending, tears)).collect();
    let combinations: usize = choices.iter().map(Vec::len).product();
    for combination in 0..combinations {
        let mut fates: Vec<Fate> = pending[..combined].iter().map(|pending| Fate::draw(random, pending)).collect();
        let mut rest = combination;
        for choices in &choices {
            fates.push(choices[rest % choices.len()]);
            rest /= choices.len();
        }
        let image = with_fates(disk, &fates);
        let failed = |text| format!("{text}\nafter a crash that leaves of {pending:#?}\n{fates:?}");
        open_image(&image, history, history.range(), random, tally).map_err(failed)?;
    }
    Ok(())
}

/// What may become of a change. Where a write is torn is left to chance.
fn choices(random: &mut Random, pending: &Pending, tears: usize) -> Vec<Fate> {
    let mut choices = vec![Fate::Kept, Fate::Dropped];
    if let Pending::Written { bytes, .. } = pending {
        let mut place = || random.below(*bytes as u64 + 1) as usize;
        choices.extend((0..tears).map(|_| Fate::Torn(place())));
        choices.extend((0..tears / 2).map(|_| Fate::Holed { from: place(), to: place() }));
    }
    choices
}

fn with_fates(disk: &SimVfs, fates: &[Fate]) -> SimVfs {
    let mut fates = fates.iter();
    disk.crash(|_| *fates.next().unwrap())
}

/// Opens an image; at times goes on with it, at times lets the power go while it is opened.
fn open_image(
    image: &SimVfs,
    history: &History,
    range: RangeInclusive<u64>,
    random: &mut Random,
    tally: &Tally,
) -> Result<(), String> {
    tally.images.fetch_add(1, Relaxed);
    match random.below(256) {
        0 => crash_recoveries(image, history, range, 0, random, tally),
        1..=16 => history.check_and_go_on(image, range),
        _ => history.check(image, range).map(drop),
    }
}

/// Lets the power go after operations of a recovery, and again in the recovery of what that leaves: after every one at
/// first, then after some.
fn crash_recoveries(
    image: &SimVfs,
    history: &History,
    range: RangeInclusive<u64>,
    depth: usize,
    random: &mut Random,
    tally: &Tally,
) -> Result<(), String> {
    let whole = image.kill();
    history.check(&whole, range.clone())?;
    // The last one is after all of it.
    let end = whole.operations() + 1;
    for number in 1..=if depth == 0 { end } else { 3 } {
        let operation = if depth == 0 { number } else { 1 + random.below(end) };
        let disk = image.kill();
        disk.fail_from(operation, Fault::Halt);
        // What was recovered once is there for good, and what was cut off stays away.
        let range = match open(&disk, settings(true)) {
            Ok(bank) => {
                let version = history.verify(&bank, range.clone())?;
                version..=version
            }
            Err(Refusal::Io) => range.clone(),
            Err(refusal) => return Err(format!("recovery without power at {operation}: {refusal:?}")),
        };
        let fates = random.clone();
        let left = disk.crash_by_chance(random);
        tally.recoveries[depth].fetch_add(1, Relaxed);
        let failed = |text| format!("{text}\nafter a crash at {operation} of recovery {depth}, fates {fates:?}");
        if depth + 1 < DEEPEST {
            crash_recoveries(&left, history, range, depth + 1, random, tally).map_err(failed)?;
        } else {
            history.check(&left, range).map_err(failed)?;
        }
    }
    Ok(())
}

/// Opens what a process that was killed at this moment has written, synced or not. Who has seen it must not lose it again.
fn after_a_kill(disk: &SimVfs, history: &History, random: &mut Random, tally: &Tally) -> Result<(), String> {
    let next = disk.kill();
    let version = history.check(&next, history.range()).map_err(|text| format!("{text}\nafter a kill"))?;
    for image in [next.crash(|_| Fate::Dropped), next.crash_by_chance(random), next.crash_by_chance(random)] {
        tally.images.fetch_add(1, Relaxed);
        let after = |text| format!("{text}\nafter a kill, a recovery and a crash");
        history.check(&image, version..=version).map_err(after)?;
    }
    match random.below(8) {
        0 => crash_recoveries(&disk.kill(), history, history.range(), 0, random, tally),
        _ => Ok(()),
    }
}

/// One disk, several engines one after the other, each with other events and another end.
fn lives_by_chance(seed: u64, model: &History, tally: &Tally) -> Result<(), String> {
    let random = &mut Random::new(seed);
    let mut disk = SimVfs::new();
    let mut history = History { documents: vec![model.documents[0].clone()], acknowledged: 0 };
    for life in 0..5 {
        let steps = steps(random.next(), life * 1_000, 10 + random.below(60) as usize);
        let operation = 1 + random.below(250);
        let fault = match random.below(6) {
            0 => Fault::Io,
            1 => Fault::Sync,
            2 => Fault::ShortWrite(random.below(100) as usize),
            _ => Fault::Halt,
        };
        if fault == Fault::Halt {
            disk.fail_from(operation, fault)
        } else {
            disk.fail_at(operation, fault)
        }
        let failed = |text| format!("{text}\nin life {life} of AMIKO_SEED={seed}");
        let compacting = random.below(4) > 0;
        history.live(&disk, compacting, &steps).map_err(failed)?;
        for _ in 0..30 {
            let image = disk.crash_by_chance(random);
            open_image(&image, &history, history.range(), random, tally).map_err(failed)?;
        }
        // Else only the process was killed, and the next one finds all that was written.
        let killed = fault == Fault::Halt && random.below(3) == 0;
        disk = if killed { disk.kill() } else { disk.crash_by_chance(random) };
    }
    Ok(())
}
