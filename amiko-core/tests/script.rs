//! A node whose messages are scripts, for the tests of the engine: each message says what its handler is to do, so that
//! a test reads as one event. It has no tests of its own.

#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use amiko_core::Version;
use amiko_core::engine::{Entropy, EventError};
use amiko_core::event::Output;
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use amiko_core::{Envelope, Hosts};

pub type Peer = Id<Connection<World>>;

#[derive(Clone, Debug, PartialEq, Serializable)]
#[amiko(key = String, reply = String, kind = "thing")]
pub struct Thing {
    pub value: i64,
    pub ratio: f64,
    pub log: Vec<String>,
}

/// One step of a handler.
#[derive(Clone, Serializable)]
pub enum Act {
    Set {
        value: i64,
    },
    /// Zero by zero: a value without exact text, from a message that has one.
    Divide,
    Log {
        text: String,
    },
    Random,
    /// Sends a script to a thing.
    Send {
        to: String,
        acts: Vec<Act>,
    },
    /// Sends a script to the node.
    Root {
        acts: Vec<Act>,
    },
    Create {
        id: String,
    },
    Remove {
        id: String,
    },
    Timer {
        name: String,
        at: u64,
        acts: Vec<Act>,
    },
    Cancel {
        name: String,
    },
    Connect {
        peer: String,
    },
    Reconcile {
        peer: String,
    },
    Transmit {
        peer: String,
        text: String,
    },
    Close {
        peer: String,
    },
    Reply {
        text: String,
    },
    Notice {
        text: String,
    },
    Reject,
    Panic,
}

#[derive(Clone, Serializable)]
pub struct Script {
    pub acts: Vec<Act>,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, network = String, reply = String, notice = String, check = nothing_is_negative)]
pub struct World {
    #[amiko(machines)]
    pub things: Table<Thing>,
    pub value: i64,
    pub log: Map<u64, String>,
}

fn nothing_is_negative(world: &World, undo: &WorldUndo) -> Result<(), Rejection> {
    for (key, _) in undo.things.first_touches() {
        if world.things.get(&Id::new(key.clone())).is_some_and(|thing| thing.value < 0) {
            return Err(Rejection::new(format!("expected {key} not to be negative")));
        }
    }
    Ok(())
}

impl StateMachine for Thing {
    type Node = World;
    type Message = Script;

    fn handle(&mut self, script: Script, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        for act in script.acts {
            match act {
                Act::Set { value } => self.value = value,
                Act::Divide => self.ratio = f64::NAN,
                Act::Log { text } => self.log.push(text),
                Act::Random => self.log.push(format!("{:?}", cx.random::<40>())),
                other => act_outside(other, cx)?,
            }
        }
        Ok(())
    }
}

impl StateMachine for World {
    type Node = Self;
    type Message = Script;

    fn handle(&mut self, script: Script, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        for act in script.acts {
            match act {
                Act::Set { value } => self.value = value,
                Act::Log { text } => drop(self.log.insert(self.log.len() as u64, text)),
                other => act_outside(other, cx)?,
            }
        }
        Ok(())
    }
}

fn act_outside<M>(act: Act, cx: &mut Context<'_, M>) -> Result<(), Rejection>
where
    M: StateMachine<Node = World, Message = Script, Reply = String>,
    World: Hosts<M>,
{
    match act {
        Act::Send { to, acts } => cx.send::<Thing>(&thing(&to), Script { acts }),
        Act::Root { acts } => cx.send::<World>(&Id::new(()), Script { acts }),
        Act::Create { id } => cx.create(&thing(&id), empty()),
        Act::Remove { id } => cx.remove(&thing(&id)),
        Act::Timer { name, at, acts } => cx.timer(&name, Time::from_millis(at), Script { acts }),
        Act::Cancel { name } => cx.cancel(&name),
        Act::Connect { peer } => cx.connect(&Id::new(peer), Some("peer.example:7")),
        Act::Reconcile { peer } => cx.reconcile(&Id::new(peer)),
        Act::Transmit { peer, text } => cx.transmit(&Id::new(peer), text),
        Act::Close { peer } => cx.close(&Id::new(peer)),
        Act::Reply { text } => cx.reply(text),
        Act::Notice { text } => cx.notify(text),
        Act::Panic => panic!("the script said so"),
        _ => return Err(Rejection::new("the script said so")),
    }
    Ok(())
}

// Short names for scripts.

pub fn thing(id: &str) -> Id<Thing> {
    Id::new(id)
}

pub fn peer(id: &str) -> Peer {
    Id::new(id)
}

pub fn set(value: i64) -> Act {
    Act::Set { value }
}

pub fn log(text: &str) -> Act {
    Act::Log { text: text.into() }
}

pub fn notice(text: &str) -> Act {
    Act::Notice { text: text.into() }
}

pub fn send<const N: usize>(to: &str, acts: [Act; N]) -> Act {
    Act::Send { to: to.into(), acts: acts.into() }
}

pub fn timer<const N: usize>(name: &str, at: u64, acts: [Act; N]) -> Act {
    Act::Timer { name: name.into(), at, acts: acts.into() }
}

pub fn create(id: &str) -> Act {
    Act::Create { id: id.into() }
}

pub fn remove(id: &str) -> Act {
    Act::Remove { id: id.into() }
}

pub fn connect(peer: &str) -> Act {
    Act::Connect { peer: peer.into() }
}

pub fn reconcile(peer: &str) -> Act {
    Act::Reconcile { peer: peer.into() }
}

pub fn transmit(peer: &str, text: &str) -> Act {
    Act::Transmit { peer: peer.into(), text: text.into() }
}

pub fn close(peer: &str) -> Act {
    Act::Close { peer: peer.into() }
}

pub fn empty() -> Thing {
    Thing { value: 0, ratio: 0.0, log: Vec::new() }
}

// An engine with things `a`, `b` and `c`.

pub fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.entropy = Entropy::Seed([7; 32]);
    settings
}

pub fn open(store: Memory, settings: Settings) -> Engine<World, Memory> {
    Engine::open_with(store, settings, three_things).unwrap()
}

pub fn three_things() -> World {
    World { things: ["a", "b", "c"].map(|id| (thing(id), empty())).into_iter().collect(), ..World::default() }
}

pub fn engine() -> Engine<World, Memory> {
    open(Memory::new(), settings())
}

/// What a restart finds after a crash.
pub fn crash(engine: Engine<World, Memory>) -> Engine<World, Memory> {
    open(engine.into_store().crash(), settings())
}

/// Has thing `a` run a script at a moment.
pub fn at<S: amiko_core::store::Store, const N: usize>(
    engine: &mut Engine<World, S>,
    now: u64,
    acts: [Act; N],
) -> Result<Version, EventError> {
    engine.send(&thing("a"), Script { acts: acts.into() }, Time::from_millis(now))
}

/// Has the node run a script at moment 0.
pub fn root<const N: usize>(engine: &mut Engine<World, Memory>, acts: [Act; N]) -> Result<Version, EventError> {
    engine.send(&Id::<World>::new(()), Script { acts: acts.into() }, Time::from_millis(0))
}

/// The script for a thing, as an envelope that came from elsewhere.
pub fn envelope<const N: usize>(to: &str, acts: [Act; N]) -> WorldEnvelope {
    let envelope = WorldEnvelope::Thing(thing(to), Script { acts: acts.into() });
    assert_eq!(envelope.kind(), "thing");
    envelope
}

/// What a sync releases, in words.
pub fn outputs(engine: &mut Engine<World, Memory>) -> Vec<String> {
    let words = |output| match output {
        Output::Notice(text) => text,
        Output::Reply { request, reply } => format!("reply {} {}", request.0, reply.read::<String>().unwrap()),
        Output::Transmit { connection, index, message } => format!("{connection} <- {index} {message}"),
        Output::Confirm { connection, index } => format!("{connection} confirmed {index}"),
        Output::Opened { connection } => format!("{connection} opened"),
        Output::Closed { connection } => format!("{connection} closed"),
        Output::Perform { effect, .. } => format!("{effect} is performed"),
        Output::EffectEnded { effect, .. } => format!("{effect} ended"),
    };
    engine.sync().unwrap().into_iter().map(words).collect()
}

pub fn logged<S: amiko_core::store::Store>(engine: &Engine<World, S>, id: &str) -> Vec<String> {
    engine.node().things.get(&thing(id)).map(|thing| thing.log.clone()).unwrap_or_default()
}
