//! A payment network: nodes that hold channels with their neighbours and route payments over each other.
//!
//! Each object is a machine of its own and talks to the others by messages. A payment is a [`Payer`] on one node and a
//! [`Payee`] on another; between them, two half-routes of [`Transaction`]s, one on each node that they pass, lead to a
//! [`MeetingPoint`]; [`Link`]s hold the [`Channel`]s whose money moves, and speak with the neighbours.
//!
//! A class of [`Channel`] can be added by any crate; [`PlainChannel`] and [`IouChannel`] are here. What others may take of a
//! node is limited by [`PaymentLimits`].
//!
//! Invariant: money is on one side of a channel, in one of its reservations, or locked in it; no event changes their sum.

mod books;
mod channel;
mod funds;
mod invitation;
mod iou_channel;
mod limits;
mod link;
mod meeting_point;
mod messages;
mod network;
mod node;
mod opening;
mod payee;
mod payer;
mod plain_channel;
mod protocol;
mod sabotage;
mod token;
mod transaction;
mod twelve;
mod url;

pub use channel::{Channel, ChannelMessage, ChannelState, new_channel};
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
pub use token::{RouteId, Token, TransactionId};
pub use transaction::{Neighbour, Transaction, TransactionKey, TransactionMessage, TransactionPhase};
pub use twelve::{LINKS, MEETING_POINT, twelve_nodes};
pub use url::{Address, LinkUrl, PaymentUrl, UrlError};

/// The connection that a link or a payment speaks over.
pub type ConnectionId = amiko_core::Id<amiko_core::Connection<PaymentNode>>;
