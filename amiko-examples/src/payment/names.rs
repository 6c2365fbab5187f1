//! The names that users and neighbours choose, for links and meeting points.
//!
//! Invariant: no link has a name that a payment may have, since both name connections.

use super::{Network, PaymentLimits, payer};
use amiko_core::Object;
use amiko_core::prelude::*;

/// Who says that a link may not be called something.
enum Source {
    /// The network, so that other nodes on it say so too.
    Network,
    /// This node alone, on any network.
    Node,
}

/// What the name of a link may not be.
struct Rule {
    source: Source,
    /// What is expected instead, after `a name `.
    expected: &'static str,
    breaks: fn(&str) -> bool,
}

/// A link may be called anything that is none of these.
const RULES: [Rule; 5] = [
    Rule {
        source: Source::Network,
        expected: "that doesn't begin with '_', as those that a node makes for itself",
        breaks: |name| name.starts_with('_'),
    },
    Rule {
        source: Source::Network,
        expected: "other than 16 hex digits, which name a payment",
        breaks: |name| name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit()),
    },
    Rule {
        source: Source::Node,
        expected: "that doesn't end with '@payer', which names an outgoing payment",
        breaks: |name| name.ends_with(payer::SUFFIX),
    },
    Rule {
        source: Source::Node,
        expected: "that doesn't begin with '-', as options of a command do",
        breaks: |name| name.starts_with('-'),
    },
    Rule {
        source: Source::Node,
        expected: "other than '.' and '..', which a path leaves out",
        breaks: |name| matches!(name, "." | ".."),
    },
];

impl PaymentLimits {
    /// Rejects a name for one of our links. Any text is one, except for what could be taken for something else.
    pub(super) fn expect_link_name(&self, name: &str, network: Network) -> Result<(), Rejection> {
        self.expect_remote_link_name(name)?;
        let Some(Rule { source, expected, .. }) = RULES.iter().find(|rule| (rule.breaks)(name)) else { return Ok(()) };
        let source = match source {
            Source::Network => format!("a rule of the network {network}"),
            Source::Node => "a rule of this node, on any network".into(),
        };
        Err(Rejection::new(format!("expected a link's name {expected} ({source}), found {name:?}")))
    }

    /// Rejects what a neighbour calls its link. It names nothing here, and goes back to the neighbour alone.
    pub(super) fn expect_remote_link_name(&self, name: &str) -> Result<(), Rejection> {
        if has_length(name, self.link_name) {
            return Ok(());
        }
        let (limit, found) = (self.link_name, name.len());
        Err(Rejection::new(format!(
            "expected a link's name of 1 to {limit} bytes (the limit link_name of this node), found {found}"
        )))
    }

    /// Rejects the name of a meeting point from somebody else if it can't be passed on: it must be short, and the same
    /// on any wire.
    pub(super) fn expect_remote_point_name(&self, name: &str) -> Result<(), Rejection> {
        if has_length(name, self.name) && name.bytes().all(|byte| (32..127).contains(&byte)) {
            return Ok(());
        }
        Err(Rejection::new(format!("expected a name of 1 to {} printable ASCII characters", self.name)))
    }

    /// Rejects a name for a meeting point of ours that looks like a generated payment name, or that spoils a path, a
    /// terminal or a command line.
    pub(super) fn expect_point_name(&self, name: &str) -> Result<(), Rejection> {
        let good = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
        let payment = name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let taken = name.starts_with(['_', '-']) || matches!(name, "." | "..");
        if has_length(name, self.name) && !taken && !payment && name.chars().all(good) {
            return Ok(());
        }
        let length = self.name;
        Err(Rejection::new(format!(
            "expected a name of 1 to {length} letters, digits, '-', '.' and '_', that doesn't begin with '_' or '-' and \
             isn't '.', '..' or 16 hex digits"
        )))
    }
}

/// The rejection of a name that nothing has, with the first of those that something has.
pub(super) fn none_named<T: Object<Key = String>>(what: &str, name: &str, known: &Table<T>) -> Rejection {
    /// Names that are shown, so that the reason stays short.
    const SHOWN: usize = 10;
    let more = known.len().saturating_sub(SHOWN);
    let names: Vec<String> = known.iter().take(SHOWN).map(|(id, _)| id.key().clone()).collect();
    let known = match (&names[..], more) {
        ([], _) => "there is none".into(),
        ([name], _) => format!("there is {name}"),
        (names, 0) => format!("there are {}", names.join(", ")),
        (names, more) => format!("there are {} and {more} more", names.join(", ")),
    };
    Rejection::new(format!("expected {what}, found none named {name:?}: {known}"))
}

fn has_length(name: &str, limit: u32) -> bool {
    u32::try_from(name.len()).is_ok_and(|length| (1..=limit).contains(&length))
}
