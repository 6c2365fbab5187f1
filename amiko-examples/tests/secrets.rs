//! A whole payment between three nodes on real sockets, with everything that is logged about it: no secret is in it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use amiko_core::engine::{Engine, Settings};
use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use amiko_core::store::Memory;
use amiko_core::tree::classes_of_node;
use amiko_examples::payment::{
    Address, LinkUrl, Notice, PayerMessage, PaymentLimits, PaymentNode, PaymentNodeEnvelope, PaymentNodeMessage,
    PaymentProtocol, Reply,
};
use amiko_runtime::{Handle, Noise, Runtime, RuntimeSettings, SecretKey};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::LocalSet;

/// What anybody could have seen, in all forms in which it can be printed.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<String>>);

impl Seen {
    fn see(&self, what: &dyn Debug) {
        *self.0.lock().unwrap() += &format!("{what:?}\n{what:#?}\n");
    }
}

struct Node {
    handle: Handle<PaymentNode, Memory>,
    seen: Seen,
}

impl Node {
    async fn start(key: &SecretKey, meeting_point: bool, seen: &Seen) -> Self {
        let engine = Engine::<PaymentNode, _>::open(Memory::new(), Settings::default()).unwrap();
        let mut settings = RuntimeSettings::default();
        settings.listen = Some(([127, 0, 0, 1], 0).into());
        let log = seen.clone();
        settings.log = Some(Arc::new(move |event| {
            log.see(&event);
            *log.0.lock().unwrap() += &format!("{event}\n");
        }));
        seen.see(key);
        let runtime = Runtime::with_settings(engine, settings)
            .with_network(PaymentProtocol, Noise::new(key.clone()))
            .await
            .unwrap();
        let (handle, address) = (runtime.handle(), runtime.local_addr().unwrap());
        tokio::task::spawn_local(runtime.run());
        let node = Self { handle, seen: seen.clone() };
        let configure = PaymentNodeMessage::Configure {
            address: Some(Address { host: address.ip().to_string(), port: address.port() }),
            key: Some(key.public()),
            payout_address: None,
            external_meeting_points: if meeting_point { Vec::new() } else { vec![Id::new("hub")] },
            timeout_increment: 60,
            limits: PaymentLimits::default(),
        };
        node.asks(configure).await.unwrap();
        if meeting_point {
            node.asks(PaymentNodeMessage::AddMeetingPoint { name: Id::new("hub") }).await.unwrap();
        }
        node
    }

    /// The command, its errors, and the state after it are seen; the answer is for the user alone.
    async fn asks(&self, message: PaymentNodeMessage) -> Option<Reply> {
        self.seen.see(&message);
        self.tells(PaymentNodeEnvelope::PaymentNode(message)).await
    }

    async fn tells(&self, envelope: PaymentNodeEnvelope) -> Option<Reply> {
        let answered = self.handle.command(envelope).await;
        self.looks().await;
        match answered {
            Ok(reply) => reply.map(|reply| reply.read().unwrap()).or(Some(Reply::Url { url: String::new() })),
            Err(error) => {
                self.seen.see(&error);
                *self.seen.0.lock().unwrap() += &format!("{error}\n");
                None
            }
        }
    }

    async fn url(&self, message: PaymentNodeMessage) -> String {
        match self.asks(message).await {
            Some(Reply::Url { url }) => url,
            other => panic!("expected a URL, found {other:?}"),
        }
    }

    async fn looks(&self) {
        let state = |engine: &Engine<PaymentNode, Memory>| {
            let rejections: Vec<_> = engine.rejections().map(|rejected| format!("{:?}", rejected.rejection)).collect();
            let hidden = engine.document_without_secrets().unwrap();
            format!("{:?}\n{rejections:?}\n{hidden}\n{}", engine.node(), rejections.join("\n"))
        };
        let seen = self.handle.query(state).await.unwrap();
        *self.seen.0.lock().unwrap() += &seen;
    }

    /// Every secret that is in the state now, as the hex digits that it has on disk.
    async fn secrets(&self) -> Vec<String> {
        let document = self.handle.query(|engine| engine.document().unwrap()).await.unwrap();
        let mut secrets = Vec::new();
        for begin in ["\"token\":\"!x", "\"invitation\":\"!x"] {
            let found = document.match_indices(begin).map(|(at, _)| &document[at + begin.len()..]);
            secrets.extend(found.map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
        secrets
    }

    async fn add(&self, name: &str, to: Option<&str>) -> String {
        let to = to.map(|url| url.parse::<LinkUrl>().unwrap());
        self.url(PaymentNodeMessage::AddLink { name: Id::new(name), to }).await
    }
}

#[test]
fn nothing_that_is_logged_of_a_payment_shows_a_secret() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(60), payment()).await.unwrap();
    });
}

async fn payment() {
    let seen = Seen::default();
    let keys = [(); 4].map(|()| SecretKey::generate().unwrap());
    let a = Node::start(&keys[0], false, &seen).await;
    let b = Node::start(&keys[1], true, &seen).await;
    let c = Node::start(&keys[2], false, &seen).await;
    let thief = Node::start(&keys[3], false, &seen).await;
    let mut secrets: Vec<String> = keys.iter().map(|key| hex::encode(key.expose())).collect();

    let (to_b, to_c) = (a.add("to_b", None).await, b.add("to_c", None).await);
    for node in [&a, &b] {
        secrets.extend(node.secrets().await);
    }
    thief.add("to_b", Some(to_b.split('?').next().unwrap())).await;
    b.add("to_a", Some(&to_b)).await;
    c.add("to_b", Some(&to_c)).await;
    a.asks(PaymentNodeMessage::Deposit { link: Id::new("to_b"), class: "PlainChannel".into(), amount: 1000 })
        .await
        .unwrap();
    b.asks(PaymentNodeMessage::Deposit { link: Id::new("to_c"), class: "PlainChannel".into(), amount: 1000 })
        .await
        .unwrap();
    thief.add("again", Some(&to_b)).await;

    let request = PaymentNodeMessage::Request { amount: 123, receipt: "two coffees".into(), via: None };
    let url = c.url(request).await.parse().unwrap();
    secrets.extend(c.secrets().await);
    let mut notices = a.handle.notices().await;
    let Some(Reply::Paying { payer }) = a.asks(PaymentNodeMessage::Pay { url, via: None }).await else {
        panic!("expected a payment");
    };
    loop {
        let notice = notices.recv().await.unwrap();
        seen.see(&notice);
        match &*notice.unwrap() {
            Notice::Receipt { .. } => {
                a.tells(PaymentNodeEnvelope::Payer(payer.clone(), PayerMessage::Agree)).await.unwrap();
                // What doesn't fit is rejected, and shown with its reason.
                assert!(a.tells(PaymentNodeEnvelope::Payer(payer.clone(), PayerMessage::Agree)).await.is_none());
            }
            Notice::Ended { record } => {
                assert_eq!((record.amount, record.reason.as_str()), (123, ""));
                break;
            }
        }
        for node in [&a, &b, &c] {
            node.looks().await;
        }
    }
    for node in [&a, &b, &c, &thief] {
        node.looks().await;
        secrets.extend(node.secrets().await);
    }
    let seen = seen.0.lock().unwrap();
    assert!(secrets.len() > 4 + 2, "keys, invitations and a token: {}", secrets.len());
    for secret in &secrets {
        assert!(secret.len() == 32 || secret.len() == 64, "{secret}");
        // As hex, or as a list of numbers.
        let bytes = hex::decode(secret).unwrap();
        let numbers = format!("{bytes:?}");
        let first = numbers.trim_matches(['[', ']']).split(", ").take(4).collect::<Vec<_>>().join(", ");
        assert!(!seen.contains(&secret[..16]) && !seen.contains(&first), "{secret}");
    }
    for word in ["Connected", "Refused", "expected the secret of the invitation", "Secret(…)", "(secret)"] {
        assert!(seen.contains(word), "{word}");
    }
}

#[test]
fn the_address_of_a_link_is_hidden_in_the_command_that_has_it() {
    let text = "amikolink://shop:4321/tea?invitation=00112233445566778899aabbccddeeff";
    let add = PaymentNodeMessage::AddLink { name: Id::new("tea"), to: Some(text.parse().unwrap()) };
    let mut json = Json::parse(&to_json(&add).unwrap()).unwrap();
    assert!(json.to_string().contains("00112233"), "its journal keeps it");
    classes_of_node::<PaymentNode>().hide(&mut json);
    assert!(!json.to_string().contains("00112233") && json.to_string().contains("(secret)"), "{json}");
}
