//! Charts as drawings: a box for each phase, with what is inside it, and an arrow for each move.
//!
//! Invariant: a phase inside another one is drawn within its box, and no two boxes overlap.

use super::chart::{After, Chart, PhaseShape};
use std::fmt::Write as _;

/// The height of a line of text, and of the name of a phase.
const LINE: usize = 15;
/// Around what is inside a box.
const MARGIN: usize = 10;
/// Between two boxes.
const GAP: usize = 18;
/// Room for a character: few are wider.
const CHARACTER: usize = 9;
/// How far an arrow bends out for each box that it passes.
const BEND: usize = 9;

const STYLE: &str = "\
text{font:13px sans-serif;fill:#222;text-anchor:middle}.said{font-size:11px;fill:#555}\
rect{fill:#fff;stroke:#444}.end{fill:none}path{fill:none;stroke:#444}.head,circle{fill:#444;stroke:none}\
.odd rect{fill:#fdd;stroke:#c33}.odd text{fill:#600}path.odd{stroke:#c33;stroke-dasharray:4 3}.head.odd{fill:#c33}";

/// Whether a phase of a chart, or a move to it from another, is drawn in another colour.
type Odd<'o> = &'o dyn Fn(&Chart, Option<usize>, usize) -> bool;

impl Chart {
    /// The phases and their moves as an SVG, from top to bottom in the order of declaration, with time-outs and messages, and phases
    /// inside their outer ones. A dot marks those in which a machine begins, a second line those that are final.
    #[must_use]
    pub fn svg(&self) -> String {
        self.svg_with(&|_, _, _| false)
    }

    /// The same with some of it in another colour.
    pub(super) fn svg_with(&self, odd: Odd<'_>) -> String {
        let (width, height) = (self.width(), self.height());
        let mut drawing = Drawing { text: String::new(), odd };
        // Writing to a string can't fail, here and below.
        let _ = write!(
            drawing.text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             role=\"img\" aria-label=\"phases of {}\"><style>{STYLE}</style>",
            escaped(self.name)
        );
        drawing.chart(self, 0, 0);
        drawing.text.push_str("</svg>\n");
        drawing.text
    }

    /// Room for the arrows on one side of the boxes.
    fn lane(&self) -> usize {
        2 * MARGIN + BEND * self.phases.len()
    }

    fn width(&self) -> usize {
        self.phases.iter().map(PhaseShape::width).max().unwrap_or(0) + 2 * self.lane()
    }

    fn height(&self) -> usize {
        let boxes: usize = self.phases.iter().map(PhaseShape::height).sum();
        boxes + GAP * self.phases.len().saturating_sub(1) + 2 * MARGIN
    }
}

impl PhaseShape {
    /// What stands below its name.
    fn remarks(&self) -> impl Iterator<Item = String> {
        let on = self.on.map(|taken| format!("on {}", taken.join(", ")));
        let after = self.after.as_ref().map(|After { when, send }| format!("after {when}, {send}"));
        on.into_iter().chain(after)
    }

    fn width(&self) -> usize {
        let texts = self.remarks().map(|remark| remark.chars().count()).chain([self.name.chars().count()]);
        let text = texts.max().unwrap_or(0) * CHARACTER + 2 * MARGIN;
        text.max(self.inner.map_or(0, Chart::width))
    }

    /// The height of its text.
    fn text_height(&self) -> usize {
        LINE * (1 + self.remarks().count()) + MARGIN
    }

    fn height(&self) -> usize {
        self.text_height() + self.inner.map_or(0, Chart::height)
    }
}

struct Drawing<'o> {
    text: String,
    odd: Odd<'o>,
}

/// A box that was drawn: its sides, and its middle from top to bottom.
#[derive(Clone, Copy)]
struct Place {
    left: usize,
    right: usize,
    middle: usize,
}

impl Drawing<'_> {
    fn chart(&mut self, chart: &Chart, x: usize, y: usize) {
        let (left, right) = (x + chart.lane(), x + chart.width() - chart.lane());
        let (mut top, mut places) = (y + MARGIN, Vec::new());
        for (at, phase) in chart.phases.iter().enumerate() {
            self.phase(chart, at, (left, right - left), top);
            places.push(Place { left, right, middle: top + phase.text_height() / 2 });
            top += phase.height() + GAP;
        }
        for (from, phase) in chart.phases.iter().enumerate() {
            for to in phase.next {
                if let (Some(begin), Some(end)) = (places.get(from), places.get(*to)) {
                    let class = if (self.odd)(chart, Some(from), *to) { " odd" } else { "" };
                    self.arrow((from, *begin), (*to, *end), class);
                }
            }
        }
    }

    fn phase(&mut self, chart: &Chart, at: usize, (x, width): (usize, usize), y: usize) {
        let Some(phase) = chart.phases.get(at) else { return };
        let (class, height, middle) =
            (if (self.odd)(chart, None, at) { " class=\"odd\"" } else { "" }, phase.height(), x + width / 2);
        let _ =
            write!(self.text, "<g{class}><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"7\"/>");
        if phase.next.is_empty() {
            let (x, y, width, height) = (x + 3, y + 3, width.saturating_sub(6), height.saturating_sub(6));
            let _ = write!(
                self.text,
                "<rect class=\"end\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"5\"/>"
            );
        }
        if chart.begins_in(at) {
            let _ = write!(self.text, "<circle cx=\"{}\" cy=\"{}\" r=\"4\"/>", x + 9, y + 9);
        }
        let _ = write!(self.text, "<text x=\"{middle}\" y=\"{}\">{}</text>", y + LINE + 2, escaped(phase.name));
        for (line, remark) in phase.remarks().enumerate() {
            let y = y + LINE * (line + 2) + 2;
            let _ = write!(self.text, "<text class=\"said\" x=\"{middle}\" y=\"{y}\">{}</text>", escaped(&remark));
        }
        self.text.push_str("</g>");
        if let Some(inner) = phase.inner {
            self.chart(inner, x + (width - inner.width()) / 2, y + phase.text_height());
        }
    }

    /// Forwards on the right, backwards on the left.
    fn arrow(&mut self, (from, begin): (usize, Place), (to, end): (usize, Place), class: &str) {
        let bend = MARGIN + BEND * from.abs_diff(to).max(1);
        let (x, out, head, y) = if from <= to {
            (begin.right, begin.right + bend, end.right + 8, (begin.middle + 4, end.middle.saturating_sub(4)))
        } else {
            (begin.left, begin.left - bend, end.left - 8, (begin.middle.saturating_sub(4), end.middle + 4))
        };
        // A move to the same phase goes round above its middle.
        let y = if from == to { (y.1.saturating_sub(4), begin.middle + 4) } else { y };
        let point = if from <= to { end.right } else { end.left };
        let _ = write!(
            self.text,
            "<path class=\"move{class}\" d=\"M{x} {} C{out} {} {out} {} {head} {}\"/><path class=\"head{class}\" d=\"M{point} {}L{head} {}V{}z\"/>",
            y.0,
            y.0,
            y.1,
            y.1,
            y.1,
            y.1.saturating_sub(4),
            y.1 + 4
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
