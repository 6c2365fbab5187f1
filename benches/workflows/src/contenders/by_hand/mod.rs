//! Workflows as one writes them by hand: an actor of ractor, and a thread with a connection of rusqlite that commits in groups.
//!
//! Invariant: the next step is called after the one before it is on disk; if the disk fails the process ends.

mod disk;

use crate::contender::{Contender, Later, Opened, Running, Way};
use crate::outside::Outside;
use crate::workflow::{DONE, Task};
use disk::{Disk, Unfinished, Write};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::SystemTime;
use tokio::sync::{mpsc, oneshot};

/// On SQLite.
pub struct ByHand;

impl Contender for ByHand {
    fn name(&self) -> &'static str {
        "ractor and rusqlite, by hand"
    }

    fn argument(&self) -> &'static str {
        "by-hand"
    }

    fn is(&self, way: Way) -> bool {
        matches!(way, Way::Tuned | Way::Defaults)
    }

    fn promise(&self) -> &'static str {
        "synced before the next step: WAL, and `synchronous` as SQLite has it by default, FULL; what waits meanwhile shares a commit"
    }

    fn open<'c>(&'c self, place: &'c str) -> Later<'c, Box<dyn Opened>> {
        Box::pin(async move {
            let disk = Disk::open(Path::new(place)).expect("opens");
            let unfinished = disk.unfinished().expect("reads");
            Box::new(Ready { disk, unfinished }) as Box<dyn Opened>
        })
    }

    fn prepare<'c>(&'c self, place: &'c str, count: u64) -> Later<'c, ()> {
        Box::pin(async move { Disk::open(Path::new(place)).and_then(|disk| disk.fill(count, DONE)).expect("fills") })
    }
}

/// A database that is open, and what it says of workflows that aren't over.
struct Ready {
    disk: Disk,
    unfinished: Vec<Unfinished>,
}

impl Opened for Ready {
    fn start(self: Box<Self>, outside: Arc<Outside>) -> Later<'static, Box<dyn Running>> {
        Box::pin(async move {
            let (writes, waiting) = disk::channel();
            let state = OfficeState { workflows: HashMap::new(), disk: writes, outside };
            let (office, ended) = Actor::spawn(None, Office, (state, self.unfinished)).await.expect("starts");
            let told = office.clone();
            let disk = self.disk;
            let thread = std::thread::spawn(move || {
                // Once the office has ended, nobody has to be told.
                let tell = |kept| drop(told.send_message(Message::Kept(kept)));
                if let Err(error) = disk.write(waiting, tell) {
                    eprintln!("the disk failed: {error}");
                    std::process::exit(1);
                }
                disk
            });
            Box::new(Node { office, ended, thread, ends: Mutex::default(), asleep: Mutex::new(0) }) as Box<dyn Running>
        })
    }
}

/// What the actor hears.
enum Message {
    Begin {
        workflow: u64,
        task: Task,
        begun: oneshot::Sender<()>,
        ended: oneshot::Sender<()>,
    },
    /// What is on disk now.
    Kept(Vec<u64>),
    Woken(u64),
    Answered {
        workflow: u64,
        answer: String,
    },
}

/// The actor that runs all workflows.
struct Office;

/// One of them.
struct Workflow {
    task: Task,
    done: u64,
    /// Who waits until it is kept that it is there.
    begun: Option<oneshot::Sender<()>>,
    ended: Option<oneshot::Sender<()>>,
}

struct OfficeState {
    workflows: HashMap<u64, Workflow>,
    disk: mpsc::Sender<Write>,
    outside: Arc<Outside>,
}

impl Actor for Office {
    type Msg = Message;
    type State = OfficeState;
    type Arguments = (OfficeState, Vec<Unfinished>);

    async fn pre_start(
        &self,
        office: ActorRef<Message>,
        (mut state, unfinished): (OfficeState, Vec<Unfinished>),
    ) -> Result<OfficeState, ActorProcessingErr> {
        for Unfinished { workflow, task, done } in unfinished {
            state.workflows.insert(workflow, Workflow { task, done, begun: None, ended: None });
            state.go_on(&office, workflow);
        }
        Ok(state)
    }

    async fn handle(
        &self,
        office: ActorRef<Message>,
        message: Message,
        state: &mut OfficeState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Begin { workflow, task, begun, ended } => {
                let new = Workflow { task, done: 0, begun: Some(begun), ended: Some(ended) };
                state.workflows.insert(workflow, new);
                state.disk.send(Write::Begin { workflow, task }).await?;
            }
            Message::Answered { workflow, answer } => {
                let Some(Workflow { task, done, .. }) = state.workflows.get(&workflow) else { return Ok(()) };
                let write = Write::Step { workflow, number: *done, answer, is_last: *done + 1 == task.steps };
                state.disk.send(write).await?;
            }
            Message::Kept(kept) => kept.into_iter().for_each(|workflow| state.kept(&office, workflow)),
            Message::Woken(workflow) => state.call(&office, workflow),
        }
        Ok(())
    }
}

impl OfficeState {
    /// A workflow is there, or has done a step, and that is on disk.
    fn kept(&mut self, office: &ActorRef<Message>, workflow: u64) {
        let Some(found) = self.workflows.get_mut(&workflow) else { return };
        match found.begun.take() {
            // Who has stopped waiting needs no answer.
            Some(begun) => drop(begun.send(())),
            None => found.done += 1,
        }
        if found.done == found.task.steps {
            if let Some(ended) = self.workflows.remove(&workflow).and_then(|found| found.ended) {
                let _ = ended.send(());
            }
        } else {
            self.go_on(office, workflow);
        }
    }

    /// Sleeps, or does the next step.
    fn go_on(&self, office: &ActorRef<Message>, workflow: u64) {
        let found = &self.workflows[&workflow];
        match found.task.sleeps(SystemTime::now()) {
            Some(time) if found.done == 0 => drop(office.send_after(time, move || Message::Woken(workflow))),
            _ => self.call(office, workflow),
        }
    }

    fn call(&self, office: &ActorRef<Message>, workflow: u64) {
        let step = self.workflows[&workflow].done;
        let (outside, office) = (Arc::clone(&self.outside), office.clone());
        tokio::spawn(async move {
            let answer = outside.call(step).await;
            let _ = office.send_message(Message::Answered { workflow, answer });
        });
    }
}

/// An actor that runs.
struct Node {
    office: ActorRef<Message>,
    ended: tokio::task::JoinHandle<()>,
    thread: std::thread::JoinHandle<Disk>,
    ends: Mutex<HashMap<u64, oneshot::Receiver<()>>>,
    asleep: Mutex<u64>,
}

impl Running for Node {
    fn begin(&self, workflows: Range<u64>, task: Task) -> Later<'_, ()> {
        Box::pin(async move {
            let mut all = Vec::new();
            for workflow in workflows {
                let ((begun, is_begun), (ended, has_ended)) = (oneshot::channel(), oneshot::channel());
                self.ends.lock().expect("nobody panics").insert(workflow, has_ended);
                all.push(is_begun);
                self.office.send_message(Message::Begin { workflow, task, begun, ended }).expect("is there");
            }
            let count = all.len() as u64;
            for begun in all {
                begun.await.expect("begins");
            }
            if task.wake.is_some() {
                *self.asleep.lock().expect("nobody panics") += count;
            }
        })
    }

    fn end(&self, workflow: u64) -> Later<'_, bool> {
        Box::pin(async move {
            let end = self.ends.lock().expect("nobody panics").remove(&workflow);
            end.expect("was begun").await.is_ok()
        })
    }

    fn asleep(&self) -> Later<'_, u64> {
        // Whoever has begun sleeps.
        let asleep = *self.asleep.lock().expect("nobody panics");
        Box::pin(async move { asleep })
    }

    fn stop(self: Box<Self>) -> Later<'static, ()> {
        Box::pin(async move {
            self.office.stop(None);
            self.ended.await.expect("stops");
            self.thread.join().expect("ends").check().expect("all answers are kept");
        })
    }
}
