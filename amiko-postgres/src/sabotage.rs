//! Deliberate faults of the store, to see whether tests notice them: `.ci/history`.
//!
//! Invariant: only a build made for them contains any.

/// A deliberate fault.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sabotage {
    /// A commit is made in any epoch.
    NoFence,
    /// Whoever takes the lease goes on in the epoch of the one before.
    NoEpoch,
    /// A commit whose answer is lost is sent again; if that does nothing, the first one counts as made.
    ResendAfterBrokenConnection,
    /// What was followed before the lease was taken counts as the whole journal.
    TailBeforeEpoch,
    /// Questions are answered when the lease is over.
    StaleReads,
    /// A commit counts that the database doesn't vouch for.
    WarningIgnored,
}

impl Sabotage {
    const fn name(self) -> &'static str {
        match self {
            Self::NoFence => "no_fence",
            Self::NoEpoch => "no_epoch",
            Self::ResendAfterBrokenConnection => "resend_after_broken_connection",
            Self::TailBeforeEpoch => "tail_before_epoch",
            Self::StaleReads => "stale_reads",
            Self::WarningIgnored => "warning_ignored",
        }
    }
}

/// Whether this fault is to be there.
#[inline(always)]
pub(crate) fn sabotaged(fault: Sabotage) -> bool {
    amiko_core::__private_0_1_0::is_sabotaged(fault.name())
}
