//! One event that reads three of many objects and changes two of them, beside the same without any router.

use crate::channels::{MOST_RECEIVED, Payment, payment, send};
use crate::contest::Contest;
use crate::effort::Effort;
use crate::report::{Asked, Bound, Report};
use crate::spread::Spread;
use amiko_benches::by_hand::ByHand;
use amiko_benches::instructions::{Counted, channels_engine, count};
use amiko_core::prelude::*;

const TEXT: &str = "\
An event reads three objects of 100,000 at random and changes two of them; one event in ten is refused by the second one, and \
rolled back. All is in memory; every 100 events are synced, and forgotten by a store that keeps nothing. The last 1,000 versions \
are kept.

- **Amiko** routes two messages, writes a record for the journal, seals it with a checksum, and keeps the versions.
- **HashMap + undo log** is what one would write by hand for this one event, with nothing in it that isn't needed: a `HashMap` \
  (foldhash) of `Arc`s of the very same objects, the old `Arc`s as undo log and as history. No messages, no journal.
- **The same record by hand** is the same, with the very lines of Amiko's journal: time, cause, the fields that changed, found one by \
  one, and the checksum; and the record is kept with its version.

Amiko is asked to come close to the last one: a bare HashMap writes no record, so nobody could open its state again.";

const EVENT_BY_HAND: &str =
    "event that reads 3 and changes 2 of 100,000 objects, to the same record, checksum and history by hand";
const INSTRUCTIONS: &str = "the same, instructions";

const AMIKO: &str = "Amiko";
const BARE: &str = "HashMap + undo log";
const RECORDED: &str = "the same record by hand";

const OBJECTS: u64 = 100_000;
/// Events that are made durable at once.
const GROUP: u64 = 100;

/// The payment of this number; every tenth is more than anybody receives.
fn event(number: u64, count: u64) -> Payment {
    let mut payment = payment(number, count);
    if number.is_multiple_of(10) {
        payment.amount = MOST_RECEIVED + 1;
    }
    payment
}

pub(super) fn run(effort: Effort) -> Report {
    let count = effort.count(OBJECTS);
    eprintln!("  filling");
    let (mut engine, mut bare, mut recorded) = (channels_engine(count), ByHand::of(count), ByHand::of(count));
    // What all make of the same events must be the same, or the times mean nothing.
    for number in 0..1_000 {
        let event = event(number, count);
        let committed = send(&mut engine, &event).is_ok();
        assert_eq!((committed, committed), (bare.handle(&event), recorded.handle_and_record(&event)));
        let channel = engine.node().channels.get(&Id::new(event.from));
        assert_eq!((channel, channel), (bare.get(event.from), recorded.get(event.from)));
    }
    engine.sync().expect("syncs");
    assert_eq!(engine.store().synced().as_bytes(), recorded.lines());

    let mut contest = Contest::new("an event in memory");
    let mut number = 0;
    contest.single(AMIKO, || {
        number += 1;
        if number % GROUP == 0 {
            engine.sync().expect("syncs");
        }
        send(&mut engine, &event(number, count)).is_ok()
    });
    let mut number = 0;
    contest.single(BARE, || {
        number += 1;
        bare.handle(&event(number, count))
    });
    let mut number = 0;
    contest.single(RECORDED, || {
        number += 1;
        if number % GROUP == 0 {
            recorded.sync();
        }
        recorded.handle_and_record(&event(number, count))
    });
    let samples = contest.measure(effort);
    let mut bounds = vec![samples.bound(EVENT_BY_HAND, AMIKO, RECORDED, Asked::AtMost(1.3))];
    bounds.extend(instructions(count));
    Report { text: TEXT.into(), bounds, tables: vec![samples.table()], ..Report::default() }
}

/// The instructions of an event that commits; none without valgrind.
fn instructions(objects: u64) -> Option<Bound> {
    let program = [std::env::current_exe().expect("a program").into(), "instructions".into()];
    let counted = [Counted::Channels, Counted::ByHand].map(|counted| count(&program, objects, counted));
    let [ours, by_hand] = counted.map(|found| found.inspect_err(|error| eprintln!("  instructions: {error}")).ok());
    let ratio = ours? as f64 / by_hand? as f64;
    Some(Bound {
        work: INSTRUCTIONS.into(),
        asked: Asked::AtMost(1.4),
        found: Spread::of([ratio].into_iter()),
        unit: "×".into(),
    })
}
