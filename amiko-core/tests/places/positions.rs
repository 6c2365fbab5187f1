//! Where an object can stand without a box around it: in a table, in the node's own fields, in everything that is said.

use crate::elements::{Card, Claim, Deep, Element, Mood, Owner, Plain, SECRET};
use crate::table::{Cell, Promise, Table as Found};
use amiko_core::engine::Entropy;
use amiko_core::event::{Output, Request};
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use amiko_core::{Hosts, Rejection};
use std::collections::VecDeque;

const OWN: &str = "an own field of a node that is a machine";
const TABLE: &str = "an object of a Table";
const COMMAND: &str = "a command";
const TIMER: &str = "a timer";
const OUTBOX: &str = "an outbox";
const INBOX: &str = "an inbox";
const REPLY: &str = "a reply";
const ALL: [&str; 7] = [OWN, TABLE, COMMAND, TIMER, OUTBOX, INBOX, REPLY];

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.entropy = Entropy::Seed([7; 32]);
    settings.check_records = true;
    settings
}

fn text(error: &dyn std::error::Error) -> String {
    error.source().map_or(error.to_string(), ToString::to_string)
}

fn same(one: &str, other: &str) -> Result<Cell, String> {
    if one == other { Ok(Cell::Holds) } else { Err(format!("expected {one}, found {other}")) }
}

/// A node that has elements of one class everywhere.
macro_rules! node_of {
    ($module:ident $element:ty) => {
        mod $module {
            use super::*;

            type E = $element;

            #[derive(Clone, Serializable)]
            #[amiko(key = u8)]
            struct Holder {
                value: VecDeque<E>,
            }

            #[derive(Clone, Serializable)]
            struct Take {
                value: VecDeque<E>,
            }

            impl StateMachine for Holder {
                type Node = World;
                type Message = Take;

                fn handle(&mut self, take: Take, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
                    self.value = take.value;
                    Ok(())
                }
            }

            #[derive(Clone, Default, Serializable, Node)]
            #[amiko(machine, network = Take, reply = Take)]
            struct World {
                own: VecDeque<E>,
                passed: u64,
                #[amiko(machines)]
                holders: Table<Holder>,
                #[amiko(objects)]
                owners: Table<Owner>,
            }

            #[derive(Clone, Serializable)]
            enum Act {
                Own { value: VecDeque<E> },
                Hold { value: VecDeque<E> },
                Pass { value: VecDeque<E> },
                Later { value: VecDeque<E> },
                Send { value: VecDeque<E> },
                Answer { value: VecDeque<E> },
                Hire { owner: String },
                Fire { owner: String },
            }

            impl StateMachine for World {
                type Node = Self;
                type Message = Act;

                fn handle(&mut self, act: Act, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
                    match act {
                        Act::Own { value } => self.own = value,
                        Act::Hold { value } => cx.send(&Id::<Holder>::new(1), Take { value }),
                        Act::Pass { .. } => self.passed += 1,
                        Act::Later { value } => cx.timer("later", cx.now() + secs(9), Act::Own { value }),
                        Act::Send { value } => cx.transmit(&Id::new("peer"), Take { value }),
                        Act::Answer { value } => cx.reply(Take { value }),
                        Act::Hire { owner } => {
                            cx.connect(&Id::new("peer"), None);
                            self.owners.insert(&Id::new(owner), Owner {});
                        }
                        Act::Fire { owner } => drop(self.owners.remove(&Id::new(owner))),
                    }
                    Ok(())
                }
            }

            type Worlds = Engine<World, Memory>;

            fn open() -> Worlds {
                let first = || World {
                    holders: [(Id::new(1), Holder { value: VecDeque::new() })].into_iter().collect(),
                    ..World::default()
                };
                let mut world = Worlds::open_with(Memory::new(), settings(), first).unwrap();
                for number in 0..5 {
                    command(&mut world, Act::Hire { owner: format!("owner {number}") }).unwrap();
                }
                world
            }

            fn command(world: &mut Worlds, act: Act) -> Result<(), String> {
                let envelope = World::envelope(Id::<World>::new(()), act);
                let sent = world.command(envelope, Some(Request(1)), Time::from_secs(1));
                sent.map(drop).map_err(|error| text(&error))
            }

            /// Puts elements into one position.
            fn put(world: &mut Worlds, position: &str, value: VecDeque<E>) -> Result<(), String> {
                let act = match position {
                    OWN => Act::Own { value },
                    TABLE => Act::Hold { value },
                    COMMAND => Act::Pass { value },
                    TIMER => Act::Later { value },
                    OUTBOX => Act::Send { value },
                    REPLY => Act::Answer { value },
                    INBOX => {
                        let (peer, index) = (Id::new("peer"), world.connection(&Id::new("peer")).unwrap().received);
                        let envelope = World::envelope(Id::<World>::new(()), Act::Own { value });
                        let received = world.receive(&peer, index, Ok(envelope), Time::from_secs(1));
                        return received.map(drop).map_err(|error| text(&error));
                    }
                    other => panic!("{other}"),
                };
                command(world, act)
            }

            /// What is in a position; of a command nothing is kept but its record.
            #[allow(dead_code)]
            fn at(world: &mut Worlds, position: &str) -> String {
                match position {
                    OWN | INBOX => to_json(&world.node().own).unwrap(),
                    TABLE => to_json(&world.node().holders.get(&Id::new(1)).unwrap().value).unwrap(),
                    TIMER => {
                        world.tick(Time::from_secs(99)).unwrap();
                        to_json(&world.node().own).unwrap()
                    }
                    OUTBOX => to_json(&world.outbox(&Id::new("peer")).last().unwrap().1.value).unwrap(),
                    COMMAND => world.history().last().unwrap().record.clone(),
                    REPLY => String::new(),
                    other => panic!("{other}"),
                }
            }

            fn value(elements: &[(&str, u64)]) -> VecDeque<E> {
                elements.iter().map(|(name, number)| <E as Element>::element(name, *number)).collect()
            }

            fn reopen(world: Worlds) -> Result<Worlds, String> {
                Worlds::open(world.into_store().crash(), settings()).map_err(|error| format!("{error:?}"))
            }

            const STEPS: [&[(&str, u64)]; 4] =
                [&[("b", 1), ("a", 0)], &[("b", 0), ("a", 1)], &[("a", 2)], &[("b", 3), ("a", 3)]];

            /// What is true of every element.
            #[allow(dead_code)]
            pub fn look(position: &'static str, found: &mut Found) {
                let mut world = open();
                let outcome = STEPS.iter().try_for_each(|step| put(&mut world, position, value(step)));
                if let Err(error) = outcome {
                    for promise in [Promise::Journal, Promise::Snapshot, Promise::Difference, Promise::Order] {
                        found.note(position, promise, Ok(Cell::Refused(error.clone())));
                    }
                    return;
                }
                let outputs = world.sync().unwrap();
                if position == REPLY {
                    let answered = outputs.iter().rev().find_map(|output| match output {
                        Output::Reply { reply, .. } => Some(to_json(&reply.read::<Take>().unwrap().value).unwrap()),
                        _ => None,
                    });
                    let expected = to_json(&value(STEPS[3])).unwrap();
                    found.note(position, Promise::Order, same(&expected, &answered.unwrap_or_default()));
                }
                let (document, node) = (world.document().unwrap(), world.node().clone());
                let versions = (1..=world.version().0).map(|version| world.diff(version - 1, version));
                let changed = versions.filter(|patch| patch.is_ok()).count();
                let differs =
                    if changed == world.version().0 as usize { Ok(Cell::Holds) } else { Err(format!("{changed}")) };
                found.note(position, Promise::Difference, differs);
                let written = Worlds::open_with(Memory::new(), settings(), || node.clone()).unwrap();
                let read = reopen(written).map(|again| to_json(again.node()).unwrap());
                found.note(position, Promise::Snapshot, read.and_then(|read| same(&to_json(&node).unwrap(), &read)));
                let again = reopen(world).and_then(|again| same(&document, &again.document().unwrap()));
                found.note(position, Promise::Journal, again);
                let mut world = open();
                put(&mut world, position, value(STEPS[3])).unwrap();
                world.sync().unwrap();
                let before = if position == COMMAND { String::new() } else { to_json(&value(STEPS[3])).unwrap() };
                let mut world = reopen(world).unwrap();
                if ![COMMAND, REPLY].contains(&position) {
                    found.note(position, Promise::Order, same(&before, &at(&mut world, position)));
                } else {
                    found.note(position, Promise::Order, Ok(Cell::Holds));
                }
                let schema = amiko_core::tree::describe_node::<World>();
                let class = stringify!($element);
                let named = class == "u8" || schema.contains(&format!("class {class}, version 1\n"));
                let outcome = if named { Ok(Cell::Holds) } else { Err(schema) };
                found.note(position, Promise::Schema, outcome);
            }

            /// Of an element with a secret.
            #[allow(dead_code)]
            pub fn secret(position: &'static str, found: &mut Found) {
                let mut world = open();
                put(&mut world, position, value(STEPS[3])).unwrap();
                let digits = (SECRET / 1_000).to_string();
                let history: Vec<_> = world.history().collect();
                let eyes = [
                    world.node().summary(),
                    format!("{history:?}"),
                    format!("{:?}", world.rejections().collect::<Vec<_>>()),
                    world.document_without_secrets().unwrap(),
                    format!("{:?}", world.sync().unwrap()),
                ];
                let outcome = match eyes.into_iter().find(|text| text.contains(&digits)) {
                    None => Ok(Cell::Holds),
                    Some(text) => Err(text),
                };
                found.note(position, Promise::Secret, outcome);
            }

            /// Of an element with a strong reference.
            #[allow(dead_code)]
            pub fn strong(position: &'static str, found: &mut Found) {
                let kept = [OWN, TABLE, TIMER, OUTBOX, INBOX].contains(&position);
                let mut world = open();
                let dangling = put(&mut world, position, value(&[("a", 99)]));
                let outcome = match dangling {
                    Err(error) if error.starts_with("expected owner owner 99, to which") => Ok(Cell::Holds),
                    // What isn't kept refers to nobody afterwards.
                    Ok(()) if !kept => Ok(Cell::Holds),
                    other => Err(format!("expected a rejection, found {other:?}")),
                };
                found.note(position, Promise::Strong, outcome);
                put(&mut world, position, value(&[("a", 4)])).unwrap();
                let referrers = world.referrers(&Id::<Owner>::new("owner 4")).len();
                let fired = command(&mut world, Act::Fire { owner: "owner 4".into() });
                let outcome = match (kept, referrers, fired) {
                    (true, 1, Err(_)) | (false, 0, Ok(())) => Ok(Cell::Holds),
                    other => Err(format!("kept, referrers, rejection: {other:?}")),
                };
                found.note(position, Promise::Strong, outcome);
            }

            /// Of an element that is nested too deeply, and of one with a number that is too long.
            #[allow(dead_code)]
            pub fn limits(position: &'static str, found: &mut Found, long: fn(&str) -> E) {
                let (mut world, mut refused) = (open(), 0);
                for levels in 100..130 {
                    match put(&mut world, position, value(&[("a", levels)])) {
                        Ok(()) => {}
                        Err(error) if error.contains("at most 128 levels of nesting") => refused += 1,
                        Err(error) => return found.note(position, Promise::Depth, Err(error)),
                    }
                }
                world.sync().unwrap();
                let document = world.document().unwrap();
                let again = reopen(world).and_then(|again| same(&document, &again.document().unwrap()));
                let outcome = if refused < 2 { Err(format!("refused {refused} times")) } else { again };
                found.note(position, Promise::Depth, outcome);
                let outcome = match put(&mut open(), position, [long("a")].into()) {
                    Err(error) if error.contains("at most 400 bytes in a number") => Ok(Cell::Holds),
                    other => Err(format!("expected an error, found {other:?}")),
                };
                found.note(position, Promise::Length, outcome);
            }
        }
    };
}

node_of!(bytes u8);
node_of!(plain Plain);
node_of!(card Card);
node_of!(claim Claim);
node_of!(mood Mood);
node_of!(deep Deep);

/// Finds out about each position.
pub fn look(found: &mut Found) {
    for position in ALL {
        bytes::look(position, found);
        plain::look(position, found);
        card::look(position, found);
        claim::look(position, found);
        mood::look(position, found);
        card::secret(position, found);
        claim::strong(position, found);
        deep::limits(position, found, Deep::long);
    }
}
