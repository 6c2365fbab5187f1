//! What can be set, and every limit.

use amiko_core::store::Retention;
use std::time::Duration;

/// How a node uses its database.
///
/// ```
/// use amiko_postgres::PostgresSettings;
/// use std::time::Duration;
///
/// let mut settings = PostgresSettings::default();
/// settings.lease = Duration::from_secs(5);
/// settings.renew = Duration::from_secs(1);
/// settings.address = Some("https://one.example:8443".to_owned());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresSettings {
    /// How long a leader that isn't heard of any more stays the leader. Default 10 s; at least 20 ms and at most a day. It is also
    /// how long it takes at the least until another one takes over from a leader that was lost.
    pub lease: Duration,
    /// How often a leader that commits nothing renews its lease. Default 3 s; at most half of the lease, so that one renewal may
    /// be lost.
    pub renew: Duration,
    /// How often a standby looks for what is new if nobody tells it. Default 100 ms; at most the lease.
    pub poll: Duration,
    /// How long the database may take to connect, and to answer; after that the connection counts as broken. Default 30 s, at
    /// least 20 ms. A commit that waits for a synchronous standby of the database takes as long as that is away.
    pub timeout: Duration,
    /// Bytes of records that may wait for a commit, and as many of a snapshot. Default 64 MiB, at most 512 MiB: a row can't hold
    /// more than 1 GiB.
    pub buffer_limit: u64,
    /// Which older snapshots are kept, with the journal that follows them. [`Retention::Age`] is measured by the clock of the
    /// database. Default 256 MiB.
    pub retention: Retention,
    /// Where this one answers while it leads: what standbys say to their callers. Default: nothing is said.
    pub address: Option<String>,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            renew: Duration::from_secs(3),
            poll: Duration::from_millis(100),
            timeout: Duration::from_secs(30),
            buffer_limit: 64 << 20,
            retention: Retention::Bytes(256 << 20),
            address: None,
        }
    }
}

impl PostgresSettings {
    /// Why these can't be used, if they can't.
    pub(crate) fn fault(&self) -> Option<String> {
        const SHORTEST: Duration = Duration::from_millis(20);
        const LONGEST: Duration = Duration::from_secs(86_400);
        const LARGEST: u64 = 512 << 20;
        let Self { lease, renew, poll, timeout, buffer_limit, .. } = self;
        if !(SHORTEST..=LONGEST).contains(lease) {
            return Some(format!("expected a lease from {SHORTEST:?} to {LONGEST:?}, found {lease:?}"));
        }
        if renew.is_zero() || *renew > *lease / 2 {
            return Some(format!(
                "expected a lease of {lease:?} to be renewed after at most half of it, found {renew:?}"
            ));
        }
        if poll.is_zero() || poll > lease {
            return Some(format!("expected a standby to look at least once in a lease of {lease:?}, found {poll:?}"));
        }
        if *timeout < SHORTEST {
            return Some(format!("expected a timeout of at least {SHORTEST:?}, found {timeout:?}"));
        }
        if *buffer_limit > LARGEST {
            return Some(format!("expected a buffer of at most {LARGEST} bytes, found {buffer_limit}"));
        }
        None
    }
}
