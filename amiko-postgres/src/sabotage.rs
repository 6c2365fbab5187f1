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
    /// The end of a lease that one server has set is compared with the clock of another one.
    ClockOfAnotherServer,
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
            Self::ClockOfAnotherServer => "clock_of_another_server",
        }
    }
}

/// Whether this fault is to be there.
#[inline(always)]
pub(crate) fn sabotaged(fault: Sabotage) -> bool {
    amiko_core::__private_0_1_0::is_sabotaged(fault.name())
}

/// How the lease is taken instead, if that is the fault.
pub(crate) fn lead() -> Option<&'static str> {
    const IN_THE_SAME_EPOCH: &str = "UPDATE amiko.node SET holder = $2, address = $3, lease = $4 * interval '1 microsecond', \
        expires = clock_timestamp() + $4 * interval '1 microsecond', clock = pg_postmaster_start_time() \
        WHERE name = $1 AND (holder IS NULL OR holder = $2 OR expires <= clock_timestamp()) RETURNING epoch, last";
    const BY_ANY_CLOCK: &str = "UPDATE amiko.node SET epoch = epoch + 1, holder = $2, address = $3, \
        lease = $4 * interval '1 microsecond', expires = clock_timestamp() + $4 * interval '1 microsecond' \
        WHERE name = $1 AND (holder IS NULL OR holder = $2 OR expires <= clock_timestamp()) RETURNING epoch, last";
    if sabotaged(Sabotage::NoEpoch) {
        return Some(IN_THE_SAME_EPOCH);
    }
    sabotaged(Sabotage::ClockOfAnotherServer).then_some(BY_ANY_CLOCK)
}

/// How a group is committed instead, if that is the fault.
pub(crate) fn commit() -> Option<&'static str> {
    const IN_ANY_EPOCH: &str = "WITH leads AS (UPDATE amiko.node \
        SET last = $4, expires = clock_timestamp() + $6 * interval '1 microsecond' \
        WHERE name = $1 AND last = $3 RETURNING 1) \
        INSERT INTO amiko.journal_group (node, first, last, epoch, lines) \
        SELECT $1, $3 + 1, $4, $2::bigint, $5 FROM leads RETURNING last";
    sabotaged(Sabotage::NoFence).then_some(IN_ANY_EPOCH)
}
