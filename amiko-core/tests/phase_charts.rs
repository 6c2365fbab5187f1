//! Phases of any chart: what a machine makes of moves, failures, time and restarts is what a plain model of the chart makes of them.

// Helpers of tests fail like tests.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

const PHASES: usize = 6;
const NAMES: [&str; PHASES] = ["A", "B", "C", "D", "E", "F"];

/// A number without a pattern (SplitMix64).
const fn number(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The places that may follow one, and how many they are: half of all, itself included.
const fn following(seed: u64, from: usize) -> ([usize; PHASES], usize) {
    let (mut next, mut count, mut to) = ([0; PHASES], 0, 0);
    while to < PHASES {
        if number(seed * 1_000 + (from * PHASES + to) as u64).is_multiple_of(2) {
            next[count] = to;
            count += 1;
        }
        to += 1;
    }
    (next, count)
}

/// How long a machine may be in a phase, in milliseconds: in half of them for ever, and in the first, so that it begins there.
const fn patience(seed: u64, place: usize) -> Option<u64> {
    let drawn = number(seed * 1_000 + 500 + place as u64);
    if place == 0 || drawn.is_multiple_of(2) { None } else { Some(1 + drawn % 900) }
}

/// What a machine must be.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    place: usize,
    due: Option<u64>,
    /// The places that were left and entered, and time-outs.
    log: Vec<String>,
}

impl Model {
    fn go(&mut self, seed: u64, to: usize, now: u64) -> bool {
        let (next, count) = following(seed, self.place);
        if !next[..count].contains(&to) {
            return false;
        }
        self.log.push(format!("left {}", NAMES[self.place]));
        self.place = to;
        self.due = patience(seed, to).map(|patience| now + patience);
        self.log.push(format!("entered {}", NAMES[to]));
        true
    }

    fn tick(&mut self, now: u64) {
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            self.log.push("due".to_owned());
        }
    }
}

#[derive(Clone, Debug)]
enum Action {
    Go(Vec<usize>, bool),
    Wait(u64),
    Restart,
    /// Somebody writes another log.
    Edit,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        6 => (prop::collection::vec(0..PHASES, 1..4), prop::bool::weighted(0.2)).prop_map(|(to, fail)| Action::Go(to, fail)),
        3 => (1_u64..700).prop_map(Action::Wait),
        1 => Just(Action::Restart),
        1 => Just(Action::Edit),
    ];
    prop::collection::vec(action, 1..60)
}

/// A machine whose chart follows from a seed: what the derive would write for it.
macro_rules! chart {
    ($name:ident, $seed:literal) => {
        mod $name {
            use super::{Action, Model, NAMES, PHASES, actions, following, patience};
            use amiko_core::machine::{After, ByMachine, Chart, Hook, PhaseShape, PhasesOf};
            use amiko_core::prelude::*;
            use amiko_core::store::Memory;
            use amiko_core::{ReadError, Reader, WriteError, Writer};
            use proptest::prelude::*;
            use std::time::Duration;

            static NEXT: [([usize; PHASES], usize); PHASES] = [
                following($seed, 0),
                following($seed, 1),
                following($seed, 2),
                following($seed, 3),
                following($seed, 4),
                following($seed, 5),
            ];

            const fn shape(place: usize) -> PhaseShape {
                PhaseShape {
                    name: NAMES[place],
                    next: NEXT[place].0.split_at(NEXT[place].1).0,
                    initial: false,
                    after: match patience($seed, place) {
                        Some(_) => Some(After { when: "a while", send: "Due" }),
                        None => None,
                    },
                    on: None,
                    inner: None,
                }
            }

            static SHAPES: [PhaseShape; PHASES] = [shape(0), shape(1), shape(2), shape(3), shape(4), shape(5)];

            #[derive(Clone, Debug, PartialEq)]
            struct Place(usize);

            impl Serializable for Place {
                fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
                    self.0.write(out)
                }

                fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
                    usize::read(input).map(Self)
                }
            }

            impl Phases for Place {
                type Moves = ByMachine;
                const CHART: &'static Chart = &Chart { name: "Place", phases: &SHAPES, initial: 0 };
                const INITIAL: Self = Self(0);

                fn place(&self) -> usize {
                    self.0
                }
            }

            impl PhasesOf<Walker> for Place {
                const HOOKS: bool = true;

                fn time_outs(&self, now: Time, give: &mut impl FnMut(&'static str, Time, WalkerMessage)) {
                    if let Some(patience) = patience($seed, self.0) {
                        give("@phase", now + Duration::from_millis(patience), WalkerMessage::Due);
                    }
                }

                fn timers(&self, give: &mut impl FnMut(&'static str)) {
                    if patience($seed, self.0).is_some() {
                        give("@phase");
                    }
                }

                fn entries(&self, hooks: &mut Vec<Hook<Walker>>) {
                    hooks.push(Walker::entered);
                }

                fn exits(&self, hooks: &mut Vec<Hook<Walker>>) {
                    hooks.push(Walker::left);
                }

                fn expect_taken(&self, _: &WalkerMessage) -> Result<(), Rejection> {
                    Ok(())
                }
            }

            impl Phased<Place> for Walker {
                fn phase_of(&self) -> Option<&Phase<Place>> {
                    Some(&self.phase)
                }

                fn phase_of_mut(&mut self) -> Option<&mut Phase<Place>> {
                    Some(&mut self.phase)
                }
            }

            #[derive(Clone, Default, Serializable, Node)]
            #[amiko(machine)]
            struct Walker {
                phase: Phase<Place>,
                log: Vec<String>,
            }

            #[derive(Clone, Serializable)]
            enum WalkerMessage {
                Go { to: Vec<usize>, fail: bool },
                Due,
            }

            impl Walker {
                fn entered(&mut self, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
                    self.log.push(format!("entered {}", self.phase.name()));
                    Ok(())
                }

                fn left(&mut self, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
                    self.log.push(format!("left {}", self.phase.name()));
                    Ok(())
                }
            }

            impl StateMachine for Walker {
                type Node = Self;
                type Message = WalkerMessage;

                fn handle(&mut self, message: WalkerMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
                    match message {
                        WalkerMessage::Go { to, fail } => {
                            to.into_iter().try_for_each(|to| self.enter(Place(to), cx))?;
                            if fail { Err(Rejection::new("as asked")) } else { Ok(()) }
                        }
                        WalkerMessage::Due => {
                            self.log.push("due".to_owned());
                            Ok(())
                        }
                    }
                }
            }

            fn found(engine: &Engine<Walker, Memory>) -> Model {
                let Walker { phase, log } = engine.node();
                let due = engine.timers().next().map(|(_, timer)| timer.at.as_millis());
                Model { place: phase.place(), due, log: log.clone() }
            }

            proptest! {
                #[test]
                fn a_machine_is_what_a_plain_model_of_its_chart_is(actions in actions()) {
                    let mut engine = Engine::<Walker, _>::open(Memory::new(), Settings::default()).unwrap();
                    let (mut model, mut now) = (Model::default(), 1_000);
                    for action in actions {
                        match action {
                            Action::Go(to, fail) => {
                                let mut next = model.clone();
                                let good = to.iter().all(|to| next.go($seed, *to, now)) && !fail;
                                let message = WalkerMessage::Go { to, fail };
                                let sent = engine.send(&Id::<Walker>::new(()), message, Time::from_millis(now));
                                prop_assert_eq!(sent.is_ok(), good);
                                if good {
                                    model = next;
                                }
                            }
                            Action::Wait(millis) => {
                                now += millis;
                                engine.tick(Time::from_millis(now)).unwrap();
                                model.tick(now);
                            }
                            Action::Restart => {
                                engine.sync().unwrap();
                                engine = Engine::open(engine.into_store().crash(), Settings::default()).unwrap();
                            }
                            Action::Edit => {
                                let log = to_json(&model.log).unwrap();
                                let document = engine.document().unwrap();
                                let edited = document.replace(&format!("\"log\":{log}"), "\"log\":[\"edited\"]");
                                engine.edit(&edited, Time::from_millis(now), |_| true).unwrap();
                                model.log = vec!["edited".to_owned()];
                            }
                        }
                        prop_assert_eq!(found(&engine), model.clone());
                    }
                }
            }
        }
    };
}

chart!(first, 1);
chart!(second, 2);
chart!(third, 3);
chart!(fourth, 4);
chart!(fifth, 5);
chart!(sixth, 6);
chart!(seventh, 7);
chart!(eighth, 8);
