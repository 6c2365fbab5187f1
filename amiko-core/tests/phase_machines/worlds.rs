//! The robot in worlds in which it is killed, loses power, and has a clock that jumps.

use crate::robot::{Go, Hall, HallEnvelope, HallMessage, Robot, RobotMessage, robot};
use amiko_core::machine::PhasesOf;
use amiko_core::prelude::*;
use amiko_core::sim::{Faults, Swarm, World};
use amiko_core::tree::Nothing;
use amiko_core::{Acceptance, Protocol, PublicKey};
use std::time::Duration;

/// It has no peers.
struct Alone;

impl Protocol for Alone {
    type Node = Hall;

    fn hello(&self, _: &Hall, _: &Id<Connection<Hall>>, _: [u8; 4]) -> Result<Nothing, Rejection> {
        Err(Rejection::new("there is nobody"))
    }

    fn accept(&self, _: &Hall, _: Option<PublicKey>, _: Nothing) -> Result<Acceptance<Hall>, Rejection> {
        Err(Rejection::new("there is nobody"))
    }

    fn envelope(&self, _: &Hall, _: &Id<Connection<Hall>>, _: Nothing) -> Result<HallEnvelope, Rejection> {
        Err(Rejection::new("there is nobody"))
    }
}

/// No time-out is there but those of the phases that the robot is in. One that has fired isn't there any more.
fn check(world: &World<Alone>) -> Result<(), String> {
    let Some(engine) = world.engine(0) else { return Ok(()) };
    let mut expected = Vec::new();
    if let Some(Robot { work, light, .. }) = engine.node().robots.get(&robot()) {
        PhasesOf::<Robot>::timers(&**work, &mut |name| expected.push(format!("robot/1/{name}")));
        PhasesOf::<Robot>::timers(&**light, &mut |name| expected.push(format!("robot/1/{name}")));
    }
    match engine.timers().find(|(id, _)| !expected.contains(id.key())) {
        Some((id, _)) => Err(format!("there is a time-out {}, and the robot isn't in its phase", id.key())),
        None => Ok(()),
    }
}

fn scenario(world: &mut World<Alone>) -> Result<(), String> {
    world.add("hall", Hall::default()).map_err(|error| error.to_string())?;
    let faults = Faults::draw(world.random());
    world.start_faults(faults);
    let all = [Go::Idle, Go::Busy, Go::Resume, Go::Pause, Go::Break, Go::Fetch, Go::Carry, Go::On, Go::Off];
    let mut left = 60;
    while left > 0 && world.disturb() {
        left -= 1;
        let random = world.random();
        let moves = (0..=random.below(2)).map(|_| all[random.below(all.len() as u64) as usize]).collect();
        let fail = random.below(4) == 0;
        let begin = random.below(10) == 0;
        let envelope = if begin {
            Hall::envelope(Id::<Hall>::new(()), HallMessage::Begin)
        } else {
            Hall::envelope(robot(), RobotMessage::Do { moves, fail })
        };
        // Whether it could is another test's.
        let _ = world.command(0, envelope);
        check(world)?;
        let pause = Duration::from_millis(world.random().below(4_000));
        world.run_for(pause);
        check(world)?;
    }
    world.stop_faults();
    world.run_for(secs(120));
    check(world)
}

#[test]
fn worlds_know_no_time_out_but_those_of_phases() {
    let summary = Swarm::from_environment(20).run(|| Alone, scenario).unwrap_or_else(|failed| panic!("{failed}"));
    println!("{summary}");
    assert!(summary.events > 100, "{summary}");
}
