//! Random networks of payment nodes in a simulated world in which everything can go wrong, one for each seed.
//!
//! `AMIKO_SEED=N` repeats one seed; `AMIKO_SEEDS=N` tries so many.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod books;
mod puppets;
mod time_outs;
mod topology;
mod users;

use amiko_core::conversation::{ConversationSettings, Dialect};
use amiko_core::prelude::*;
use amiko_core::sim::{Coverage, Failed, Faults, Random, Summary, Swarm, World};
use amiko_examples::payment::{ChannelState, PayeePhase, PayerPhase, PaymentProtocol, TransactionPhase};
use books::Books;
use puppets::Puppets;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use topology::Topology;
use users::Users;

pub(crate) type Payments = World<PaymentProtocol>;

/// How payments ended, over all worlds: at the payer's end and at the payee's.
type Outcomes = BTreeMap<(String, String), u64>;

/// Longer than any time-out of a payment over the longest route, which is a day and an hour for each node on it.
const LONG: Duration = secs(3 * 86_400);

/// The longest time that a peer may be silent.
const SELDOM: Duration = secs(3_600);

/// More events than any of these worlds needs, and more steps, most of which are pings: one that has more goes round in circles.
const MANY: u64 = 100_000;
const MANY_STEPS: u64 = 5_000_000;

/// How the nodes of a world talk: both dialects, batches of any size, and peers that are asked often or seldom whether
/// they are there. Often costs many lines in the hours in which nothing happens, so it is rare.
fn conversation(random: &mut Random, puppets: bool) -> ConversationSettings {
    let mut settings = ConversationSettings::default();
    settings.silence = match random.below(16) {
        0 => secs(30),
        1..8 => secs(600),
        _ => SELDOM,
    };
    settings.batch = [1, 300, 64 << 10][random.below(3) as usize];
    // Puppets wait to be told where their neighbour stands.
    if !puppets && random.below(4) == 0 {
        settings.dialect = Dialect::ByIndex;
    }
    settings
}

/// One world: a network, its users, and faults, until they stop; then everything comes to its end.
fn scenario(world: &mut Payments, puppets: bool) -> Result<Outcomes, String> {
    let mut topology = Topology::draw(world.random());
    if puppets {
        topology = topology.with_puppets(world.random());
    }
    // One world in eight is a good one: there the payments succeed.
    let faults = if world.random().below(8) == 0 { Faults::none() } else { Faults::draw(world.random()) };
    let settings = conversation(world.random(), puppets);
    let by_index = settings.dialect == Dialect::ByIndex;
    world.set_conversation(settings);
    topology.build(world);
    let mut books = Books::open(world, &topology);
    world.run_for(secs(5));
    world.start_faults(faults);
    let (mut users, mut puppets) = (Users::new(world), Puppets::new(&topology));
    while users.act(world, &topology) {
        let pause = Duration::from_millis(world.random().below(1_500));
        let end = world.now() + pause;
        while world.step(end) {
            users.listen(world, &mut books)?;
            puppets.listen(books.check(world)?);
            puppets.act(world);
            has_patience(world)?;
            ends(world, &topology)?;
        }
    }
    world.stop_faults();
    if by_index {
        restart_all(world)?;
    }
    let end = world.now() + LONG;
    while !books::at_rest(world, &topology) {
        if !world.step(end) {
            return Err(format!("not at rest after {LONG:?}: {}", books::left(world, &topology)));
        }
        ends(world, &topology)?;
        users.listen(world, &mut books)?;
        puppets.listen(books.check(world)?);
        has_patience(world)?;
    }
    stays_quiet(world)?;
    books.close(world, &topology)
}

/// By index alone nobody who owes nothing sees that the other end is gone, as after a fault that tells nobody. A restart shows
/// it, and has to lose nothing either.
fn restart_all(world: &mut Payments) -> Result<(), String> {
    (0..world.len()).try_for_each(|node| {
        world.kill(node);
        world.restart(node).map_err(|error| format!("node {node} doesn't start: {error}"))
    })
}

/// It doesn't go round in circles.
fn ends(world: &Payments, topology: &Topology) -> Result<(), String> {
    let (events, steps) = (world.events(), world.steps());
    if events <= MANY && steps <= MANY_STEPS {
        return Ok(());
    }
    Err(format!("no end after {events} events and {steps} steps: {}", books::left(world, topology)))
}

/// Nobody dials another without a pause.
fn has_patience(world: &Payments) -> Result<(), String> {
    match world.dial_storm() {
        None => Ok(()),
        Some((node, address)) => Err(format!("node {node} dials {address} without a pause")),
    }
}

/// Where nothing goes wrong any more, nobody gives up a socket.
fn stays_quiet(world: &mut Payments) -> Result<(), String> {
    world.run_for(2 * SELDOM);
    let before = world.given_up();
    world.run_for(2 * SELDOM);
    match world.given_up() - before {
        0 => Ok(()),
        sockets => Err(format!("expected every socket to stay where nothing goes wrong, found {sockets} given up")),
    }
}

fn run(swarm: &Swarm, puppets: bool, outcomes: &Mutex<Outcomes>) -> Result<Summary, Box<Failed>> {
    swarm.run(
        || PaymentProtocol,
        |world| {
            let found = scenario(world, puppets)?;
            let mut outcomes = outcomes.lock().unwrap();
            for (outcome, count) in found {
                *outcomes.entry(outcome).or_default() += count;
            }
            Ok(())
        },
    )
}

/// Writes the whole trace to a file.
fn keep(failed: &Failed) -> String {
    let path = format!("{}/seed-{}.jsonl", env!("CARGO_TARGET_TMPDIR"), failed.seed);
    std::fs::write(&path, failed.trace.to_json_lines()).unwrap();
    path
}

/// Goes through the seeds, with as many threads as there are cores, and says what came of them.
fn go_through(swarm: &Swarm, puppets: bool) {
    let outcomes = Mutex::new(Outcomes::new());
    let shares = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let summaries: Vec<_> = std::thread::scope(|scope| {
        let share = |index| {
            let (swarm, outcomes) = (swarm.share(index, shares), &outcomes);
            scope.spawn(move || run(&swarm, puppets, outcomes))
        };
        let threads: Vec<_> = (0..shares).map(share).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut summary = Summary::default();
    for found in summaries {
        match found {
            Ok(found) => summary.add(&found),
            Err(failed) => panic!("{failed}\nall of it is in {}", keep(&failed)),
        }
    }
    println!("{summary}");
    // A dozen worlds with neighbours that say anything are enough to see all of it; good ones take longer.
    if summary.seeds >= if puppets { 12 } else { 1_000 } {
        expect_every_move(&summary.coverage);
    }
    let outcomes = outcomes.into_inner().unwrap();
    for ((outcome, reason), count) in &outcomes {
        println!("payments {outcome}{}{reason}: {count}", if reason.is_empty() { "" } else { ": " });
    }
    let committed: u64 =
        outcomes.iter().filter(|((outcome, _), _)| outcome == "Committed").map(|(_, count)| count).sum();
    assert!(summary.seeds < 10 || committed > 0, "no payment was ever committed");
}

/// Every move of every machine was taken.
fn expect_every_move(coverage: &Coverage) {
    let missing = [
        coverage.expect_all_but::<ChannelState>(&[]),
        coverage.expect_all_but::<PayeePhase>(&[]),
        coverage.expect_all_but::<PayerPhase>(&[]),
        coverage.expect_all_but::<TransactionPhase>(&[]),
    ];
    let missing: Vec<String> = missing.into_iter().filter_map(Result::err).collect();
    assert!(missing.is_empty(), "{missing:?}\n{}", coverage.mermaid::<TransactionPhase>());
}

#[test]
fn random_networks_lose_nothing_whatever_goes_wrong() {
    // In a build for debugging a few of them, to see that they run.
    go_through(&Swarm::from_environment(if cfg!(debug_assertions) { 12 } else { 1_200 }), false);
}

#[test]
fn honest_nodes_lose_nothing_whatever_their_neighbours_say() {
    go_through(&Swarm::from_environment(if cfg!(debug_assertions) { 12 } else { 500 }), true);
}

#[test]
fn one_seed_is_one_world_byte_for_byte() {
    for seed in 0..4 {
        let trace = || {
            let mut world = World::new(PaymentProtocol, seed);
            world.record();
            scenario(&mut world, seed % 2 == 1).unwrap();
            world.trace().unwrap().to_json_lines()
        };
        let (one, other) = (trace(), trace());
        assert!(one == other, "seed {seed}");
        assert!(one.lines().count() > 100);
    }
}
