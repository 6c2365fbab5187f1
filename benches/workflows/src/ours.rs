//! Workflows in Amiko: a machine for each, whose steps are effects.
//!
//! Invariant: a step is one event: what the outside has answered is kept, and the next step is asked for.

use crate::process::Outside;
use crate::workflow::{DONE, STEPS, answer, answers};
use amiko_core::effect::{Effect, Failure};
use amiko_core::event::Output;
use amiko_core::prelude::*;
use amiko_core::{Pending, Performed};
use amiko_runtime::{Attempt, Handle, Performer, Running, Runtime, RuntimeSettings, Watched};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Attempts at a time that suit an outside which answers at once: as many as there are workflows.
const ATTEMPTS: usize = 1_000;
/// Events that are made durable with one sync while a state is prepared.
const GROUP: u64 = 1_000;

/// A call to the outside.
#[derive(Debug, Clone, Serializable)]
struct Step {
    number: u64,
}

impl Effect for Step {
    type Outcome = String;
}

/// A workflow, and what the outside has answered.
#[derive(Clone, Default, Serializable)]
#[amiko(key = u64)]
struct Workflow {
    answers: Vec<String>,
}

#[derive(Clone, Serializable)]
enum WorkflowMessage {
    Start,
    #[amiko(performed)]
    Performed {
        performed: Performed<Step>,
    },
}

impl StateMachine for Workflow {
    type Node = Office;
    type Message = WorkflowMessage;

    fn handle(&mut self, message: WorkflowMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        if let WorkflowMessage::Performed { performed } = message {
            self.answers.push(performed.into_result().map_err(Rejection::new)?);
        }
        let number = self.answers.len() as u64;
        if number < STEPS {
            cx.perform("step", Step { number });
        }
        Ok(())
    }
}

/// All workflows.
#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, effects(Step))]
struct Office {
    #[amiko(machines)]
    workflows: Table<Workflow>,
}

#[derive(Clone, Serializable)]
enum OfficeMessage {
    Begin { workflow: u64 },
}

impl StateMachine for Office {
    type Node = Self;
    type Message = OfficeMessage;

    fn handle(
        &mut self,
        OfficeMessage::Begin { workflow }: OfficeMessage,
        cx: &mut Context<'_, Self>,
    ) -> Result<(), Rejection> {
        let workflow = Id::new(workflow);
        cx.create(&workflow, Workflow::default());
        cx.send(&workflow, WorkflowMessage::Start);
        Ok(())
    }
}

struct Calls(Arc<Outside>);

impl Performer<Step> for Calls {
    async fn perform(&self, step: Step, _: &Attempt) -> Result<String, Failure> {
        self.0.called();
        Ok(answer(step.number))
    }
}

/// How many attempts there may be at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempts {
    /// As many as there are workflows.
    Many,
    /// As many as there may be by default.
    Defaults,
}

/// A node that runs.
pub struct Node {
    handle: Handle<Office, Directory>,
    running: Running<Office, Directory>,
}

/// A state that is open, and doesn't run yet.
pub struct Opened(Engine<Office>);

/// Opens a directory.
pub fn open(path: &Path) -> Opened {
    Opened(Engine::open(Directory::open(path).expect("opens"), Settings::default()).expect("opens"))
}

impl Opened {
    /// Runs it.
    pub fn start(self, attempts: Attempts, outside: Arc<Outside>) -> Node {
        let mut settings = RuntimeSettings::default();
        if attempts == Attempts::Many {
            settings.attempts = ATTEMPTS;
        }
        let (handle, running) = Runtime::with_settings(self.0, settings).with_performer(Calls(outside)).spawn();
        Node { handle, running }
    }
}

impl Node {
    /// How long so many workflows take from the start of the first to the end of the last one, and how many of them fail.
    pub async fn all(self, count: u64) -> (Duration, u64) {
        let start = Instant::now();
        let begin = (0..count).map(|workflow| (Id::<Office>::new(()), OfficeMessage::Begin { workflow }));
        assert!(self.handle.send_all(begin).await.iter().all(Result::is_ok), "all begin");
        for workflow in 0..count {
            ended(self.watch(workflow).await).await;
        }
        let taken = start.elapsed();
        self.handle.stop();
        let engine = self.running.await.expect("stops");
        let mut workflows = engine.node().workflows.iter();
        assert!(workflows.all(|(_, workflow)| workflow.answers == answers()), "all answers are kept");
        (taken, 0)
    }

    /// How long a workflow takes that is alone.
    pub async fn one(&self, workflow: u64) -> Duration {
        let watched = self.watch(workflow).await;
        let start = Instant::now();
        self.handle.send(&Id::<Office>::new(()), OfficeMessage::Begin { workflow }).await.expect("begins");
        ended(watched).await;
        start.elapsed()
    }

    async fn watch(&self, workflow: u64) -> Watched<Option<Workflow>> {
        self.handle.watch_object(&Id::new(workflow)).await
    }
}

async fn ended(mut watched: Watched<Option<Workflow>>) {
    let is_over = |workflow: Workflow| workflow.answers.len() as u64 == STEPS;
    while !watched.value().expect("runs").is_some_and(is_over) {
        watched.changed().await.expect("runs");
    }
}

/// Writes a directory with so many workflows, each of which has done some steps and waits for the next one.
pub fn prepare(path: &Path, count: u64) {
    let Opened(mut engine) = open(path);
    for first in (0..count).step_by(GROUP as usize) {
        for workflow in first..count.min(first + GROUP) {
            let begin = OfficeMessage::Begin { workflow };
            engine.send(&Id::<Office>::new(()), begin, Time::from_secs(1)).expect("begins");
        }
        for step in 0..DONE {
            for (effect, number) in asked_for(&mut engine) {
                let answer = Ok(answer(step));
                engine.performed::<Step>(&effect, number, answer, Time::from_secs(2)).expect("is told");
            }
        }
        asked_for(&mut engine);
    }
}

/// Makes everything durable; gives the effects that may be performed now.
fn asked_for(engine: &mut Engine<Office>) -> Vec<(Id<Pending<Office>>, u64)> {
    let outputs = engine.sync().expect("syncs");
    let asked_for = |output| match output {
        Output::Perform { effect, number } => Some((effect, number)),
        _ => None,
    };
    outputs.into_iter().filter_map(asked_for).collect()
}
