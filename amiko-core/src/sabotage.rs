//! Deliberate faults, to see whether tests notice them: `.ci/sabotage`.
//!
//! Invariant: they are there only in a build with `--cfg amiko_sabotage`, and then it is the one that the environment
//! variable `AMIKO_SABOTAGE` names.

/// A deliberate fault of this library.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sabotage {
    /// What was written by hand isn't looked at before it is appended.
    GateOff,
    /// Two sets that are equal count as the same text.
    EqualityDecides,
    /// A secret behind serde is shown.
    SecretsBehindSerde,
    /// A sync writes and doesn't sync.
    NoFsync,
    /// A directory isn't synced.
    NoDirectoryFsync,
    /// Outputs leave before they are on disk.
    AcknowledgeBeforeSync,
    /// A sync that failed is tried again.
    RetryFailedFsync,
    /// A message doesn't move the cursor.
    NoInboxCursor,
    /// Confirmations leave before they are on disk.
    ConfirmBeforeSync,
    /// A restart forgets the timers.
    TimerLostOnRestart,
    /// Answers of a group that nobody is known to wait for leave before it is on disk.
    LazyGroupReleasedEarly,
    /// What nobody waits for is never synced by itself.
    #[cfg(feature = "sim")]
    LazyCommitNeverSynced,
    /// A confirmation waits for company for ever.
    ConfirmationHeldForEver,
    /// Connections aren't rolled back.
    RollbackMissesATable,
    /// Two messages change places.
    OutboxReordered,
    /// A message counts as the next one though others before it are missing.
    GapAccepted,
    /// A message is confirmed that wasn't received.
    ConfirmedUnreceived,
    /// A connection keeps both of its sockets.
    BothSocketsKept,
    /// Nobody says that they are there.
    PingUnanswered,
    /// A peer that accepts counts as one that talks.
    BackOffResetTooEarly,
    /// An effect begins before the commit that asks for it is on disk.
    EffectBeforeCommit,
    /// An effect stays when its owner has heard what came of it.
    OutcomeActsTwice,
    /// A restart forgets the effects.
    EffectLostOnRestart,
    /// An effect has another key for each attempt.
    EffectKeyChanges,
    /// A phase that is left keeps its time-out.
    TimeOutOutlivesPhase,
    /// A time-out that a rejected event has armed stays.
    TimeOutArmedThoughRolledBack,
}

impl Sabotage {
    const fn name(self) -> &'static str {
        match self {
            Self::GateOff => "gate_off",
            Self::EqualityDecides => "equality_decides",
            Self::SecretsBehindSerde => "secrets_behind_serde",
            Self::NoFsync => "no_fsync",
            Self::NoDirectoryFsync => "no_directory_fsync",
            Self::AcknowledgeBeforeSync => "acknowledge_before_sync",
            Self::RetryFailedFsync => "retry_failed_fsync",
            Self::NoInboxCursor => "no_inbox_cursor",
            Self::ConfirmBeforeSync => "confirm_before_sync",
            Self::TimerLostOnRestart => "timer_lost_on_restart",
            Self::LazyGroupReleasedEarly => "lazy_group_released_early",
            #[cfg(feature = "sim")]
            Self::LazyCommitNeverSynced => "lazy_commit_never_synced",
            Self::ConfirmationHeldForEver => "confirmation_held_for_ever",
            Self::RollbackMissesATable => "rollback_misses_a_table",
            Self::OutboxReordered => "outbox_reordered",
            Self::GapAccepted => "gap_accepted",
            Self::ConfirmedUnreceived => "confirmed_unreceived",
            Self::BothSocketsKept => "both_sockets_kept",
            Self::PingUnanswered => "ping_unanswered",
            Self::BackOffResetTooEarly => "back_off_reset_too_early",
            Self::EffectBeforeCommit => "effect_before_commit",
            Self::OutcomeActsTwice => "outcome_acts_twice",
            Self::EffectLostOnRestart => "effect_lost_on_restart",
            Self::EffectKeyChanges => "effect_key_changes",
            Self::TimeOutOutlivesPhase => "time_out_outlives_phase",
            Self::TimeOutArmedThoughRolledBack => "time_out_armed_though_rolled_back",
        }
    }
}

/// Whether this fault is to be there.
#[inline(always)]
pub(crate) fn sabotaged(fault: Sabotage) -> bool {
    is_sabotaged(fault.name())
}

/// Whether the fault of this name is to be there: for crates that have some of their own.
#[cfg(not(amiko_sabotage))]
#[inline(always)]
pub const fn is_sabotaged(_fault: &str) -> bool {
    false
}

/// Whether the fault of this name is to be there: for crates that have some of their own.
#[cfg(amiko_sabotage)]
pub fn is_sabotaged(fault: &str) -> bool {
    static FAULT: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("AMIKO_SABOTAGE").ok());
    FAULT.as_deref() == Some(fault)
}
