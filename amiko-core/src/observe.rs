//! What an engine tells the facades `tracing` and `metrics`, for programs that turn the features of the same names on.
//!
//! Invariant: only kinds, classes, keys, numbers, durations and reasons pass through here, never a message or an object;
//! and with both features off, everything here is empty.
//!
//! Each event is a span, `event`, at the level info. Each message that it delivers is a span of its own, `message`, at the
//! level debug: inside the span of the message whose handler sent it, so that what a handler logs stands under its causes.
//! The target of all of it is `amiko`.

#![cfg_attr(
    not(all(feature = "tracing", feature = "metrics")),
    allow(dead_code, reason = "what isn't told anybody isn't read")
)]

use std::fmt::Display;
use std::time::Duration;
#[cfg(any(feature = "tracing", feature = "metrics"))]
use std::time::Instant;

/// A metric, by the terms of the `metrics` facade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// The unit of its values.
    pub unit: MetricUnit,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub text: &'static str,
}

/// The kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// The present value.
    Gauge,
    /// How values are distributed.
    Histogram,
}

/// The units of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricUnit {
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

impl Metric {
    /// A metric.
    pub const fn new(
        name: &'static str,
        kind: MetricKind,
        unit: MetricUnit,
        labels: &'static [&'static str],
        text: &'static str,
    ) -> Self {
        Self { name, kind, unit, labels, text }
    }

    /// Tells the recorder of the program what the metric means.
    #[cfg(feature = "metrics")]
    pub fn describe(&self) {
        let unit = match self.unit {
            MetricUnit::Count => metrics::Unit::Count,
            MetricUnit::Bytes => metrics::Unit::Bytes,
            MetricUnit::Seconds => metrics::Unit::Seconds,
        };
        match self.kind {
            MetricKind::Counter => metrics::describe_counter!(self.name, unit, self.text),
            MetricKind::Gauge => metrics::describe_gauge!(self.name, unit, self.text),
            MetricKind::Histogram => metrics::describe_histogram!(self.name, unit, self.text),
        }
    }
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal in $unit:ident by [$($label:literal),*]: $text:literal;)+) => {
        $(#[cfg(feature = "metrics")] const $constant: &str = $name;)+

        /// What an engine counts and measures, in the order of their names.
        pub const METRICS: &[Metric] = &[
            $(Metric::new($name, MetricKind::$kind, MetricUnit::$unit, &[$($label),*], $text),)+
        ];
    };
}

metrics! {
    ANSWERS = Gauge "amiko_answers" in Count by []: "Answers that are kept for commands with a key";
    CONNECTIONS = Gauge "amiko_connections" in Count by []: "Connections in the state, with or without a socket";
    EFFECTS = Gauge "amiko_effects" in Count by []: "Effects that aren't over";
    EVENT_MESSAGES = Histogram "amiko_event_messages" in Count by []: "Messages that one event delivered";
    EVENT_SECONDS = Histogram "amiko_event_seconds" in Seconds by []: "From the beginning of an event to its record, without the sync";
    EVENTS = Counter "amiko_events_total" in Count by ["cause", "kind", "message", "outcome"]: "Events by their cause, the kind of the object and the class of the message that they began with, and their outcome: committed, unchanged, rejected or failed";
    GROUP_EVENTS = Histogram "amiko_group_events" in Count by []: "Events that one sync made durable";
    HANDLER_SECONDS = Histogram "amiko_handler_seconds" in Seconds by ["kind"]: "In the handler of one message";
    HISTORY_BYTES = Gauge "amiko_history_bytes" in Bytes by []: "Memory of the versions that are kept";
    JOURNAL_BYTES = Counter "amiko_journal_bytes_total" in Bytes by []: "Records that were appended to the journal";
    OUTBOX_MESSAGES = Gauge "amiko_outbox_messages" in Count by []: "Messages that no peer has confirmed";
    RECOVERY_SECONDS = Gauge "amiko_recovery_seconds" in Seconds by []: "How long it took to open the state";
    REJECTIONS = Counter "amiko_rejections_total" in Count by ["reason"]: "Rejected events by reason: the type of the application's error, else text, panic, or record for one that can't be written";
    SNAPSHOT_BYTES = Gauge "amiko_snapshot_bytes" in Bytes by []: "Size of the newest snapshot";
    SNAPSHOTS = Counter "amiko_snapshots_total" in Count by []: "Snapshots that became durable";
    SYNC_SECONDS = Histogram "amiko_sync_seconds" in Seconds by []: "From the beginning of a sync to its end";
    TIMER_LATENESS = Histogram "amiko_timer_lateness_seconds" in Seconds by []: "How long after its deadline a timer fired";
    TIMERS = Gauge "amiko_timers" in Count by []: "Timers that are set";
}

/// How an event ended.
#[derive(Clone, Copy)]
pub(crate) enum Outcome<'o> {
    /// With a new version, and a record of so many bytes.
    Committed { version: u64, bytes: usize },
    /// Nothing has changed.
    Unchanged,
    /// It was undone: the class of the reason, and its text.
    Rejected { reason: &'static str, text: &'o dyn Display },
    /// The engine can't go on.
    Failed { text: &'o dyn Display },
}

/// One event in progress.
pub(crate) struct EventWatch {
    #[cfg(feature = "tracing")]
    span: tracing::span::EnteredSpan,
    #[cfg(feature = "metrics")]
    begun: Instant,
}

impl EventWatch {
    #[inline]
    pub(crate) fn begin(_cause: &'static str) -> Self {
        Self {
            #[cfg(feature = "tracing")]
            span: {
                use tracing::field::Empty;
                let span = tracing::info_span!(
                    target: "amiko", "event", cause = _cause, kind = Empty, class = Empty, id = Empty, outcome = Empty,
                    version = Empty, messages = Empty, bytes = Empty
                );
                span.entered()
            },
            #[cfg(feature = "metrics")]
            begun: Instant::now(),
        }
    }

    /// The event has ended: it delivered so many messages, the first of this class to an object of this kind.
    #[inline]
    pub(crate) fn end(
        self,
        _cause: &'static str,
        _messages: usize,
        _first: Option<(&'static str, Option<&'static str>)>,
        _outcome: Outcome<'_>,
    ) {
        #[cfg(feature = "tracing")]
        {
            self.span.record("outcome", _outcome.name());
            self.span.record("messages", _messages);
            match _outcome {
                Outcome::Committed { version, bytes } => {
                    self.span.record("version", version);
                    self.span.record("bytes", bytes);
                    tracing::debug!(target: "amiko", version, bytes, "committed");
                }
                Outcome::Unchanged => tracing::debug!(target: "amiko", "nothing has changed"),
                Outcome::Rejected { reason, text } => {
                    tracing::info!(target: "amiko", reason, "rejected: {text}");
                }
                Outcome::Failed { text } => tracing::error!(target: "amiko", "failed: {text}"),
            }
        }
        #[cfg(feature = "metrics")]
        {
            let (kind, class) = _first.map_or(("", ""), |(kind, class)| (kind, class.unwrap_or("")));
            let outcome = _outcome.name();
            metrics::counter!(EVENTS, "cause" => _cause, "kind" => kind, "message" => class, "outcome" => outcome)
                .increment(1);
            metrics::histogram!(EVENT_MESSAGES).record(count(_messages));
            metrics::histogram!(EVENT_SECONDS).record(self.begun.elapsed());
            match _outcome {
                Outcome::Rejected { reason, .. } => metrics::counter!(REJECTIONS, "reason" => reason).increment(1),
                Outcome::Committed { bytes, .. } => metrics::counter!(JOURNAL_BYTES).increment(whole(bytes)),
                Outcome::Unchanged | Outcome::Failed { .. } => {}
            }
        }
    }
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
impl Outcome<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Committed { .. } => "committed",
            Self::Unchanged => "unchanged",
            Self::Rejected { .. } => "rejected",
            Self::Failed { .. } => "failed",
        }
    }
}

/// A message that is delivered: where those stand that its handler sends.
#[derive(Default)]
pub(crate) struct Delivered {
    #[cfg(feature = "tracing")]
    span: Option<tracing::Span>,
}

impl Delivered {
    /// Its handler begins; it ends when the returned value is dropped.
    #[inline]
    pub(crate) fn begin(
        &mut self,
        _cause: Option<&Self>,
        _kind: &'static str,
        _class: Option<&'static str>,
        _id: &impl Display,
    ) -> Handling {
        #[cfg(feature = "tracing")]
        let entered = {
            let event = tracing::Span::current();
            let class = _class.unwrap_or("");
            let parent = _cause.and_then(|cause| cause.span.as_ref());
            if parent.is_none() {
                event.record("kind", _kind).record("class", class).record("id", tracing::field::display(_id));
            }
            let parent = parent.unwrap_or(&event).id();
            let span = tracing::debug_span!(target: "amiko", parent: parent, "message", kind = _kind, class, id = %_id);
            self.span.insert(span).clone().entered()
        };
        Handling {
            #[cfg(feature = "tracing")]
            _entered: entered,
            #[cfg(feature = "metrics")]
            kind: _kind,
            #[cfg(feature = "metrics")]
            begun: Instant::now(),
        }
    }
}

/// A handler that runs.
#[must_use = "the handler ends when this is dropped"]
pub(crate) struct Handling {
    #[cfg(feature = "tracing")]
    _entered: tracing::span::EnteredSpan,
    #[cfg(feature = "metrics")]
    kind: &'static str,
    #[cfg(feature = "metrics")]
    begun: Instant,
}

#[cfg(feature = "metrics")]
impl Drop for Handling {
    fn drop(&mut self) {
        metrics::histogram!(HANDLER_SECONDS, "kind" => self.kind).record(self.begun.elapsed());
    }
}

/// A timer fired so long after its deadline.
#[inline]
pub(crate) fn timer(_late: impl FnOnce() -> Duration) {
    #[cfg(feature = "metrics")]
    metrics::histogram!(TIMER_LATENESS).record(_late());
}

/// A state that is being opened.
pub(crate) struct Recovery {
    #[cfg(feature = "metrics")]
    begun: Instant,
}

impl Recovery {
    #[inline]
    pub(crate) fn begin() -> Self {
        Self {
            #[cfg(feature = "metrics")]
            begun: Instant::now(),
        }
    }

    #[inline]
    pub(crate) fn end(self, _version: u64, _cut_off: bool) {
        #[cfg(feature = "tracing")]
        tracing::info!(target: "amiko", version = _version, cut_off = _cut_off, "state opened");
        #[cfg(feature = "metrics")]
        metrics::gauge!(RECOVERY_SECONDS).set(self.begun.elapsed());
    }
}

/// A sync under way, of so many events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SyncWatch {
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    begun: Instant,
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    events: u64,
}

impl SyncWatch {
    #[inline]
    pub(crate) fn begin(_events: u64) -> Self {
        Self {
            #[cfg(any(feature = "tracing", feature = "metrics"))]
            begun: Instant::now(),
            #[cfg(any(feature = "tracing", feature = "metrics"))]
            events: _events,
        }
    }

    #[inline]
    pub(crate) fn end(self, _version: u64, _durable: bool) {
        #[cfg(feature = "tracing")]
        {
            let seconds = self.begun.elapsed().as_secs_f64();
            tracing::debug!(target: "amiko", version = _version, events = self.events, durable = _durable, seconds, "synced");
        }
        #[cfg(feature = "metrics")]
        {
            metrics::histogram!(SYNC_SECONDS).record(self.begun.elapsed());
            #[expect(clippy::cast_precision_loss, reason = "a group is no longer than its limit")]
            metrics::histogram!(GROUP_EVENTS).record(self.events as f64);
        }
    }
}

/// A snapshot of this version became durable.
#[inline]
pub(crate) fn snapshot(_version: u64, _bytes: u64) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "amiko", version = _version, bytes = _bytes, "snapshot written");
    #[cfg(feature = "metrics")]
    {
        metrics::counter!(SNAPSHOTS).increment(1);
        #[expect(clippy::cast_precision_loss, reason = "states are far smaller than 2^52 bytes")]
        metrics::gauge!(SNAPSHOT_BYTES).set(_bytes as f64);
    }
}

/// The entries from which a collection of the standard library is too large for a field of an object that changes: each change of
/// its object copies and compares all of it. A [`Map`](crate::Map) shares what doesn't change.
pub const LARGE_COLLECTION: usize = 10_000;

/// So many fields are told of, each once.
#[cfg(feature = "tracing")]
const TOLD: usize = 64;

/// A collection with so many entries was compared, at this place in the state.
#[inline]
pub(crate) fn collection(_entries: usize, _place: impl FnOnce() -> String) {
    #[cfg(feature = "tracing")]
    if _entries > LARGE_COLLECTION {
        large_collection(_entries, &_place());
    }
}

#[cfg(feature = "tracing")]
#[cold]
fn large_collection(entries: usize, place: &str) {
    use std::collections::BTreeSet;
    use std::sync::{Mutex, PoisonError};
    static FIELDS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    // `/state/table/field`: keys belong to the state, and aren't told.
    let mut fields = FIELDS.lock().unwrap_or_else(PoisonError::into_inner);
    if fields.len() < TOLD && fields.insert(place.to_owned()) {
        drop(fields);
        tracing::warn!(
            target: "amiko", path = place, entries,
            "expected at most {LARGE_COLLECTION} entries in a collection inside an object, since each change of the object copies \
             and compares all of them, found more: use amiko's Map, or a table"
        );
    }
}

/// What a state holds at the moment.
pub(crate) struct Sizes {
    pub(crate) timers: usize,
    pub(crate) effects: usize,
    pub(crate) connections: usize,
    pub(crate) answers: usize,
    pub(crate) outbox: usize,
    pub(crate) history_bytes: usize,
}

/// Reports the sizes now and then: at most once a second.
#[derive(Default)]
pub(crate) struct Sampler {
    #[cfg(feature = "metrics")]
    last: Option<Instant>,
}

impl Sampler {
    #[inline]
    pub(crate) fn sample(&mut self, _sizes: impl FnOnce() -> Sizes) {
        #[cfg(feature = "metrics")]
        if self.last.is_none_or(|last| last.elapsed().as_secs() >= 1) {
            self.last = Some(Instant::now());
            let sizes = _sizes();
            metrics::gauge!(TIMERS).set(count(sizes.timers));
            metrics::gauge!(EFFECTS).set(count(sizes.effects));
            metrics::gauge!(CONNECTIONS).set(count(sizes.connections));
            metrics::gauge!(ANSWERS).set(count(sizes.answers));
            metrics::gauge!(OUTBOX_MESSAGES).set(count(sizes.outbox));
            metrics::gauge!(HISTORY_BYTES).set(count(sizes.history_bytes));
        }
    }
}

#[cfg(feature = "metrics")]
#[expect(clippy::cast_precision_loss, reason = "numbers of things in memory are far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(feature = "metrics")]
fn whole(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
