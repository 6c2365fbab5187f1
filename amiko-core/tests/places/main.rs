//! Every place that an object can stand in against everything that is promised of it. The table of what came out is
//! `docs/places.md`; `AMIKO_BLESS=1` writes it.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod containers;
mod elements;
mod positions;
mod random;
mod table;
mod world;

use std::path::Path;
use table::Table;

#[test]
fn an_object_keeps_its_promises_in_every_place_or_is_refused_there() {
    let mut table = Table::default();
    for row in containers::rows() {
        world::look(&row, &mut table);
    }
    positions::look(&mut table);
    println!("{}", table.text());
    let (holds, refused, broken) = table.counts();
    println!("{holds} cells hold, {refused} are refused, {broken} are broken");
    assert_eq!(broken, 0, "see the table above");
    table.compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/places.md"));
}

#[test]
fn whatever_happens_memory_journal_snapshot_and_differences_agree() {
    random::look();
}
