//! What a table takes for each object beside the object itself.

use crate::channels::{Channels, objects, ours};
use crate::effort::Effort;
use crate::process::{again, resident};
use crate::report::{Asked, Bound, Report, Table};
use crate::spread::{Spread, figure};
use amiko_benches::{Account, bank};
use amiko_core::prelude::*;
use clap::ValueEnum;
use std::hint::black_box;

const TEXT: &str = "\
How much more memory a process has after a million objects were put into a table, than after the same objects were put into a \
vector of the right size: for each object. So the bytes that the allocator loses are counted. A table has the objects in a hash \
table, and their keys in an ordered set too. A small object is a number and a string of some twelve characters.";

const OBJECTS: u64 = 1_000_000;
const ROUNDS: usize = 3;

/// Objects with long keys.
#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Named {
    balance: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Container {
    Vector,
    Table,
    NamedVector,
    NamedTable,
    SmallVector,
    SmallTable,
}

/// Fills a container, and prints how many bytes the process has more than before.
pub(super) fn hold(container: Container, count: u64) {
    fn name(number: u64) -> String {
        format!("{:032x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
    fn collected<T>(things: impl Iterator<Item = T>, count: u64) -> Vec<T> {
        let mut vector = Vec::with_capacity(count as usize);
        vector.extend(things);
        vector
    }
    let named = (0..count).map(|balance| (Id::new(name(balance)), Named { balance }));
    let before = resident();
    let print = |bytes: u64| println!("{bytes}");
    match container {
        Container::Vector => {
            let _held = black_box(collected(objects(count).map(|peer| ours(&peer)), count));
            print(resident() - before);
        }
        Container::Table => {
            let _held = black_box(Channels::of(count));
            print(resident() - before);
        }
        Container::SmallVector => {
            let account = |number| Account { balance: 1_000_000, owner: format!("owner {number}") };
            let _held = black_box(collected((0..count).map(account), count));
            print(resident() - before);
        }
        Container::SmallTable => {
            let _held = black_box(bank(count));
            print(resident() - before);
        }
        Container::NamedVector => {
            let _held = black_box(collected(named.map(|(_, object)| object), count));
            print(resident() - before);
        }
        Container::NamedTable => {
            let _held = black_box(named.collect::<amiko_core::Table<Named>>());
            print(resident() - before);
        }
    }
}

/// The bytes of a container of so many objects, for each of them.
fn bytes(container: Container, count: u64) -> f64 {
    let name = container.to_possible_value().expect("none is hidden").get_name().to_owned();
    again(&["hold", &name, &count.to_string()])[0] / count as f64
}

pub(super) fn run(effort: Effort) -> Report {
    let count = effort.count(OBJECTS);
    let beside =
        |table, vector| Spread::of((0..effort.rounds(ROUNDS)).map(|_| bytes(table, count) - bytes(vector, count)));
    let numbers = beside(Container::Table, Container::Vector);
    let names = beside(Container::NamedTable, Container::NamedVector);
    let small = beside(Container::SmallTable, Container::SmallVector);
    let [object, small_object] = [Container::Vector, Container::SmallVector].map(|vector| bytes(vector, count));
    let bound =
        |work: &str, most, found| Bound { work: work.into(), asked: Asked::AtMost(most), found, unit: "bytes".into() };
    let row = |name: &str, value: f64| vec![name.to_owned(), figure(value)];
    Report {
        text: TEXT.into(),
        bounds: vec![
            bound("memory per object beside the object itself", 120.0, numbers),
            bound("memory per object of 1,000,000 small ones, beside the object itself", 130.0, small),
        ],
        tables: vec![Table {
            name: String::new(),
            heads: vec![String::new(), "bytes per object".into()],
            rows: vec![
                row("the object itself: ten fields, three strings, a map of six entries", object),
                row("beside it, with an integer as its key", numbers.median),
                row(
                    "beside it, with a string of 32 characters as its key, in both the hash table and the set",
                    names.median,
                ),
                row("a small object itself: a number and a string", small_object),
                row("beside it, with an integer as its key", small.median),
            ],
        }],
        ..Report::default()
    }
}
