//! The tokio runtime of an Amiko node: sockets, framing, acknowledgement, reconnection, and one event loop.
//!
//! A [`Runtime`] owns an [`Engine`](amiko_core::Engine). It feeds the engine commands, lines from peers and due timers.
//! It makes their effects durable with one sync for all inputs that were waiting, and only then sends, answers and
//! notifies. A [`Protocol`] defines the first line of a connection and what a peer's message means to the node. Other
//! tasks and threads talk to the node through a [`Handle`].
//!
//! ```
//! use amiko_core::{Hosts, PublicKey, prelude::*, store::Memory};
//! use amiko_runtime::{NetSettings, Protocol, Runtime, Acceptance};
//!
//! /// Counts what its peer says, over the connection of the same name.
//! #[derive(Clone, Default, Serializable)]
//! #[amiko(key = String)]
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
//! #[amiko(network = Line, reply = u64)]
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
//! let mut settings = NetSettings::default();
//! settings.listen = Some(([127, 0, 0, 1], 0).into());
//! let runtime = Runtime::bind(engine, Counting, settings).await?;
//! let handle = runtime.handle();
//! let running = tokio::spawn(runtime.run());
//!
//! let seven = Counters::envelope(Id::<Counter>::new("one"), Count::Up { by: 7 });
//! assert_eq!(handle.command(seven).await?, [7]);
//! handle.stop();
//! let engine = running.await??;
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
//! [`Runtime::bind`] speaks plain TCP, where anybody on the path can read and change everything. [`Runtime::bind_with`]
//! takes another [`Transport`]: [`Noise`] encrypts everything, and [`Protocol::accept`] gets the key of the peer that
//! dialled.
//!
//! # What a user may rely on
//!
//! - Nothing leaves before the commit that caused it is on disk: no message, confirmation, answer or notice. Only
//!   [`Durability`] can relax this. A failed sync ends the loop.
//! - While a thread of the runtime makes the last group of events durable, further events run.
//! - On one socket no message is sent twice, or before an earlier one.
//! - Due timers run before commands and lines.
//! - Every queue is bounded: see [`NetSettings`]. A peer that sends more than the node can take has to wait.
//!
//! Invariant of the crate: the outbox in the engine is the only queue of messages to a peer. A socket holds the one
//! batch of lines that is being written, and its position in the outbox.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod disk;
mod error;
mod handle;
#[cfg(feature = "net")]
mod noise;
mod places;
mod rate;
mod runtime;
mod settings;
mod socket;
mod sockets;
#[cfg(feature = "net")]
mod tcp;
mod transport;

pub use amiko_core::conversation::{
    Acceptance, ConversationSettings, DialError, Dialect, Disconnect, Event, LineError, Protocol, ProtocolError,
    Refusal, Unsendable,
};
pub use error::{BindError, CommandError, RunError, Stopped};
pub use handle::Handle;
#[cfg(feature = "net")]
pub use noise::{Noise, NoiseError, NoiseStream, SecretKey};
pub use runtime::Runtime;
pub use settings::{Clock, Durability, Log, NetSettings};
#[cfg(feature = "net")]
pub use tcp::Tcp;
pub use transport::{Stream, Transport};
