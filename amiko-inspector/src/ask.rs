//! What a browser asks for: a page, a moment, and which events are listed beside it.
//!
//! Invariant: an address says all of it, so that it can be kept, sent to somebody, and gone back to.

use crate::reading::Path;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::collections::BTreeMap;

/// What isn't written as it is in a segment or a value of an address.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'/')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Segments of an address; nothing is nested deeper.
const DEEPEST: usize = 256;

/// Longer addresses aren't answered.
pub(crate) const LONGEST: usize = 8 << 10;

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Page {
    /// What stands at a path.
    Tree(Path),
    /// An object, which is an entry of a table of the state.
    Object(Path),
    Event(u64),
    Rejections,
    /// Connections, effects and timers.
    Outside,
    DryRun,
    Health,
    /// There is no such page.
    Unknown,
}

/// Which events are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Filter {
    pub(crate) text: String,
    pub(crate) class: String,
    pub(crate) object: String,
    pub(crate) rejected: bool,
}

/// What a browser asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) page: Page,
    /// The version; none to follow the newest.
    pub(crate) at: Option<u64>,
    pub(crate) filter: Filter,
    /// The list goes back from here.
    pub(crate) before: Option<u64>,
    /// A table is shown after this key.
    pub(crate) after: Option<String>,
    /// What is looked for in a table.
    pub(crate) find: String,
    /// Where the router is nested.
    pub(crate) base: String,
}

impl Ask {
    /// Reads the address of a page: its path, without that of the router, and its query.
    pub(crate) fn parse(base: &str, path: &str, query: &str) -> Self {
        let segments: Vec<String> = path.split('/').filter(|segment| !segment.is_empty()).map(named).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let rest = |from: usize| Path(segments[from..].iter().map(|&segment| segment.to_owned()).collect());
        let page = match segments.as_slice() {
            segments if segments.len() > DEEPEST => Page::Unknown,
            [] => Page::Tree(Path::default()),
            ["tree", ..] => Page::Tree(rest(1)),
            ["object", _, _] => Page::Object(rest(1)),
            ["event", version] => version.parse().map_or(Page::Unknown, Page::Event),
            ["rejections"] => Page::Rejections,
            ["outside"] => Page::Outside,
            ["dry-run"] => Page::DryRun,
            ["health"] => Page::Health,
            _ => Page::Unknown,
        };
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect();
        let text = |name: &str| query.get(name).cloned().unwrap_or_default();
        let number = |name: &str| query.get(name).and_then(|value| value.parse().ok());
        let filter = Filter {
            text: text("q"),
            class: text("class"),
            object: text("object"),
            rejected: query.contains_key("rejected"),
        };
        let after = query.get("after").cloned();
        Self {
            page,
            at: number("at"),
            filter,
            before: number("before"),
            after,
            find: text("find"),
            base: base.to_owned(),
        }
    }

    /// The address of another page: at the same moment, with the same events beside it.
    pub(crate) fn to(&self, page: Page) -> String {
        Self { page, after: None, find: String::new(), ..self.clone() }.address()
    }

    /// The same page at a version; none to follow the newest.
    pub(crate) fn at(&self, at: Option<u64>) -> String {
        Self { at, before: None, ..self.clone() }.address()
    }

    /// The page of an event, at its version.
    pub(crate) fn event(&self, version: u64) -> String {
        Self { page: Page::Event(version), at: Some(version), after: None, find: String::new(), ..self.clone() }
            .address()
    }

    /// The page of what stands at a path.
    pub(crate) fn tree(&self, path: Path) -> String {
        self.to(Page::Tree(path))
    }

    /// The address.
    pub(crate) fn address(&self) -> String {
        let path = |name: &str, path: &Path| {
            path.0.iter().fold(name.to_owned(), |address, segment| format!("{address}/{}", segment_of(segment)))
        };
        let page = match &self.page {
            Page::Tree(at) if at.0.is_empty() => String::new(),
            Page::Tree(at) => path("tree", at),
            Page::Object(at) => path("object", at),
            Page::Event(version) => format!("event/{version}"),
            Page::Rejections => "rejections".into(),
            Page::Outside => "outside".into(),
            Page::DryRun => "dry-run".into(),
            Page::Health => "health".into(),
            Page::Unknown => "unknown".into(),
        };
        let mut query: Vec<(&str, String)> = Vec::new();
        query.extend(self.at.map(|at| ("at", at.to_string())));
        query.extend(self.before.map(|before| ("before", before.to_string())));
        for (name, value) in [("q", &self.filter.text), ("class", &self.filter.class), ("object", &self.filter.object)]
        {
            query.extend((!value.is_empty()).then(|| (name, value.clone())));
        }
        query.extend(self.filter.rejected.then(|| ("rejected", "1".to_owned())));
        query.extend(self.after.clone().map(|after| ("after", after)));
        query.extend((!self.find.is_empty()).then(|| ("find", self.find.clone())));
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}/{page}{mark}{}", self.base, query.join("&"))
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// A segment of an address. Browsers take those away that are empty or made of dots, however they are escaped.
fn segment_of(text: &str) -> String {
    let is_taken = matches!(text, "" | "." | "..") || text.starts_with('~');
    format!("{}{}", if is_taken { "~" } else { "" }, encode(text))
}

/// What a segment of an address stands for.
fn named(segment: &str) -> String {
    let text = decode(segment);
    text.strip_prefix('~').map_or_else(|| text.clone(), str::to_owned)
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_address_says_all_of_it(key in "\\PC{0,12}|~{0,3}\\.{0,3}", find in "\\PC{0,6}", at in proptest::option::of(0_u64..9), object in "\\PC{0,9}") {
            let path = Path(vec!["links".into(), key]);
            let ask = Ask {
                page: Page::Object(path),
                at,
                filter: Filter { object, rejected: true, ..Filter::default() },
                before: None,
                after: None,
                find,
                base: "/in".into(),
            };
            let address = ask.address();
            let (path, query) = address.split_once('?').unwrap_or((&address, ""));
            prop_assert!(path.split('/').skip(1).all(|segment| !["", ".", ".."].contains(&segment)), "{}", path);
            prop_assert_eq!(Ask::parse("/in", path.trim_start_matches("/in"), query), ask);
        }
    }
}
