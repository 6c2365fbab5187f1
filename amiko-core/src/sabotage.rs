//! Deliberate faults, to see whether tests notice them: `.ci/sabotage`.
//!
//! Invariant: they are there only in a build with `--cfg amiko_sabotage`, and then it is the one that the environment
//! variable `AMIKO_SABOTAGE` names.

/// Whether this fault is to be there.
#[cfg(not(amiko_sabotage))]
#[inline(always)]
pub const fn sabotaged(_fault: &str) -> bool {
    false
}

/// Whether this fault is to be there.
#[cfg(amiko_sabotage)]
pub fn sabotaged(fault: &str) -> bool {
    static FAULT: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("AMIKO_SABOTAGE").ok());
    FAULT.as_deref() == Some(fault)
}
