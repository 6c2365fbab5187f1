//! Workflows in dbos: an `async fn`, whose steps are recorded in PostgreSQL.

use crate::contender::{Contender, Later, Opened, Running, Way};
use crate::outside::Outside;
use crate::place::{Kind, address, connect};
use crate::workflow::{DONE, Task, answers, name};
use dbos::{Config, DBOS, Error, StartOptions, WorkflowHandle, WorkflowRef};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use tokio_postgres::Client;

const APPLICATION: &str = "workflows";
const WORKFLOW: &str = "workflow";
const STEP: &str = "step";
/// A workflow is only recovered by the version that has begun it.
const VERSION: &str = "1";
/// Connections; by default there are ten.
const CONNECTIONS: u32 = 20;
/// Workflows that are begun at the same time.
const AT_ONCE: usize = 50;

/// On PostgreSQL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Dbos {
    /// With as many connections as it is fastest with.
    Tuned,
    /// As it comes.
    Defaults,
}

impl Contender for Dbos {
    fn name(&self) -> &'static str {
        match self {
            Self::Tuned => "dbos",
            Self::Defaults => "dbos, as it comes",
        }
    }

    fn argument(&self) -> &'static str {
        match self {
            Self::Tuned => "dbos",
            Self::Defaults => "dbos-defaults",
        }
    }

    fn is(&self, way: Way) -> bool {
        way == if *self == Self::Tuned { Way::Tuned } else { Way::Defaults }
    }

    fn kind(&self) -> Kind {
        Kind::Database
    }

    fn promise(&self) -> &'static str {
        "as `synchronous_commit` of the server says: on, by default; a commit for each step"
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
            node.dbos.shutdown().await;
            for table in ["workflow_status", "operation_outputs"] {
                let copy = format!(
                    "INSERT INTO dbos.{table} SELECT (jsonb_populate_record(one, jsonb_build_object(
                         'workflow_uuid', 'workflow-' || number))).*
                     FROM dbos.{table} one, generate_series(1, {count} - 1) number WHERE workflow_uuid = '{}'",
                    name(0)
                );
                node.client.batch_execute(&copy).await.expect("copies");
            }
            node.client.batch_execute("ANALYZE").await.expect("counts");
        })
    }
}

/// What has an address, and isn't connected yet.
struct Ready {
    config: Config,
    client: Client,
}

impl Ready {
    async fn open(way: Dbos, place: &str) -> Self {
        let mut config = Config::new(APPLICATION, address(place).await);
        config.app_version = Some(VERSION.to_owned());
        if way == Dbos::Tuned {
            config.max_connections = CONNECTIONS;
        }
        Self { config, client: connect(place).await }
    }

    async fn run(self, outside: Arc<Outside>) -> Node {
        let dbos = DBOS::new(self.config);
        let workflow = move |task: Task| {
            let outside = Arc::clone(&outside);
            async move {
                // Where it sleeps already, that is what was recorded first.
                if let Some(time) = task.sleeps(SystemTime::now()) {
                    dbos::sleep(time).await?;
                }
                let mut answers = Vec::new();
                for step in 0..task.steps {
                    let outside = &outside;
                    let call = move || async move { Ok::<_, Error>(outside.call(step).await) };
                    answers.push(dbos::step(STEP, call).await?);
                }
                Ok::<_, Error>(answers)
            }
        };
        let workflow = dbos.register_workflow(WORKFLOW, workflow).expect("registers");
        dbos.launch().await.expect("launches");
        Node { dbos, workflow, client: self.client, begun: Mutex::default() }
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
    dbos: DBOS,
    workflow: WorkflowRef<Task, Vec<String>>,
    client: Client,
    begun: Mutex<Handles>,
}

impl Running for Node {
    fn begin(&self, workflows: Range<u64>, task: Task) -> Later<'_, ()> {
        Box::pin(async move {
            let workflows: Vec<_> = workflows.collect();
            for some in workflows.chunks(AT_ONCE) {
                let begin = some.iter().map(|workflow| {
                    let (dbos_workflow, workflow) = (self.workflow.clone(), *workflow);
                    tokio::spawn(async move {
                        let name = name(workflow);
                        let options = StartOptions { workflow_id: Some(&name), ..StartOptions::default() };
                        (workflow, dbos_workflow.start_with(task, options).await.expect("begins"))
                    })
                });
                for begun in begin.collect::<Vec<_>>() {
                    let (workflow, handle) = begun.await.expect("begins");
                    self.begun.lock().expect("nobody panics").insert(workflow, (handle, task.steps));
                }
            }
        })
    }

    fn end(&self, workflow: u64) -> Later<'_, bool> {
        Box::pin(async move {
            let begun = self.begun.lock().expect("nobody panics").remove(&workflow);
            let (handle, steps) = begun.expect("was begun");
            let Ok(found) = handle.result().await else { return false };
            assert_eq!(found, answers(steps), "all answers are kept");
            true
        })
    }

    fn asleep(&self) -> Later<'_, u64> {
        Box::pin(async move {
            let asleep = "SELECT count(*) FROM dbos.operation_outputs WHERE function_name = 'DBOS.sleep'";
            let row = self.client.query_one(asleep, &[]).await.expect("answers");
            row.get::<_, i64>(0) as u64
        })
    }

    fn stop(self: Box<Self>) -> Later<'static, ()> {
        Box::pin(async move { self.dbos.shutdown().await })
    }
}
