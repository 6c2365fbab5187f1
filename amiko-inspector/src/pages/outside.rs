//! Connections, effects and timers: what waits, and for what.
//!
//! Invariant: what waits longest for the outside stands first.

use super::Answers;
use super::values::{join, short};
use crate::ask::Ask;
use crate::reading::{Path, Tree, time};
use crate::timeline::Timeline;
use maud::{Markup, html};

/// Rows of each table.
const ROWS: usize = 100;

/// The page of all that goes to the outside.
pub(super) fn outside(timeline: &Timeline, ask: &Ask, at: u64, answers: &Answers) -> Markup {
    html! {
        h2 { "Connections and effects" }
        (connections(timeline, ask, at, answers))
        (effects(timeline, ask, at, answers))
        (timers(timeline, ask, at))
    }
}

fn rows(timeline: &Timeline, part: &str, at: u64) -> (Path, Vec<(String, Tree)>, bool) {
    let path = Path(vec![part.to_owned()]);
    let page = timeline.page(&path, at, None, "", ROWS);
    let (entries, more) = page.map_or((Vec::new(), false), |page| (page.entries, page.more.is_some()));
    (path, entries, more)
}

fn field<'t>(tree: &'t Tree, name: &str) -> Option<&'t Tree> {
    match tree {
        Tree::Map(map) => map.get(name),
        _ => None,
    }
}

fn number(tree: &Tree, name: &str) -> u64 {
    match field(tree, name) {
        Some(Tree::Leaf(leaf)) => leaf.as_u64().unwrap_or(0),
        _ => 0,
    }
}

fn text(tree: &Tree, name: &str) -> Option<String> {
    match field(tree, name) {
        Some(Tree::Leaf(leaf)) => leaf.as_str().map(str::to_owned),
        _ => None,
    }
}

fn more(ask: &Ask, path: &Path, is: bool) -> Markup {
    html! { @if is { p { a href=(ask.tree(path.clone())) { "All of them" } } } }
}

fn connections(timeline: &Timeline, ask: &Ask, at: u64, answers: &Answers) -> Markup {
    let (path, entries, rest) = rows(timeline, "connections", at);
    let outbox = |tree: &Tree| match field(tree, "outbox") {
        Some(Tree::Map(map)) => map.len(),
        Some(Tree::List(values)) => values.len(),
        _ => 0,
    };
    let state = |name: &str, tree: &Tree| {
        let conflict = field(tree, "conflict").is_some_and(|conflict| !matches!(conflict, Tree::Leaf(_)));
        let waits = outbox(tree) > 0;
        match (conflict, answers.connected.iter().any(|connected| connected == name)) {
            (true, _) => "stuck: the numbers of both ends don't match",
            (false, true) if waits => "connected; waits for the peer to confirm",
            (false, true) => "connected",
            (false, false) if answers.live && waits => "stuck: no socket, and messages wait",
            (false, false) if answers.live => "no socket",
            (false, false) if waits => "messages wait",
            (false, false) => "",
        }
    };
    html! {
        h3 { "Connections" }
        @if entries.is_empty() { p { "None." } } @else {
            table {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Dials" } th scope="col" { "Waits to be sent" } th scope="col" { "Sent" } th scope="col" { "Received" } th scope="col" { "State" } } }
                tbody {
                    @for (name, tree) in &entries {
                        tr {
                            th scope="row" { a href=(ask.tree(join(&path, name))) { (short(name, 60)) } }
                            td { (text(tree, "dial").map(|dial| short(&dial, 60)).unwrap_or_default()) }
                            td { (outbox(tree)) }
                            td { (number(tree, "sent")) }
                            td { (number(tree, "received")) }
                            td { (state(name, tree)) }
                        }
                    }
                }
            }
        }
        (more(ask, &path, rest))
    }
}

fn effects(timeline: &Timeline, ask: &Ask, at: u64, answers: &Answers) -> Markup {
    let (path, mut entries, rest) = rows(timeline, "effects", at);
    entries.sort_by_key(|(_, tree)| number(tree, "since"));
    let waits = |name: &str| {
        let state = answers.effects.iter().find(|state| state.effect == name);
        state.and_then(|state| state.waits_for).map_or("", |standing| standing.name())
    };
    html! {
        h3 { "Effects" }
        @if entries.is_empty() { p { "None." } } @else {
            table {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Since" } th scope="col" { "Failed attempts" } th scope="col" { "Next" } th scope="col" { "Last error" } th scope="col" { "Waits for" } } }
                tbody {
                    @for (name, tree) in &entries {
                        tr {
                            th scope="row" { a href=(ask.tree(join(&path, name))) { (short(name, 60)) } }
                            td { (time(number(tree, "since"))) }
                            td { (number(tree, "attempts")) }
                            td { (time(number(tree, "next"))) }
                            td.rejected { (text(tree, "error").map(|error| short(&error, 200)).unwrap_or_default()) }
                            td { (waits(name)) }
                        }
                    }
                }
            }
        }
        (more(ask, &path, rest))
    }
}

fn timers(timeline: &Timeline, ask: &Ask, at: u64) -> Markup {
    let (path, mut entries, rest) = rows(timeline, "timers", at);
    entries.sort_by_key(|(_, tree)| number(tree, "at"));
    html! {
        h3 { "Timers" }
        @if entries.is_empty() { p { "None." } } @else {
            table {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Due" } } }
                tbody {
                    @for (name, tree) in &entries {
                        tr {
                            th scope="row" { a href=(ask.tree(join(&path, name))) { (short(name, 80)) } }
                            td { (time(number(tree, "at"))) }
                        }
                    }
                }
            }
        }
        (more(ask, &path, rest))
    }
}
