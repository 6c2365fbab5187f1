//! A state of small objects that set timers and talk to peers.
//!
//! Invariant: each handler changes one small thing, whatever there is beside it.

use amiko_core::prelude::*;

/// Lines that wait for each peer.
pub(super) const LINES: u64 = 10;

/// A small object.
#[derive(Clone, Serializable)]
#[amiko(key = u64, reply = u64)]
pub(super) struct House {
    pub(super) count: u64,
}

#[derive(Clone, Serializable)]
pub(super) enum HouseMessage {
    /// Counts.
    Add { amount: u64 },
    /// Sets its timer, anew if there is one.
    Sleep { until: Time },
    /// Its timer is due.
    Wake {},
    /// Gets a peer, and some lines for it.
    Meet {},
    /// Has a line for its peer.
    Tell {},
}

/// What peers say.
#[derive(Clone, Serializable)]
pub(super) enum Line {
    Say { text: String },
}

impl Line {
    fn new() -> Self {
        Self::Say {
            text: "nothing has happened here since yesterday, but for what everybody has heard of already anyway"
                .into(),
        }
    }
}

impl StateMachine for House {
    type Node = Town;
    type Message = HouseMessage;

    fn handle(&mut self, message: HouseMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let peer = |cx: &Context<'_, Self>| Id::<Connection<Town>>::new(format!("peer/{}", cx.id().key()));
        let add = |count: u64, amount| count.checked_add(amount).ok_or(Rejection::new("the house is full"));
        match message {
            HouseMessage::Add { amount } => {
                self.count = add(self.count, amount)?;
                cx.reply(self.count);
            }
            HouseMessage::Sleep { until } => cx.timer("wake", until, HouseMessage::Wake {}),
            HouseMessage::Wake {} => self.count = add(self.count, 1)?,
            HouseMessage::Meet {} => {
                let peer = peer(cx);
                cx.connect(&peer, None);
                (0..LINES).for_each(|_| cx.transmit(&peer, Line::new()));
            }
            HouseMessage::Tell {} => {
                let peer = peer(cx);
                cx.transmit(&peer, Line::new());
            }
        }
        Ok(())
    }
}

/// The whole state.
#[derive(Clone, Default, Serializable, Node)]
#[amiko(network = Line)]
pub(super) struct Town {
    #[amiko(machines)]
    pub(super) houses: Table<House>,
}

impl Town {
    /// A town of so many houses.
    pub(super) fn of(count: u64) -> Self {
        Self { houses: (0..count).map(|number| (Id::new(number), House { count: number })).collect() }
    }
}

/// The house of the event of this number: large and odd steps, so that they are visited in no simple order.
pub(super) fn house(event: u64, count: u64) -> Id<House> {
    Id::new((event.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16) % count)
}
