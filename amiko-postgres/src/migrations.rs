//! The tables, in versions: each version is a file in `migrations/`, which is never changed once it was published.

use crate::error::{Failure, OpenError, Trying};
use crate::session::Session;

/// The migrations, the oldest first; the first one makes version 1.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/1.sql")];

/// A number that nobody else locks, hopefully: "amiko" in ASCII.
const LOCK: i64 = 0x61_6d69_6b6f;

/// Makes the tables, or brings them to this version. Changes nothing if they have it: whoever may only read and write rows can open
/// a node then.
pub(crate) async fn migrate(session: &mut Session) -> Result<(), OpenError> {
    let supported = supported();
    let mut found = version(session).await.map_err(Failure::open)?;
    while found < supported {
        let next = usize::try_from(found).ok().and_then(|next| MIGRATIONS.get(next)).copied().unwrap_or_default();
        // Several processes may start at the same time: the second one finds the tables made when it gets the lock, and its own
        // attempt fails as a whole, which the version shows.
        let sql = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK}); {next}; COMMIT");
        let made = session.batch("make the tables", &sql).await;
        if made.is_err() {
            session.batch("make the tables", "ROLLBACK").await.map_err(Failure::open)?;
        }
        let reached = version(session).await.map_err(Failure::open)?;
        if reached == found {
            made.map_err(Failure::open)?;
        }
        found = reached;
    }
    if found > supported {
        return Err(OpenError::NewerSchema { found, supported });
    }
    Ok(())
}

/// Whether the tables are there, in a version that this one reads. Changes nothing.
pub(crate) async fn are_made(session: &mut Session) -> Result<bool, OpenError> {
    match version(session).await.map_err(Failure::open)? {
        0 => Ok(false),
        found if found > supported() => Err(OpenError::NewerSchema { found, supported: supported() }),
        _ => Ok(true),
    }
}

fn supported() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

/// The version of the tables; 0 if there are none.
async fn version(session: &mut Session) -> Result<i32, Failure> {
    const ACTION: &str = "look at the tables";
    let there = session.read(ACTION, "SELECT to_regclass('amiko.migration') IS NOT NULL", &[]).await?;
    let there = there.first().map_or(Ok(false), |row| row.try_get(0)).trying(ACTION)?;
    if !there {
        return Ok(0);
    }
    let rows = session.read(ACTION, "SELECT coalesce(max(version), 0) FROM amiko.migration", &[]).await?;
    rows.first().map_or(Ok(0), |row| row.try_get(0)).trying(ACTION)
}
