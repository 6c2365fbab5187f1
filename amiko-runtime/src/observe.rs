//! What a runtime tells the facades `tracing` and `metrics`, for programs that turn the features of the same names on; beside
//! what its engine tells them: see [`amiko_core::observe`].
//!
//! Invariant: with both features off, everything here is empty.

#![cfg_attr(
    not(all(feature = "tracing", feature = "metrics")),
    allow(dead_code, reason = "what isn't told anybody isn't read")
)]

use amiko_core::conversation::Event;
use amiko_core::observe::{Metric, MetricKind, MetricUnit};

const ATTEMPTS: Metric = Metric::new(
    "amiko_attempts_total",
    MetricKind::Counter,
    MetricUnit::Count,
    &["effect", "outcome"],
    "Attempts to perform effects, by the class of the effect and their outcome: done or failed",
);
const UNDER_WAY: Metric = Metric::new(
    "amiko_attempts_under_way",
    MetricKind::Gauge,
    MetricUnit::Count,
    &[],
    "Attempts to perform effects that are under way",
);
const CALLS: Metric = Metric::new(
    "amiko_calls_waiting",
    MetricKind::Gauge,
    MetricUnit::Count,
    &[],
    "Commands and questions that wait for the node",
);
const LEADING: Metric = Metric::new(
    "amiko_leading",
    MetricKind::Gauge,
    MetricUnit::Count,
    &[],
    "1 while this process leads its node, 0 while it follows; only where there are several",
);
const LINES: Metric = Metric::new(
    "amiko_lines_waiting",
    MetricKind::Gauge,
    MetricUnit::Count,
    &[],
    "Lines of peers, and other events of sockets, that wait for the node",
);
const NETWORK: Metric = Metric::new(
    "amiko_network_events_total",
    MetricKind::Counter,
    MetricUnit::Count,
    &["event"],
    "What happened to connections: connected, disconnected, refused, rejected, dial_failed, accept_failed, conflict or unsendable",
);

const TAKEOVERS: Metric = Metric::new(
    "amiko_takeovers_total",
    MetricKind::Counter,
    MetricUnit::Count,
    &[],
    "How often this process has begun to lead; only where there are several",
);

/// What a runtime counts and measures beside its engine, in the order of their names.
pub const METRICS: &[Metric] = &[ATTEMPTS, UNDER_WAY, CALLS, LEADING, LINES, NETWORK, TAKEOVERS];

/// Tells the recorder of the program what all metrics mean: those of the engine and of the runtime.
#[cfg(feature = "metrics")]
pub fn describe_metrics() {
    amiko_core::observe::METRICS.iter().chain(METRICS).for_each(Metric::describe);
}

/// Something happened on the network.
#[inline]
pub(crate) fn network(_event: &Event) {
    #[cfg(feature = "tracing")]
    match _event {
        Event::AcceptFailed { .. } | Event::Conflict { .. } | Event::Unsendable { .. } => {
            tracing::warn!(target: "amiko", "{_event}");
        }
        event => tracing::info!(target: "amiko", "{event}"),
    }
    #[cfg(feature = "metrics")]
    metrics::counter!(NETWORK.name, "event" => _event.name()).increment(1);
}

/// Characters of a failure that are logged.
#[cfg(feature = "tracing")]
const LOGGED: usize = 200;

/// An attempt to perform an effect of a class has ended: it has failed, if there is an error.
#[inline]
pub(crate) fn attempt(_class: &'static str, _failure: Option<&str>) {
    #[cfg(feature = "tracing")]
    match _failure {
        // The text of somebody outside, perhaps: on one line, and not without end.
        Some(error) => {
            let error: String = error.chars().take(LOGGED).flat_map(char::escape_debug).collect();
            tracing::warn!(target: "amiko", effect = _class, "an attempt has failed: {error}");
        }
        None => tracing::debug!(target: "amiko", effect = _class, "an attempt has succeeded"),
    }
    #[cfg(feature = "metrics")]
    {
        let outcome = if _failure.is_some() { "failed" } else { "done" };
        metrics::counter!(ATTEMPTS.name, "effect" => _class, "outcome" => outcome).increment(1);
    }
}

/// A process among several begins to lead, from this version on.
#[inline]
pub(crate) fn leads(_version: u64) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "amiko", version = _version, "leads from now on");
    #[cfg(feature = "metrics")]
    {
        metrics::counter!(TAKEOVERS.name).increment(1);
        metrics::gauge!(LEADING.name).set(1.0);
    }
}

/// It has ended to lead, and why, if it wasn't told to.
#[inline]
pub(crate) fn leads_no_more(_reason: Option<&(dyn std::error::Error + 'static)>) {
    #[cfg(feature = "tracing")]
    match _reason {
        Some(reason) => tracing::warn!(target: "amiko", reason, "leads no more"),
        None => tracing::info!(target: "amiko", "leads no more"),
    }
    #[cfg(feature = "metrics")]
    metrics::gauge!(LEADING.name).set(0.0);
}

/// Nobody performs the effects of a class, so they wait.
#[inline]
pub(crate) fn no_performer(_class: &'static str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "amiko", effect = _class, "expected a performer, found none: such effects wait in the state");
}

/// How many attempts are under way.
#[inline]
pub(crate) fn under_way(_attempts: impl FnOnce() -> usize) {
    #[cfg(feature = "metrics")]
    metrics::gauge!(UNDER_WAY.name).set(count(_attempts()));
}

/// How many inputs wait.
#[inline]
pub(crate) fn waiting(_calls: impl FnOnce() -> usize, _lines: impl FnOnce() -> usize) {
    #[cfg(feature = "metrics")]
    {
        metrics::gauge!(CALLS.name).set(count(_calls()));
        metrics::gauge!(LINES.name).set(count(_lines()));
    }
}

#[cfg(feature = "metrics")]
fn count(number: usize) -> f64 {
    // Queues have limits that are far smaller.
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Where a caller was when it sent a command: the event stands under its span.
#[derive(Clone)]
pub(crate) struct Caller {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl Caller {
    #[inline]
    pub(crate) fn current() -> Self {
        Self {
            #[cfg(feature = "tracing")]
            span: tracing::Span::current(),
        }
    }

    /// Acts in the caller's span.
    #[inline]
    pub(crate) fn within<R>(&self, act: impl FnOnce() -> R) -> R {
        #[cfg(feature = "tracing")]
        let _entered = self.span.enter();
        act()
    }
}
