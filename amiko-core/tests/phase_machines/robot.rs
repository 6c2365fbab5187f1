//! A robot with three enums of phases: what it does, step by step, and its light.

use amiko_core::engine::EventError;
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use amiko_core::{History, Phases};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) const REPAIR: Duration = Duration::from_millis(7_500);

#[derive(Clone, Debug, PartialEq, Serializable, Phases)]
#[amiko(machine = Robot, field = work)]
pub(crate) enum Work {
    #[amiko(next(Busy, Broken), after(minutes = 1, send = Bored), exit = Robot::wake)]
    Idle,
    #[amiko(next(Idle, Busy, Paused), after(seconds = 10, send = Tired), entry = Robot::start, exit = Robot::stop)]
    Busy { step: Phase<Step> },
    #[amiko(next(Busy), on(Do, Forgotten), after(at = Work::wake_at, send = Forgotten))]
    Paused { at: History<Step>, until: Time },
    #[amiko(next(Idle), after(duration = REPAIR, send = Repaired), initial)]
    Broken,
}

impl Work {
    fn wake_at(&self) -> Option<Time> {
        match self {
            Self::Paused { until, .. } => Some(*until),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serializable, Phases)]
#[amiko(machine = Robot, within = Work)]
pub(crate) enum Step {
    #[amiko(next(Carry), after(seconds = 3, send = Slow), entry = Robot::look)]
    Fetch,
    #[amiko(next(Fetch, Drop), on(Do, Tired, Forgotten, LightOut), exit = Robot::lower)]
    Carry,
    #[amiko(entry = Robot::refuse)]
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq, Serializable, Phases)]
#[amiko(machine = Robot, field = light)]
pub(crate) enum Light {
    #[amiko(next(On))]
    Off,
    #[amiko(next(Off, On), after(milliseconds = 4_000, send = LightOut))]
    On,
}

#[derive(Clone, Debug, PartialEq, Serializable)]
#[amiko(key = u64)]
pub(crate) struct Robot {
    pub(crate) work: Phase<Work>,
    pub(crate) light: Phase<Light>,
    pub(crate) log: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serializable)]
pub(crate) enum Go {
    Idle,
    Busy,
    Resume,
    Pause,
    Break,
    Fetch,
    Carry,
    Drop,
    On,
    Off,
}

#[derive(Clone, Debug, PartialEq, Serializable)]
pub(crate) enum RobotMessage {
    Do { moves: Vec<Go>, fail: bool },
    Bored,
    Tired,
    Forgotten,
    Repaired,
    Slow,
    LightOut,
}

pub(crate) type Cx<'a> = Context<'a, Robot>;

impl StateMachine for Robot {
    type Node = Hall;
    type Message = RobotMessage;

    fn handle(&mut self, message: RobotMessage, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let RobotMessage::Do { moves, fail } = message else {
            self.log.push(message.class().unwrap().to_owned());
            return Ok(());
        };
        moves.into_iter().try_for_each(|go| self.go(go, cx))?;
        if fail { Err(Rejection::new("as asked")) } else { Ok(()) }
    }
}

impl Robot {
    fn go(&mut self, go: Go, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        match go {
            Go::Idle => self.enter(Work::Idle, cx),
            Go::Busy => self.enter(Work::Busy { step: Phase::INITIAL }, cx),
            Go::Resume => {
                let Work::Paused { at, .. } = &*self.work else { return Err(Rejection::new("it isn't paused")) };
                let step = at.resume();
                self.enter(Work::Busy { step }, cx)
            }
            Go::Pause => {
                let Some(step) = self.work.inner::<Step>() else { return Err(Rejection::new("it isn't busy")) };
                let at = History::of(step);
                self.enter(Work::Paused { at, until: cx.now() + secs(20) }, cx)
            }
            Go::Break => self.enter(Work::Broken, cx),
            Go::Fetch => self.enter(Step::Fetch, cx),
            Go::Carry => self.enter(Step::Carry, cx),
            Go::Drop => self.enter(Step::Drop, cx),
            Go::On => self.enter(Light::On, cx),
            Go::Off => self.enter(Light::Off, cx),
        }
    }

    fn note(&mut self, what: &str) -> Result<(), Rejection> {
        let (work, step) = (self.work.name(), self.work.inner().map_or("", |step: &Phase<Step>| step.name()));
        self.log.push(format!("{what} in {work} {step}"));
        Ok(())
    }

    fn wake(&mut self, _: &mut Cx<'_>) -> Result<(), Rejection> {
        self.note("wake")
    }

    fn start(&mut self, _: &mut Cx<'_>) -> Result<(), Rejection> {
        self.note("start")
    }

    fn stop(&mut self, _: &mut Cx<'_>) -> Result<(), Rejection> {
        self.note("stop")
    }

    fn look(&mut self, _: &mut Cx<'_>) -> Result<(), Rejection> {
        self.note("look")
    }

    fn lower(&mut self, _: &mut Cx<'_>) -> Result<(), Rejection> {
        self.note("lower")
    }

    fn refuse(&mut self, _: &mut Cx<'_>) -> Result<(), Rejection> {
        Err(Rejection::new("nothing may be dropped"))
    }
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
pub(crate) struct Hall {
    #[amiko(machines)]
    pub(crate) robots: Table<Robot>,
}

#[derive(Clone, Serializable)]
pub(crate) enum HallMessage {
    Begin,
    /// In the place of the one that is there.
    Replace,
    BeginBroken,
    BeginBusy,
}

impl StateMachine for Hall {
    type Node = Self;
    type Message = HallMessage;

    fn handle(&mut self, message: HallMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let robot = robot();
        if matches!(message, HallMessage::Replace) {
            cx.remove(&robot);
        }
        let work = match message {
            HallMessage::Begin | HallMessage::Replace => cx.begin_phase(&robot),
            HallMessage::BeginBroken => cx.begin_phase_at(&robot, Work::Broken)?,
            HallMessage::BeginBusy => cx.begin_phase_at(&robot, Work::Busy { step: Phase::INITIAL })?,
        };
        cx.create(&robot, Robot { work, light: Phase::new(), log: Vec::new() });
        Ok(())
    }
}

pub(crate) fn robot() -> Id<Robot> {
    Id::new(1_u64)
}

pub(crate) fn at(millis: u64) -> Time {
    Time::from_millis(1_000_000 + millis)
}

pub(crate) fn hall() -> Engine<Hall, Memory> {
    Engine::open(Memory::new(), Settings::default()).unwrap()
}

pub(crate) fn begun() -> Engine<Hall, Memory> {
    let mut engine = hall();
    engine.send(&Id::<Hall>::new(()), HallMessage::Begin, at(0)).unwrap();
    engine
}

pub(crate) fn send(engine: &mut Engine<Hall, Memory>, moves: &[Go], millis: u64) -> Result<(), String> {
    let message = RobotMessage::Do { moves: moves.to_vec(), fail: false };
    engine.send(&robot(), message, at(millis)).map(drop).map_err(|error| match error {
        EventError::Rejected(rejection) => rejection.reason().to_owned(),
        error => error.to_string(),
    })
}

pub(crate) fn found(engine: &Engine<Hall, Memory>) -> &Robot {
    engine.node().robots.get(&robot()).unwrap()
}

/// The names of the robot's time-outs, and when they are due.
pub(crate) fn timers(engine: &Engine<Hall, Memory>) -> BTreeMap<String, u64> {
    let since = |time: Time| time.as_millis() - at(0).as_millis();
    engine.timers().map(|(id, timer)| (id.key().trim_start_matches("robot/1/").to_owned(), since(timer.at))).collect()
}

pub(crate) fn named(timers: &[(&str, u64)]) -> BTreeMap<String, u64> {
    timers.iter().map(|(name, at)| ((*name).to_owned(), *at)).collect()
}
