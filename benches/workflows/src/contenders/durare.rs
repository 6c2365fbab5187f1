//! Workflows in durare: an `async fn`, whose steps are recorded in SQLite.
//!
//! Invariant: where commits should be synced, each connection says that it does that, before and after what is measured.

use crate::contender::{Contender, Later, Opened, Running, Way};
use crate::outside::Outside;
use crate::workflow::{DONE, Task, answers, name};
use durare::{
    DurableContext, DurableEngine, Error, SqliteProvider, StateProvider as _, WorkflowHandle, WorkflowOptions,
};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

const FILE: &str = "workflows.db";
const WORKFLOW: &str = "workflow";
const STEP: &str = "step";
/// What it calls a step that is a sleep.
const SLEEP: &str = "DBOS.sleep";
/// A workflow is only recovered by the version that has begun it.
const VERSION: &str = "1";
/// As its own provider sets them.
const CONNECTIONS: u32 = 5;
const BUSY: Duration = Duration::from_secs(5);
/// The level of `PRAGMA synchronous`.
const FULL: i64 = 2;
/// How long it may take to end.
const END: Duration = Duration::from_secs(60);

/// On its SQLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durare {
    /// With commits that are synced.
    Tuned,
    /// As it comes: they aren't.
    Defaults,
}

impl Contender for Durare {
    fn name(&self) -> &'static str {
        match self {
            Self::Tuned => "durare",
            Self::Defaults => "durare, as it comes",
        }
    }

    fn argument(&self) -> &'static str {
        match self {
            Self::Tuned => "durare",
            Self::Defaults => "durare-defaults",
        }
    }

    fn is(&self, way: Way) -> bool {
        way == match self {
            Self::Tuned => Way::Tuned,
            Self::Defaults => Way::Defaults,
        }
    }

    fn promise(&self) -> &'static str {
        "NOT synced by default: WAL, `synchronous = NORMAL`; only checkpoints sync"
    }

    fn open<'c>(&'c self, place: &'c str) -> Later<'c, Box<dyn Opened>> {
        Box::pin(async move { Box::new(Ready::open(*self, place).await) as Box<dyn Opened> })
    }

    /// The first one has run until there, and the others are copies of its rows.
    fn prepare<'c>(&'c self, place: &'c str, count: u64) -> Later<'c, ()> {
        Box::pin(async move {
            let outside = Arc::new(Outside::until(DONE));
            let node = Ready::open(*self, place).await.run(Arc::clone(&outside)).await;
            node.begin(0..1, Task::STEPS).await;
            outside.hangs().await;
            copy(&node.pool, count).await;
        })
    }
}

/// A database that is open, whose workflows don't run yet.
struct Ready {
    provider: Option<SqliteProvider>,
    pool: SqlitePool,
    way: Durare,
}

impl Ready {
    async fn open(way: Durare, place: &str) -> Self {
        let path = Path::new(place).join(FILE);
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY);
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_lazy_with(options);
        let provider = match way {
            Durare::Defaults => {
                let url = format!("sqlite://{}", path.display());
                SqliteProvider::connect(&url).await.expect("opens")
            }
            Durare::Tuned => SqliteProvider::from_pool(pool.clone()),
        };
        provider.init().await.expect("makes its tables");
        check(&pool, way).await;
        Self { provider: Some(provider), pool, way }
    }

    async fn run(mut self, outside: Arc<Outside>) -> Node {
        let provider = self.provider.take().expect("is there");
        let mut builder = DurableEngine::builder(Arc::new(provider));
        builder.app_version(VERSION).recover_on_launch(true);
        builder.register(WORKFLOW, move |cx: DurableContext, task: Task| {
            let outside = Arc::clone(&outside);
            async move {
                // Where it sleeps already, that is what was recorded first.
                if let Some(time) = task.sleeps(SystemTime::now()) {
                    cx.sleep(time).await?;
                }
                let mut answers = Vec::new();
                for step in 0..task.steps {
                    let outside = &outside;
                    let call = move || async move { Ok::<_, Error>(outside.call(step).await) };
                    answers.push(cx.step(STEP, call).await?);
                }
                Ok(answers)
            }
        });
        let engine = builder.build().await.expect("builds");
        engine.launch().await.expect("launches");
        Node { engine, pool: self.pool, way: self.way, begun: Mutex::default() }
    }
}

/// Asks all connections at once, so that each of them is another one. Those of its own provider can't be asked.
async fn check(pool: &SqlitePool, way: Durare) {
    let mut held = Vec::new();
    while way == Durare::Tuned && held.len() < CONNECTIONS as usize {
        let mut connection = pool.acquire().await.expect("connects");
        let level = sqlx::query_scalar::<_, i64>("PRAGMA synchronous").fetch_one(&mut *connection).await;
        assert_eq!(level.expect("is asked"), FULL, "the level at which commits are synced");
        held.push(connection);
    }
}

impl Opened for Ready {
    fn start(self: Box<Self>, outside: Arc<Outside>) -> Later<'static, Box<dyn Running>> {
        Box::pin(async move { Box::new(self.run(outside).await) as Box<dyn Running> })
    }
}

/// Workflows that were begun, and how many steps they have.
type Handles = HashMap<u64, (WorkflowHandle<Vec<String>>, u64)>;

/// A database whose workflows run.
struct Node {
    engine: DurableEngine,
    pool: SqlitePool,
    way: Durare,
    begun: Mutex<Handles>,
}

impl Running for Node {
    fn begin(&self, workflows: Range<u64>, task: Task) -> Later<'_, ()> {
        Box::pin(async move {
            for workflow in workflows {
                let options = WorkflowOptions::with_id(name(workflow));
                let handle = self.engine.start(WORKFLOW, task, options).await.expect("begins");
                self.begun.lock().expect("nobody panics").insert(workflow, (handle, task.steps));
            }
        })
    }

    fn end(&self, workflow: u64) -> Later<'_, bool> {
        Box::pin(async move {
            let begun = self.begun.lock().expect("nobody panics").remove(&workflow);
            let (handle, steps) = begun.expect("was begun");
            let Ok(found) = handle.await else { return false };
            assert_eq!(found, answers(steps), "all answers are kept");
            true
        })
    }

    fn asleep(&self) -> Later<'_, u64> {
        Box::pin(async move {
            let asleep = "SELECT count(*) FROM operation_outputs WHERE function_name = $1";
            let asleep = sqlx::query_scalar::<_, i64>(asleep).bind(SLEEP).fetch_one(&self.pool).await;
            asleep.expect("answers") as u64
        })
    }

    fn stop(self: Box<Self>) -> Later<'static, ()> {
        Box::pin(async move {
            self.engine.shutdown(END).await.expect("ends");
            check(&self.pool, self.way).await;
            self.pool.close().await;
        })
    }
}

/// Copies the rows of the first workflow.
async fn copy(pool: &SqlitePool, count: u64) {
    let mut transaction = pool.begin().await.expect("begins");
    for table in TABLES {
        let first = format!("CREATE TEMP TABLE first_{table} AS SELECT * FROM {table} WHERE workflow_uuid = $1");
        sqlx::query(&first).bind(name(0)).execute(&mut *transaction).await.expect("copies");
    }
    for workflow in 1..count {
        for table in TABLES {
            let rename = format!("UPDATE first_{table} SET workflow_uuid = $1");
            sqlx::query(&rename).bind(name(workflow)).execute(&mut *transaction).await.expect("renames");
            let insert = format!("INSERT INTO {table} SELECT * FROM first_{table}");
            sqlx::query(&insert).execute(&mut *transaction).await.expect("copies");
        }
    }
    transaction.commit().await.expect("commits");
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(pool).await.expect("checkpoints");
}

/// What has rows of a workflow.
const TABLES: [&str; 2] = ["workflow_status", "operation_outputs"];
