//! Runs the node until it is told to stop, and shows what changes.

use amiko_core::prelude::*;
use amiko_runtime::{Handle, Runtime};
use std::error::Error;

use {{crate_name}}::{Hall, Refusal, Seat, SeatMessage};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::open_with(Directory::open("state")?, Settings::default(), Hall::new)?;
    let (hall, running) = Runtime::new(engine).spawn();

    // For example `cargo run -- a1 ann`. The answer comes when what it tells is on disk.
    let mut arguments = std::env::args().skip(1);
    if let (Some(seat), Some(by)) = (arguments.next(), arguments.next()) {
        let held = hall.send(&Id::<Seat>::new(seat), SeatMessage::Hold { by });
        if let Err(error) = held.await {
            match error.downcast_ref() {
                Some(Refusal::Taken { by }) => println!("sorry, {by} was first"),
                _ => println!("{error}"),
            }
        }
    }

    // Ctrl-C and SIGTERM stop it. So may `kill -9`: it goes on where it was.
    let (_, stopped) = tokio::join!(show(hall), running.until_signal());
    stopped?;
    Ok(())
}

/// Shows the seats that are taken, now and whenever they change.
async fn show(hall: Handle<Hall>) {
    let mut taken = hall.watch(Hall::taken).await;
    while let Ok(seats) = taken.value() {
        println!("{seats:?}");
        if taken.changed().await.is_err() {
            break;
        }
    }
}
