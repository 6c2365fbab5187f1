//! A real process beside a neighbour whose clock is wrong.

#![allow(clippy::unwrap_used, clippy::panic)]

mod node;

use amiko_core::engine::{Engine, Settings};
use amiko_core::prelude::*;
use amiko_core::store::Directory;
use amiko_examples::payment::{
    Address, LinkUrl, PaymentLimits, PaymentNode, PaymentNodeEnvelope, PaymentNodeMessage, PaymentProtocol, Reply,
};
use amiko_runtime::{Handle, Noise, Runtime, RuntimeSettings, SecretKey};
use node::{Node, error};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

const HOUR: i64 = 3_600;

/// What `list` says about clocks, once the link is connected and its neighbour's clock is so far ahead, but for the way of a
/// line.
fn clocks(node: &Node, ahead: i64) -> String {
    node.until(&["list", "--link", "b"], |link| {
        link["connected"] == true && link["clockAhead"].as_i64().unwrap().abs_diff(ahead) < 30
    });
    let list = node.says(&["list"]);
    let said: Vec<&str> = list.lines().filter(|line| line.contains("clock")).map(str::trim).collect();
    said.join(" ")
}

/// A node in a thread of this process, with a clock of its own.
struct Neighbour {
    handle: Handle<PaymentNode>,
    thread: JoinHandle<()>,
}

impl Neighbour {
    fn start(directory: &Path, ahead: i64) -> Self {
        let directory = directory.to_owned();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let store = Directory::open(&directory).unwrap();
                let engine = Engine::<PaymentNode, _>::open(store, Settings::default()).unwrap();
                let mut settings = RuntimeSettings::default();
                settings.listen = Some(([127, 0, 0, 1], 0).into());
                settings.clock = Arc::new(move || {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
                    Time::from_secs(now.checked_add_signed(ahead).unwrap())
                });
                let key = SecretKey::new([7; 32]);
                let public = key.public();
                let runtime = Runtime::with_settings(engine, settings)
                    .with_network(PaymentProtocol, Noise::new(key))
                    .await
                    .unwrap();
                let address = runtime.local_addr().unwrap();
                ready.send((runtime.handle(), address, public)).unwrap();
                runtime.run().await.unwrap();
            });
        });
        let (handle, address, key) = is_ready.recv().unwrap();
        let node = Self { handle, thread };
        node.asks(PaymentNodeMessage::Configure {
            address: Some(Address { host: address.ip().to_string(), port: address.port() }),
            key: Some(key),
            external_meeting_points: vec![Id::new("hub")],
            timeout_increment: 86_400,
            limits: PaymentLimits::default(),
            payout_address: None,
        });
        node
    }

    fn asks(&self, message: PaymentNodeMessage) -> Option<String> {
        let asked = async { self.handle.command(PaymentNodeEnvelope::PaymentNode(message)).await.unwrap() };
        let reply = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(asked)?;
        match reply.read().unwrap() {
            Reply::Url { url } => Some(url),
            Reply::Paying { .. } => None,
        }
    }

    fn stop(self) {
        self.handle.stop();
        self.thread.join().unwrap();
    }
}

#[test]
fn a_neighbour_whose_clock_is_wrong_is_named_and_carries_no_payment() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "a");
    let directory = root.path().join("b");
    node.json(&["meeting-point", "add", "hub"]);
    let url: LinkUrl = node.url(&["link", "add", "b"]).parse().unwrap();
    let mut linked = false;
    for (ahead, said, pays) in [
        (0, "", true),
        (-3 * HOUR, "is 3h", true),
        (13 * HOUR, "it carries no payments: set the wrong one right", false),
        (-13 * HOUR, "behind this one; it carries no payments", false),
        (30, "", true),
    ] {
        let neighbour = Neighbour::start(&directory, ahead);
        if !linked {
            neighbour.asks(PaymentNodeMessage::AddLink { name: Id::new("a"), to: Some(url.clone()) });
            clocks(&node, ahead);
            node.json(&["deposit", "b", "100"]);
            linked = true;
        }
        let said_now = clocks(&node, ahead);
        assert!(if said.is_empty() { said_now.is_empty() } else { said_now.contains(said) }, "{ahead}: {said_now}");
        let url = neighbour.asks(PaymentNodeMessage::Request { amount: 5, receipt: String::new(), via: None }).unwrap();
        let paid = node.command(&["pay", &url, "--yes"]);
        assert_eq!(paid.status.success(), pays, "{ahead}: {}", error(&paid));
        neighbour.stop();
    }
    assert_eq!(node.json(&["list", "--link", "b"])["remote"], 15);
}
