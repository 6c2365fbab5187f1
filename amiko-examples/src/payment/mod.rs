//! A payment network: nodes that hold channels with their neighbours and route payments over each other.
//!
//! Each object is a machine and exchanges messages with the others. A payment is a [`Payer`] on one node and a
//! [`Payee`] on another. Between them, two half-routes lead to a [`MeetingPoint`], with a [`Transaction`] on each node
//! that they pass. [`Link`]s hold the [`Channel`]s whose money moves, and talk to the neighbours.
//!
//! Any crate can add a class of [`Channel`]; [`PlainChannel`], [`IouChannel`] and [`PrototypeIouChannel`] are here. [`PaymentLimits`] bounds
//! what others may take of a node.
//!
//! Invariant: money is on one side of a channel, in one of its reservations, or locked in it; no event changes their sum.

mod bitcoin;
mod books;
mod channel;
mod clock;
mod funds;
mod invitation;
mod iou_channel;
mod limits;
mod link;
mod meeting_point;
mod messages;
mod names;
mod network;
mod node;
mod opening;
mod payee;
mod payer;
mod plain_channel;
mod protocol;
mod prototype_iou_channel;
mod refused_channel;
mod sabotage;
mod taking_back;
mod token;
mod transaction;
mod twelve;
mod url;

pub use bitcoin::{BitcoinError, PayoutAddress, RawTransaction};
pub use channel::{Channel, ChannelMessage, ChannelState, Surroundings, new_channel};
pub use funds::{Claims, Direction, Funds, Reservation};
pub use invitation::{Invitation, InvitationError};
pub use iou_channel::{IouChannel, IouCredit, IouWithdraw};
pub use limits::PaymentLimits;
pub use link::{Link, LinkMessage, Route};
pub use meeting_point::{MeetingPoint, MeetingPointMessage};
pub use messages::Message;
pub use network::{Network, NetworkError};
pub use node::{
    Notice, Outcome, PaymentNode, PaymentNodeEnvelope, PaymentNodeMessage, PaymentNodeUndo, PaymentRecord, Reply, Role,
};
pub use payee::{Payee, PayeeMessage, PayeePhase};
pub use payer::{Payer, PayerMessage, PayerPhase};
pub use plain_channel::{PlainChannel, PlainDeposit, PlainWithdraw};
pub use protocol::PaymentProtocol;
pub use prototype_iou_channel::{PrototypeIouAddress, PrototypeIouChannel, PrototypeIouWithdrawTransaction};
pub use refused_channel::RefusedChannel;
pub use token::{RouteId, Token, TransactionId};
pub use transaction::{Neighbour, Transaction, TransactionKey, TransactionMessage, TransactionPhase};
pub use twelve::{LINKS, MEETING_POINT, twelve_nodes};
pub use url::{Address, LinkUrl, PaymentUrl, UrlError};

/// The connection of a link or a payment.
pub type ConnectionId = amiko_core::Id<amiko_core::Connection<PaymentNode>>;
