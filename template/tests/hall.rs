//! The hall on a virtual clock, in simulated worlds where everything goes wrong, and against the files of older programs.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use amiko_core::conversation::NoPeers;
use amiko_core::prelude::*;
use amiko_core::sim::{Faults, Swarm, World};
use amiko_core::store::Memory;
use amiko_core::tree::check_node;
use std::time::Duration;

use {{crate_name}}::{Hall, Seat, SeatMessage};

fn seat(number: &str) -> Id<Seat> {
    Id::new(number)
}

fn hold(by: &str) -> SeatMessage {
    SeatMessage::Hold { by: by.into() }
}

fn buy(by: &str) -> SeatMessage {
    SeatMessage::Buy { by: by.into() }
}

#[test]
fn a_seat_is_held_for_a_minute_unless_it_is_bought() {
    let mut hall = Engine::open_with(Memory::new(), Settings::default(), Hall::new).unwrap();
    let now = Time::from_secs(1_800_000_000);
    hall.send(&seat("a1"), hold("ann"), now).unwrap();
    hall.send(&seat("a2"), hold("ann"), now).unwrap();
    hall.send(&seat("a2"), buy("ann"), now).unwrap();
    let error = hall.send(&seat("a1"), hold("ben"), now).unwrap_err();
    assert_eq!(error.to_string(), "ann has it (in Hold to seat a1)");
    let error = hall.send(&seat("a3"), buy("ben"), now).unwrap_err();
    assert_eq!(error.to_string(), "hold it first (in Buy to seat a3)");
    hall.tick(now + secs(60)).unwrap();
    assert_eq!(hall.node().taken(), ["a2 is bought by ann"]);
}

/// A file of an older program is read as it was meant. If this fails, it says what to do.
#[test]
fn old_files_still_open() {
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.lock");
    if let Err(told) = check_node::<Hall>(lock) {
        panic!("{told}");
    }
}

/// People hold and buy seats while the process is killed, the power fails and the disk breaks.
fn people(world: &mut World<NoPeers<Hall>>) -> Result<(), String> {
    let hall = world
        .add("hall", Hall::new())
        .map_err(|error| error.to_string())?;
    let faults = Faults::draw(world.random());
    world.start_faults(faults);
    for _ in 0..50 {
        if !world.disturb() {
            break;
        }
        let number = ["a1", "a2", "a3"][world.random().below(3) as usize];
        let by = ["ann", "ben"][world.random().below(2) as usize];
        let message = if world.random().below(5) == 0 {
            buy(by)
        } else {
            hold(by)
        };
        // It may be refused, and a node that is down is told nothing.
        let _ = world.command(hall, Hall::envelope(seat(number), message));
        let pause = world.random().below(30_000);
        world.run_for(Duration::from_millis(pause));
    }
    world.stop_faults();

    // Whatever has happened, no seat is held for ever.
    let settled = |world: &World<NoPeers<Hall>>| {
        let seats = |hall: &Hall| {
            hall.seats
                .iter()
                .all(|(_, seat)| seat.holder.is_some() == seat.bought)
        };
        world
            .engine(hall)
            .is_some_and(|engine| seats(engine.node()))
    };
    if world.run_until(secs(600), settled) {
        Ok(())
    } else {
        Err("a seat is held for ever".into())
    }
}

/// A seed that fails is shown with the shortest way to it; `AMIKO_SEED=7 cargo test` repeats the seed 7.
#[test]
fn no_seat_is_held_for_ever() {
    match Swarm::from_environment(50).run(NoPeers::new, people) {
        Ok(summary) => println!("{summary}"),
        Err(failed) => panic!("{failed}"),
    }
}
