//! The cost of an event follows what it changes, and not how much there is.
//!
//! Instructions are counted, because they are the same in each run: a bound on them holds or doesn't, whatever else the
//! machine does.

#![allow(clippy::unwrap_used, clippy::panic)]

use amiko_benches::by_hand::ByHand;
use amiko_benches::channels::{payment, send};
use amiko_benches::instructions::{CountError, Counted, Ending, channels_engine, count};
use amiko_benches::phases::Mover;

/// How many times the instructions of an event among the fewest objects it may take among more. What grows with a table are
/// the digits of a key, which are written for a committed event: a few in a hundred. A walk over the objects, or one step
/// for each doubling of them, would be many times this.
const MOST: f64 = 1.2;

#[test]
#[cfg_attr(debug_assertions, ignore = "counts what an optimized build does: cargo test --release -p amiko-benches")]
fn an_event_costs_what_it_changes() {
    let program = [env!("CARGO_BIN_EXE_instructions").into()];
    for ending in [Ending::Committed, Ending::RolledBack] {
        let mut fewest = None;
        for accounts in [1_000, 100_000, 1_000_000] {
            let instructions = match count(&program, accounts, Counted::Bank(ending)) {
                Ok(instructions) => instructions,
                Err(CountError::Missing) => {
                    println!("SKIPPED: {}", CountError::Missing);
                    return;
                }
                Err(error) => panic!("{error}"),
            };
            let ratio = instructions as f64 / *fewest.get_or_insert(instructions) as f64;
            println!("{ending:?}, {accounts} accounts: {instructions} instructions, {ratio:.3} ×");
            assert!(ratio <= MOST, "expected at most {MOST} ×, found {ratio:.3} × for {accounts} accounts, {ending:?}");
        }
    }
}

/// How many times the instructions of the same event by hand an event may take: with the same record, its checksum, and the
/// same history.
const MOST_TO_BY_HAND: f64 = 1.6;

#[test]
#[cfg_attr(debug_assertions, ignore = "counts what an optimized build does: cargo test --release -p amiko-benches")]
fn an_event_costs_little_more_than_by_hand() {
    let program = [env!("CARGO_BIN_EXE_instructions").into()];
    let counted = [Counted::Channels, Counted::ByHand].map(|counted| count(&program, 100_000, counted));
    let (ours, by_hand) = match counted {
        [Ok(ours), Ok(by_hand)] => (ours, by_hand),
        [Err(CountError::Missing), _] => {
            println!("SKIPPED: {}", CountError::Missing);
            return;
        }
        [Err(error), _] | [_, Err(error)] => panic!("{error}"),
    };
    let ratio = ours as f64 / by_hand as f64;
    println!("{ours} instructions, by hand {by_hand}, {ratio:.3} ×");
    assert!(ratio <= MOST_TO_BY_HAND, "expected at most {MOST_TO_BY_HAND} ×, found {ratio:.3} ×");
}

/// How many times the instructions of a move by hand one of phases may take: without a time-out, and with one against a timer
/// that is set and cancelled by hand.
const MOST_OF_A_MOVE: [(Mover, Mover, f64); 2] =
    [(Mover::Phased, Mover::Checked, 1.05), (Mover::Timed, Mover::ByHand, 1.02)];

#[test]
#[cfg_attr(debug_assertions, ignore = "counts what an optimized build does: cargo test --release -p amiko-benches")]
fn a_move_costs_what_it_costs_by_hand() {
    let program = [env!("CARGO_BIN_EXE_instructions").into()];
    for (phases, by_hand, most) in MOST_OF_A_MOVE {
        let counted = [phases, by_hand].map(|mover| count(&program, 100, Counted::Move(mover)));
        let (ours, hand) = match counted {
            [Ok(ours), Ok(hand)] => (ours, hand),
            [Err(CountError::Missing), _] => {
                println!("SKIPPED: {}", CountError::Missing);
                return;
            }
            [Err(error), _] | [_, Err(error)] => panic!("{error}"),
        };
        let ratio = ours as f64 / hand as f64;
        println!("{phases:?}: {ours} instructions, by hand {hand}, {ratio:.3} ×");
        assert!(ratio <= most, "expected at most {most} ×, found {ratio:.3} × for {phases:?}");
    }
}

#[test]
fn by_hand_writes_the_same_journal() {
    const COUNT: u64 = 100;
    let (mut engine, mut by_hand) = (channels_engine(COUNT), ByHand::of(COUNT));
    for number in 0..50 {
        let mut payment = payment(number, COUNT);
        if number % 10 == 9 {
            payment.amount = 1 << 20;
        }
        assert_eq!(send(&mut engine, &payment).is_ok(), by_hand.handle_and_record(&payment));
    }
    engine.sync().unwrap();
    let (ours, theirs) = (engine.store().synced(), std::str::from_utf8(by_hand.lines()).unwrap());
    ours.lines().zip(theirs.lines()).for_each(|(ours, theirs)| assert_eq!(ours, theirs));
    assert_eq!((ours.lines().count(), ours), (45, theirs));
}
