//! One event: why, what it changed, who sent what to whom, and what left.
//!
//! Invariant: a diagram says whether it is of all messages, or only of those that a record shows.

use super::Answers;
use super::diagrams::{Arrow, sequence};
use super::values::{class, line, loose, short};
use crate::ask::{Ask, Page};
use crate::reading::{Path, Record, Tree, json, time};
use crate::timeline::{Changed, Timeline};
use amiko_core::serializable::Json;
use maud::{Markup, html};

/// Changes on a page.
const CHANGES: usize = 200;

/// The page of an event.
pub(super) fn event(timeline: &Timeline, ask: &Ask, version: u64, answers: &Answers) -> Markup {
    let Some(record) = timeline.record(version) else {
        return html! { h2 { "Version " (version) } p { "The event that made it isn't kept." } };
    };
    let changes = timeline.changes(version, CHANGES);
    html! {
        h2 { "Version " (version) @if record.rejected.is_some() { " " span.rejected { "rejected" } } }
        p { (time(record.time)) ", " (short(&record.why(), 300)) }
        @if let Some(reason) = &record.rejected { p.rejected { "Rejected: " (short(reason, 2_000)) } }
        (cause(timeline, ask, &record))
        (difference(ask, &changes, record.patch.len()))
        h3 { "Messages" }
        (diagram(&record, &changes, answers))
        (left(ask, &changes))
    }
}

fn cause(timeline: &Timeline, ask: &Ask, record: &Record) -> Markup {
    let envelope = record.cause.get("envelope");
    let object = envelope.and_then(|envelope| {
        let (kind, key) = (envelope.get("kind")?.as_str()?, envelope.get("id")?);
        let key = key.as_str().map_or_else(|| json(key), str::to_owned);
        Some((timeline.table_of(kind)?.to_owned(), kind.to_owned(), key))
    });
    html! {
        h3 { "Cause" }
        @if let Some((table, kind, key)) = object {
            p { "To " a #object href=(ask.to(Page::Object(Path(vec![table, key.clone()])))) { (short(&kind, 40)) " " (short(&key, 200)) } }
        }
        @if let Some(earlier) = earlier(timeline, record) {
            p { "Set by " a href=(ask.event(earlier)) { "version " (earlier) } }
        }
        (loose(&Tree::from(record.cause.clone())))
    }
}

/// The event that set the timer, or asked for the effect, that caused this one.
fn earlier(timeline: &Timeline, record: &Record) -> Option<u64> {
    let (part, id) = ["timer", "effect"].iter().find_map(|part| Some((*part, record.cause.get(part)?.as_str()?)))?;
    let path = Path(vec![format!("{part}s"), id.to_owned()]);
    timeline.history(&path).into_iter().find(|version| *version < record.version)
}

fn difference(ask: &Ask, changes: &[Changed], all: usize) -> Markup {
    let side =
        |tree: &Option<Tree>| html! { @match tree { Some(tree) => (line(tree)), None => span.null { "nothing" } } };
    html! {
        h3 { "What it changed" }
        @if changes.is_empty() { p { "Nothing." } }
        @else {
            table.difference {
                thead { tr { th scope="col" { "Where" } th scope="col" { "Before" } th scope="col" { "After" } } }
                tbody {
                    @for change in changes.iter().take(CHANGES) {
                        tr {
                            th scope="row" { a href=(ask.tree(change.path.clone())) { (short(&change.path.to_string(), 120)) } }
                            td.before { (side(&change.before)) }
                            td.after { (side(&change.after)) }
                        }
                    }
                }
            }
            @if all > changes.len() { p.about { (all - changes.len()) " more" } }
        }
    }
}

/// Who is outside of the node in this event.
fn outside(record: &Record) -> String {
    for (part, name) in [("connection", "peer"), ("timer", "timer"), ("effect", "effect")] {
        if let Some(id) = record.cause.get(part).and_then(Json::as_str) {
            return format!("{name} {id}");
        }
    }
    record.cause_class().to_owned()
}

fn diagram(record: &Record, changes: &[Changed], answers: &Answers) -> Markup {
    let outside = outside(record);
    let mut arrows: Vec<Arrow> = Vec::new();
    let exact = answers.deliveries.as_deref();
    if let Some(deliveries) = exact {
        let name = |at: usize| {
            let delivery = &deliveries[at];
            if delivery.key.is_empty() {
                delivery.kind.to_owned()
            } else {
                format!("{} {}", delivery.kind, delivery.key)
            }
        };
        for (at, delivery) in deliveries.iter().enumerate() {
            let from = delivery.parent.filter(|parent| *parent < at).map_or_else(|| outside.clone(), name);
            arrows.push(Arrow { from, to: name(at), label: delivery.class.unwrap_or("message").to_owned() });
        }
    } else if let Some(object) = record.object() {
        let label = record.class().unwrap_or("message").to_owned();
        arrows.push(Arrow { from: outside.clone(), to: object.replacen('/', " ", 1), label });
    }
    let last = arrows.last().map_or_else(|| "node".to_owned(), |arrow| arrow.to.clone());
    // A record doesn't say who sent a message. An object that has a connection mostly has its name too.
    let owner = |connection: &str| {
        let named = arrows.iter().rev().map(|arrow| &arrow.to);
        let mut named = named.filter(|to| to.split_once(' ').is_some_and(|(_, key)| key == connection));
        named.next().unwrap_or(&last).clone()
    };
    let sent = changes.iter().filter_map(|change| {
        let label = change.after.as_ref().map(|tree| class(tree).unwrap_or("message").to_owned())?;
        match change.path.0.as_slice() {
            [part, connection, outbox, _] if part == "connections" && outbox == "outbox" => {
                Some(Arrow { from: owner(connection), to: format!("peer {connection}"), label })
            }
            _ => None,
        }
    });
    let sent: Vec<Arrow> = sent.collect();
    arrows.extend(sent);
    html! {
        @if arrows.is_empty() { p { "None." } } @else { (sequence(&arrows)) }
        p.about {
            @if exact.is_some() { "All messages of this event." }
            @else { "The first message and those that left; a node with " code { "Settings::deliveries" } " shows the others." }
        }
    }
}

/// Timers, effects, and what waits to be sent.
fn left(ask: &Ask, changes: &[Changed]) -> Markup {
    let of = |part: &str| -> Vec<&Changed> {
        changes.iter().filter(|change| change.path.0.first().is_some_and(|root| root == part)).collect()
    };
    html! {
        @for (part, name) in [("timers", "Timers"), ("effects", "Effects"), ("connections", "Connections")] {
            @let own = of(part);
            @if !own.is_empty() {
                h3 { (name) }
                ul {
                    @for change in own.iter().take(CHANGES) {
                        li {
                            @match (&change.before, &change.after) {
                                (None, Some(_)) => "new: ",
                                (Some(_), None) => "over: ",
                                _ => "changed: ",
                            }
                            a href=(ask.tree(change.path.clone())) { (short(&change.path.0[1..].join(" / "), 200)) }
                        }
                    }
                }
            }
        }
    }
}
