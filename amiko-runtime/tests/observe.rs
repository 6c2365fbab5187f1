//! What `tracing` and `metrics` are told: every metric that is listed and no other, causes nested, and never a secret.
//! Run with `cargo test -p amiko-runtime --all-features --test observe`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod shared;

use amiko_core::effect::{Effect, Failure, Policy};
use amiko_core::observe::Metric;
use amiko_core::store::Memory;
use amiko_core::{Performed, PublicKey, prelude::*};
use amiko_runtime::{Acceptance, Attempt, BindError, Member, Performer, Protocol, Runtime, RuntimeSettings, Tcp};
use metrics::{SharedString, Unit};
use metrics_util::CompositeKey;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use shared::{Place, Shared};
use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::{fmt, fs};
use tracing::Instrument;
use tracing_subscriber::fmt::format::FmtSpan;

/// Stands in every object and every message.
const SECRET: &str = "4929-1234";

#[derive(Clone, Serializable)]
#[amiko(key = String, reply = u64)]
struct Item {
    stock: u64,
    #[amiko(secret)]
    card: Secret<String>,
}

#[derive(Clone, Serializable)]
enum ItemMessage {
    Take {
        count: u64,
        #[amiko(secret)]
        card: Secret<String>,
    },
    /// Sends it on, in the same event.
    TakeOf {
        other: String,
        count: u64,
    },
    TakeSoon,
    Panic,
    Weigh,
    #[amiko(performed)]
    Weighed {
        performed: Performed<Weigh>,
    },
    #[amiko(performed)]
    Painted {
        performed: Performed<Paint>,
    },
}

/// The scales are out of order at first.
#[derive(Clone, Serializable)]
struct Weigh {
    #[amiko(secret)]
    card: Secret<String>,
}

impl Effect for Weigh {
    type Outcome = u64;

    fn policy(&self) -> Policy {
        Policy { first: std::time::Duration::from_millis(1), ..Policy::default() }
    }
}

/// Nobody does it.
#[derive(Clone, Serializable)]
struct Paint {}

impl Effect for Paint {
    type Outcome = ();
}

struct Scales(Arc<tokio::sync::Notify>);

impl Performer<Weigh> for Scales {
    async fn perform(&self, _: Weigh, attempt: &Attempt) -> Result<u64, Failure> {
        if attempt.number() == 1 {
            return Err(Failure::retry("out of order"));
        }
        self.0.notify_one();
        Ok(5)
    }
}

#[derive(Debug)]
struct Shortage;

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too few are left")
    }
}

impl std::error::Error for Shortage {}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(network = Line, effects(Weigh, Paint))]
struct Shop {
    #[amiko(machines)]
    items: Table<Item>,
}

fn secret() -> Secret<String> {
    Secret::new(SECRET.to_owned())
}

fn take(count: u64) -> ItemMessage {
    ItemMessage::Take { count, card: secret() }
}

impl StateMachine for Item {
    type Node = Shop;
    type Message = ItemMessage;

    fn handle(&mut self, message: ItemMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            ItemMessage::Take { count, card } => {
                tracing::info!("a handler's own words");
                self.stock = self.stock.checked_sub(count).ok_or(Shortage)?;
                self.card = card;
                cx.reply(self.stock);
            }
            ItemMessage::TakeOf { other, count } => {
                cx.send(&Id::new(other), take(count));
                cx.reply(self.stock);
            }
            ItemMessage::TakeSoon => {
                cx.timer("soon", cx.now(), take(1));
                // Nobody listens there.
                cx.connect(&Id::new("nobody"), Some("127.0.0.1:1"));
                cx.transmit(&Id::new("nobody"), Line::Hello { card: secret() });
                cx.reply(self.stock);
            }
            ItemMessage::Panic => panic!("the test said so"),
            ItemMessage::Weigh => {
                cx.perform("weigh", Weigh { card: secret() });
                cx.perform("paint", Paint {});
                cx.reply(self.stock);
            }
            ItemMessage::Weighed { .. } | ItemMessage::Painted { .. } => {}
        }
        Ok(())
    }
}

#[derive(Clone, Serializable)]
enum Line {
    Hello {
        #[amiko(secret)]
        card: Secret<String>,
    },
}

struct Silence;

impl Protocol for Silence {
    type Node = Shop;

    fn hello(&self, _: &Shop, _: &Id<Connection<Shop>>, _: [u8; 4]) -> Result<Line, Rejection> {
        Ok(Line::Hello { card: secret() })
    }

    fn accept(&self, _: &Shop, _: Option<PublicKey>, _: Line) -> Result<Acceptance<Shop>, Rejection> {
        Err(Rejection::new("expected nobody"))
    }

    fn envelope(&self, _: &Shop, _: &Id<Connection<Shop>>, _: Line) -> Result<ShopEnvelope, Rejection> {
        Err(Rejection::new("expected nothing"))
    }
}

/// One life of a node in which everything happens that is counted.
async fn live() {
    let mut settings = Settings::default();
    // A snapshot with each event.
    (settings.snapshot_ratio, settings.snapshot_minimum) = (0, 0);
    let engine = Engine::open_with(Memory::new(), settings, || {
        let item = || Item { stock: 9, card: secret() };
        Shop { items: [(Id::new("nuts"), item()), (Id::new("figs"), item())].into_iter().collect() }
    });
    let mut settings = RuntimeSettings::default();
    let (failed, failures) = tokio::sync::watch::channel(());
    settings.log = Some(Arc::new(move |_| {
        // Nobody waits once the first attempt has failed.
        let _ = failed.send(());
    }));
    let weighed = Arc::new(tokio::sync::Notify::new());
    let runtime = Runtime::with_settings(engine.unwrap(), settings).with_performer(Scales(Arc::clone(&weighed)));
    let runtime = runtime.with_network(Silence, Tcp).await.unwrap();
    let (shop, nuts) = (runtime.handle(), Id::<Item>::new("nuts"));
    let callers = async move {
        let request = tracing::info_span!("request", number = 7);
        let figs = ItemMessage::TakeOf { other: "figs".into(), count: 2 };
        shop.send(&nuts, figs).key("once").into_future().instrument(request).await.unwrap();
        shop.send(&nuts, take(10)).await.unwrap_err();
        shop.send(&nuts, ItemMessage::Panic).await.unwrap_err();
        let mut failures = failures;
        shop.send(&nuts, ItemMessage::TakeSoon).await.unwrap();
        failures.changed().await.unwrap();
        shop.send(&nuts, ItemMessage::Weigh).await.unwrap();
        weighed.notified().await;
        // The timer is older.
        assert_eq!(shop.send(&nuts, take(1)).await.unwrap(), 7);
        shop.stop();
    };
    let (engine, ()) = tokio::join!(runtime.run(), callers);
    assert_eq!(engine.unwrap().node().items.get(&Id::new("nuts")).unwrap().card.expose(), SECRET);
}

/// A process among several, which leads once.
async fn lead_once() {
    let shared = Shared::default();
    shared.pass_to("one");
    let place = Place { shared, name: "one", reached: None };
    let member = Member::<Shop, _>::new(place, Settings::default(), RuntimeSettings::default());
    let handle = member.handle();
    let stop = async {
        while handle.read(|_| ()).await.is_err() {
            tokio::task::yield_now().await;
        }
        handle.stop();
    };
    let (ended, ()) = tokio::join!(member.run(async |runtime| Ok::<_, BindError>(runtime)), stop);
    ended.unwrap();
}

fn on_this_thread(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

fn listed() -> impl Iterator<Item = &'static Metric> {
    amiko_core::observe::METRICS.iter().chain(amiko_runtime::observe::METRICS)
}

/// Collects what a subscriber writes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What one life tells a recorder, and a subscriber.
type Seen = (Vec<(CompositeKey, Option<Unit>, Option<SharedString>, DebugValue)>, String);

fn see() -> Seen {
    let (recorder, log) = (DebuggingRecorder::new(), Log::default());
    let (snapshotter, writer) = (recorder.snapshotter(), log.clone());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        metrics::with_local_recorder(&recorder, || {
            on_this_thread(async {
                live().await;
                lead_once().await;
            })
        });
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    (snapshotter.snapshot().into_vec(), text)
}

/// One test, because `tracing` keeps for the whole process who listens where.
#[test]
fn every_metric_is_counted_every_message_stands_under_its_cause_and_no_secret_is_shown() {
    let (metrics, text) = see();
    let shown = format!("{metrics:?}");
    assert!(!shown.contains(SECRET), "{shown}");
    for label in [
        "Take",
        "TakeOf",
        "rejected",
        "committed",
        "observe::Shortage",
        "panic",
        "dial_failed",
        "timer",
        "Weigh",
        "failed",
        "done",
    ] {
        assert!(shown.contains(&format!("\"{label}\"")), "{label} isn't in {shown}");
    }
    let found = metrics.iter().map(|(key, _, _, _)| {
        let labels: BTreeSet<_> = key.key().labels().map(|label| label.key().to_owned()).collect();
        (key.key().name().to_owned(), format!("{:?}", key.kind()), labels)
    });
    let expected = listed().map(|metric| {
        let labels = metric.labels.iter().map(|label| (*label).to_owned()).collect();
        (metric.name.to_owned(), format!("{:?}", metric.kind), labels)
    });
    assert_eq!(found.collect::<BTreeSet<_>>(), expected.collect());

    assert!(!text.contains(SECRET), "{text}");
    let nested = r#"request{number=7}:event{cause="command" kind="item" class="TakeOf" id=item nuts}:message{kind="item" class="TakeOf" id=item nuts}:message{kind="item" class="Take" id=item figs}: observe: a handler's own words"#;
    for expected in [
        nested,
        r#"outcome="committed" messages=2 version=1 bytes="#,
        r#"event{cause="timer" kind="item" class="Take" id=item nuts"#,
        r#"amiko: rejected: too few are left (in Take to item nuts) reason="observe::Shortage""#,
        "a handler panicked: the test said so",
        "an attempt has failed: out of order effect=\"Weigh\"",
        "expected a performer, found none: such effects wait in the state effect=\"Paint\"",
        "amiko: \"nobody\": can't dial \"127.0.0.1:1\"",
        "amiko: synced version=",
        "amiko: snapshot written version=",
        "amiko: state opened version=0",
        "amiko: leads from now on version=0",
        "amiko: leads no more",
    ] {
        assert!(text.contains(expected), "{expected} isn't in\n{text}");
    }
}

/// `AMIKO_BLESS=1` writes the table anew.
#[test]
fn the_page_lists_what_the_code_lists() {
    let mut table = String::from("| name | kind | unit | labels | meaning |\n|---|---|---|---|---|\n");
    for Metric { name, kind, unit, labels, text, .. } in listed() {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, unit) = (format!("{kind:?}").to_lowercase(), format!("{unit:?}").to_lowercase());
        table.push_str(&format!("| `{name}` | {kind} | {unit} | {} | {text} |\n", labels.join(", ")));
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let page = fs::read_to_string(file).unwrap();
    let begin = page.find("| name |").unwrap();
    let end = begin + page[begin..].find("\n\n").map_or(page.len() - begin, |end| end + 1);
    if std::env::var_os("AMIKO_BLESS").is_some() {
        fs::write(file, format!("{}{table}{}", &page[..begin], &page[end..])).unwrap();
        return;
    }
    assert_eq!(&page[begin..end], table, "AMIKO_BLESS=1 writes the table anew");
}
