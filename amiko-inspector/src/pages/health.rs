//! How the node is: how much happens, and how large it is.
//!
//! Invariant: each number says of what it is.

use super::Answers;
use super::diagrams::bars;
use super::values::short;
use crate::ask::Ask;
use crate::reading::{Path, time};
use crate::timeline::{Part, Place, Timeline};
use maud::{Markup, html};
use std::time::Duration;

/// Bars of a chart.
const BARS: usize = 60;

/// The page of health.
pub(super) fn health(timeline: &Timeline, ask: &Ask, answers: &Answers) -> Markup {
    let (oldest, newest) = timeline.versions();
    let mut tables: Vec<(String, usize)> = match timeline.look(&Path(vec!["state".into()]), newest) {
        Some(Place::Parts(parts)) => parts
            .into_iter()
            .filter_map(|(name, part)| match part {
                Part::Table(count) => Some((name, count)),
                Part::Value(_) => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    tables.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    html! {
        h2 { "Health" }
        dl.object {
            div { dt { "Newest version" } dd { (newest) } }
            div { dt { "Shown since version" } dd { (oldest) } }
            div { dt { "Memory of the events shown" } dd { (timeline.bytes()) " bytes, compressed" } }
            @if answers.live { div { dt { "Connections with a socket" } dd { (answers.connected.len()) } } }
            @if let Some(lease) = answers.lease {
                div { dt { "Leads its cluster" } dd { "for " (format!("{:.1}", lease.as_secs_f64())) " s more, if its store isn't heard of" } }
            }
            @if let Some(events) = events_a_sync(timeline, newest) {
                div { dt { "Events made durable with one sync" } dd { (format!("{events:.1}")) " on average, of the last ones" } }
            }
        }
        h3 { "Events a second" }
        (bars("events a second, over all events that are shown", &rates(timeline, newest)))
        @if !answers.syncs.is_empty() { (syncs(&answers.syncs)) }
        h3 { "Tables" }
        table {
            thead { tr { th scope="col" { "Table" } th scope="col" { "Entries" } } }
            tbody {
                @for (name, count) in &tables {
                    tr { th scope="row" { a href=(ask.tree(Path(vec!["state".into(), name.clone()]))) { (short(name, 60)) } } td { (count) } }
                }
            }
        }
        @if !answers.files.is_empty() {
            h3 { "Files" }
            table {
                thead { tr { th scope="col" { "File" } th scope="col" { "Bytes" } } }
                tbody { @for (name, bytes) in &answers.files { tr { th scope="row" { (short(name, 60)) } td { (bytes) } } } }
            }
        }
    }
}

/// How long the last syncs took, in milliseconds.
fn syncs(times: &[Duration]) -> Markup {
    let millis = |time: &Duration| time.as_secs_f64() * 1_000.0;
    let mut sorted = times.to_vec();
    sorted.sort();
    let at = |part: usize| sorted.get(sorted.len() * part / 100).or(sorted.last()).map_or(0.0, millis);
    let bar = |(at, time): (usize, &Duration)| (format!("sync {} of the last {}", at + 1, times.len()), millis(time));
    let last: Vec<_> = times.iter().enumerate().skip(times.len().saturating_sub(BARS)).map(bar).collect();
    html! {
        h3 { "Syncs" }
        p { "Of the last " (times.len()) ": half within " (format!("{:.1}", at(50))) " ms, 95 of 100 within " (format!("{:.1}", at(95))) " ms." }
        (bars("milliseconds of a sync", &last))
    }
}

/// Of the newest events: how many share a sync.
fn events_a_sync(timeline: &Timeline, newest: u64) -> Option<f64> {
    const NEWEST: u32 = 500;
    let (mut events, mut groups) = (0_u32, 0_u32);
    timeline.back(newest, |_, text| {
        events += 1;
        // The first of a group has no number of it.
        groups += u32::from(!text.starts_with("{\"group\"") && !text.contains("\"group\":"));
        events < NEWEST
    });
    (groups > 0).then(|| f64::from(events) / f64::from(groups))
}

/// Events a second in equal parts of the time that is shown.
fn rates(timeline: &Timeline, newest: u64) -> Vec<(String, f64)> {
    let mut points: Vec<(u64, u64)> = timeline.times().collect();
    if let Some(last) = timeline.record(newest) {
        points.push((newest, last.time));
    }
    let (Some((_, begin)), Some((_, end))) = (points.first().copied(), points.last().copied()) else {
        return Vec::new();
    };
    let step = (end.saturating_sub(begin) / BARS as u64).max(1);
    let seconds = f64::from(u32::try_from(step).unwrap_or(u32::MAX)) / 1_000.0;
    let mut bars = vec![0_u64; BARS];
    for pair in points.windows(2) {
        let [(first, from), (next, to)] = pair else { continue };
        let at = |time: u64| usize::try_from(time.saturating_sub(begin) / step).unwrap_or(0).min(BARS - 1);
        let (low, high) = (at(*from), at(*to));
        let each = (next - first) / (high - low + 1) as u64;
        bars[low..=high].iter_mut().for_each(|bar| *bar += each);
        bars[high] += (next - first) % (high - low + 1) as u64;
    }
    let rate = |(at, count): (usize, u64)| {
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        (time(begin + at as u64 * step), count / seconds)
    };
    bars.into_iter().enumerate().map(rate).collect()
}
