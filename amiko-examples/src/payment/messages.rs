//! The messages between nodes, with their names on the wire as the protocol defines them.

use super::{ChannelMessage, Invitation, Link, MeetingPoint, Payee, Token, TransactionId};
use amiko_core::prelude::*;

/// A message between two nodes. Times are Unix seconds, amounts are satoshi.
#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(rename_all_fields = "camelCase")]
pub enum Message {
    /// The dialler's first line on a link.
    ConnectLink {
        /// The receiver's name of the link.
        #[amiko(rename = "ID")]
        id: Id<Link>,
        /// The tie-breaker: if both sides dial at once, the socket with the larger dice stays.
        dice: [u8; 4],
        /// Where the sender can be dialled.
        callback_host: Option<String>,
        /// Where the sender can be dialled.
        callback_port: Option<u16>,
        /// The sender's name of the link.
        #[amiko(rename = "callbackID")]
        callback_id: Id<Link>,
    },
    /// The dialler's first line on a link that it uses for the first time, on a network with keys: it shows its invitation.
    AcceptInvitation {
        /// The receiver's name of the link.
        #[amiko(rename = "ID")]
        id: Id<Link>,
        /// The secret of the invitation.
        invitation: Invitation,
        /// The tie-breaker: if both sides dial at once, the socket with the larger dice stays.
        dice: [u8; 4],
        /// Where the sender can be dialled.
        callback_host: Option<String>,
        /// Where the sender can be dialled.
        callback_port: Option<u16>,
        /// The sender's name of the link.
        #[amiko(rename = "callbackID")]
        callback_id: Id<Link>,
    },
    /// The payer's first line.
    Pay {
        /// The payment.
        #[amiko(rename = "ID")]
        id: Id<Payee>,
    },
    /// A new channel on a link.
    Deposit {
        /// Its index: the next one.
        channel_index: u32,
        /// Its class.
        channel_class: String,
    },
    /// A channel's own message to its other side.
    ChannelMessage {
        /// Which channel.
        channel_index: u32,
        /// The message.
        message: Box<dyn ChannelMessage>,
    },
    /// The terms of the payment, from the payee to the payer.
    Receipt {
        /// How much.
        amount: u64,
        /// For what.
        receipt: String,
        /// The hash of the token that will commit the payment.
        #[amiko(rename = "transactionID")]
        transaction_id: TransactionId,
        /// The meeting points that the payee accepts.
        meeting_points: Vec<Id<MeetingPoint>>,
    },
    /// The payer agrees.
    Confirm {
        /// The meeting point that the payer has chosen.
        #[amiko(rename = "meetingPointID")]
        meeting_point_id: Id<MeetingPoint>,
    },
    /// One end cancels the payment.
    Cancel,
    /// Looks for a half-route.
    MakeRoute {
        /// How much is to be carried.
        amount: u64,
        /// Which transaction.
        #[amiko(rename = "transactionID")]
        transaction_id: TransactionId,
        /// From when the amount is to be locked; known on the payee's side.
        start_time: Option<u64>,
        /// Until when the amount is to be locked; known on the payee's side.
        end_time: Option<u64>,
        /// Where the halves meet.
        #[amiko(rename = "meetingPointID")]
        meeting_point_id: Id<MeetingPoint>,
        /// Which channel of the link carries it.
        channel_index: u32,
        /// Which half.
        is_payer_side: bool,
    },
    /// The half-route was found.
    HaveRoute {
        /// Which transaction; none from payee to payer.
        #[amiko(rename = "transactionID")]
        transaction_id: Option<TransactionId>,
        /// Which half.
        is_payer_side: bool,
        /// From when the amount is to be locked.
        start_time: Option<u64>,
        /// Until when the amount is to be locked.
        end_time: Option<u64>,
    },
    /// There is no half-route over this link.
    HaveNoRoute {
        /// Which transaction.
        #[amiko(rename = "transactionID")]
        transaction_id: TransactionId,
        /// Which half.
        is_payer_side: bool,
    },
    /// A half-route isn't wanted any more.
    CancelRoute {
        /// Which transaction.
        #[amiko(rename = "transactionID")]
        transaction_id: TransactionId,
        /// Which half.
        is_payer_side: bool,
    },
    /// The reserved amount is now locked.
    Lock {
        /// Which transaction.
        #[amiko(rename = "transactionID")]
        transaction_id: TransactionId,
        /// Which half.
        is_payer_side: bool,
        /// How much.
        amount: u64,
        /// From when.
        start_time: Option<u64>,
        /// Until when.
        end_time: Option<u64>,
        /// On which channel of the link.
        channel_index: u32,
    },
    /// The payee was reached: a node that sees the token may settle.
    RequestCommit {
        /// The token.
        token: Token,
        /// Which half.
        is_payer_side: bool,
    },
    /// The locked amount belongs to the receiver.
    SettleCommit {
        /// The token.
        token: Token,
        /// Which half; none from payee to payer.
        is_payer_side: Option<bool>,
    },
    /// The locked amount goes back.
    SettleRollback {
        /// Which transaction.
        #[amiko(rename = "transactionID")]
        transaction_id: TransactionId,
        /// Which half.
        is_payer_side: bool,
    },
}
