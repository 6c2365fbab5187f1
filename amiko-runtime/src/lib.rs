//! The runtime of an Amiko node, on tokio: one event loop, its callers, and its peers.
//!
//! A [`Runtime`] owns an [`Engine`](amiko_core::Engine). It feeds the engine commands, lines from peers and due timers. It
//! makes their effects durable with one sync for all inputs that were waiting, and only then sends, answers and notifies.
//! Other tasks and threads talk to the node through a [`Handle`].
//!
//! ```
//! use amiko_core::{prelude::*, store::Memory};
//! use amiko_runtime::Runtime;
//!
//! #[derive(Clone, Serializable)]
//! #[amiko(key = String, reply = u64)]
//! struct Item { stock: u64 }
//!
//! #[derive(Clone, Serializable)]
//! enum ItemMessage { Take { count: u64 } }
//!
//! /// What a caller gets back by its type.
//! #[derive(Debug, PartialEq)]
//! struct Shortage { available: u64 }
//! # impl std::fmt::Display for Shortage {
//! #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
//! #         write!(f, "only {} are left", self.available)
//! #     }
//! # }
//! # impl std::error::Error for Shortage {}
//!
//! impl StateMachine for Item {
//!     type Node = Shop;
//!     type Message = ItemMessage;
//!
//!     fn handle(&mut self, ItemMessage::Take { count }: ItemMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
//!         self.stock = self.stock.checked_sub(count).ok_or(Shortage { available: self.stock })?;
//!         cx.reply(self.stock);
//!         Ok(())
//!     }
//! }
//!
//! #[derive(Clone, Default, Serializable, Node)]
//! struct Shop { #[amiko(machines)] items: Table<Item> }
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let engine = Engine::open_with(Memory::new(), Settings::default(), || {
//!     Shop { items: [(Id::new("nuts"), Item { stock: 9 })].into_iter().collect() }
//! })?;
//! let (shop, running) = Runtime::new(engine).spawn();
//!
//! let nuts = Id::<Item>::new("nuts");
//! assert_eq!(shop.send(&nuts, ItemMessage::Take { count: 2 }).await?, 7);
//! // Sent again under the same key, a command doesn't act again.
//! assert_eq!(shop.send(&nuts, ItemMessage::Take { count: 2 }).key("request-4711").await?, 5);
//! assert_eq!(shop.send(&nuts, ItemMessage::Take { count: 2 }).key("request-4711").await?, 5);
//!
//! let error = shop.send(&nuts, ItemMessage::Take { count: 6 }).await.unwrap_err();
//! assert_eq!(error.downcast_ref(), Some(&Shortage { available: 5 }));
//! assert_eq!(error.to_string(), "only 5 are left (in Take to item nuts)");
//!
//! assert_eq!(shop.read(|shop| shop.items.len()).await?, 1);
//! shop.stop();
//! let engine = running.await?;
//! # drop(engine);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In a service, the last lines are `running.until_signal().await?`, which stops the node when the process is told to stop.
//! [`Runtime::thread`] is for programs that aren't async.
//!
//! # Peers
//!
//! A [`Protocol`] defines the first line of a connection, and what a peer's message means to the node.
//!
//! ```
//! use amiko_core::{PublicKey, prelude::*, store::Memory};
//! use amiko_runtime::{Acceptance, Protocol, Runtime, RuntimeSettings, Tcp};
//!
//! /// Counts what its peer says, over the connection of the same name.
//! #[derive(Clone, Default, Serializable)]
//! #[amiko(key = String, reply = u64)]
//! struct Counter { count: u64 }
//!
//! #[derive(Clone, Serializable)]
//! enum Count { Up { by: u64 } }
//!
//! impl StateMachine for Counter {
//!     type Node = Counters;
//!     type Message = Count;
//!
//!     fn handle(&mut self, Count::Up { by }: Count, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
//!         self.count = self.count.checked_add(by).ok_or(Rejection::new("the counter is full"))?;
//!         cx.reply(self.count);
//!         Ok(())
//!     }
//! }
//!
//! #[derive(Clone, Default, Serializable, Node)]
//! #[amiko(network = Line)]
//! struct Counters { #[amiko(machines)] counters: Table<Counter> }
//!
//! /// What peers say.
//! #[derive(Clone, Serializable)]
//! enum Line { Hello { name: String }, Up { by: u64 } }
//!
//! struct Counting;
//!
//! impl Protocol for Counting {
//!     type Node = Counters;
//!
//!     fn hello(&self, _: &Counters, to: &Id<Connection<Counters>>, _: [u8; 4]) -> Result<Line, Rejection> {
//!         Ok(Line::Hello { name: to.key().clone() })
//!     }
//!
//!     fn accept(&self, _: &Counters, _: Option<PublicKey>, hello: Line) -> Result<Acceptance<Counters>, Rejection> {
//!         let Line::Hello { name } = hello else { return Err(Rejection::new("expected a hello")) };
//!         Ok(Acceptance { connection: Id::new(name), tie_breaker: None, event: None })
//!     }
//!
//!     fn envelope(&self, _: &Counters, from: &Id<Connection<Counters>>, line: Line) -> Result<CountersEnvelope, Rejection> {
//!         let Line::Up { by } = line else { return Err(Rejection::new("expected a number")) };
//!         Ok(Counters::envelope(Id::<Counter>::new(from.key().clone()), Count::Up { by }))
//!     }
//! }
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let engine = Engine::open_with(Memory::new(), Settings::default(), || {
//!     Counters { counters: [(Id::new("one"), Counter::default())].into_iter().collect() }
//! })?;
//! let mut settings = RuntimeSettings::default();
//! settings.listen = Some(([127, 0, 0, 1], 0).into());
//! let runtime = Runtime::with_settings(engine, settings).with_network(Counting, Tcp).await?;
//! let (counters, running) = runtime.spawn();
//!
//! assert_eq!(counters.send(&Id::<Counter>::new("one"), Count::Up { by: 7 }).await?, 7);
//! counters.stop();
//! let engine = running.await?;
//! assert_eq!(engine.node().counters.get(&Id::new("one")).map(|counter| counter.count), Some(7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # On the wire
//!
//! One JSON object per line: see [`amiko_core::conversation`], whose conversations this crate carries over sockets.
//!
//! # Who is who
//!
//! On plain [`Tcp`], anybody on the path can read and change everything. [`Noise`] is a [`Transport`] that encrypts
//! everything, and [`Protocol::accept`] gets the key of the peer that dialled.
//!
//! # What a user may rely on
//!
//! - Nothing leaves before the commit that caused it is on disk: no message, confirmation, answer or notice. Only
//!   [`Durability`] can relax this. A failed sync ends the loop.
//! - While a thread makes the last group of events durable, further events run. A sync that is quick is done in the loop, while
//!   nothing else waits.
//! - On one socket no message is sent twice, or before an earlier one.
//! - Due timers run before commands and lines that came after their time, in slices of [`RuntimeSettings::timer_slice`].
//! - Whoever watches and is slow misses notices, and is told how many; nobody waits for it.
//! - Every queue is bounded: see [`RuntimeSettings`]. A peer that sends more than the node can take has to wait.
//!
//! Invariant of the crate: the outbox in the engine is the only queue of messages to a peer. A socket holds the one
//! batch of lines that is being written, and its position in the outbox.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod blocking;
mod disk;
mod error;
mod handle;
mod log_limit;
mod member;
#[cfg(feature = "net")]
mod noise;
pub mod observe;
mod offline;
mod performing;
mod places;
mod rate;
mod running;
mod runtime;
mod settings;
mod socket;
mod sockets;
#[cfg(feature = "net")]
mod tcp;
mod transport;
mod watching;

pub use amiko_core::calls::Standing;
pub use amiko_core::conversation::{
    Acceptance, ConversationSettings, DialError, Dialect, Disconnect, Draw, Event, LineError, Protocol, ProtocolError,
    Refusal, Unsendable,
};
pub use blocking::{BlockingHandle, Thread};
pub use error::{AskError, BindError, RunError, SendError};
pub use handle::{Handle, Sending};
pub use log_limit::{LogLimit, LogSum};
pub use member::{Member, MemberError, Replica};
#[cfg(feature = "net")]
pub use noise::{Noise, NoiseError, NoiseStream, SecretKey};
pub use offline::Offline;
pub use performing::{Attempt, EffectState, Performer};
pub use running::{Running, stop_signal};
pub use runtime::Runtime;
pub use settings::{Clock, Durability, Log, RuntimeSettings, open_files};
#[cfg(feature = "net")]
pub use tcp::Tcp;
pub use transport::{Stream, Transport};
pub use watching::{Missed, Notices, Watched};
