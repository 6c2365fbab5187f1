//! Workflows in duroxide: an orchestration, whose steps are activities.
//!
//! Invariant: each connection says that it syncs commits, or doesn't, as it should, before and after what is measured.

use crate::process::Outside;
use crate::workflow::{DONE, STEPS, answer, answers};
use duroxide::providers::sqlite::SqliteProvider;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus};
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long one workflow may take.
const LONGEST: Duration = Duration::from_secs(600);
/// How long a dispatcher waits that has found nothing to do.
const POLL: Duration = Duration::from_millis(1);
/// How often somebody who waits for one workflow asks.
const ASK: Duration = Duration::from_millis(1);
/// The file of the database.
const FILE: &str = "workflows.db";
const WORKFLOW: &str = "Workflow";
const STEP: &str = "Step";

/// How it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// As it is fastest: with one connection, so that no transactions collide, and short polls. Commits are synced.
    Fastest,
    /// The same, with commits as its provider sets them.
    NotSynced,
    /// As it comes, but commits are synced.
    AsItComes,
}

impl Setup {
    fn options(self) -> RuntimeOptions {
        let mut options = RuntimeOptions::default();
        if self != Self::AsItComes {
            options.dispatcher_min_poll_interval = POLL;
        }
        options
    }

    /// The level of `PRAGMA synchronous`: FULL is 2, and NORMAL is 1.
    fn level(self) -> i64 {
        if self == Self::NotSynced { 1 } else { 2 }
    }
}

/// A database that is open, whose workflows don't run yet.
pub struct Opened {
    provider: Arc<SqliteProvider>,
    setup: Setup,
    /// Connections that are kept from the provider.
    held: Vec<PoolConnection<Sqlite>>,
}

/// Opens the database of a directory.
pub async fn open(directory: &Path, setup: Setup) -> Opened {
    let path = directory.join(FILE);
    drop(File::options().create(true).append(true).open(&path).expect("creates"));
    let url = format!("sqlite:{}", path.display());
    let provider = Arc::new(SqliteProvider::new(&url, None).await.expect("opens"));
    let mut opened = Opened { provider, setup, held: Vec::new() };
    opened.take_all().await;
    if setup != Setup::NotSynced {
        for connection in &mut opened.held {
            sqlx::query("PRAGMA synchronous = FULL").execute(&mut **connection).await.expect("is told");
        }
    }
    opened.check().await;
    opened.held.truncate(if setup == Setup::AsItComes { 0 } else { opened.held.len() - 1 });
    opened
}

impl Opened {
    /// All connections at once, so that each of them is another one.
    async fn take_all(&mut self) {
        let pool = self.provider.get_pool();
        while self.held.len() < pool.options().get_max_connections() as usize {
            self.held.push(pool.acquire().await.expect("connects"));
        }
    }

    /// Checks that commits are synced as they should be, over all connections.
    async fn check(&mut self) {
        for connection in &mut self.held {
            let level = sqlx::query_scalar::<_, i64>("PRAGMA synchronous").fetch_one(&mut **connection).await;
            assert_eq!(level.expect("is asked"), self.setup.level(), "the level at which commits are synced");
        }
    }

    /// Runs its workflows.
    pub async fn start(self, outside: Arc<Outside>) -> Node {
        let runtime = run(&self, outside, STEPS).await;
        let client = Client::new(Arc::clone(&self.provider) as _);
        Node { opened: self, client, runtime }
    }
}

/// Runs its workflows; the outside answers so many steps, and no further ones.
async fn run(opened: &Opened, outside: Arc<Outside>, answered: u64) -> Arc<Runtime> {
    let step = move |_: ActivityContext, step: String| {
        let outside = Arc::clone(&outside);
        async move {
            let step = step.parse::<u64>().map_err(|error| error.to_string())?;
            if step >= answered {
                return std::future::pending().await;
            }
            outside.called();
            Ok(answer(step))
        }
    };
    let workflow = |cx: OrchestrationContext, _: String| async move {
        let mut answers = Vec::new();
        for step in 0..STEPS {
            answers.push(cx.schedule_activity(STEP, step.to_string()).await?);
        }
        Ok(answers.join("\n"))
    };
    let activities = ActivityRegistry::builder().register(STEP, step).build();
    let orchestrations = OrchestrationRegistry::builder().register(WORKFLOW, workflow).build();
    let (provider, options) = (Arc::clone(&opened.provider), opened.setup.options());
    Runtime::start_with_options(provider, activities, orchestrations, options).await
}

/// A database whose workflows run.
pub struct Node {
    opened: Opened,
    client: Client,
    runtime: Arc<Runtime>,
}

impl Node {
    /// How long so many workflows take from the start of the first to the end of the last one, and how many of them fail.
    pub async fn all(mut self, count: u64) -> (Duration, u64) {
        let start = Instant::now();
        for workflow in 0..count {
            self.begin(workflow).await;
        }
        let mut failed = 0;
        // One after the other, so that whoever waits asks seldom.
        for workflow in 0..count {
            let status = self.client.wait_for_orchestration(&name(workflow), LONGEST).await.expect("answers");
            failed += u64::from(!succeeded(status));
        }
        let taken = start.elapsed();
        self.runtime.shutdown(None).await;
        self.opened.take_all().await;
        self.opened.check().await;
        (taken, failed)
    }

    /// How long a workflow takes that is alone.
    pub async fn one(&self, workflow: u64) -> Duration {
        let start = Instant::now();
        self.begin(workflow).await;
        loop {
            let status = self.client.get_orchestration_status(&name(workflow)).await.expect("answers");
            if !matches!(status, OrchestrationStatus::Running { .. } | OrchestrationStatus::NotFound) {
                assert!(succeeded(status), "a workflow that is alone fails");
                return start.elapsed();
            }
            tokio::time::sleep(ASK).await;
        }
    }

    async fn begin(&self, workflow: u64) {
        self.client.start_orchestration(name(workflow), WORKFLOW, "").await.expect("begins");
    }
}

fn name(workflow: u64) -> String {
    format!("workflow-{workflow}")
}

/// Whether a workflow has succeeded that is over; then it has all answers.
fn succeeded(status: OrchestrationStatus) -> bool {
    let OrchestrationStatus::Completed { output, .. } = status else { return false };
    assert_eq!(output, answers().join("\n"), "all answers are kept");
    true
}

/// The rows of the first workflow again, for workflow `$1`.
const COPIES: [&str; 4] = [
    "INSERT INTO instances (instance_id, orchestration_name, orchestration_version, current_execution_id)
     SELECT $1, orchestration_name, orchestration_version, current_execution_id
     FROM instances WHERE instance_id = $2",
    "INSERT INTO executions (instance_id, execution_id, status, duroxide_version_major, duroxide_version_minor,
         duroxide_version_patch)
     SELECT $1, execution_id, status, duroxide_version_major, duroxide_version_minor, duroxide_version_patch
     FROM executions WHERE instance_id = $2",
    "INSERT INTO history (instance_id, execution_id, event_id, event_type, event_data)
     SELECT $1, execution_id, event_id, event_type, replace(event_data, '\"' || $2 || '\"', '\"' || $1 || '\"')
     FROM history WHERE instance_id = $2",
    "INSERT INTO worker_queue (work_item, visible_at, instance_id, execution_id, activity_id)
     SELECT replace(work_item, '\"' || $2 || '\"', '\"' || $1 || '\"'), visible_at, $1, execution_id, activity_id
     FROM worker_queue WHERE instance_id = $2",
];

/// Writes a database with so many workflows, each of which has done some steps and waits for the next one. The first one has run
/// until there, and the others are copies of its rows.
pub async fn prepare(directory: &Path, setup: Setup, count: u64) {
    let opened = open(directory, setup).await;
    let runtime = run(&opened, Arc::default(), DONE).await;
    let client = Client::new(Arc::clone(&opened.provider) as _);
    let first = name(0);
    client.start_orchestration(&first, WORKFLOW, "").await.expect("begins");
    let pool = opened.provider.get_pool();
    // Its worker has begun the step that isn't answered.
    let begun =
        "SELECT count(*) FROM history, worker_queue WHERE event_type = 'ActivityScheduled' AND lock_token IS NOT NULL";
    while sqlx::query_scalar::<_, i64>(begun).fetch_one(pool).await.expect("answers") <= DONE as i64 {
        tokio::time::sleep(ASK).await;
    }
    runtime.shutdown(Some(0)).await;
    let mut transaction = pool.begin().await.expect("begins");
    for workflow in 1..count {
        for copy in COPIES {
            let copy = sqlx::query(copy).bind(name(workflow)).bind(&first);
            copy.execute(&mut *transaction).await.expect("copies");
        }
    }
    transaction.commit().await.expect("commits");
    opened.provider.checkpoint().await.expect("checkpoints");
}

/// Which SQLite it has.
pub async fn sqlite() -> String {
    let provider = SqliteProvider::new_in_memory().await.expect("opens");
    sqlx::query_scalar("SELECT sqlite_version()").fetch_one(provider.get_pool()).await.expect("answers")
}
