//! The network of the demo, drawn in place while payments pass.
//!
//! Invariant: however fast the network is, it is drawn [`RATE`] times a second at the most.

use crate::failure::Failure;
use crate::run::{Node, Signals};
use crate::screen::{self, Live};
use amiko_core::prelude::*;
use amiko_examples::payment::{Link, PaymentNode};
use amiko_runtime::{AskError, Watched};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often the picture is drawn, at the most, in a second.
const RATE: u32 = 10;

/// The picture: links as they are drawn, and balances below them.
pub(crate) struct Picture {
    /// What each node had.
    pub(crate) before: Vec<u64>,
    /// What is put on both sides of each link.
    pub(crate) funds: u64,
}

/// A part of the drawing.
enum Part {
    Text(&'static str),
    /// A link between two nodes, at rest and in use.
    Link(usize, usize, [&'static str; 2]),
}

const ACROSS: [&str; 2] = ["───", "═══"];
const SHORT: [&str; 2] = ["─", "═"];
const BRANCH: [&str; 2] = ["├─", "╞═"];
const CORNER: [&str; 2] = ["└─", "╘═"];

/// The network: each of its links once.
const DRAWING: [&[Part]; 4] = {
    use Part::{Link, Text};
    [
        &[
            Text("  [0]"),
            Link(0, 1, ACROSS),
            Text("[1]"),
            Link(1, 2, ACROSS),
            Text("[2]"),
            Link(2, 4, ACROSS),
            Text("[4]"),
            Link(4, 5, ACROSS),
            Text("[5]"),
            Link(5, 7, ACROSS),
            Text("[7]"),
        ],
        &[Text("              │           │")],
        &[Text("              "), Link(2, 3, BRANCH), Text("[3]       "), Link(5, 6, BRANCH), Text("[6]")],
        &[
            Text("              "),
            Link(2, 8, CORNER),
            Text("[8]"),
            Link(8, 9, SHORT),
            Text("[9]   "),
            Link(5, 10, CORNER),
            Text("[10]"),
            Link(10, 11, SHORT),
            Text("[11]"),
        ],
    ]
};

impl Picture {
    /// Lines of at most 80 columns: what each node has now, and which links are lit.
    pub(crate) fn lines(&self, now: &[u64], lit: impl Fn(usize, usize) -> bool) -> Vec<String> {
        let part = |part: &Part| match *part {
            Part::Text(text) => text.to_owned(),
            Part::Link(one, other, [_, used]) if lit(one, other) => screen::bold(used),
            Part::Link(_, _, [rest, _]) => rest.to_owned(),
        };
        let row = |(index, (before, now)): (usize, (&u64, &u64))| {
            let change = i128::from(*now) - i128::from(*before);
            let change = if change == 0 { String::new() } else { format!("{change:+}") };
            vec![format!("node{index}"), before.to_string(), now.to_string(), change]
        };
        let rows: Vec<Vec<String>> = self.before.iter().zip(now).enumerate().map(row).collect();
        let head = format!("twelve nodes, {} on both sides of each link; routes meet on node 4", self.funds);
        let mut lines = vec![head, String::new()];
        lines.extend(DRAWING.iter().map(|line| line.iter().map(part).collect()));
        lines.push(String::new());
        lines.extend(screen::table(&["node", "before", "after", "change"], &rows).lines().map(str::to_owned));
        lines.push(String::new());
        lines
    }
}

/// What is seen of a node.
#[derive(Clone, PartialEq)]
struct Seen {
    balance: u64,
    links: BTreeMap<usize, Use>,
}

/// How half-routes use a link.
#[derive(Clone, Copy, Default, PartialEq)]
struct Use {
    now: usize,
    /// How many have begun to. A payment is faster than the picture, and none goes by unseen.
    begun: usize,
}

impl Use {
    /// Whether a half-route uses the link, or has since an earlier look.
    const fn since(self, before: Self) -> bool {
        self.now > 0 || self.begun > before.begun
    }
}

/// Looks at a node after each of its commits.
fn look() -> impl FnMut(&PaymentNode) -> Seen {
    let mut links: BTreeMap<usize, Use> = BTreeMap::new();
    move |node| {
        for (neighbour, link) in node.links.iter().filter_map(|(id, link)| Some((neighbour(&id)?, link))) {
            let used = links.entry(neighbour).or_default();
            used.begun += link.routes.len().saturating_sub(used.now);
            used.now = link.routes.len();
        }
        Seen { balance: node.balance(), links: links.clone() }
    }
}

/// The other end of a link.
fn neighbour(link: &Id<Link>) -> Option<usize> {
    link.key().strip_prefix("link_to_")?.parse().ok()
}

/// Draws the network until this is done, and then the place is free again; or gives the number of the signal that ended it.
pub(crate) async fn draw_until<T>(
    work: impl Future<Output = Result<T, Failure>>,
    nodes: &[Node],
    picture: &Picture,
    progress: impl Fn() -> String,
) -> Result<ControlFlow<u8, T>, Failure> {
    let mut signals = Signals::new()?;
    let mut watched = Vec::new();
    for node in nodes {
        watched.push(node.watch(look()).await);
    }
    let mut live = Live::begin();
    let done = tokio::select! {
        done = work => done?,
        stopped = follow(&mut live, watched, picture, progress) => return Err(Failure::refused(stopped)),
        signal = signals.next() => return Ok(ControlFlow::Break(signal)),
    };
    live.erase();
    Ok(ControlFlow::Continue(done))
}

/// Draws what changes, until a node stops.
async fn follow(
    live: &mut Live,
    mut nodes: Vec<Watched<Seen>>,
    picture: &Picture,
    progress: impl Fn() -> String,
) -> AskError {
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    // A terminal that is slow gets fewer pictures.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Vec<Seen> = Vec::new();
    loop {
        ticks.tick().await;
        let seen: Vec<Seen> = match nodes.iter_mut().map(Watched::value).collect() {
            Ok(seen) => seen,
            Err(stopped) => return stopped,
        };
        let used = |seen: &[Seen], one: usize, other: usize| {
            seen.get(one).and_then(|seen| seen.links.get(&other)).copied().unwrap_or_default()
        };
        let lit = |one, other| used(&seen, one, other).since(used(&before, one, other));
        let balances: Vec<u64> = seen.iter().map(|seen| seen.balance).collect();
        let mut lines = picture.lines(&balances, lit);
        lines.push(progress());
        live.draw(&lines);
        before = seen;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amiko_examples::payment::{Direction, Route, RouteId, Token, Transaction, TransactionKey};

    /// A node whose link to node 1 has so many half-routes.
    fn node(routes: u8) -> PaymentNode {
        let route = |number| {
            let transaction = Token::new([number; 32]).transaction(Default::default());
            let id = RouteId { payer_side: true, transaction };
            let transaction: Id<Transaction> = Id::new(TransactionKey { route: id, instance: 0 });
            (id, Route { transaction, channel_index: 0, direction: Direction::Outgoing, locked: false })
        };
        let link = Link { routes: (0..routes).map(route).collect(), ..Link::default() };
        PaymentNode { links: [(Id::new("link_to_1"), link)].into_iter().collect(), ..PaymentNode::default() }
    }

    #[test]
    fn a_link_is_lit_while_a_payment_uses_it_and_once_if_that_is_over_before_the_next_picture() {
        let mut look = look();
        let mut at = |routes| look(&node(routes)).links[&1];
        let rest = at(0);
        assert!(!rest.since(Use::default()));
        let begun = at(1);
        assert!(begun.since(rest) && begun.since(begun));
        let ended = at(0);
        assert!(ended.since(rest) && !ended.since(begun));
    }
}
