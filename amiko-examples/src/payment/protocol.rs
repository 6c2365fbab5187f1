//! Identities on the wire: which connection a peer speaks for, and what its messages mean to the node.
//!
//! Invariant: an ID that a peer sends as its own isn't trusted; a message goes to the object that its connection belongs to.

use super::{
    Address, ConnectionId, Link, LinkMessage, Message, Payee, PayeeMessage, Payer, PayerMessage, PaymentNode,
    PaymentNodeEnvelope, link, payee, payer, url,
};
use amiko_core::prelude::*;
use amiko_core::{Acceptance, Draw, Protocol, PublicKey};

/// The payment protocol, for the runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct PaymentProtocol;

impl Protocol for PaymentProtocol {
    type Node = PaymentNode;

    fn draw(&self, node: &PaymentNode, connection: &ConnectionId, random: [u8; 4]) -> Draw<PaymentNode> {
        let id: Id<Link> = Id::new(connection.key().clone());
        let link = node.links.get(&id);
        match link.and_then(|link| node.network.next_dice(link.dice, random)) {
            Some(dice) => {
                let event = Some(PaymentNodeEnvelope::Link(id, LinkMessage::Drawn { dice }));
                Draw { tie_breaker: dice.to_be_bytes(), event }
            }
            None => Draw { tie_breaker: random, event: None },
        }
    }

    fn hello(&self, node: &PaymentNode, connection: &ConnectionId, dice: [u8; 4]) -> Result<Message, Rejection> {
        if connection.key().ends_with(payer::SUFFIX) {
            let payer: Id<Payer> = Id::new(connection.key().clone());
            return Ok(Message::Pay { id: Id::new(payer::payment(&payer)) });
        }
        let callback_id: Id<Link> = Id::new(connection.key().clone());
        let none = || Rejection::new(format!("expected a link with a known neighbour, found none for {connection}"));
        let link = node.links.get(&callback_id).ok_or_else(none)?;
        let id = link.remote_id.clone().ok_or_else(none)?;
        let address = node.address.as_ref();
        let (callback_host, callback_port) = (address.map(|own| own.host.clone()), address.map(|own| own.port));
        Ok(match &link.invitation {
            // The neighbour shows our invitation to us; we don't show it ourselves.
            Some(invitation) if link.key.is_some() => {
                let invitation = invitation.clone();
                Message::AcceptInvitation { id, invitation, dice, callback_host, callback_port, callback_id }
            }
            _ => Message::ConnectLink { id, dice, callback_host, callback_port, callback_id },
        })
    }

    fn accept(
        &self,
        node: &PaymentNode,
        peer: Option<PublicKey>,
        hello: Message,
    ) -> Result<Acceptance<PaymentNode>, Rejection> {
        let (invitation, (id, dice, host, port, remote_id)) = match hello {
            Message::ConnectLink { id, dice, callback_host, callback_port, callback_id } => {
                (None, (id, dice, callback_host, callback_port, callback_id))
            }
            Message::AcceptInvitation { id, invitation, dice, callback_host, callback_port, callback_id } => {
                (Some(invitation), (id, dice, callback_host, callback_port, callback_id))
            }
            Message::Pay { id } => {
                if !node.payees.contains(&id) {
                    return Err(Rejection::new(format!("expected a payment that this node asked for, found {id}")));
                }
                let connection = payee::connection(&id);
                let event = PaymentNodeEnvelope::Payee(id, PayeeMessage::Dialled);
                return Ok(Acceptance { connection, tie_breaker: None, event: Some(event) });
            }
            other => {
                let name = link::name(&other);
                return Err(Rejection::new(format!("expected ConnectLink or Pay first, found {name}")));
            }
        };
        let (id, known) = link_of(node, id)?;
        known.admit(node, peer, invitation.as_ref())?;
        if known.remote_id.as_ref().is_some_and(|known| *known != remote_id) {
            return Err(Rejection::new(format!("expected the neighbour of {id}, found its {remote_id}")));
        }
        node.limits.expect_remote_link_name(remote_id.key())?;
        let place = match (host, port) {
            (Some(host), Some(port)) => {
                let address = Address { host, port }.to_string();
                Some(address.parse::<Address>().map_err(|error| Rejection::new(error.to_string()))?.to_string())
            }
            _ => None,
        };
        let connection = link::connection(&id);
        let message = LinkMessage::Dialled { key: peer, invitation, peer: place, remote_id };
        Ok(Acceptance { connection, tie_breaker: Some(dice), event: Some(PaymentNodeEnvelope::Link(id, message)) })
    }

    fn envelope(
        &self,
        node: &PaymentNode,
        connection: &ConnectionId,
        message: Message,
    ) -> Result<PaymentNodeEnvelope, Rejection> {
        let name = connection.key();
        let payer: Id<Payer> = Id::new(name.clone());
        let payee: Id<Payee> = Id::new(name.clone());
        if name.ends_with(payer::SUFFIX) && node.payers.contains(&payer) {
            return Ok(PaymentNodeEnvelope::Payer(payer, PayerMessage::Remote { message }));
        }
        if node.payees.contains(&payee) {
            return Ok(PaymentNodeEnvelope::Payee(payee, PayeeMessage::Remote { message }));
        }
        let id: Id<Link> = Id::new(name.clone());
        if node.links.contains(&id) {
            return Ok(PaymentNodeEnvelope::Link(id, LinkMessage::Remote { message }));
        }
        Err(Rejection::new("the payment that this was about has ended"))
    }

    fn clock(
        &self,
        node: &PaymentNode,
        connection: &ConnectionId,
        ours: Time,
        theirs: Time,
    ) -> Option<PaymentNodeEnvelope> {
        // Those who only pay each other share no time-out.
        let id: Id<Link> = Id::new(connection.key().clone());
        let ahead = node.links.get(&id)?.clock_changed(ours, theirs)?;
        Some(PaymentNodeEnvelope::Link(id, LinkMessage::Clock { ahead }))
    }
}

/// The link that a neighbour calls so.
fn link_of(node: &PaymentNode, id: Id<Link>) -> Result<(Id<Link>, &Link), Rejection> {
    let named = |id: Id<Link>| node.links.get(&id).map(|link| (id, link));
    let decoded = || url::decoded(id.key()).filter(|_| node.network.leaves_urls_encoded()).map(Id::new);
    let found = named(id.clone()).or_else(|| named(decoded()?));
    found.ok_or_else(|| Rejection::new(format!("expected a link of this node, found {id}")))
}
