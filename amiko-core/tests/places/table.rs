//! What came out, as a table.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// What is promised of an object, wherever it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    Journal,
    Snapshot,
    Difference,
    Secret,
    Strong,
    Schema,
    Depth,
    Length,
    Order,
}

impl Promise {
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Journal, "journal"),
        (Self::Snapshot, "snapshot"),
        (Self::Difference, "difference"),
        (Self::Secret, "secret"),
        (Self::Strong, "strong"),
        (Self::Schema, "schema"),
        (Self::Depth, "depth"),
        (Self::Length, "length"),
        (Self::Order, "order"),
    ];
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Holds,
    /// It can't be written, with the error.
    Refused(String),
    Broken(String),
}

#[derive(Default)]
pub struct Table(Vec<(&'static str, BTreeMap<Promise, Cell>)>);

impl Table {
    /// Takes note of what was found out about one place. Of several answers the worst counts.
    pub fn note(&mut self, place: &'static str, promise: Promise, outcome: Result<Cell, String>) {
        let cell = outcome.unwrap_or_else(Cell::Broken);
        if !self.0.iter().any(|(name, _)| *name == place) {
            self.0.push((place, BTreeMap::new()));
        }
        let (_, cells) = self.0.iter_mut().find(|(name, _)| *name == place).unwrap();
        let old = cells.entry(promise).or_insert(Cell::Holds);
        if matches!(old, Cell::Holds) || matches!(cell, Cell::Broken(_)) {
            *old = cell;
        }
    }

    pub fn counts(&self) -> (usize, usize, usize) {
        let cells: Vec<_> = self.0.iter().flat_map(|(_, cells)| cells.values()).collect();
        let count = |matches: fn(&Cell) -> bool| cells.iter().filter(|cell| matches(cell)).count();
        (
            count(|cell| matches!(cell, Cell::Holds)),
            count(|cell| matches!(cell, Cell::Refused(_))),
            count(|cell| matches!(cell, Cell::Broken(_))),
        )
    }

    pub fn text(&self) -> String {
        let mut text = String::from("| place |");
        Promise::ALL.iter().for_each(|(_, name)| write!(text, " {name} |").unwrap());
        text += "\n|---|";
        Promise::ALL.iter().for_each(|_| text += "---|");
        for (place, cells) in &self.0 {
            write!(text, "\n| `{}` |", place.replace('|', "\\|")).unwrap();
            for (promise, _) in Promise::ALL {
                match cells.get(&promise) {
                    Some(Cell::Holds) => text += " holds |",
                    Some(Cell::Refused(error)) => write!(text, " refused: {error} |").unwrap(),
                    Some(Cell::Broken(error)) => write!(text, " **broken**: {:.300} |", error).unwrap(),
                    None => panic!("nothing was found out about {promise:?} of {place}"),
                }
            }
        }
        text + "\n"
    }

    /// Compares the table with the one in the documentation.
    pub fn compare(&self, document: &Path) {
        let old = std::fs::read_to_string(document).unwrap_or_default();
        let begin = "<!-- written by `cargo test -p amiko-core --test places` -->\n";
        let end = "<!-- end -->\n";
        let (before, rest) = old.split_once(begin).unwrap();
        let (found, after) = rest.split_once(end).unwrap();
        let expected = self.text();
        if std::env::var_os("AMIKO_BLESS").is_some_and(|value| value == "1") {
            std::fs::write(document, format!("{before}{begin}{expected}{end}{after}")).unwrap();
        } else {
            assert!(found == expected, "docs/places.md isn't what came out; AMIKO_BLESS=1 writes it");
        }
    }
}
