//! One connection to the database, and what the database says unasked.
//!
//! Invariant: a write counts as durable only if the database has confirmed it without a warning. It warns when a wait for a
//! synchronous standby was cancelled: then the rows are committed here, and maybe nowhere else.

use crate::error::{Failure, Trying};
use crate::sabotage::{Sabotage, sabotaged};
use crate::settings::PostgresSettings;
use crate::tls::Tls;
use crate::worker::attempt;
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Row, Socket, Statement};

/// The channel on which a leader says that there is something new; the node's name is the message.
pub(crate) const CHANNEL: &str = "amiko";

type Parameters<'p> = [&'p (dyn ToSql + Sync)];

/// A connection.
pub(crate) struct Session {
    client: Arc<Client>,
    prepared: HashMap<&'static str, Statement>,
    said: Arc<Said>,
    driver: JoinHandle<()>,
    timeout: Duration,
}

/// What the database has said unasked.
#[derive(Default)]
struct Said {
    warning: Mutex<Option<String>>,
    news: Notify,
}

impl Said {
    fn warning(&self) -> Option<String> {
        self.warning.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Session {
    /// Connects. What it commits is durable where the database says that things are, on its synchronous standbys too.
    pub(crate) async fn connect(
        config: &Config,
        tls: &Tls,
        node: &str,
        settings: &PostgresSettings,
    ) -> Result<Self, Failure> {
        match tls {
            Tls::No => Self::connect_with(config, NoTls, node, settings).await,
            #[cfg(feature = "tls")]
            Tls::Rustls(tls) => Self::connect_with(config, (**tls).clone(), node, settings).await,
        }
    }

    async fn connect_with<T>(config: &Config, tls: T, node: &str, settings: &PostgresSettings) -> Result<Self, Failure>
    where
        T: MakeTlsConnect<Socket, Stream: Send + 'static>,
    {
        const ACTION: &str = "connect to the database";
        let limit = attempt(config, settings);
        let connected = timeout(limit, config.connect(tls)).await;
        let (client, mut connection) =
            connected.map_err(|_| Failure::new(ACTION, format!("no answer within {limit:?}")))?.trying(ACTION)?;
        let node = node.to_owned();
        let said = Arc::new(Said::default());
        let hears = Arc::clone(&said);
        let driver = tokio::spawn(async move {
            // It ends with the connection; whoever waits for an answer is told by that.
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    // Nothing below a warning is sent.
                    AsyncMessage::Notice(notice) => {
                        let mut warning = hears.warning.lock().unwrap_or_else(PoisonError::into_inner);
                        *warning = Some(notice.message().to_owned());
                    }
                    // The channel is that of all nodes.
                    AsyncMessage::Notification(said) if said.payload() == node => hears.news.notify_one(),
                    _ => {}
                }
            }
            hears.news.notify_one();
        });
        let client = Arc::new(client);
        let session = Self { client, prepared: HashMap::new(), said, driver, timeout: settings.timeout };
        session.prepare_itself().await?;
        Ok(session)
    }

    async fn prepare_itself(&self) -> Result<(), Failure> {
        const ACTION: &str = "set up the connection to the database";
        // A commit that isn't on the disk isn't one, whatever the database's default is.
        const SETTINGS: &str = "SET client_min_messages = warning; \
             SELECT set_config('synchronous_commit', 'on', false) \
             WHERE current_setting('synchronous_commit') IN ('off', 'local')";
        self.within(ACTION, self.client.batch_execute(SETTINGS)).await?;
        // A server doesn't notice at once that nobody waits for an answer any more: what waits for others there ends by itself.
        let limit = self.timeout.as_millis().min(i32::MAX as u128);
        let limits = format!(
            "SET lock_timeout = {limit}; SELECT set_config('client_connection_check_interval', '10s', false) \
             WHERE current_setting('server_version_num')::integer >= 140000"
        );
        self.within(ACTION, self.client.batch_execute(&limits)).await?;
        let encoding = self.within(ACTION, self.client.query_one("SHOW server_encoding", &[])).await?;
        match encoding.try_get::<_, &str>(0).trying(ACTION)? {
            "UTF8" => Ok(()),
            other => Err(Failure::new(ACTION, format!("expected a database in UTF8, found {other}: make another one"))),
        }
    }

    async fn within<T>(
        &self,
        action: &'static str,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        match timeout(self.timeout, answer).await {
            Ok(answer) => answer.trying(action),
            Err(_) => Err(Failure::new(action, format!("no answer from the database within {:?}", self.timeout))),
        }
    }

    /// Whether nothing more can be asked over it.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs statements without parameters.
    pub(crate) async fn batch(&self, action: &'static str, sql: &str) -> Result<(), Failure> {
        self.within(action, self.client.batch_execute(sql)).await
    }

    /// A statement that is prepared once.
    async fn statement(&mut self, action: &'static str, sql: &'static str) -> Result<Statement, Failure> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.within(action, self.client.prepare(sql)).await?;
        self.prepared.insert(sql, statement.clone());
        Ok(statement)
    }

    /// Rows.
    pub(crate) async fn read(
        &mut self,
        action: &'static str,
        sql: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let statement = self.statement(action, sql).await?;
        self.within(action, self.client.query(&statement, parameters)).await
    }

    /// The same for a statement that writes, in a transaction of its own: what it did is durable.
    pub(crate) async fn write(
        &mut self,
        action: &'static str,
        sql: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        drop(self.said.warning());
        let rows = self.read(action, sql, parameters).await?;
        self.vouched(action)?;
        Ok(rows)
    }

    /// Ends the transaction that was begun: what it did is durable.
    pub(crate) async fn commit(&mut self, action: &'static str) -> Result<(), Failure> {
        drop(self.said.warning());
        self.batch(action, "COMMIT").await?;
        self.vouched(action)
    }

    /// Whether the database has confirmed a write without a warning.
    fn vouched(&self, action: &'static str) -> Result<(), Failure> {
        match self.said.warning() {
            None => Ok(()),
            Some(_) if sabotaged(Sabotage::WarningIgnored) => Ok(()),
            Some(warning) => Err(Failure::new(action, format!("the database doesn't vouch for it: {warning}"))),
        }
    }

    /// Tells standbys that there is something new. Nobody waits for it: one that is lost costs a standby the pause until it looks by
    /// itself.
    pub(crate) async fn announce(&mut self, node: &str) -> Result<(), Failure> {
        // It isn't worth a wait for a disk, least of all of the next commit, which is behind it.
        const ANNOUNCE: &str = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)";
        let statement = self.statement("tell standbys", ANNOUNCE).await?;
        let (client, node) = (Arc::clone(&self.client), node.to_owned());
        tokio::spawn(async move { client.query(&statement, &[&CHANNEL, &node]).await });
        Ok(())
    }

    /// The same, and waits for it.
    pub(crate) async fn announce_now(&mut self, node: &str) -> Result<(), Failure> {
        self.read("tell standbys", "SELECT pg_notify($1, $2)", &[&CHANNEL, &node]).await.map(drop)
    }

    /// Waits until a leader says that there is something new, or the connection ends.
    pub(crate) async fn news(&self) {
        self.said.news.notified().await;
    }
}
