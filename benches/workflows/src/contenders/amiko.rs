//! Workflows in Amiko: a machine for each, whose steps are effects.
//!
//! Invariant: a step is one event: what the outside has answered is kept, and the next step is asked for.

use crate::contender::{Contender, Later, Opened, Running, Way};
use crate::outside::Outside;
use crate::workflow::{DONE, Task, answer, answers};
use amiko_core::effect::{Effect, Failure};
use amiko_core::event::Output;
use amiko_core::prelude::*;
use amiko_core::store::Store;
use amiko_core::{Pending, Performed};
use amiko_runtime::{Attempt, Handle, Performer, Runtime, RuntimeSettings};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Attempts at a time that suit an outside which answers at once: as many as there are workflows.
const ATTEMPTS: usize = 1_000;
/// Events that are made durable with one sync while a state is prepared.
const GROUP: u64 = 1_000;

/// A call to the outside.
#[derive(Debug, Clone, Serializable)]
pub(super) struct Step {
    number: u64,
}

impl Effect for Step {
    type Outcome = String;
}

/// A workflow, and what the outside has answered.
#[derive(Clone, Default, Serializable)]
#[amiko(key = u64)]
pub(super) struct Workflow {
    steps: u64,
    answers: Vec<String>,
}

#[derive(Clone, Serializable)]
pub(super) enum WorkflowMessage {
    Start {
        wake: Option<u64>,
    },
    Wake,
    #[amiko(performed)]
    Performed {
        performed: Performed<Step>,
    },
}

impl StateMachine for Workflow {
    type Node = Office;
    type Message = WorkflowMessage;

    fn handle(&mut self, message: WorkflowMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            WorkflowMessage::Start { wake: Some(wake) } => {
                cx.timer("wake", Time::from_millis(wake), WorkflowMessage::Wake);
                return Ok(());
            }
            WorkflowMessage::Start { wake: None } | WorkflowMessage::Wake => {}
            WorkflowMessage::Performed { performed } => {
                self.answers.push(performed.into_result().map_err(Rejection::new)?);
            }
        }
        let number = self.answers.len() as u64;
        if number < self.steps {
            cx.perform("step", Step { number });
        }
        Ok(())
    }
}

/// All workflows.
#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, effects(Step))]
pub(super) struct Office {
    #[amiko(machines)]
    workflows: Table<Workflow>,
}

#[derive(Clone, Serializable)]
pub(super) enum OfficeMessage {
    Begin { workflow: u64, steps: u64, wake: Option<u64> },
}

impl OfficeMessage {
    fn begin(workflow: u64, Task { wake, steps }: Task) -> Self {
        Self::Begin { workflow, steps, wake }
    }
}

impl StateMachine for Office {
    type Node = Self;
    type Message = OfficeMessage;

    fn handle(
        &mut self,
        OfficeMessage::Begin { workflow, steps, wake }: OfficeMessage,
        cx: &mut Context<'_, Self>,
    ) -> Result<(), Rejection> {
        let workflow = Id::new(workflow);
        cx.create(&workflow, Workflow { steps, ..Workflow::default() });
        cx.send(&workflow, WorkflowMessage::Start { wake });
        Ok(())
    }
}

struct Calls(Arc<Outside>);

impl Performer<Step> for Calls {
    async fn perform(&self, step: Step, _: &Attempt) -> Result<String, Failure> {
        Ok(self.0.call(step.number).await)
    }
}

/// On a directory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Amiko {
    /// As many attempts at a time as workflows.
    Tuned,
    /// As many as there are by default.
    Defaults,
}

impl Contender for Amiko {
    fn name(&self) -> &'static str {
        match self {
            Self::Tuned => "Amiko",
            Self::Defaults => "Amiko, as it comes",
        }
    }

    fn argument(&self) -> &'static str {
        match self {
            Self::Tuned => "amiko",
            Self::Defaults => "amiko-defaults",
        }
    }

    fn is(&self, way: Way) -> bool {
        way == if *self == Self::Tuned { Way::Tuned } else { Way::Defaults }
    }

    fn promise(&self) -> &'static str {
        "synced before anybody hears of it; what waits meanwhile shares a sync"
    }

    fn open<'c>(&'c self, place: &'c str) -> Later<'c, Box<dyn Opened>> {
        let settings = settings(*self == Self::Tuned);
        Box::pin(async move { Box::new(Ready { engine: open(place), settings }) as Box<dyn Opened> })
    }

    fn prepare<'c>(&'c self, place: &'c str, count: u64) -> Later<'c, ()> {
        Box::pin(async move { prepare(&mut open(place), count) })
    }
}

fn open(place: &str) -> Engine<Office> {
    Engine::open(Directory::open(Path::new(place)).expect("opens"), Settings::default()).expect("opens")
}

pub(super) fn settings(tuned: bool) -> RuntimeSettings {
    let mut settings = RuntimeSettings::default();
    if tuned {
        settings.attempts = ATTEMPTS;
    }
    settings
}

/// A state that is open.
pub(super) struct Ready<S: Store> {
    pub(super) engine: Engine<Office, S>,
    pub(super) settings: RuntimeSettings,
}

impl<S: Store + Send + 'static> Opened for Ready<S> {
    fn start(self: Box<Self>, outside: Arc<Outside>) -> Later<'static, Box<dyn Running>> {
        Box::pin(async move {
            let runtime = Runtime::with_settings(self.engine, self.settings).with_performer(Calls(outside));
            let (handle, running) = runtime.spawn();
            Box::new(Node { handle, running, begun: Mutex::default() }) as Box<dyn Running>
        })
    }
}

/// A node that runs.
struct Node<S: Store> {
    handle: Handle<Office, S>,
    running: amiko_runtime::Running<Office, S>,
    begun: Mutex<HashMap<u64, Task>>,
}

impl<S: Store + Send + 'static> Running for Node<S> {
    fn begin(&self, workflows: Range<u64>, task: Task) -> Later<'_, ()> {
        Box::pin(async move {
            let begin = |workflow| (Id::<Office>::new(()), OfficeMessage::begin(workflow, task));
            let begun = self.handle.send_all(workflows.clone().map(begin)).await;
            assert!(begun.iter().all(Result::is_ok), "all begin");
            self.begun.lock().expect("nobody panics").extend(workflows.map(|workflow| (workflow, task)));
        })
    }

    fn end(&self, workflow: u64) -> Later<'_, bool> {
        Box::pin(async move {
            let mut watched = self.handle.watch_object(&Id::<Workflow>::new(workflow)).await;
            loop {
                if let Some(workflow) = watched.value().expect("runs")
                    && workflow.answers.len() as u64 == workflow.steps
                {
                    return workflow.answers == answers(workflow.steps);
                }
                watched.changed().await.expect("runs");
            }
        })
    }

    fn asleep(&self) -> Later<'_, u64> {
        // Whoever has begun has set its timer, in the same event.
        let begun = self.begun.lock().expect("nobody panics");
        let asleep = begun.values().filter(|task| task.wake.is_some()).count() as u64;
        Box::pin(async move { asleep })
    }

    fn stop(self: Box<Self>) -> Later<'static, ()> {
        Box::pin(async move {
            self.handle.stop();
            drop(self.running.await.expect("stops"));
        })
    }
}

/// Writes so many workflows, each of which has done some steps and waits for the next one.
pub(super) fn prepare<S: Store>(engine: &mut Engine<Office, S>, count: u64) {
    for first in (0..count).step_by(GROUP as usize) {
        for workflow in first..count.min(first + GROUP) {
            let begin = OfficeMessage::begin(workflow, Task::STEPS);
            engine.send(&Id::<Office>::new(()), begin, Time::from_secs(1)).expect("begins");
        }
        for step in 0..DONE {
            for (effect, number) in asked_for(engine) {
                let answer = Ok(answer(step));
                engine.performed::<Step>(&effect, number, answer, Time::from_secs(2)).expect("is told");
            }
        }
        asked_for(engine);
    }
}

/// Makes everything durable; gives the effects that may be performed now.
fn asked_for<S: Store>(engine: &mut Engine<Office, S>) -> Vec<(Id<Pending<Office>>, u64)> {
    let outputs = engine.sync().expect("syncs");
    let asked_for = |output| match output {
        Output::Perform { effect, number } => Some((effect, number)),
        _ => None,
    };
    outputs.into_iter().filter_map(asked_for).collect()
}
