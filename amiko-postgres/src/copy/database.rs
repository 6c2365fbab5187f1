//! A connection for a copy, from code that blocks.
//!
//! Invariant: all that is read or written over it is in one transaction, which is undone unless it is committed.

use crate::error::{Failure, OpenError};
use crate::session::Session;
use crate::settings::PostgresSettings;
use crate::tls;
use crate::worker::{check_name, configure};
use tokio::runtime::Runtime;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// A node in a database.
pub(super) struct Database {
    // Before the runtime on which it runs.
    pub(super) session: Session,
    pub(super) runtime: Runtime,
    pub(super) node: String,
}

impl Database {
    pub(super) fn connect(url: &str, node: &str) -> Result<Self, OpenError> {
        check_name(node)?;
        let settings = PostgresSettings::default();
        let config = configure(url, &settings)?;
        let tls = tls::find(&config)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(OpenError::System)?;
        let session = runtime.block_on(Session::connect(&config, &tls, node, &settings)).map_err(Failure::open)?;
        Ok(Self { session, runtime, node: node.to_owned() })
    }

    pub(super) fn batch(&mut self, action: &'static str, sql: &str) -> Result<(), Failure> {
        self.runtime.block_on(self.session.batch(action, sql))
    }

    pub(super) fn rows(
        &mut self,
        action: &'static str,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        self.runtime.block_on(self.session.read(action, sql, parameters))
    }

    /// What was written is there from now on, durably.
    pub(super) fn commit(&mut self) -> Result<(), Failure> {
        const ACTION: &str = "commit the copy, all of which is there, or nothing";
        self.runtime.block_on(self.session.commit(ACTION))
    }
}
