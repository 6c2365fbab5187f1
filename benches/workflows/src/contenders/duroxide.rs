//! Workflows in duroxide: an orchestration, whose steps are activities.
//!
//! Invariant: each connection says that it syncs commits, or doesn't, as it should, before and after what is measured.

use crate::contender::{Contender, Later, Opened, Running, Way};
use crate::outside::Outside;
use crate::workflow::{DONE, Task, answers, name};
use duroxide::providers::sqlite::SqliteProvider;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus};
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a dispatcher waits that has found nothing to do.
const POLL: Duration = Duration::from_millis(1);
/// How soon somebody who waits for a workflow asks again: after a fiftieth of the time that they have waited, within these bounds,
/// since whoever asks has the connection meanwhile.
const ASK: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(100)];
/// The file of the database.
const FILE: &str = "workflows.db";
const WORKFLOW: &str = "Workflow";
const STEP: &str = "Step";

/// On its SQLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duroxide {
    /// With one connection, so that no transactions collide, and short polls. Commits are synced.
    Tuned,
    /// The same, with commits as its provider sets them.
    NotSynced,
    /// As it comes.
    Defaults,
}

impl Duroxide {
    fn options(self) -> RuntimeOptions {
        let mut options = RuntimeOptions::default();
        if self != Self::Defaults {
            options.dispatcher_min_poll_interval = POLL;
        }
        options
    }

    /// The level of `PRAGMA synchronous`: FULL is 2, and NORMAL is 1.
    fn level(self) -> i64 {
        if self == Self::Tuned { 2 } else { 1 }
    }
}

impl Contender for Duroxide {
    fn name(&self) -> &'static str {
        match self {
            Self::Tuned => "duroxide",
            Self::NotSynced => "duroxide, not synced",
            Self::Defaults => "duroxide, as it comes",
        }
    }

    fn argument(&self) -> &'static str {
        match self {
            Self::Tuned => "duroxide",
            Self::NotSynced => "duroxide-not-synced",
            Self::Defaults => "duroxide-defaults",
        }
    }

    fn is(&self, way: Way) -> bool {
        way == match self {
            Self::Tuned => Way::Tuned,
            Self::NotSynced => Way::NotSynced,
            Self::Defaults => Way::Defaults,
        }
    }

    fn is_slow(&self) -> bool {
        true
    }

    fn promise(&self) -> &'static str {
        "NOT synced by default: WAL, and `PRAGMA synchronous = WAL`, which SQLite takes for NORMAL; only checkpoints sync"
    }

    fn open<'c>(&'c self, place: &'c str) -> Later<'c, Box<dyn Opened>> {
        Box::pin(async move { Box::new(Ready::open(*self, place).await) as Box<dyn Opened> })
    }

    /// The first one has run until there, and the others are copies of its rows.
    fn prepare<'c>(&'c self, place: &'c str, count: u64) -> Later<'c, ()> {
        Box::pin(async move {
            let ready = Ready::open(*self, place).await;
            let outside = Arc::new(Outside::until(DONE));
            let runtime = ready.run(Arc::clone(&outside)).await;
            ready.begin(0, Task::STEPS).await;
            outside.hangs().await;
            runtime.shutdown(Some(0)).await;
            ready.copy(count).await;
        })
    }
}

/// A database that is open, whose workflows don't run yet.
struct Ready {
    provider: Arc<SqliteProvider>,
    client: Client,
    way: Duroxide,
    /// Connections that are kept from the provider.
    held: Vec<PoolConnection<Sqlite>>,
}

impl Ready {
    async fn open(way: Duroxide, place: &str) -> Self {
        let path = Path::new(place).join(FILE);
        drop(File::options().create(true).append(true).open(&path).expect("creates"));
        let provider = Arc::new(SqliteProvider::new(&format!("sqlite:{}", path.display()), None).await.expect("opens"));
        let client = Client::new(Arc::clone(&provider) as _);
        let mut ready = Self { provider, client, way, held: Vec::new() };
        ready.take_all().await;
        if way == Duroxide::Tuned {
            for connection in &mut ready.held {
                sqlx::query("PRAGMA synchronous = FULL").execute(&mut **connection).await.expect("is told");
            }
        }
        ready.check().await;
        ready.held.truncate(if way == Duroxide::Defaults { 0 } else { ready.held.len() - 1 });
        ready
    }

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
            assert_eq!(level.expect("is asked"), self.way.level(), "the level at which commits are synced");
        }
    }

    async fn run(&self, outside: Arc<Outside>) -> Arc<Runtime> {
        let step = move |_: ActivityContext, step: String| {
            let outside = Arc::clone(&outside);
            async move { Ok(outside.call(step.parse().map_err(|error| format!("{error}"))?).await) }
        };
        let workflow = |cx: OrchestrationContext, task: String| async move {
            let task: Task = serde_json::from_str(&task).map_err(|error| error.to_string())?;
            if task.wake.is_some() {
                // What its documents advise: the time is kept in the history.
                let now = cx.utc_now().await?;
                cx.schedule_timer(task.sleeps(now).unwrap_or_default()).await;
            }
            let mut answers = Vec::new();
            for step in 0..task.steps {
                answers.push(cx.schedule_activity(STEP, step.to_string()).await?);
            }
            Ok(answers.join("\n"))
        };
        let activities = ActivityRegistry::builder().register(STEP, step).build();
        let orchestrations = OrchestrationRegistry::builder().register(WORKFLOW, workflow).build();
        let (provider, options) = (Arc::clone(&self.provider), self.way.options());
        Runtime::start_with_options(provider, activities, orchestrations, options).await
    }

    async fn begin(&self, workflow: u64, task: Task) {
        let task = serde_json::to_string(&task).expect("plain data");
        self.client.start_orchestration(name(workflow), WORKFLOW, task).await.expect("begins");
    }

    /// Copies the rows of the first workflow.
    async fn copy(&self, count: u64) {
        let mut transaction = self.provider.get_pool().begin().await.expect("begins");
        for workflow in 1..count {
            for copy in COPIES {
                let copy = sqlx::query(copy).bind(name(workflow)).bind(name(0));
                copy.execute(&mut *transaction).await.expect("copies");
            }
        }
        transaction.commit().await.expect("commits");
        self.provider.checkpoint().await.expect("checkpoints");
    }
}

impl Opened for Ready {
    fn start(self: Box<Self>, outside: Arc<Outside>) -> Later<'static, Box<dyn Running>> {
        Box::pin(async move {
            let runtime = self.run(outside).await;
            Box::new(Node { ready: *self, runtime }) as Box<dyn Running>
        })
    }
}

/// A database whose workflows run.
struct Node {
    ready: Ready,
    runtime: Arc<Runtime>,
}

impl Running for Node {
    fn begin(&self, workflows: Range<u64>, task: Task) -> Later<'_, ()> {
        Box::pin(async move {
            for workflow in workflows {
                self.ready.begin(workflow, task).await;
            }
        })
    }

    fn end(&self, workflow: u64) -> Later<'_, bool> {
        Box::pin(async move {
            let (name, begun) = (name(workflow), Instant::now());
            loop {
                match self.ready.client.get_orchestration_status(&name).await.expect("answers") {
                    OrchestrationStatus::Running { .. } | OrchestrationStatus::NotFound => {
                        tokio::time::sleep((begun.elapsed() / 50).clamp(ASK[0], ASK[1])).await;
                    }
                    OrchestrationStatus::Completed { output, .. } => {
                        let steps = output.lines().count() as u64;
                        assert_eq!(output, answers(steps).join("\n"), "all answers are kept");
                        return true;
                    }
                    OrchestrationStatus::Failed { .. } => return false,
                }
            }
        })
    }

    fn asleep(&self) -> Later<'_, u64> {
        Box::pin(async move {
            let asleep = "SELECT count(*) FROM history WHERE event_type = 'TimerCreated'";
            let asleep = sqlx::query_scalar::<_, i64>(asleep).fetch_one(self.ready.provider.get_pool()).await;
            asleep.expect("answers") as u64
        })
    }

    fn stop(mut self: Box<Self>) -> Later<'static, ()> {
        Box::pin(async move {
            self.runtime.shutdown(None).await;
            self.ready.take_all().await;
            self.ready.check().await;
        })
    }
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

/// Which SQLite it has, and all others of this program.
pub async fn sqlite() -> String {
    let provider = SqliteProvider::new_in_memory().await.expect("opens");
    sqlx::query_scalar("SELECT sqlite_version()").fetch_one(provider.get_pool()).await.expect("answers")
}
