//! What stands at a path: all of a document, a table, an object, a value.
//!
//! Invariant: what the event of the version changed is marked; a table is shown a page at a time.

use super::diagrams;
use super::values::{class, join, line, short, trail, value};
use crate::ask::{Ask, Page};
use crate::reading::{Path, Tree};
use crate::timeline::{Part, Place, Timeline};
use amiko_core::serializable::{ClassField, Classes};
use maud::{Markup, html};

/// Entries of a table on a page.
const ENTRIES: usize = 50;

/// Events of an object, and places that mention it, on a page.
const SHOWN: usize = 50;

/// The page of a path.
pub(super) fn tree(timeline: &Timeline, ask: &Ask, path: &Path, at: u64) -> Markup {
    let changed: Vec<Path> = timeline.record(at).map(|record| record.paths().cloned().collect()).unwrap_or_default();
    let Some(place) = timeline.look(path, at) else {
        return html! {
            (trail(ask, path))
            h2 { "Nothing here" }
            p { "There is nothing at this path in version " (at) "." }
        };
    };
    html! {
        (trail(ask, path))
        @match place {
            Place::Parts(parts) if path.0.is_empty() => {
                h2 { "State" }
                @let state = Path(vec!["state".into()]);
                @if let Some(Place::Parts(fields)) = timeline.look(&state, at) { (parts_of(ask, &state, &fields, &changed)) }
                h3 { "Beside it" }
                @let beside: Vec<_> = parts.into_iter().filter(|(name, _)| name != "state").collect();
                (parts_of(ask, path, &beside, &changed))
            },
            Place::Parts(parts) => {
                h2 { "State" }
                (parts_of(ask, path, &parts, &changed))
            },
            Place::Table(count) => (table(timeline, ask, path, at, count, &changed)),
            Place::Value(tree) => {
                h2 { (short(path.0.last().map_or("", String::as_str), 200)) " " @if let Some(class) = class(&tree) { span.class { (short(class, 80)) } } }
                (value(ask, path, &tree))
                (changes(ask, path, &changed))
            },
        }
    }
}

fn mark(path: &Path, changed: &[Path]) -> Markup {
    let is = changed.iter().any(|changed| changed.touches(path));
    html! { @if is { " " mark { "changed" } } }
}

fn parts_of(ask: &Ask, path: &Path, parts: &[(String, Part)], changed: &[Path]) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Name" } th scope="col" { "Value" } } }
            tbody {
                @for (name, part) in parts {
                    @let below = join(path, name);
                    tr {
                        th scope="row" { a href=(ask.tree(below.clone())) { (short(name, 80)) } (mark(&below, changed)) }
                        td {
                            @match part {
                                Part::Table(1) => { "1 entry" },
                                Part::Table(count) => { (count) " entries" },
                                Part::Value(tree) => (line(tree)),
                            }
                        }
                    }
                }
            }
        }
    }
}

fn table(timeline: &Timeline, ask: &Ask, path: &Path, at: u64, count: usize, changed: &[Path]) -> Markup {
    let page = timeline.page(path, at, ask.after.as_deref(), &ask.find, ENTRIES);
    let (entries, more) = page.map_or((Vec::new(), None), |page| (page.entries, page.more));
    let objects = path.0.first().is_some_and(|root| root == "state");
    let to = |key: &str| match path.0.get(1).filter(|_| objects) {
        Some(table) => ask.to(Page::Object(Path(vec![table.clone(), key.to_owned()]))),
        None => ask.tree(join(path, key)),
    };
    html! {
        h2 { (short(path.0.last().map_or("", String::as_str), 200)) " " span.about { (count) " entries" } }
        form #find role="search" aria-label="entries" {
            label { "Find " input name="find" value=(ask.find) type="search"; }
            button { "Find" }
        }
        table.entries {
            thead { tr { th scope="col" { "Key" } th scope="col" { "Value" } } }
            tbody {
                @for (key, tree) in &entries {
                    tr {
                        th scope="row" { a href=(to(key)) { (short(key, 80)) } (mark(&join(path, key), changed)) }
                        td { (summary(tree)) }
                    }
                }
            }
        }
        @if entries.is_empty() { p { "No entry." } }
        @if let Some(last) = more {
            p { a rel="next" href=(Ask { after: Some(last), ..ask.clone() }.address()) { "More entries" } }
        }
    }
}

/// The first fields of an object in a line.
fn summary(tree: &Tree) -> Markup {
    const FIELDS: usize = 6;
    let Tree::Map(map) = tree else { return line(tree) };
    html! {
        @for (name, value) in map.iter().filter(|(name, _)| *name != "_class").take(FIELDS) {
            span.field { span.name { (short(name, 30)) } " " (line(value)) } " "
        }
        @if map.len() > FIELDS + 1 { "…" }
    }
}

fn changes(ask: &Ask, path: &Path, changed: &[Path]) -> Markup {
    let inside: Vec<&Path> = changed.iter().filter(|changed| changed.touches(path)).collect();
    html! {
        @if !inside.is_empty() {
            h3 { "Changed by this event" }
            ul { @for path in inside { li { mark { a href=(ask.tree(path.clone())) { (short(&path.to_string(), 200)) } } } } }
        }
    }
}

/// The page of an object: `TABLE/KEY`.
pub(super) fn object(timeline: &Timeline, ask: &Ask, path: &Path, at: u64) -> Markup {
    let [table, key] = path.0.as_slice() else { return html! { h2 { "No such object" } } };
    let full = Path(vec!["state".into(), table.clone(), key.clone()]);
    let found = timeline.value(&full, at);
    let kind = timeline.classes().kind_of(table).unwrap_or(table);
    let changed: Vec<Path> = timeline.record(at).map(|record| record.paths().cloned().collect()).unwrap_or_default();
    html! {
        (trail(ask, &full))
        h2 { (short(kind, 40)) " " (short(key, 200)) (mark(&full, &changed)) }
        @match &found {
            Some(tree) => {
                (phase(timeline.classes(), tree))
                (value(ask, &full, tree))
            },
            None => p { "It isn't there in version " (at) "." },
        }
        (timers(timeline, ask, kind, key, at))
        (history(timeline, ask, &full, at))
        (mentioned(timeline, ask, key, &full))
    }
}

/// The charts of the phases that an object is in.
fn phase(classes: &Classes, tree: &Tree) -> Markup {
    class(tree).map_or_else(|| html! {}, |class| phases_of(classes, class, tree))
}

/// Those of the fields of a class; what is inside a phase is drawn below it.
fn phases_of(classes: &Classes, class_name: &str, tree: &Tree) -> Markup {
    let Tree::Map(map) = tree else { return html! {} };
    html! {
        @for field in classes.class_named(class_name).unwrap_or_default() {
            @if let Some(named) = field.ty.as_deref().and_then(|ty| ty.trim_end_matches(" or null").strip_prefix("phase of class "))
                && let Some(phases) = classes.class_named(named)
                && let Some(value) = map.get(&field.name)
                && let Some(called) = if let Tree::Leaf(unit) = value { unit.as_str() } else { class(value) }
                && phases.iter().any(|phase| phase.next.is_some())
            {
                // A variant that is written as what it holds has the class of that.
                @let held = |phase: &&ClassField| {
                    phase.ty.as_deref().and_then(|ty| ty.strip_prefix("class ")) == Some(called)
                };
                @let own = phases.iter().find(|phase| phase.name == called);
                @let present = own.or_else(|| phases.iter().find(held)).map_or(called, |phase| &*phase.name);
                (diagrams::phases(&field.name, phases, present))
                @if own.is_some() { (phases_of(classes, &format!("{named}::{called}"), value)) }
                @else { (phases_of(classes, called, value)) }
            }
        }
    }
}

fn timers(timeline: &Timeline, ask: &Ask, kind: &str, key: &str, at: u64) -> Markup {
    let escaped = |text: &str| text.replace('~', "~0").replace('/', "~1");
    let owned = format!("{}/{}/", escaped(kind), escaped(key));
    html! {
        @for part in ["timers", "effects"] {
            @let table = Path(vec![part.into()]);
            @let page = timeline.page(&table, at, Some(&owned), "", SHOWN);
            @let own: Vec<_> =
                page.into_iter().flat_map(|page| page.entries).take_while(|(name, _)| name.starts_with(&owned)).collect();
            @if !own.is_empty() {
                h3 { (if part == "timers" { "Timers" } else { "Effects" }) }
                ul { @for (name, tree) in &own { li { a href=(ask.tree(join(&table, name))) { (short(&name[owned.len()..], 80)) } " " (summary(tree)) } } }
            }
        }
    }
}

fn history(timeline: &Timeline, ask: &Ask, path: &Path, at: u64) -> Markup {
    let history = timeline.history(path);
    let before = history.partition_point(|version| *version > at);
    html! {
        h3 { "History" }
        p.about { (history.len()) " events have changed it since version " (timeline.versions().0) "." }
        ol.history {
            @for version in history[before.saturating_sub(5)..].iter().take(SHOWN) {
                @if let Some(record) = timeline.record(*version) {
                    li {
                        a href=(ask.event(*version)) aria-current=[(*version == at).then_some("true")] { "version " (version) }
                        " " (short(&record.why(), 120)) " — " (short(&record.what(&|_, text| text.to_owned()), 200))
                    }
                }
            }
        }
    }
}

fn mentioned(timeline: &Timeline, ask: &Ask, key: &str, own: &Path) -> Markup {
    let places = timeline.mentions(key, SHOWN + 1);
    html! {
        h3 { "Who refers to it, in the newest version" }
        ul {
            @for path in places.iter().filter(|path| *path != own).take(SHOWN) {
                @let to = match path.0.as_slice() {
                    [root, table, key] if root == "state" => ask.to(Page::Object(Path(vec![table.clone(), key.clone()]))),
                    _ => ask.tree(path.clone()),
                };
                li { a href=(to) { (short(&path.to_string(), 200)) } }
            }
        }
        @if places.len() > SHOWN { p.about { "and more" } }
    }
}
