//! A node of ours on the network of the prototype, on a port that the operating system has chosen, with a clock that stands
//! still until it is moved.

use amiko_core::engine::{Engine, Settings};
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use amiko_examples::payment::{PaymentNode, PaymentNodeEnvelope, PaymentNodeMessage, PaymentProtocol, Reply};
use amiko_runtime::{Dialect, Handle, RunError, Runtime, RuntimeSettings, Tcp};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::{JoinHandle, LocalSet};

/// What a test may take at most; one that hangs fails instead.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async { tokio::time::timeout(PATIENCE, test).await.unwrap() });
}

pub(crate) struct Node {
    pub(crate) handle: Handle<PaymentNode, Memory>,
    pub(crate) address: SocketAddr,
    clock: Arc<AtomicU64>,
    running: JoinHandle<Result<Engine<PaymentNode, Memory>, RunError>>,
}

impl Node {
    /// A node with this state, at this moment, in Unix seconds.
    pub(crate) async fn start(node: PaymentNode, now: u64) -> Self {
        Self::open(Engine::open_with(Memory::new(), Settings::default(), || node).unwrap(), now).await
    }

    /// The same after it was stopped.
    pub(crate) async fn restart(engine: Engine<PaymentNode, Memory>, now: u64) -> Self {
        Self::open(Engine::open(engine.into_store().crash(), Settings::default()).unwrap(), now).await
    }

    async fn open(engine: Engine<PaymentNode, Memory>, now: u64) -> Self {
        let clock = Arc::new(AtomicU64::new(now));
        let told = Arc::clone(&clock);
        let mut settings = RuntimeSettings::default();
        settings.listen = Some(([127, 0, 0, 1], 0).into());
        settings.conversation.dialect = Dialect::ByIndex;
        settings.log = Some(Arc::new(|event| println!("{event}")));
        settings.clock = Arc::new(move || Time::from_secs(told.load(Ordering::Relaxed)));
        let node = engine.node();
        let configure = PaymentNodeMessage::Configure {
            address: node.address.clone(),
            key: None,
            payout_address: node.payout_address.clone(),
            external_meeting_points: node.external_meeting_points.clone(),
            timeout_increment: node.timeout_increment,
            limits: node.limits.clone(),
        };
        let runtime = Runtime::with_settings(engine, settings).with_network(PaymentProtocol, Tcp).await.unwrap();
        let (handle, address) = (runtime.handle(), runtime.local_addr().unwrap());
        let running = tokio::task::spawn_local(runtime.run());
        let node = Self { handle, address, clock, running };
        node.asks(configure).await;
        node
    }

    pub(crate) async fn asks(&self, message: PaymentNodeMessage) -> Option<Reply> {
        self.tells(PaymentNodeEnvelope::PaymentNode(message)).await
    }

    pub(crate) async fn tells(&self, envelope: PaymentNodeEnvelope) -> Option<Reply> {
        self.handle.command(envelope).await.unwrap().map(|reply| reply.read().unwrap())
    }

    pub(crate) async fn looks<R: Send + 'static>(
        &self,
        look: impl FnOnce(&Engine<PaymentNode, Memory>) -> R + Send + 'static,
    ) -> R {
        self.handle.query(look).await.unwrap()
    }

    /// Time passes, and the timers that are due then go off.
    pub(crate) async fn after(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
        self.looks(|_| ()).await;
    }

    pub(crate) async fn stop(self) -> Engine<PaymentNode, Memory> {
        self.handle.stop();
        self.running.await.unwrap().unwrap()
    }
}
