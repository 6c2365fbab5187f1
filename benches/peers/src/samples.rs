//! What contenders needed, or achieved, round by round, and how they compare.
//!
//! Invariant: a ratio is always one of two figures of the same round.

use crate::report::{Asked, Bound, Table};
use crate::spread::{Spread, figure};

/// A figure of each contender in each round. The first contender is ours.
pub struct Samples {
    name: String,
    unit: &'static str,
    contenders: Vec<(&'static str, Vec<f64>)>,
}

impl Samples {
    /// Nothing was measured yet.
    pub fn new(name: impl Into<String>, unit: &'static str, contenders: &[&'static str]) -> Self {
        let contenders = contenders.iter().map(|contender| (*contender, Vec::new())).collect();
        Self { name: name.into(), unit, contenders }
    }

    /// Takes note of a figure. Every contender has one in each round.
    pub fn add(&mut self, contender: usize, figure: f64) {
        self.contenders[contender].1.push(figure);
    }

    fn figures(&self, contender: &str) -> &[f64] {
        let found = self.contenders.iter().find(|(name, _)| *name == contender);
        found.map(|(_, figures)| figures.as_slice()).expect("a contender of this name")
    }

    /// The figures of one contender.
    pub fn spread(&self, contender: &str) -> Spread {
        Spread::of(self.figures(contender).iter().copied())
    }

    /// The figures of one contender, by those of another.
    pub fn ratio(&self, contender: &str, other: &str) -> Spread {
        let rounds = self.figures(contender).iter().zip(self.figures(other));
        Spread::of(rounds.map(|(figure, other)| figure / other))
    }

    /// What is asked of the ratio of a contender to another.
    pub fn bound(&self, work: &str, contender: &str, other: &str, asked: Asked) -> Bound {
        Bound { work: work.into(), asked, found: self.ratio(contender, other), unit: "×".into() }
    }

    /// All contenders, side by side.
    pub fn table(&self) -> Table {
        let first = self.contenders.first().map_or("", |(name, _)| name);
        let row = |(name, figures): &(&'static str, Vec<f64>)| {
            let Spread { low, median, high } = Spread::of(figures.iter().copied());
            let range = format!("{}–{}", figure(low), figure(high));
            vec![(*name).into(), figure(median), range, self.ratio(first, name).to_string()]
        };
        Table {
            name: self.name.clone(),
            heads: vec![String::new(), self.unit.into(), "8 of 10".into(), format!("{first} / this")],
            rows: self.contenders.iter().map(row).collect(),
        }
    }
}
