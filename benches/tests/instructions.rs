//! The cost of an event follows what it changes, and not how much there is.
//!
//! Instructions are counted, because they are the same in each run: a bound on them holds or doesn't, whatever else the
//! machine does.

#![allow(clippy::unwrap_used, clippy::panic)]

use amiko_benches::instructions::{CountError, Ending, count};

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
            let instructions = match count(&program, accounts, ending) {
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
