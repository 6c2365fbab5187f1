//! Channels that pay one another: the data and the work of the comparisons.
//!
//! Invariant: the same numbers in each run and for each contender.

use amiko_core::Map;
use amiko_core::Version;
use amiko_core::engine::EventError;
use amiko_core::prelude::*;
use amiko_core::store::Store;

/// Ten fields, three strings, a nested map.
#[derive(Clone, Debug, PartialEq, Serializable)]
#[amiko(key = u64)]
#[allow(missing_docs)]
pub struct Channel {
    pub id: u64,
    pub owner: String,
    pub peer: String,
    pub note: String,
    pub capacity: u64,
    pub balance: i64,
    pub fee: u32,
    pub open: bool,
    pub updated: u64,
    pub holds: Map<String, u64>,
}

/// Numbers without a pattern (SplitMix64), the same in each run.
fn number(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn name(seed: u64) -> String {
    format!("{:016x}{:016x}", number(seed), number(seed + 1))
}

/// One in eight needs escapes.
fn note(seed: u64) -> String {
    let who = if seed.is_multiple_of(8) { "\"the others\"" } else { "the others" };
    format!("rent and food for the month after next, as agreed upon by {who} on the phone last Sunday, part {seed}")
}

/// The key of the object of this number.
fn key(seed: u64) -> u64 {
    seed * 1_000_003
}

/// The object of this number, with so many entries in its map.
pub fn channel(seed: u64, holds: u64) -> Channel {
    let at = key(seed);
    Channel {
        id: at,
        owner: name(at),
        peer: name(at + 2),
        note: note(seed),
        capacity: number(at + 4) >> 30,
        balance: (number(at + 5) >> 32) as i64 - (1 << 31),
        fee: (number(at + 6) >> 50) as u32,
        open: number(at + 7).is_multiple_of(2),
        updated: 1_700_000_000_000 + (number(at + 8) >> 30),
        holds: (0..holds).map(|hold| (name(at + 10 + 2 * hold), number(at + hold) >> 34)).collect(),
    }
}

/// Entries in the map of each object of a state.
pub const HOLDS: u64 = 6;

/// All objects of a state, in the order of their keys.
pub fn channels(count: u64) -> impl Iterator<Item = Channel> {
    (0..count).map(|seed| channel(seed, HOLDS))
}

/// The state of Amiko.
#[derive(Clone, Default, Serializable, Node)]
pub struct Channels {
    /// All channels.
    #[amiko(machines)]
    pub channels: Table<Channel>,
}

impl Channels {
    /// A state of so many objects.
    pub fn of(count: u64) -> Self {
        Self { channels: channels(count).map(|channel| (Id::new(channel.id), channel)).collect() }
    }
}

/// The most that a channel receives at once.
pub const MOST_RECEIVED: i64 = 1 << 10;

/// What can be said to a channel.
#[derive(Clone, Serializable)]
pub enum ChannelMessage {
    /// Pays another channel, for a fee that a third one knows.
    Pay {
        /// Without the fee.
        amount: i64,
        /// Who knows the fee.
        through: Id<Channel>,
        /// Who is paid.
        to: Id<Channel>,
    },
    /// Is paid.
    Receive {
        /// How much.
        amount: i64,
    },
}

impl StateMachine for Channel {
    type Node = Channels;
    type Message = ChannelMessage;

    fn handle(&mut self, message: ChannelMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            ChannelMessage::Pay { amount, through, to } => {
                self.balance -= amount + i64::from(cx.expect(&through)?.fee);
                cx.send(&to, ChannelMessage::Receive { amount });
            }
            ChannelMessage::Receive { amount } if amount > MOST_RECEIVED => return Err(Rejection::new("too much")),
            ChannelMessage::Receive { amount } => self.balance += amount,
        }
        Ok(())
    }
}

/// One event: three objects are read, and two of them changed.
pub struct Payment {
    /// Who pays.
    pub from: u64,
    /// Who knows the fee.
    pub through: u64,
    /// Who is paid.
    pub to: u64,
    /// How much.
    pub amount: i64,
    /// When.
    pub time: u64,
}

/// The payment of this number, among so many objects.
pub fn payment(event: u64, count: u64) -> Payment {
    let from = number(3 * event) % count;
    // Never the one that pays.
    let other = |which| key((from + 1 + number(3 * event + which) % (count - 1)) % count);
    let amount = (number(event) >> 54) as i64;
    Payment { from: key(from), through: other(1), to: other(2), amount, time: 1_800_000_000_000 + event }
}

/// Sends a payment to the channel that pays.
///
/// # Errors
/// It is more than a channel receives.
pub fn send<S: Store>(engine: &mut Engine<Channels, S>, payment: &Payment) -> Result<Version, EventError> {
    let Payment { from, through, to, amount, time } = *payment;
    let message = ChannelMessage::Pay { amount, through: Id::new(through), to: Id::new(to) };
    engine.send(&Id::new(from), message, Time::from_millis(time))
}
