//! One event that reads three of many objects and changes two of them, beside the same without any router.

use crate::channels::{Channel, Channels, MOST_RECEIVED, Payment, objects, ours, payment, send};
use crate::contest::Contest;
use crate::effort::Effort;
use crate::report::{Asked, Report};
use amiko_benches::Sink;
use amiko_core::prelude::*;
use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;

const TEXT: &str = "\
An event reads three objects of 100,000 at random and changes two of them; one event in ten is refused by the second one, and \
rolled back. All is in memory; every 100 events are synced, and forgotten by a store that keeps nothing. The last 1,000 versions \
are kept.

- **Amiko** routes two messages, writes what changed as JSON for the journal, and keeps the versions.
- **HashMap + undo log** is what one would write by hand for this one event, with nothing in it that isn't needed: a `HashMap` \
  (foldhash) of `Arc`s of the very same objects, the old `Arc`s as undo log and as history. No messages, no journal.
- The same, and what changed as JSON, put together by hand.";

/// The bound that the README tells.
pub const EVENT_WITHOUT_ROUTER: &str =
    "event that reads 3 and changes 2 of 100,000 objects, to HashMap + undo log without router";

const AMIKO: &str = "Amiko";
const BY_HAND: &str = "HashMap + undo log";
const WITH_JSON: &str = "HashMap + undo log + JSON";

const OBJECTS: u64 = 100_000;
/// Events that are made durable at once.
const GROUP: u64 = 100;
/// Versions that are kept, as by default in Amiko.
const HISTORY: usize = 1_000;

/// The payment of this number; every tenth is more than anybody receives.
fn event(number: u64, count: u64) -> Payment {
    let mut payment = payment(number, count);
    if number.is_multiple_of(10) {
        payment.amount = MOST_RECEIVED + 1;
    }
    payment
}

/// What one would write by hand.
struct ByHand {
    channels: HashMap<u64, Arc<Channel>, foldhash::fast::RandomState>,
    history: VecDeque<Vec<(u64, Arc<Channel>)>>,
}

impl ByHand {
    fn new(count: u64) -> Self {
        let channels = objects(count).map(|peer| (peer.id, Arc::new(ours(&peer)))).collect();
        Self { channels, history: VecDeque::new() }
    }

    /// Puts another version of an object into its place, and the old one into the undo log.
    fn put(&mut self, key: u64, channel: Channel, undo: &mut Vec<(u64, Arc<Channel>)>) {
        let old = self.channels.insert(key, Arc::new(channel)).expect("is there");
        undo.push((key, old));
    }

    fn change(&mut self, payment: &Payment, undo: &mut Vec<(u64, Arc<Channel>)>) -> Option<()> {
        let mut from = Channel::clone(self.channels.get(&payment.from)?);
        from.balance -= payment.amount + i64::from(self.channels.get(&payment.through)?.fee);
        self.put(payment.from, from, undo);
        let mut to = Channel::clone(self.channels.get(&payment.to)?);
        if payment.amount > MOST_RECEIVED {
            return None;
        }
        to.balance += payment.amount;
        self.put(payment.to, to, undo);
        Some(())
    }

    /// Handles a payment, and tells whether it was committed.
    fn handle(&mut self, payment: &Payment) -> bool {
        let mut undo = Vec::with_capacity(2);
        if self.change(payment, &mut undo).is_none() {
            for (key, old) in undo.into_iter().rev() {
                self.channels.insert(key, old);
            }
            return false;
        }
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(undo);
        true
    }

    /// What the last event changed.
    fn difference(&self, out: &mut String) {
        out.clear();
        out.push('[');
        for (key, _) in self.history.back().into_iter().flatten() {
            let value = self.channels.get(key).map_or(0, |channel| channel.balance);
            if out.len() > 1 {
                out.push(',');
            }
            write!(out, r#"{{"op":"replace","path":"/state/channels/{key}/balance","value":{value}}}"#)
                .expect("writes");
        }
        out.push(']');
    }
}

pub(super) fn run(effort: Effort) -> Report {
    let count = effort.count(OBJECTS);
    eprintln!("  filling");
    let mut settings = Settings::default();
    settings.snapshot_minimum = u64::MAX;
    let mut engine = Engine::open_with(Sink::default(), settings, || Channels::of(count)).expect("opens");
    let (mut by_hand, mut with_json, mut text) = (ByHand::new(count), ByHand::new(count), String::new());
    // What all make of the same events must be the same, or the times mean nothing.
    for number in 0..1_000 {
        let event = event(number, count);
        assert_eq!(send(&mut engine, &event).is_ok(), by_hand.handle(&event));
        let channel = engine.node().channels.get(&Id::new(event.from));
        assert_eq!(channel, by_hand.channels.get(&event.from).map(|channel| &**channel));
    }

    let mut contest = Contest::new("an event in memory");
    let mut number = 0;
    contest.single(AMIKO, || {
        number += 1;
        if number % GROUP == 0 {
            engine.sync().expect("syncs");
        }
        send(&mut engine, &event(number, count)).is_ok()
    });
    let mut number = 0;
    contest.single(BY_HAND, || {
        number += 1;
        by_hand.handle(&event(number, count))
    });
    let mut number = 0;
    contest.single(WITH_JSON, || {
        number += 1;
        if with_json.handle(&event(number, count)) {
            with_json.difference(&mut text);
        }
        text.len()
    });
    let samples = contest.measure(effort);
    Report {
        text: TEXT.into(),
        bounds: vec![samples.bound(EVENT_WITHOUT_ROUTER, AMIKO, BY_HAND, Asked::AtMost(1.6))],
        tables: vec![samples.table()],
        ..Report::default()
    }
}
