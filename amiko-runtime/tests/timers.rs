//! Timers that are due all at once: in slices, in order, and nobody starves.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use amiko_core::prelude::*;
use amiko_core::store::Memory;
use amiko_runtime::{Handle, Notices, Runtime, RuntimeSettings};
use common::{Raw, TalkerMessage, answer, by_index, envelope, run, said, start};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Writes down what it hears of, and when.
#[derive(Clone, Default, Serializable)]
#[amiko(key = u64)]
struct Bell {
    heard: Vec<(u64, u64)>,
}

#[derive(Clone, Serializable)]
enum BellMessage {
    Set {
        number: u64,
        millis: u64,
    },
    Cancel {
        number: u64,
    },
    Every {
        millis: u64,
    },
    Ring {
        number: u64,
    },
    /// Is due again at once, for ever.
    Again,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(notice = u64)]
struct Tower {
    #[amiko(machines)]
    bells: Table<Bell>,
}

impl StateMachine for Bell {
    type Node = Tower;
    type Message = BellMessage;

    fn handle(&mut self, message: BellMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            BellMessage::Set { number, millis } => {
                cx.timer(&format!("{number:03}"), Time::from_millis(millis), BellMessage::Ring { number });
            }
            BellMessage::Cancel { number } => cx.cancel(&format!("{number:03}")),
            BellMessage::Every { millis } => {
                let every = Schedule::every(Duration::from_millis(millis)).map_err(Rejection::from)?;
                cx.repeat("every", every, BellMessage::Ring { number: 0 });
            }
            BellMessage::Ring { number } => {
                self.heard.push((number, cx.now().as_millis()));
                cx.notify(number);
            }
            BellMessage::Again => cx.timer("again", cx.now(), BellMessage::Again),
        }
        Ok(())
    }
}

fn bell() -> Id<Bell> {
    Id::new(1_u64)
}

/// A tower at midnight, with such timers.
fn tower(timers: impl IntoIterator<Item = BellMessage>) -> Engine<Tower, Memory> {
    let bells = [(bell(), Bell::default())].into_iter().collect();
    let mut engine = Engine::open_with(Memory::new(), Settings::default(), || Tower { bells }).unwrap();
    for message in timers {
        engine.send(&bell(), message, Time::default()).unwrap();
    }
    engine
}

/// The smallest slices, and small groups; and a clock that the test sets.
fn sliced(mut settings: RuntimeSettings) -> (RuntimeSettings, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(0));
    let read = Arc::clone(&clock);
    settings.clock = Arc::new(move || Time::from_millis(read.load(Ordering::Relaxed)));
    (settings.timer_slice, settings.group) = (Duration::ZERO, 8);
    (settings, clock)
}

/// Begins to run, at this moment.
fn begin(engine: Engine<Tower, Memory>, millis: u64) -> (Handle<Tower, Memory>, Arc<AtomicU64>) {
    let (settings, clock) = sliced(RuntimeSettings::default());
    clock.store(millis, Ordering::Relaxed);
    let runtime = Runtime::with_settings(engine, settings);
    let handle = runtime.handle();
    tokio::task::spawn_local(runtime.run());
    (handle, clock)
}

async fn heard(handle: &Handle<Tower, Memory>) -> Vec<(u64, u64)> {
    handle.read(|node| node.bells.get(&bell()).unwrap().heard.clone()).await.unwrap()
}

async fn next(notices: &mut Notices<Tower>) -> u64 {
    *notices.recv().await.unwrap().unwrap()
}

fn numbers(heard: &[(u64, u64)]) -> Vec<u64> {
    heard.iter().map(|(number, _)| *number).collect()
}

#[test]
fn no_input_overtakes_a_timer_that_was_due_when_it_came() {
    run(async {
        let timers = (0..50).map(|number| BellMessage::Set { number, millis: 100 + number });
        let (handle, clock) = begin(tower(timers), 1_000);
        let mut notices = handle.notices().await;
        handle.send(&bell(), BellMessage::Ring { number: 100 }).await.unwrap();
        let first: Vec<_> = (0..50).chain([100]).collect();
        assert_eq!(numbers(&heard(&handle).await), first);

        for number in 0..50 {
            handle.send(&bell(), BellMessage::Set { number, millis: 2_000 }).await.unwrap();
        }
        clock.store(2_000, Ordering::Relaxed);
        while next(&mut notices).await != 100 {}
        assert_eq!(next(&mut notices).await, 0);
        // Some have rung by now, and others are due.
        handle.send(&bell(), BellMessage::Ring { number: 101 }).await.unwrap();
        let all: Vec<_> = first.into_iter().chain(0..50).chain([101]).collect();
        assert_eq!(numbers(&heard(&handle).await), all);
    });
}

#[test]
fn between_two_slices_what_the_first_has_done_is_on_disk_and_leaves() {
    run(async {
        let timers = (0..50).map(|number| BellMessage::Set { number, millis: 100 });
        let (handle, clock) = begin(tower(timers), 0);
        let mut notices = handle.notices().await;
        clock.store(1_000, Ordering::Relaxed);
        // Nobody hears of what isn't on disk. By the clock, the rest of them ring after the first was heard of.
        assert_eq!(next(&mut notices).await, 0);
        clock.store(1_001, Ordering::Relaxed);
        handle.send(&bell(), BellMessage::Ring { number: 100 }).await.unwrap();
        let heard = heard(&handle).await;
        assert_eq!((heard[0], heard[49]), ((0, 1_000), (49, 1_001)), "{heard:?}");
    });
}

#[test]
fn neither_timers_nor_inputs_starve_the_others() {
    run(async {
        // One is due again whenever it has rung, and the clock stands still.
        let (handle, _) = begin(tower([BellMessage::Again, BellMessage::Set { number: 7, millis: 0 }]), 0);
        for number in 0..20 {
            handle.send(&bell(), BellMessage::Ring { number }).await.unwrap();
        }
        let heard = heard(&handle).await;
        assert_eq!(numbers(&heard).len(), 21, "{heard:?}");
    });
}

#[test]
fn of_those_that_are_due_at_once_one_repeats_and_one_is_cancelled_by_a_command_before() {
    run(async {
        let timers = (1..10).map(|number| BellMessage::Set { number, millis: 100 });
        let others = [BellMessage::Every { millis: 100 }, BellMessage::Cancel { number: 9 }];
        let (handle, _) = begin(tower(timers.chain(others)), 350);
        handle.send(&bell(), BellMessage::Ring { number: 100 }).await.unwrap();
        // By the name, the one that repeats is the last; two of its runs were missed, and it is heard of once.
        assert_eq!(numbers(&heard(&handle).await), [1, 2, 3, 4, 5, 6, 7, 8, 0, 100]);
        let next = handle.query(|engine| engine.next_due()).await.unwrap();
        assert_eq!(next, Some(Time::from_millis(400)));
    });
}

#[test]
fn a_line_of_a_peer_waits_for_the_timers_that_were_due_before() {
    run(async {
        let (settings, clock) = sliced(by_index());
        clock.store(1_000, Ordering::Relaxed);
        let node = start(common::engine("x", None), settings).await;
        let mut raw = Raw::hello(node.address, "x").await;
        for number in 0..30 {
            let later = TalkerMessage::SayLater { number, millis: 100 + number };
            node.handle.command(envelope("x", later)).await.unwrap();
        }
        clock.store(2_000, Ordering::Relaxed);
        raw.say(0, 7).await;
        // The confirmation may overtake messages: only those have an order.
        let mut messages = Vec::new();
        while messages.len() < 31 {
            messages.push(raw.line().await.unwrap());
            messages.retain(|line| line != r#"{"received":0}"#);
        }
        let expected: Vec<_> = (0..30).map(|number| said(number, number)).chain([answer(30, 7)]).collect();
        assert_eq!(messages, expected);
    });
}

#[test]
fn a_node_that_has_stopped_gives_back_an_engine_that_fires_timers_by_itself() {
    run(async {
        let runtime = Runtime::new(tower([BellMessage::Set { number: 1, millis: u64::MAX / 2 }]));
        let handle = runtime.handle();
        let task = tokio::task::spawn_local(runtime.run());
        handle.stop();
        let mut engine = task.await.unwrap().unwrap();
        engine.send(&bell(), BellMessage::Ring { number: 2 }, Time::from_millis(u64::MAX)).unwrap();
        assert_eq!(numbers(&engine.node().bells.get(&bell()).unwrap().heard), [1, 2]);
    });
}
