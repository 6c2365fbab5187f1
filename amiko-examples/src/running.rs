//! The network of [`twelve_nodes`] in one process: each node with its own engine, store, key, listener and thread.
//!
//! Invariant: nodes reach each other only through their listeners.

use crate::payment::{
    Address, LINKS, LinkUrl, Notice, Outcome, Payer, PayerMessage, PaymentLimits, PaymentNode, PaymentNodeEnvelope,
    PaymentNodeMessage, PaymentProtocol, PaymentRecord, PaymentUrl, Reply, Role, twelve_nodes,
};
use amiko_core::PublicKey;
use amiko_core::prelude::*;
use amiko_core::store::Store;
use amiko_runtime::{Handle, Noise, Notices, Runtime, RuntimeSettings, SecretKey};
use std::error::Error;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// The number of nodes.
const NODES: usize = 12;

type Reason = Box<dyn Error + Send + Sync>;

/// A node of the network failed.
#[derive(Debug)]
pub struct NodeError {
    /// Which one.
    pub node: usize,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node{} failed", self.node)
    }
}

impl Error for NodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.reason)
    }
}

/// A node on its own thread.
struct Running<S: Store> {
    handle: Handle<PaymentNode, S>,
    thread: JoinHandle<Result<(), Reason>>,
}

/// The running nodes.
pub struct RunningNetwork<S: Store>(Vec<Running<S>>);

impl<S> RunningNetwork<S>
where
    S: Store + 'static,
{
    /// Starts the nodes, with these funds on both sides of each link, and lets them dial each other. Each has its own
    /// subdirectory of the given directory, from which `open` makes its store and its key. It listens on a free port.
    ///
    /// # Errors
    /// A node can't be started, or refuses a command.
    pub async fn start<F>(directory: &Path, funds: u64, settings: &RuntimeSettings, open: F) -> Result<Self, NodeError>
    where
        F: Fn(&Path) -> Result<(S, SecretKey), Reason> + Clone + Send + 'static,
    {
        let nowhere: [Address; NODES] = std::array::from_fn(|_| Address { host: "127.0.0.1".into(), port: 0 });
        let mut nodes = Vec::new();
        let mut addresses = Vec::new();
        for (node, mut state) in twelve_nodes(&nowhere, funds).into_iter().enumerate() {
            // The neighbours' addresses are known only when they listen.
            state.links = state.links.iter().map(|(id, link)| (id, link.clone().without_peer())).collect();
            let directory = directory.join(format!("node{node}"));
            let started = start_node(directory, state, settings.clone(), open.clone()).await;
            let (running, address, key) = started.map_err(|reason| NodeError { node, reason })?;
            nodes.push(running);
            addresses.push((address, key));
        }
        for (node, (running, (address, key))) in nodes.iter().zip(addresses).enumerate() {
            running.configure(address, key).await.map_err(|reason| NodeError { node, reason })?;
        }
        for (one, other) in LINKS {
            let (Some(inviting), Some(invited)) = (nodes.get(other), nodes.get(one)) else { continue };
            let invitation = inviting.renew(one, None).await.map_err(|reason| NodeError { node: other, reason })?;
            invited.renew(other, Some(invitation)).await.map_err(|reason| NodeError { node: one, reason })?;
        }
        Ok(Self(nodes))
    }

    /// The handles of the nodes, in order of index.
    pub fn handles(&self) -> impl Iterator<Item = &Handle<PaymentNode, S>> {
        self.0.iter().map(|node| &node.handle)
    }

    /// Stops the nodes, and waits until they have.
    ///
    /// # Errors
    /// A node has failed earlier.
    pub fn stop(self) -> Result<(), NodeError> {
        for (node, running) in self.0.into_iter().enumerate() {
            running.handle.stop();
            let outcome = running.thread.join().unwrap_or_else(|_| Err("its thread panicked".into()));
            outcome.map_err(|reason| NodeError { node, reason })?;
        }
        Ok(())
    }
}

impl<S: Store> Running<S> {
    async fn configure(&self, address: SocketAddr, key: PublicKey) -> Result<(), Reason> {
        let (timeout_increment, external_meeting_points) = self
            .handle
            .query(|engine| (engine.node().timeout_increment, engine.node().external_meeting_points.clone()))
            .await?;
        let message = PaymentNodeMessage::Configure {
            address: Some(Address { host: address.ip().to_string(), port: address.port() }),
            key: Some(key),
            payout_address: None,
            external_meeting_points,
            timeout_increment,
            limits: PaymentLimits::default(),
        };
        self.handle.command(PaymentNodeEnvelope::PaymentNode(message)).await?;
        Ok(())
    }

    /// Invites a neighbour, or accepts its invitation; returns the URL of the link.
    async fn renew(&self, neighbour: usize, to: Option<LinkUrl>) -> Result<LinkUrl, Reason> {
        let message = PaymentNodeMessage::RenewLink { link: Id::new(format!("link_to_{neighbour}")), to };
        match self.handle.send(&Id::<PaymentNode>::node(), message).await? {
            Reply::Url { url } => Ok(url.parse()?),
            Reply::Paying { .. } => Err("expected a URL, found a payment".into()),
        }
    }
}

async fn start_node<S, F>(
    directory: PathBuf,
    state: PaymentNode,
    mut settings: RuntimeSettings,
    open: F,
) -> Result<(Running<S>, SocketAddr, PublicKey), Reason>
where
    S: Store + 'static,
    F: FnOnce(&Path) -> Result<(S, SecretKey), Reason> + Send + 'static,
{
    /// More than the number of payments at a time.
    const MAX_SOCKETS: usize = 10_000;
    let (ready, is_ready) = oneshot::channel();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (store, key) = open(&directory)?;
            let engine = Engine::open_with(store, Settings::default(), || state)?;
            settings.listen = Some((Ipv4Addr::LOCALHOST, 0).into());
            // All nodes and payments connect from this address, and at once.
            settings.sockets_per_address = MAX_SOCKETS;
            let public = key.public();
            let runtime =
                Runtime::with_settings(engine, settings).with_network(PaymentProtocol, Noise::new(key)).await?;
            let address = runtime.local_addr().ok_or("expected an address to listen on, found none")?;
            // If nobody waits for it any more, the node stops with its last handle.
            drop(ready.send((runtime.handle(), address, public)));
            runtime.run().await?;
            Ok(())
        })
    };
    let thread = std::thread::Builder::new().spawn(run)?;
    match is_ready.await {
        Ok((handle, address, key)) => Ok((Running { handle, thread }, address, key)),
        Err(_) => Err(match thread.join() {
            Ok(Err(reason)) => reason,
            _ => "its thread panicked".into(),
        }),
    }
}

/// An outgoing payment of a running node, watched.
pub struct OutgoingPayment {
    payer: Id<Payer>,
    name: String,
    notices: Notices<PaymentNode>,
}

impl OutgoingPayment {
    /// Begins a payment with a [`PaymentNodeMessage::Pay`].
    ///
    /// # Errors
    /// The node refuses it, or has stopped.
    pub async fn begin<S: Store>(handle: &Handle<PaymentNode, S>, pay: PaymentNodeMessage) -> Result<Self, Reason> {
        let notices = handle.notices().await;
        let Reply::Paying { payer } = handle.send(&Id::<PaymentNode>::node(), pay).await? else {
            return Err("expected a payment to begin, found a URL".into());
        };
        let name = payer.key().trim_end_matches("@payer").to_owned();
        Ok(Self { payer, name, notices })
    }

    /// The next event of the payment: its [`Notice::Receipt`], to be decided on, or its end.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn next(&mut self) -> Result<Notice, Reason> {
        while let Some(notice) = self.notices.recv().await {
            let notice = notice?;
            let ours = match &*notice {
                Notice::Receipt { payer, .. } => *payer == self.payer,
                Notice::Ended { record } => record.payment == self.name && record.role == Role::Payer,
            };
            if ours {
                return Ok(Notice::clone(&notice));
            }
        }
        Err("the node stopped before the payment ended: start it again, and look at `payments`".into())
    }

    /// The end of the payment, however often its user is asked meanwhile: another one may have begun it too.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn end(&mut self) -> Result<PaymentRecord, Reason> {
        loop {
            if let Notice::Ended { record } = self.next().await? {
                return Ok(record);
            }
        }
    }

    /// Agrees to the payment after its receipt was shown, or refuses it.
    ///
    /// # Errors
    /// The node refuses that, or has stopped.
    pub async fn decide<S: Store>(&self, handle: &Handle<PaymentNode, S>, agreed: bool) -> Result<(), Reason> {
        let message = if agreed { PayerMessage::Agree } else { PayerMessage::Refuse };
        Ok(handle.send(&self.payer, message).await?)
    }
}

/// Makes a payment from its request to its end.
///
/// # Errors
/// One of the two nodes refuses something, or has stopped.
pub async fn pay<S: Store>(
    payer: &Handle<PaymentNode, S>,
    payee: &Handle<PaymentNode, S>,
    amount: u64,
) -> Result<Outcome, Reason> {
    let request = PaymentNodeMessage::Request { amount, receipt: "demo".into(), via: None };
    let Reply::Url { url } = payee.send(&Id::<PaymentNode>::node(), request).await? else {
        return Err("expected a URL, found a payment".into());
    };
    let url: PaymentUrl = url.parse()?;
    let mut payment = OutgoingPayment::begin(payer, PaymentNodeMessage::Pay { url, via: None }).await?;
    match payment.next().await? {
        Notice::Ended { record } => Ok(record.outcome),
        Notice::Receipt { .. } => {
            payment.decide(payer, true).await?;
            Ok(payment.end().await?.outcome)
        }
    }
}
