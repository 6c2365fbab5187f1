//! The frame around every page: the events, the slider, and where else to go.
//!
//! Invariant: the list of events, the slider and the page are of one version.

use super::{Answers, event, health, outside, rehearsal, rejections, tree, values::short};
use crate::ask::{Ask, Page};
use crate::reading::{Path, Record, time};
use crate::timeline::Timeline;
use maud::{DOCTYPE, Markup, html};

/// Events that are listed.
const LISTED: usize = 40;

/// Events after the present one that are listed.
const AHEAD: u64 = 8;

/// Events that one request looks at to find those that are wanted.
const LOOKED_AT: usize = 100_000;

/// What a browser gets at any address: a page without anything of the node in it, which then asks for the rest.
pub(crate) fn shell(base: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="amiko-base" content=(base);
                title { "Amiko" }
                link rel="stylesheet" href=(format!("{base}/-/inspector.css"));
                link rel="icon" href="data:,";
                script src=(format!("{base}/-/inspector.js")) defer {}
            }
            body {
                a.skip href="#main" { "Skip to the page" }
                header {
                    h1 { "Amiko" }
                    nav #pages aria-label="pages" {}
                    p #state role="status" {}
                }
                section #moment aria-label="moment" {}
                aside #events aria-label="events" {}
                main #main tabindex="-1" {
                    noscript { p { "This page needs JavaScript, which it has from this node alone." } }
                }
                form #token hidden {
                    h2 { "Which token?" }
                    p { "The node has printed an address that ends in " code { "#…" } ". Open that, or put its end here." }
                    label { "Token " input name="token" autocomplete="off" spellcheck="false"; }
                    button { "Open" }
                }
            }
        }
    }
}

/// A text in the place of a page.
pub(crate) fn notice(text: &str) -> Markup {
    html! { div data-part="main" { h2 { "Not yet" } p { (short(text, 2_000)) } } }
}

/// A page in its frame: parts, each of which a browser puts into its place.
pub(crate) fn frame(timeline: &Timeline, ask: &Ask, answers: &Answers) -> Markup {
    let (oldest, newest) = timeline.versions();
    let at = ask.at.unwrap_or(newest).clamp(oldest, newest);
    html! {
        div data-part="pages" { (pages(ask)) }
        div data-part="state" {
            @match &answers.trouble {
                Some(trouble) => { strong { "Not following: " } (short(trouble, 300)) }
                None => { @if answers.live { "live" } @else { "directory" } }
            }
        }
        div data-part="moment" { (moment(ask, oldest, at, newest, timeline)) }
        div data-part="events" { (events(timeline, ask, at)) }
        div data-part="main" { (page(timeline, ask, at, answers)) }
    }
}

fn pages(ask: &Ask) -> Markup {
    let all = [
        (Page::Tree(Path::default()), "State"),
        (Page::Rejections, "Rejections"),
        (Page::Outside, "Connections & effects"),
        (Page::DryRun, "Dry run"),
        (Page::Health, "Health"),
    ];
    html! {
        ul {
            @for (page, name) in all {
                @let here = std::mem::discriminant(&page) == std::mem::discriminant(&ask.page);
                li { a href=(ask.to(page)) aria-current=[here.then_some("page")] { (name) } }
            }
        }
    }
}

fn moment(ask: &Ask, oldest: u64, at: u64, newest: u64, timeline: &Timeline) -> Markup {
    let when = timeline.record(at).map(|record| time(record.time));
    html! {
        label for="slider" { "Version " output #version { (at) } }
        input #slider type="range" min=(oldest) max=(newest) value=(at) step="1"
            data-address=(ask.at(Some(u64::MAX)).replace(&u64::MAX.to_string(), "VERSION"))
            aria-valuetext=(format!("version {at} of {newest}"));
        span.when { (when.unwrap_or_default()) }
        @if at > oldest { a #back href=(ask.at(Some(at - 1))) title="← key" { "Back" } } @else { span.off { "Back" } }
        @if at < newest { a #on href=(ask.at(Some(at + 1))) title="→ key" { "On" } } @else { span.off { "On" } }
        @if ask.at.is_some() { a #follow href=(ask.at(None)) { "Follow" } } @else { span.on { "following" } }
    }
}

fn page(timeline: &Timeline, ask: &Ask, at: u64, answers: &Answers) -> Markup {
    match &ask.page {
        Page::Tree(path) => tree::tree(timeline, ask, path, at),
        Page::Object(path) => tree::object(timeline, ask, path, at),
        Page::Event(version) => event::event(timeline, ask, *version, answers),
        Page::Rejections => rejections::rejections(timeline, ask, answers),
        Page::Outside => outside::outside(timeline, ask, at, answers),
        Page::DryRun => rehearsal::form(timeline, answers),
        Page::Health => health::health(timeline, ask, answers),
        Page::Unknown => html! { h2 { "No such page" } p { a href=(ask.tree(Path::default())) { "To the state" } } },
    }
}

/// The events that a filter lets through, newest first; and where the search ended if there may be more.
pub(super) fn found(timeline: &Timeline, ask: &Ask, from: u64, most: usize) -> (Vec<Record>, Option<u64>) {
    let filter = &ask.filter;
    let key = filter.object.split_once('/').map_or("", |(_, key)| key);
    let names = timeline.names_of(&filter.object);
    let (mut found, mut looked_at, mut end) = (Vec::new(), 0, None);
    timeline.back(from, |version, text| {
        looked_at += 1;
        if found.len() == most || looked_at > LOOKED_AT {
            end = Some(version);
            return false;
        }
        // A look at the text is cheaper than one at its parts.
        let may_be = text.contains(&filter.text)
            && text.contains(&filter.class)
            && text.contains(key)
            && (!filter.rejected || text.contains("\"rejected\""));
        if may_be
            && let Some(record) = Record::read(version, text)
            && (filter.class.is_empty() || record.class() == Some(&filter.class))
            && (filter.object.is_empty() || names.iter().any(|name| record.is_about(name)))
            && (!filter.rejected || record.rejected.is_some())
        {
            found.push(record);
        }
        true
    });
    (found, end)
}

fn events(timeline: &Timeline, ask: &Ask, at: u64) -> Markup {
    let from = ask.before.unwrap_or_else(|| if ask.at.is_some() { at.saturating_add(AHEAD) } else { at });
    let (found, end) = found(timeline, ask, from, LISTED);
    let filter = &ask.filter;
    html! {
        form #filter role="search" aria-label="events" {
            label { "Text " input name="q" value=(filter.text) type="search"; }
            label { "Class " input name="class" value=(filter.class) type="search"; }
            label { "Object " input name="object" value=(filter.object) placeholder="kind/key" type="search"; }
            label { input name="rejected" type="checkbox" value="1" checked[filter.rejected]; " rejected" }
            button { "Filter" }
        }
        ol.events {
            @for record in &found { (row(ask, record, at)) }
        }
        @if found.is_empty() { p { "No event." } }
        @if let Some(end) = end {
            p { a href=(Ask { before: Some(end), ..ask.clone() }.address()) { "Earlier events, from version " (end) } }
        }
    }
}

fn row(ask: &Ask, record: &Record, at: u64) -> Markup {
    let present = (record.version == at).then_some("true");
    html! {
        li class=[record.rejected.as_ref().map(|_| "rejected")] {
            a href=(ask.event(record.version)) aria-current=[present] {
                span.version { (record.version) } " "
                span.time { (time(record.time).get(11..23).unwrap_or_default()) } " "
                span.why { (short(&record.why(), 90)) }
                span.what { (short(&record.what(&|_, text| text.to_owned()), 90)) }
            }
        }
    }
}
