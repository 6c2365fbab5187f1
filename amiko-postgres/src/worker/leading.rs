//! Who leads: taking the lease, renewing it, and giving it back.

use super::{Inside, Leads, Lease};
use crate::error::{Failure, OpenError, Trying};
use crate::migrations::migrate;
use crate::sabotage::{self, Sabotage, sabotaged};
use amiko_core::store::{Leader, StoreError};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tokio_postgres::Row;

/// Takes the lease if nobody has it, in a new epoch: from then on nothing is written in an older one.
const LEAD: &str = "UPDATE amiko.node SET epoch = epoch + 1, holder = $2, address = $3, lease = $4 * interval '1 microsecond', \
    expires = clock_timestamp() + $4 * interval '1 microsecond', clock = pg_postmaster_start_time() \
    WHERE name = $1 AND (holder IS NULL OR holder = $2 \
        OR (clock = pg_postmaster_start_time() AND expires <= clock_timestamp())) RETURNING epoch, last";

/// Takes the next epoch for whoever leads: what was sent in the one before and isn't there yet can't come any more.
const CLAIM: &str = "UPDATE amiko.node SET epoch = epoch + 1, \
    expires = clock_timestamp() + $4 * interval '1 microsecond', clock = pg_postmaster_start_time() \
    WHERE name = $1 AND holder = $2 AND epoch >= $3 RETURNING epoch, last";

/// After a failover of the database the lease is counted anew, by the clock that there is now: that of the server before may have
/// been behind, and its leader may have renewed the lease there last.
const COUNT_ANEW: &str = "UPDATE amiko.node SET expires = clock_timestamp() + lease, clock = pg_postmaster_start_time() \
    WHERE name = $1 AND holder IS NOT NULL \
    AND (clock IS DISTINCT FROM pg_postmaster_start_time() OR expires > clock_timestamp() + lease) RETURNING epoch";

const RENEW: &str = "UPDATE amiko.node SET \
    expires = clock_timestamp() + $3 * interval '1 microsecond', clock = pg_postmaster_start_time() \
    WHERE name = $1 AND epoch = $2 RETURNING epoch";

const RELEASE: &str = "UPDATE amiko.node SET holder = NULL, address = NULL, expires = NULL \
    WHERE name = $1 AND epoch = $2 RETURNING epoch";

pub(crate) const LEADER: &str = "SELECT holder, address, \
    extract(epoch FROM expires - clock_timestamp())::double precision, \
    holder IS NOT NULL AND (clock IS DISTINCT FROM pg_postmaster_start_time() OR expires > clock_timestamp() + lease) FROM amiko.node WHERE name = $1";

/// What `$4` and the like are.
fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

impl Inside {
    /// Makes the tables and the row of the node.
    pub(super) async fn prepare(&mut self) -> Result<(), OpenError> {
        let node = self.node.clone();
        let session = self.session().await.map_err(Failure::open)?;
        migrate(session).await?;
        const THERE: &str = "SELECT FROM amiko.node WHERE name = $1";
        if !session.read("look for the node", THERE, &[&node]).await.map_err(Failure::open)?.is_empty() {
            return Ok(());
        }
        const INSERT: &str = "INSERT INTO amiko.node (name) VALUES ($1) ON CONFLICT DO NOTHING";
        session.write("make the node", INSERT, &[&node]).await.map_err(Failure::open)?;
        Ok(())
    }

    /// Leads from now on, if nobody else does; gives the epoch.
    pub(super) async fn lead(&mut self) -> Result<Result<u64, Leader>, Failure> {
        const ACTION: &str = "take the lease";
        let (node, holder, address) = (self.node.clone(), self.holder.clone(), self.settings.address.clone());
        let lease = microseconds(self.settings.lease);
        let begun = Instant::now();
        let session = self.session().await?;
        let mut rows = session.read(ACTION, LEADER, &[&node]).await?;
        let row = rows.first().ok_or_else(|| Failure::new(ACTION, "expected the row of the node, found none"))?;
        let other_clock = row.try_get(3).trying(ACTION)?;
        if other_clock && !sabotaged(Sabotage::ClockOfAnotherServer) {
            session.write(ACTION, COUNT_ANEW, &[&node]).await?;
            rows = session.read(ACTION, LEADER, &[&node]).await?;
        }
        // Most of the time somebody leads, and nothing is to be written.
        if let Some(leader) = leader(&rows, &holder)? {
            return Ok(Err(leader));
        }
        let lead = sabotage::lead().unwrap_or(LEAD);
        let rows = session.write(ACTION, lead, &[&node, &holder, &address, &lease]).await?;
        match rows.first() {
            Some(row) => {
                let (epoch, last) = (row.try_get(0).trying(ACTION)?, row.try_get(1).trying(ACTION)?);
                self.leads = Some(Leads { epoch, last, draft: None });
                self.holds(begun, epoch);
                Ok(Ok(epoch.unsigned_abs()))
            }
            None => {
                let rows = session.read(ACTION, LEADER, &[&node]).await?;
                Ok(Err(leader(&rows, &holder)?.unwrap_or_else(|| Leader::new("another one", Duration::ZERO))))
            }
        }
    }

    /// Takes a new epoch after the answer to a commit was lost, and tells the end of the journal: the commit is in it, or never
    /// will be.
    pub(super) async fn claim(&mut self, leads: Leads) -> Result<Option<Leads>, Failure> {
        const ACTION: &str = "find out whether a commit has happened";
        let (node, holder) = (self.node.clone(), self.holder.clone());
        let lease = microseconds(self.settings.lease);
        let begun = Instant::now();
        let session = self.session().await?;
        let rows = session.write(ACTION, CLAIM, &[&node, &holder, &leads.epoch, &lease]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let leads = Leads { epoch: row.try_get(0).trying(ACTION)?, last: row.try_get(1).trying(ACTION)?, ..leads };
        self.leads = Some(leads);
        self.holds(begun, leads.epoch);
        Ok(Some(leads))
    }

    /// Renews the lease. If the database doesn't answer it tries again, soon; the lease runs out meanwhile.
    pub(super) async fn renew(&mut self) {
        const ACTION: &str = "renew the lease";
        let Some(leads) = self.leads else { return };
        let (node, lease) = (self.node.clone(), microseconds(self.settings.lease));
        let begun = Instant::now();
        // One whose answer is lost is tried again, before the lease is over; it doesn't matter if both happen.
        let limit = self.settings.renew;
        let parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&node, &leads.epoch, &lease];
        let renewal = async { self.session().await?.write(ACTION, RENEW, parameters).await };
        let renewed = timeout(limit, renewal).await;
        let renewed = renewed.unwrap_or_else(|_| Err(Failure::new(ACTION, format!("no answer within {limit:?}"))));
        match renewed {
            Ok(rows) if rows.is_empty() => drop(self.fenced(leads).await),
            Ok(_) => self.holds(begun, leads.epoch),
            Err(_) => {
                self.session = None;
                self.renew_at = Instant::now() + self.settings.renew / 4;
            }
        }
    }

    /// Gives the lease back, so that another one can lead at once. If the database doesn't answer, it runs out.
    pub(super) async fn release(&mut self) {
        let Some(leads) = self.leads.take() else { return };
        let (node, left) = (self.node.clone(), self.lease.left());
        self.lease.update(|held| held.until = None);
        let Ok(left) = left else { return };
        let release = async {
            let session = self.session().await?;
            session.write("give the lease back", RELEASE, &[&node, &leads.epoch]).await?;
            // It has to be heard before this connection ends.
            session.announce_now(&node).await
        };
        // After that it has run out by itself.
        drop(timeout(left, release).await);
    }

    /// Another one leads: who, if it can be told.
    pub(super) async fn fenced(&mut self, leads: Leads) -> StoreError {
        self.leads = None;
        let (node, holder) = (self.node.clone(), self.holder.clone());
        let found = match self.session().await {
            Ok(session) => session.read("look who leads", LEADER, &[&node]).await.ok(),
            Err(_) => None,
        };
        let now = found.and_then(|rows| leader(&rows, &holder).ok().flatten()).map(|leader| leader.holder);
        let lease: &Lease = &self.lease;
        lease.update(|held| (held.until, held.leader) = (None, now.clone()));
        StoreError::Fenced { epoch: leads.epoch.unsigned_abs(), leader: now }
    }

    /// It leads for the time of a lease from this moment on, at which the database hadn't begun to count yet. Two clocks may differ
    /// in how fast they go: it stops a little earlier.
    pub(super) fn holds(&mut self, begun: Instant, epoch: i64) {
        let lease = self.settings.lease;
        self.renew_at = begun + self.settings.renew;
        self.lease.update(|held| {
            held.epoch = epoch.unsigned_abs();
            held.until = Some(begun + (lease - lease / 50));
        });
    }
}

/// Who leads, if anybody but this one does.
pub(crate) fn leader(rows: &[Row], this: &str) -> Result<Option<Leader>, Failure> {
    const ACTION: &str = "look who leads";
    let Some(row) = rows.first() else { return Ok(None) };
    let (holder, left): (Option<String>, Option<f64>) =
        (row.try_get(0).trying(ACTION)?, row.try_get(2).trying(ACTION)?);
    let (Some(holder), Some(left)) = (holder, left) else { return Ok(None) };
    let other_clock: bool = row.try_get(3).trying(ACTION)?;
    // How much is left of a lease by the clock of a server that is gone can't be told.
    let over = left <= 0.0 && (!other_clock || sabotaged(Sabotage::ClockOfAnotherServer));
    if over || holder == this {
        return Ok(None);
    }
    let left = Duration::try_from_secs_f64(left.max(0.0)).unwrap_or(Duration::MAX);
    Ok(Some(Leader::new(holder, left).at(row.try_get(1).trying(ACTION)?)))
}
