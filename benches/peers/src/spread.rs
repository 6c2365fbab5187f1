//! What many rounds say together.
//!
//! Invariant: one figure never stands without its spread.

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

/// Three digits that count, and thousands told apart.
pub fn figure(value: f64) -> String {
    let digits = match value.abs() {
        value if value >= 99.95 || value == 0.0 => 0,
        value if value >= 9.995 => 1,
        value if value >= 0.0995 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let part = part.trim_end_matches('0');
    let mut grouped = String::new();
    for (index, digit) in whole.char_indices() {
        if (whole.len() - index) % 3 == 0 && grouped.ends_with(|last: char| last.is_ascii_digit()) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if part.is_empty() { grouped } else { format!("{grouped}.{part}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_that_count() {
        let texts = [0.0, 0.0321, 0.6, 1.234, 12.34, 123.4, 1234.0, 1_234_567.0].map(figure);
        assert_eq!(texts, ["0", "0.032", "0.6", "1.23", "12.3", "123", "1,234", "1,234,567"]);
    }
}
