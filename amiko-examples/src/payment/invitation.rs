//! Who may speak for a link: once, anyone with the secret, which binds the link to a key; from then on only that key.
//!
//! Invariant: either a link has its neighbour's key, and only that key may speak for it; or it waits for the first peer
//! that shows the secret of its invitation. The commit that binds the key uses the secret up. Only a network without
//! keys accepts anybody.

use super::link::connection;
use super::{Link, LinkUrl, PaymentNode, Reply};
use amiko_core::prelude::*;
use amiko_core::{PeerAddress, PublicKey};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;

/// Bytes in the secret of an invitation.
const SECRET: usize = 16;

/// The secret of an invitation: its holder may bind a link to its key.
#[derive(Debug, Clone, Serializable)]
#[amiko(transparent)]
pub struct Invitation(Secret<[u8; SECRET]>);

impl Invitation {
    /// The invitation with these bytes.
    pub fn new(bytes: [u8; SECRET]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Its text, for the URL that is sent to the neighbour. The caller is responsible for where it goes.
    pub fn expose(&self) -> String {
        hex::encode(self.0.expose())
    }
}

/// Compares in constant time.
impl PartialEq for Invitation {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose().ct_eq(other.0.expose()).into()
    }
}

impl Eq for Invitation {}

/// A text that isn't the secret of an invitation. The error doesn't show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvitationError;

impl fmt::Display for InvitationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an invitation of 32 hex digits, found something else")
    }
}

impl std::error::Error for InvitationError {}

impl FromStr for Invitation {
    type Err = InvitationError;

    fn from_str(text: &str) -> Result<Self, InvitationError> {
        let digits = text.len() == 2 * SECRET && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bytes = if digits { hex::decode_to_array(text).ok() } else { None };
        bytes.map(Self::new).ok_or(InvitationError)
    }
}

type Cx<'a> = Context<'a, Link>;

impl Link {
    /// The link before its neighbour's address is known.
    #[must_use]
    pub fn without_peer(self) -> Self {
        Self { remote_id: None, peer: None, key: None, invitation: None, ..self }
    }

    /// The address at which the runtime dials the neighbour, with the expected key.
    pub(super) fn dial(&self) -> Option<String> {
        let place = self.peer.clone()?;
        Some(self.key.map_or(place.clone(), |key| PeerAddress::Mutual { key, place }.to_string()))
    }

    /// Whether a peer with this key, or none, and this secret, or none, may speak for the link. Returns whether that
    /// binds the link to it.
    pub(super) fn admit(
        &self,
        node: &PaymentNode,
        key: Option<PublicKey>,
        shown: Option<&Invitation>,
    ) -> Result<bool, Rejection> {
        let refused = |reason: String| Err(Rejection::new(reason));
        match (self.key, key) {
            (Some(known), Some(key)) if known == key => Ok(false),
            (Some(_), Some(_)) if shown.is_some() => {
                refused("expected an invitation that wasn't used, found one of a link that has its neighbour".into())
            }
            (Some(_), Some(key)) => refused(format!(
                "expected the key of the neighbour, found {key}: if the neighbour has a new key, renew the link"
            )),
            (None, Some(key)) => match (&self.invitation, shown) {
                (Some(expected), Some(shown)) if expected == shown => Ok(true),
                (Some(_), Some(_)) => refused(format!("expected the secret of the invitation, found another of {key}")),
                (Some(_), None) => refused(format!("expected the secret of the invitation, found none of {key}")),
                (None, _) => refused(format!("expected nobody, found {key}: invite a neighbour by renewing the link")),
            },
            (None, None) if node.key.is_none() => Ok(false),
            (_, None) => refused("expected a neighbour that shows its key, found an anonymous one".into()),
        }
    }

    /// The neighbour has sent its name. Its address is accepted only the first time.
    pub(super) fn dialled(
        &mut self,
        (key, invitation): (Option<PublicKey>, Option<&Invitation>),
        peer: Option<String>,
        remote_id: Id<Self>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Rejection> {
        if self.admit(cx.node(), key, invitation)? {
            self.key = key;
            self.invitation = None;
        }
        match &self.remote_id {
            Some(known) if *known != remote_id => {
                return Err(Rejection::new(format!("expected the neighbour's {known}, found its {remote_id}")));
            }
            Some(_) => {}
            None => {
                self.remote_id = Some(remote_id);
                if self.peer.is_none() {
                    self.peer = peer;
                }
                cx.connect(&connection(cx.id()), self.dial().as_deref());
            }
        }
        Ok(())
    }

    /// Forgets the neighbour of the link. The new one is the sender of this invitation, or the first peer that shows
    /// the one made here.
    pub(super) fn bind(&mut self, to: Option<LinkUrl>, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let made = if to.is_none() && cx.node().key.is_some() { Some(Invitation::new(cx.random())) } else { None };
        (self.key, self.peer, self.remote_id, self.invitation) = match to {
            Some(to) => (to.key, Some(to.address.to_string()), Some(to.link), to.invitation),
            None => (None, None, None, made),
        };
        let url = self.url(cx.id(), cx.node())?;
        cx.connect(&connection(cx.id()), self.dial().as_deref());
        cx.reply(Reply::Url { url: url.to_string() });
        Ok(())
    }

    /// Whether nobody has used the link yet that was made of this invitation, or of none: then its URL may be shown again.
    pub(super) fn waits_for(&self, to: Option<&LinkUrl>) -> bool {
        match to {
            None => self.key.is_none() && self.peer.is_none() && self.remote_id.is_none(),
            Some(to) => {
                let place = Some(to.address.to_string());
                self.key == to.key && self.peer == place && self.remote_id.as_ref() == Some(&to.link)
            }
        }
    }

    /// The URL to send to the neighbour, with the secret if it waits for one.
    pub(super) fn url(&self, name: &Id<Self>, node: &PaymentNode) -> Result<LinkUrl, Rejection> {
        // With a key, it is the neighbour's secret.
        let invitation = if self.key.is_none() { self.invitation.clone() } else { None };
        Ok(LinkUrl { key: node.key, address: node.own_address()?, link: name.clone(), invitation })
    }

    /// The neighbour has sent something, so it knows us: the invitation needn't be shown any more.
    pub(super) fn heard(&mut self) {
        if self.key.is_some() {
            self.invitation = None;
        }
    }
}
