//! What many rounds say together.
//!
//! Invariant: one figure never stands without its spread.

use crate::report::figure;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The middle, and between what eight of ten lie.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Spread {
    /// One of ten lies below.
    pub low: f64,
    /// As many lie below as above.
    pub median: f64,
    /// One of ten lies above.
    pub high: f64,
}

impl Spread {
    /// The spread of some values, of which there must be one at least.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |part: f64| values[((values.len() - 1) as f64 * part).round() as usize];
        Self { low: at(0.1), median: at(0.5), high: at(0.9) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, median, high] = [self.low, self.median, self.high].map(figure);
        write!(f, "{median} ({low}–{high})")
    }
}
