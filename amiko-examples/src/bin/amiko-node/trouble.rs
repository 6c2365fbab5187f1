//! What the network says about payments that are beginning: why a payee sends no receipt.
//!
//! Invariant: it only explains. A payment whose trouble is lost ends when its time is over.

use crate::run::Node;
use amiko_core::conversation::{Disconnect, Event};
use amiko_core::prelude::*;
use amiko_core::store::Store;
use amiko_examples::payment::{Outcome, Payer, PayerMessage, PayerPhase, PaymentNode, Role};
use std::collections::HashMap;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Troubles that wait to be told; further ones are lost.
const WAITING: usize = 1_024;

/// What the name of a payer's connection ends with.
const PAYER: &str = "@payer";

/// What happened to the connection of a payer.
pub(crate) struct Trouble {
    connection: String,
    what: What,
}

enum What {
    /// It can't be reached, for this reason.
    Unreachable(String),
    /// It closes the socket.
    Closed,
    /// What it sends isn't taken.
    Refused(String),
}

/// Where events of the network go, and where the troubles among them come out.
pub(crate) fn listen() -> (Ear, Receiver<Trouble>) {
    let (ear, troubles) = mpsc::channel(WAITING);
    (Ear(ear), troubles)
}

pub(crate) struct Ear(Sender<Trouble>);

impl Ear {
    pub(crate) fn hear(&self, event: &Event) {
        let (connection, what) = match event {
            Event::DialFailed { connection, address, error, .. } => {
                let place = address.rsplit('@').next().unwrap_or(address);
                (connection, What::Unreachable(format!("can't connect to the payee at {place}: {error}")))
            }
            Event::Disconnected { connection, reason: Disconnect::Ended | Disconnect::Transport(_), .. } => {
                (connection, What::Closed)
            }
            Event::Disconnected { connection, reason: Disconnect::Protocol(error), .. } => {
                (connection, What::Refused(error.to_string()))
            }
            Event::Rejected { connection, rejection, .. } => (connection, What::Refused(rejection.reason().to_owned())),
            _ => return,
        };
        if connection.ends_with(PAYER) {
            // Full: the payment ends without a reason.
            drop(self.0.try_send(Trouble { connection: connection.clone(), what }));
        }
    }
}

/// Tells payers about their troubles.
pub(crate) async fn tell<S: Store>(mut troubles: Receiver<Trouble>, handle: Node<S>) {
    let mut closed: HashMap<String, u32> = HashMap::new();
    while let Some(Trouble { connection, what }) = troubles.recv().await {
        let payer: Id<Payer> = Id::new(connection.clone());
        let of = payer.clone();
        // Most sockets of payers are closed because the payment has ended.
        let begins =
            move |node: &PaymentNode| node.payers.get(&of).is_some_and(|payer| payer.phase == PayerPhase::Initial);
        if !handle.read(begins).await.unwrap_or(false) {
            closed.remove(&connection);
            continue;
        }
        let (reason, over) = match what {
            What::Unreachable(reason) => (reason, false),
            What::Refused(reason) => (format!("what the payee asks for can't be paid: {reason}"), true),
            What::Closed => {
                if closed.len() >= WAITING {
                    closed.clear();
                }
                let times = closed.entry(connection.clone()).or_default();
                *times += 1;
                // Once may be a node that is just restarting; one that is there and does it again doesn't know it.
                let over = *times > 1;
                if over {
                    closed.remove(&connection);
                }
                (unknown(&handle, &connection).await, over)
            }
        };
        // If it is over already, it needs no reason any more.
        drop(handle.send(&payer, PayerMessage::Trouble { reason, over }).await);
    }
}

/// Why a payee doesn't know a payment, as far as this node can tell.
async fn unknown<S: Store>(handle: &Node<S>, connection: &str) -> String {
    let payment = connection.trim_end_matches(PAYER).to_owned();
    let paid = handle.query(move |engine: &Engine<PaymentNode, S>| {
        let mut records = engine.node().payments.iter().map(|(_, record)| record);
        let paid = |role, outcome| role == Role::Payer && outcome == Outcome::Committed;
        records.any(|record| record.payment == payment && paid(record.role, record.outcome))
    });
    if paid.await.unwrap_or(false) {
        return "this node has paid it already".into();
    }
    "the payee's node doesn't know this payment: it was paid, cancelled or expired, or never requested".into()
}
