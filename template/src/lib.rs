//! A hall whose seats are held for a minute, and then bought or free again.

use amiko_core::prelude::*;
use std::error::Error;
use std::fmt;

/// The whole state.
#[derive(Clone, Default, Serializable, Node)]
pub struct Hall {
    #[amiko(machines)]
    pub seats: Table<Seat>,
}

/// One seat. Its ID is its number, as in `a1`.
#[derive(Clone, Default, Serializable)]
#[amiko(key = String)]
pub struct Seat {
    pub holder: Option<String>,
    pub bought: bool,
}

/// What can be said to a seat.
#[derive(Clone, Serializable)]
pub enum SeatMessage {
    Hold { by: String },
    Buy { by: String },
    Expire,
}

/// Why a seat isn't to be had: a caller gets it back by its type.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    Taken { by: String },
    NotHeld,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { by } => write!(f, "{by} has it"),
            Self::NotHeld => f.write_str("hold it first"),
        }
    }
}

impl Error for Refusal {}

impl StateMachine for Seat {
    type Node = Hall;
    type Message = SeatMessage;

    /// What it does is one transaction: if it returns an error, nothing has happened.
    fn handle(
        &mut self,
        message: SeatMessage,
        cx: &mut Context<'_, Self>,
    ) -> Result<(), Rejection> {
        match message {
            SeatMessage::Hold { by } => {
                self.refuse_others(&by)?;
                self.holder = Some(by);
                if !self.bought {
                    // It survives a restart, and replaces the one before.
                    cx.timer("hold", cx.now() + secs(60), SeatMessage::Expire);
                }
            }
            SeatMessage::Buy { by } => {
                self.refuse_others(&by)?;
                if self.holder.is_none() {
                    return Err(Refusal::NotHeld.into());
                }
                self.bought = true;
                cx.cancel("hold");
            }
            SeatMessage::Expire => self.holder = None,
        }
        Ok(())
    }
}

impl Seat {
    fn refuse_others(&self, by: &str) -> Result<(), Refusal> {
        match &self.holder {
            Some(holder) if holder != by => Err(Refusal::Taken { by: holder.clone() }),
            _ => Ok(()),
        }
    }
}

impl Hall {
    /// A hall with three seats.
    pub fn new() -> Self {
        let seats = ["a1", "a2", "a3"].into_iter();
        Self {
            seats: seats.map(|seat| (Id::new(seat), Seat::default())).collect(),
        }
    }

    /// The seats that aren't free, as text.
    pub fn taken(&self) -> Vec<String> {
        let taken = |(id, seat): (Id<Seat>, &Seat)| {
            let state = if seat.bought { "bought" } else { "held" };
            Some(format!(
                "{} is {state} by {}",
                id.key(),
                seat.holder.as_ref()?
            ))
        };
        self.seats.iter().filter_map(taken).collect()
    }
}
