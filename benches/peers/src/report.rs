//! What benches have found, as plain data, and as Markdown.
//!
//! Invariant: every figure is written together with its spread, and every bound with what was asked and found.

use crate::plot::Plot;
use crate::spread::{Spread, figure};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Where, in `BENCHMARKS.md`, that begins which `benches/workflows` writes; what is before it is written by `benches/peers`.
pub const WORKFLOWS: &str = "<!-- What follows is written by benches/workflows. -->";

/// What one suite has found.
#[derive(Default, Serialize, Deserialize)]
pub struct Report {
    /// What was done, in Markdown.
    pub text: String,
    /// The figures.
    pub tables: Vec<Table>,
    /// What must hold.
    pub bounds: Vec<Bound>,
    /// The figures, drawn.
    pub plots: Vec<Plot>,
}

/// Figures, ready to be shown.
#[derive(Serialize, Deserialize)]
pub struct Table {
    /// What was measured.
    pub name: String,
    /// One for each column; the first one is on the left, the others are on the right.
    pub heads: Vec<String>,
    /// As many cells in each.
    pub rows: Vec<Vec<String>>,
}

/// What must hold.
#[derive(Serialize, Deserialize)]
pub struct Bound {
    /// What is done.
    pub work: String,
    /// What its median must be.
    pub asked: Asked,
    /// What it is.
    pub found: Spread,
    /// The unit of both.
    pub unit: String,
}

/// A bound on a median.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Asked {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    /// Whether the median is as asked.
    pub fn holds(&self) -> bool {
        match self.asked {
            Asked::AtMost(most) => self.found.median <= most,
            Asked::AtLeast(least) => self.found.median >= least,
        }
    }

    /// The cells of its row.
    pub fn row(&self) -> Vec<String> {
        let asked = match self.asked {
            Asked::AtMost(most) => format!("≤ {} {}", figure(most), self.unit),
            Asked::AtLeast(least) => format!("≥ {} {}", figure(least), self.unit),
        };
        let [low, median, high] = [self.found.low, self.found.median, self.found.high].map(figure);
        let found = format!("**{median} {}** ({low}–{high})", self.unit);
        vec![self.work.clone(), asked, found, if self.holds() { "holds" } else { "NOT reached" }.into()]
    }
}

/// The heads of a table of bounds.
pub fn bound_heads() -> Vec<String> {
    ["", "asked", "reached", ""].map(Into::into).into()
}

impl Table {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let line = |text: &mut String, cells: &[String]| writeln!(text, "| {} |", cells.join(" | ")).expect("writes");
        if !self.name.is_empty() {
            writeln!(text, "**{}**\n", self.name).expect("writes");
        }
        line(&mut text, &self.heads);
        let rules: Vec<String> =
            (0..self.heads.len()).map(|column| if column == 0 { "---" } else { "---:" }.into()).collect();
        line(&mut text, &rules);
        self.rows.iter().for_each(|row| line(&mut text, row));
        text
    }
}

impl Report {
    /// As Markdown, below its title; plots are in the given folder.
    pub fn markdown(&self, title: &str, plots: &str) -> String {
        let mut text = format!("## {title}\n\n{}\n", self.text.trim());
        for plot in &self.plots {
            write!(text, "\n![{}]({plots}/{})\n", plot.title, plot.file_name()).expect("writes");
        }
        for table in &self.tables {
            write!(text, "\n{}", table.markdown()).expect("writes");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_says_what_was_asked_and_found() {
        let found = Spread { low: 0.5, median: 0.75, high: 1.0 };
        let bound = Bound { work: "work".into(), asked: Asked::AtMost(0.7), found, unit: "×".into() };
        assert_eq!(bound.row(), ["work", "≤ 0.7 ×", "**0.75 ×** (0.5–1)", "NOT reached"]);
        assert!(Bound { asked: Asked::AtLeast(0.7), ..bound }.holds());
    }
}
