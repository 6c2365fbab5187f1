//! Lines over two logarithmic axes, as SVG that is readable on light and dark pages.
//!
//! Invariant: every point that is given is inside of the frame.

use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
/// The frame: left, top, right, bottom.
const FRAME: [f64; 4] = [90.0, 50.0, 560.0, 350.0];
/// Told apart by whoever sees few colours, on white and on black.
const COLOURS: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9", "#8c6bb1", "#7f7f7f"];

/// A drawing.
#[derive(Serialize, Deserialize)]
pub struct Plot {
    /// The name of its file, without the end.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// What is to the right.
    pub x: Axis,
    /// What is up.
    pub y: Axis,
    /// The lines.
    pub lines: Vec<Line>,
}

/// What goes along one side.
#[derive(Serialize, Deserialize)]
pub struct Axis {
    /// What it is.
    pub label: String,
    /// In what.
    pub unit: Unit,
}

/// How the ticks of an axis are labelled.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub enum Unit {
    /// A number.
    Count,
    /// Nanoseconds.
    Nanoseconds,
    /// Bytes.
    Bytes,
}

/// A line with its points.
#[derive(Serialize, Deserialize)]
pub struct Line {
    /// What it is.
    pub name: String,
    /// Both coordinates are above zero.
    pub points: Vec<(f64, f64)>,
}

impl Axis {
    /// An axis.
    pub fn new(label: &str, unit: Unit) -> Self {
        Self { label: label.into(), unit }
    }
}

impl Unit {
    fn label(self, value: f64) -> String {
        let (value, end) = match self {
            Self::Count => return crate::spread::figure(value),
            Self::Nanoseconds if value < 1e3 => (value, "ns"),
            Self::Nanoseconds if value < 1e6 => (value / 1e3, "µs"),
            Self::Nanoseconds if value < 1e9 => (value / 1e6, "ms"),
            Self::Nanoseconds => (value / 1e9, "s"),
            Self::Bytes if value < 1e3 => (value, "bytes"),
            Self::Bytes if value < 1e6 => (value / 1e3, "kB"),
            Self::Bytes if value < 1e9 => (value / 1e6, "MB"),
            Self::Bytes => (value / 1e9, "GB"),
        };
        format!("{} {end}", crate::spread::figure(value))
    }
}

/// The part of an axis that is seen.
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = values.fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        // Some room on both ends, and where there is but one value.
        Self { low: low / 1.25, high: high * 1.25, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (self.to - self.from) * (value / self.low).ln() / (self.high / self.low).ln()
    }

    /// Powers of ten; twos and fives too where there are few of them.
    fn ticks(&self) -> Vec<f64> {
        let steps: &[f64] = if self.high / self.low < 200.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let powers = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let all = powers.flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
        all.filter(|tick| (self.low..=self.high).contains(tick)).collect()
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Plot {
    /// The name of its file.
    pub fn file_name(&self) -> String {
        format!("{}.svg", self.name)
    }

    /// Draws it.
    pub fn svg(&self) -> String {
        let [left, top, right, bottom] = FRAME;
        let points = || self.lines.iter().flat_map(|line| line.points.iter());
        let (x, y) = (Scale::of(points().map(|at| at.0), left, right), Scale::of(points().map(|at| at.1), bottom, top));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
             <style>\n\
             .page {{ fill: #ffffff }} text {{ fill: #24292f }} .grid {{ stroke: #d0d7de }} .frame {{ stroke: #57606a }}\n\
             @media (prefers-color-scheme: dark) {{\n\
             .page {{ fill: #0d1117 }} text {{ fill: #e6edf3 }} .grid {{ stroke: #30363d }} .frame {{ stroke: #8b949e }}\n\
             }}\n\
             </style>\n\
             <rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>\n"
        );
        let out = &mut svg;
        let mut put = |line: std::fmt::Arguments<'_>| writeln!(out, "{line}").expect("writes");
        put(format_args!(
            "<text x=\"{left}\" y=\"28\" font-size=\"16\" font-weight=\"600\">{}</text>",
            escape(&self.title)
        ));
        for tick in x.ticks() {
            let (at, label) = (x.at(tick), self.x.unit.label(tick));
            put(format_args!("<line class=\"grid\" x1=\"{at:.1}\" y1=\"{top}\" x2=\"{at:.1}\" y2=\"{bottom}\"/>"));
            put(format_args!("<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", bottom + 20.0));
        }
        for tick in y.ticks() {
            let (at, label) = (y.at(tick), self.y.unit.label(tick));
            put(format_args!("<line class=\"grid\" x1=\"{left}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\"/>"));
            put(format_args!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", left - 8.0, at + 4.0));
        }
        put(format_args!(
            "<rect class=\"frame\" x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\" fill=\"none\"/>",
            right - left,
            bottom - top
        ));
        let (middle, below) = ((left + right) / 2.0, bottom + 46.0);
        put(format_args!("<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{}</text>", escape(&self.x.label)));
        let (aside, half) = (22.0, (top + bottom) / 2.0);
        put(format_args!(
            "<text transform=\"translate({aside} {half}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escape(&self.y.label)
        ));
        for (index, (line, colour)) in self.lines.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let points: Vec<_> = line.points.iter().map(|(right, up)| (x.at(*right), y.at(*up))).collect();
            let path: Vec<String> = points.iter().map(|(right, down)| format!("{right:.1},{down:.1}")).collect();
            let path = path.join(" ");
            put(format_args!("<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"));
            for (right, down) in points {
                put(format_args!("<circle cx=\"{right:.1}\" cy=\"{down:.1}\" r=\"3.5\" fill=\"{colour}\"/>"));
            }
            let (at, down) = (right + 20.0, top + 14.0 + 24.0 * index as f64);
            let (end, text) = (at + 22.0, at + 30.0);
            put(format_args!(
                "<line x1=\"{at}\" y1=\"{down}\" x2=\"{end}\" y2=\"{down}\" stroke=\"{colour}\" stroke-width=\"3\"/>"
            ));
            put(format_args!("<text x=\"{text}\" y=\"{}\">{}</text>", down + 4.5, escape(&line.name)));
        }
        put(format_args!("</svg>"));
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_points_are_inside_of_the_frame() {
        let points = vec![(1_000.0, 700.0), (1_000_000.0, 3e9)];
        let plot = Plot {
            name: "test".into(),
            title: "a < b".into(),
            x: Axis::new("objects", Unit::Count),
            y: Axis::new("time", Unit::Nanoseconds),
            lines: vec![Line { name: "ours".into(), points }, Line { name: "one".into(), points: vec![(5.0, 5.0)] }],
        };
        let svg = plot.svg();
        let circles = svg.lines().filter_map(|line| {
            let (x, rest) = line.strip_prefix("<circle cx=\"")?.split_once("\" cy=\"")?;
            Some((x.parse::<f64>().ok()?, rest.split_once('"')?.0.parse::<f64>().ok()?))
        });
        let [left, top, right, bottom] = FRAME;
        assert_eq!(circles.clone().count(), 3);
        assert!(circles.into_iter().all(|(x, y)| (left..=right).contains(&x) && (top..=bottom).contains(&y)));
        assert!(svg.contains("a &lt; b") && svg.contains(">1 µs<") && svg.contains(">1,000,000<"));
    }
}
