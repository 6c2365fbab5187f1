//! Values of a state, as HTML.
//!
//! Invariant: a value takes a limited room, whatever it is; what is left out is said.

use crate::ask::Ask;
use crate::reading::{Path, Tree, json, plain};
use amiko_core::serializable::Json;
use maud::{Markup, html};

/// Characters of a text that are shown in a line.
const LINE: usize = 120;

/// Characters of a text that are shown on its own page.
const WHOLE: usize = 20_000;

/// Fields of an object, or values of a list, that are shown.
const MEMBERS: usize = 200;

/// How deep a value is shown.
const DEEP: usize = 8;

/// The beginning of a text, in one line, with everything escaped that isn't printable.
pub(super) fn short(text: &str, most: usize) -> String {
    let mut shown: String = plain(&text.chars().take(most + 1).collect::<String>());
    if shown.chars().count() > most {
        shown = shown.chars().take(most).chain(['…']).collect();
    }
    shown
}

/// A value in one line.
pub(super) fn line(tree: &Tree) -> Markup {
    match tree {
        Tree::Leaf(leaf) => scalar(leaf, LINE),
        Tree::List(values) => html! { span.about { "list of " (values.len()) } },
        Tree::Map(map) => match class(tree) {
            Some(class) => html! { span.class { (short(class, LINE)) } },
            None => html! { span.about { (map.len()) " entries" } },
        },
    }
}

/// The class of an object.
pub(super) fn class(tree: &Tree) -> Option<&str> {
    let Tree::Map(map) = tree else { return None };
    match map.get("_class")? {
        Tree::Leaf(class) => class.as_str(),
        _ => None,
    }
}

fn scalar(leaf: &Json, most: usize) -> Markup {
    match leaf {
        Json::String(_) => {
            let text = leaf.as_str().unwrap_or_default();
            let kind = if text == "(secret)" { "secret" } else { "string" };
            html! { span class=(kind) { (short(text, most)) } @if text.len() > most { (length(text)) } }
        }
        Json::Null => html! { span.null { "nothing" } },
        other => html! { span.number { (short(&json(other), most)) } },
    }
}

fn length(text: &str) -> Markup {
    html! { " " span.about { "(" (text.len()) " bytes)" } }
}

/// A value of the state with what is in it, each part with a link to its page.
pub(super) fn value(ask: &Ask, path: &Path, tree: &Tree) -> Markup {
    match tree {
        Tree::Leaf(leaf) => html! { p.value { (scalar(leaf, WHOLE)) } },
        _ => nested(Some((ask, path)), tree, DEEP),
    }
}

/// The same of a value that isn't in the state.
pub(super) fn loose(tree: &Tree) -> Markup {
    nested(None, tree, DEEP)
}

fn nested(place: Option<(&Ask, &Path)>, tree: &Tree, depth: usize) -> Markup {
    let members: Vec<(String, &Tree)> = match tree {
        Tree::Leaf(leaf) => return scalar(leaf, LINE),
        Tree::List(values) => values.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        Tree::Map(map) => map.iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    };
    let shown = members.iter().filter(|(name, _)| name != "_class");
    html! {
        dl.object {
            @for (name, value) in shown.take(MEMBERS) {
                @let below = place.map(|(ask, path)| (ask, join(path, name)));
                div {
                    dt {
                        @match &below {
                            Some((ask, path)) => a href=(ask.tree(path.clone())) { (short(name, LINE)) },
                            None => (short(name, LINE)),
                        }
                    }
                    dd {
                        (line(value))
                        @if !matches!(value, Tree::Leaf(_)) && !is_empty(value) {
                            @if depth > 1 { (nested(below.as_ref().map(|(ask, path)| (*ask, path)), value, depth - 1)) } @else { " …" }
                        }
                    }
                }
            }
            @if members.len() > MEMBERS { div { dt { "…" } dd.about { (members.len() - MEMBERS) " more" } } }
        }
    }
}

fn is_empty(tree: &Tree) -> bool {
    match tree {
        Tree::Leaf(_) => true,
        Tree::List(values) => values.is_empty(),
        Tree::Map(map) => map.is_empty(),
    }
}

/// A path with one more segment.
pub(super) fn join(path: &Path, segment: &str) -> Path {
    let mut path = path.clone();
    path.0.push(segment.to_owned());
    path
}

/// A path, with a link to each part of it.
pub(super) fn trail(ask: &Ask, path: &Path) -> Markup {
    html! {
        nav.trail aria-label="path" {
            a href=(ask.tree(Path::default())) { "document" }
            @for end in 1..=path.0.len() {
                " / " a href=(ask.tree(Path(path.0[..end].to_vec()))) { (short(&path.0[end - 1], LINE)) }
            }
        }
    }
}
