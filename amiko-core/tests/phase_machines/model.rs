//! The robot against a plain model of it.

use crate::robot::{Go, Hall, Light, RobotMessage, Work, at, begun, found, named, robot, timers};
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What a robot must be, by hand: the names of its phases, its time-outs, and its log.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    work: &'static str,
    /// The step; also the one that a paused robot comes back to.
    step: Option<&'static str>,
    light: bool,
    timers: BTreeMap<String, u64>,
    log: Vec<String>,
}

impl Model {
    fn begun() -> Self {
        Self { work: "Idle", step: None, light: false, timers: named(&[("@work", 60_000)]), log: Vec::new() }
    }

    fn set(&mut self, name: &str, due: Option<u64>) {
        self.timers.remove(name);
        self.timers.extend(due.map(|due| (name.to_owned(), due)));
    }

    fn log(&mut self, what: &str) {
        let step = if self.work == "Busy" { self.step.unwrap_or("") } else { "" };
        self.log.push(format!("{what} in {} {step}", self.work));
    }

    fn work(&mut self, to: &'static str, step: Option<&'static str>, now: u64) -> bool {
        let next: &[&str] = match self.work {
            "Idle" => &["Busy", "Broken"],
            "Busy" => &["Idle", "Busy", "Paused"],
            "Paused" => &["Busy"],
            _ => &["Idle"],
        };
        if !next.contains(&to) {
            return false;
        }
        match (self.work, self.step) {
            ("Idle", _) => self.log("wake"),
            ("Busy", step) => {
                if step == Some("Carry") {
                    self.log("lower");
                }
                self.log("stop");
            }
            _ => {}
        }
        let wait = match to {
            "Idle" => 60_000,
            "Busy" => 10_000,
            "Paused" => 20_000,
            _ => 7_500,
        };
        (self.work, self.step) = (to, step);
        self.set("@work", Some(now + wait));
        let busy = to == "Busy";
        self.set("@Work.Step", (busy && step == Some("Fetch")).then_some(now + 3_000));
        if busy {
            self.log("start");
            if step == Some("Fetch") {
                self.log("look");
            }
        }
        true
    }

    fn step(&mut self, to: &'static str, now: u64) -> bool {
        let may = match self.step {
            Some("Fetch") => to == "Carry",
            Some("Carry") => to == "Fetch" || to == "Drop",
            _ => false,
        };
        if self.work != "Busy" || !may || to == "Drop" {
            return false;
        }
        if self.step == Some("Carry") {
            self.log("lower");
        }
        self.step = Some(to);
        self.set("@Work.Step", (to == "Fetch").then_some(now + 3_000));
        if to == "Fetch" {
            self.log("look");
        }
        true
    }

    /// Whether it could go there.
    fn go(&mut self, go: Go, now: u64) -> bool {
        match go {
            Go::Idle => self.work("Idle", None, now),
            Go::Busy => self.work("Busy", Some("Fetch"), now),
            Go::Resume => self.work == "Paused" && self.work("Busy", self.step, now),
            Go::Pause => self.work == "Busy" && self.work("Paused", self.step, now),
            Go::Break => self.work("Broken", None, now),
            Go::Fetch => self.step("Fetch", now),
            Go::Carry => self.step("Carry", now),
            Go::Drop => self.step("Drop", now),
            Go::On => {
                self.light = true;
                self.set("@light", Some(now + 4_000));
                true
            }
            Go::Off => {
                let may = self.light;
                if may {
                    self.light = false;
                    self.set("@light", None);
                }
                may
            }
        }
    }

    /// Lets every time-out that is due send its message, which does nothing but leave a line.
    fn tick(&mut self, now: u64) {
        let mut due: Vec<(u64, String)> =
            self.timers.iter().filter(|(_, at)| **at <= now).map(|(name, at)| (*at, name.clone())).collect();
        due.sort();
        for (_, name) in due {
            self.timers.remove(&name);
            let message = match (&*name, self.work) {
                ("@light", "Paused") => continue, // it isn't taken
                ("@light", _) => "LightOut",
                ("@Work.Step", _) => "Slow",
                (_, "Idle") => "Bored",
                (_, "Busy") => "Tired",
                (_, "Paused") => "Forgotten",
                _ => "Repaired",
            };
            self.log.push(message.to_owned());
        }
    }
}

#[derive(Clone, Debug)]
enum Action {
    Do(Vec<Go>, bool),
    Wait(u64),
    Restart,
    /// Somebody clears the log by hand.
    Edit,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    use Go::{Break, Busy, Carry, Drop, Fetch, Idle, Off, On, Pause, Resume};
    let go = prop::sample::select(vec![Idle, Busy, Resume, Pause, Break, Fetch, Carry, Drop, On, Off]);
    let action = prop_oneof![
        6 => (prop::collection::vec(go, 1..4), prop::bool::weighted(0.2)).prop_map(|(moves, fail)| Action::Do(moves, fail)),
        3 => (1_u64..9_000).prop_map(Action::Wait),
        1 => Just(Action::Restart),
        1 => Just(Action::Edit),
    ];
    prop::collection::vec(action, 1..60)
}

fn compare(engine: &Engine<Hall, Memory>, model: &Model) {
    let robot = found(engine);
    let step = match &*robot.work {
        Work::Busy { step } => Some(step.name()),
        Work::Paused { at, .. } => Some(at.resume().name()),
        _ => None,
    };
    let found = Model {
        work: robot.work.name(),
        step,
        light: robot.light == Light::On,
        timers: timers(engine),
        log: robot.log.clone(),
    };
    assert_eq!(found, *model);
}

proptest! {
    #[test]
    fn a_machine_is_what_a_plain_model_of_it_is(actions in actions()) {
        let (mut engine, mut model, mut now) = (begun(), Model::begun(), 0);
        for action in actions {
            match action {
                Action::Do(moves, fail) => {
                    let mut next = model.clone();
                    let good = moves.iter().all(|go| next.go(*go, now)) && !fail;
                    let sent = engine.send(&robot(), RobotMessage::Do { moves, fail }, at(now));
                    prop_assert_eq!(sent.is_ok(), good);
                    if good {
                        model = next;
                    }
                }
                Action::Wait(millis) => {
                    now += millis;
                    engine.tick(at(now)).unwrap();
                    model.tick(now);
                }
                Action::Restart => {
                    engine.sync().unwrap();
                    let store = engine.into_store().crash();
                    engine = Engine::open(store, Settings::default()).unwrap();
                }
                Action::Edit => {
                    let log = to_json(&model.log).unwrap();
                    let edited = engine.document().unwrap().replace(&format!("\"log\":{log}"), "\"log\":[]");
                    engine.edit(&edited, at(now), |_| true).unwrap();
                    model.log.clear();
                }
            }
            compare(&engine, &model);
        }
    }
}
