//! Diagrams, drawn as SVG.
//!
//! Invariant: a diagram has a title and a text that says the same, and takes a limited room.

use super::values::short;
use amiko_core::serializable::ClassField;
use maud::{Markup, html};

/// An arrow of a sequence diagram.
pub(super) struct Arrow {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) label: String,
}

/// Columns and rows that are drawn.
const COLUMNS: usize = 10;
const ROWS: usize = 100;
/// Phases that are drawn, and what is said of each.
const PHASES: usize = 100;
const REMARKS: usize = 8;

const COLUMN: usize = 170;
const ROW: usize = 34;

/// Who sent what to whom, from the top to the bottom.
pub(super) fn sequence(arrows: &[Arrow]) -> Markup {
    let mut names: Vec<&str> = Vec::new();
    for name in arrows.iter().flat_map(|arrow| [&arrow.from, &arrow.to]) {
        if !names.contains(&&**name) {
            names.push(name);
        }
    }
    let column = |name: &str| names.iter().position(|known| *known == name).unwrap_or(0).min(COLUMNS - 1);
    let x = |column: usize| column * COLUMN + COLUMN / 2;
    let rows = arrows.len().min(ROWS);
    let (width, height) = (names.len().min(COLUMNS) * COLUMN, rows * ROW + 70);
    html! {
        figure {
            svg.sequence role="img" aria-label=(format!("sequence diagram with {} arrows", arrows.len()))
                viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) {
                @for (at, name) in names.iter().take(COLUMNS).enumerate() {
                    line.life x1=(x(at)) x2=(x(at)) y1="30" y2=(height - 10) {}
                    text.name x=(x(at)) y="18" text-anchor="middle" { (short(name, 22)) title { (short(name, 200)) } }
                }
                @for (row, arrow) in arrows.iter().take(ROWS).enumerate() {
                    @let (from, to, y) = (x(column(&arrow.from)), x(column(&arrow.to)), 62 + row * ROW);
                    g.arrow {
                        @if from == to {
                            path.line d=(format!("M {from} {} h 26 v 12 h -22", y - 6)) {}
                            path.head d=(format!("M {} {} l 8 -4 v 8 z", from + 2, y + 6)) {}
                            text.label x=(from + 32) y=(y + 4) { (short(&arrow.label, 28)) }
                        } @else {
                            @let head = if from < to { (to - 2, "-8") } else { (to + 2, "8") };
                            line.line x1=(from) x2=(head.0) y1=(y) y2=(y) {}
                            path.head d=(format!("M {} {y} l {} -4 v 8 z", head.0, head.1)) {}
                            text.label x=(from.midpoint(to)) y=(y - 6) text-anchor="middle" { (short(&arrow.label, 28)) }
                        }
                    }
                }
            }
            figcaption {
                @if arrows.len() > ROWS { "The first " (ROWS) " of " (arrows.len()) " arrows. " }
                @if names.len() > COLUMNS { (names.len() - COLUMNS) " more in the last column. " }
            }
            details {
                summary { "As text" }
                ol {
                    @for arrow in arrows.iter().take(ROWS) {
                        li { (short(&arrow.from, 200)) " → " (short(&arrow.to, 200)) ": " (short(&arrow.label, 200)) }
                    }
                }
            }
        }
    }
}

/// Phases with the present one lit, what may follow each, and what else is said of it.
pub(super) fn phases(name: &str, phases: &[ClassField], present: &str) -> Markup {
    let phases = phases.get(..PHASES).unwrap_or(phases);
    // Remarks stand below their phase, a line each.
    let y = |at: usize| {
        let remarks: usize = phases.iter().take(at).map(|phase| phase.remarks.len().min(REMARKS)).sum();
        10 + at * 52 + remarks * 14
    };
    let place = |phase: &str| phases.iter().position(|known| known.name == phase);
    let next = |phase: &ClassField| phase.next.clone().unwrap_or_default();
    let moves: Vec<(usize, usize)> = phases
        .iter()
        .enumerate()
        .flat_map(|(from, phase)| {
            next(phase).into_iter().take(PHASES).filter_map(move |next| Some((from, place(&next)?)))
        })
        .collect();
    let height = y(phases.len());
    html! {
        figure {
            svg.phases role="img" aria-label=(format!("phases of {name}: it is in {present}"))
                viewBox=(format!("0 0 420 {height}")) width="420" height=(height) {
                @for (from, to) in &moves {
                    // Forwards on the right, backwards on the left.
                    @let (begin, end) = (y(*from) + 16, y(*to) + 16);
                    @let bend = 14 + 12 * from.abs_diff(*to);
                    @if from == to {
                        path.line d=(format!("M 280 {} q 24 -8 24 6 q 0 14 -22 6", begin - 6)) {}
                        path.head d=(format!("M 281 {} l 8 -4 v 8 z", begin + 7)) {}
                    } @else if from < to {
                        path.line d=(format!("M 280 {} C {} {} {} {} 288 {}", begin + 4, 280 + bend, begin + 4, 280 + bend, end - 4, end - 4)) {}
                        path.head d=(format!("M 281 {} l 8 -4 v 8 z", end - 4)) {}
                    } @else {
                        path.line d=(format!("M 140 {} C {} {} {} {} 132 {}", begin - 4, 140_usize.saturating_sub(bend), begin - 4, 140_usize.saturating_sub(bend), end + 4, end + 4)) {}
                        path.head d=(format!("M 139 {} l -8 -4 v 8 z", end + 4)) {}
                    }
                }
                @for (at, phase) in phases.iter().enumerate() {
                    g class=(if phase.name == present { "phase present" } else { "phase" }) {
                        rect x="140" y=(y(at)) width="140" height="32" rx="8" {}
                        @if next(phase).is_empty() { rect x="144" y=(y(at) + 4) width="132" height="24" rx="5" {} }
                        text x="210" y=(y(at) + 21) text-anchor="middle" { (short(&phase.name, 16)) title { (short(&phase.name, 200)) } }
                    }
                    @for (line, remark) in phase.remarks.iter().take(REMARKS).enumerate() {
                        text.label x="210" y=(y(at) + 44 + line * 14) text-anchor="middle" { (short(remark, 36)) title { (short(remark, 200)) } }
                    }
                }
            }
            figcaption { (name) ": " strong { (present) } }
        }
    }
}

/// Numbers over time, as bars.
pub(super) fn bars(title: &str, bars: &[(String, f64)]) -> Markup {
    let most = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    html! {
        figure {
            svg.bars role="img" aria-label=(title) viewBox="0 0 600 120" width="600" height="120" {
                @for (at, (when, value)) in bars.iter().enumerate() {
                    @let height = if most > 0.0 { value / most * 100.0 } else { 0.0 };
                    @let width = 600.0 / f64::from(u32::try_from(bars.len().max(1)).unwrap_or(1));
                    @let x = f64::from(u32::try_from(at).unwrap_or(0)) * width;
                    rect x=(format!("{x:.1}")) y=(format!("{:.1}", 110.0 - height)) width=(format!("{:.1}", (width - 1.0).max(0.5)))
                        height=(format!("{height:.1}")) { title { (when) ": " (format!("{value:.1}")) } }
                }
            }
            figcaption { (title) ", at most " (format!("{most:.1}")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PHASES, REMARKS, phases};
    use amiko_core::serializable::{ClassField, Classes};

    #[test]
    fn a_chart_takes_a_limited_room() {
        let many: Vec<String> = (0..PHASES + 20)
            .map(|at| format!("\"P{at}\":{{\"next\":[\"P0\"],\"remarks\":[{}]}}", ["\"on A\""; REMARKS + 5].join(",")))
            .collect();
        let classes = format!("{{\"secrets\":[],\"machines\":{{}},\"classes\":{{\"E\":{{{}}}}}}}", many.join(","));
        let classes = Classes::parse(&classes).expect("classes");
        let all: &[ClassField] = classes.class_named("E").expect("a class");
        let drawn = phases("phase", all, "P0").into_string();
        assert_eq!(
            (drawn.matches("<g class=").count(), drawn.matches("<text class=\"label\"").count()),
            (PHASES, PHASES * REMARKS)
        );
    }
}
