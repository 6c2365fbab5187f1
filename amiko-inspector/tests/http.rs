//! Who may ask an inspector, for what, and what it never says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use amiko_core::Version;
use amiko_core::engine::Settings as EngineSettings;
use amiko_core::prelude::*;
use amiko_inspector::Settings;
use amiko_runtime::{Handle, Runtime};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tokio_stream::StreamExt;
use tower::ServiceExt;

/// Begins each secret: none of them is seen.
const SECRET: &str = "hush";

#[derive(Clone, Copy, Debug, PartialEq, Default, Serializable, Phases)]
#[amiko(machine = Safe)]
enum SafePhase {
    #[default]
    #[amiko(next(Shut))]
    Open,
    #[amiko(next(Open), after(days = 4_000, send = Air))]
    Shut { bolt: Phase<Bolt> },
}

#[derive(Clone, Copy, Debug, PartialEq, Serializable, Phases)]
#[amiko(machine = Safe, within = SafePhase)]
enum Bolt {
    #[amiko(next(Twice))]
    Once,
    #[amiko(on(Air, Open))]
    Twice,
}

/// One of its phases is written as what it holds.
#[derive(Clone, Debug, PartialEq, Serializable, Phases)]
enum Seal {
    #[amiko(next(Waxed))]
    Bare,
    #[amiko(transparent, initial)]
    Waxed(Wax),
}

#[derive(Clone, Debug, PartialEq, Serializable)]
struct Wax {
    state: Phase<WaxState>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serializable, Phases)]
enum WaxState {
    #[amiko(next(Broken))]
    Whole,
    Broken,
}

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Safe {
    phase: Phase<SafePhase>,
    seal: Option<Phase<Seal>>,
    code: Secret<String>,
    text: String,
    other: Option<Id<Safe>>,
}

#[derive(Clone, Serializable)]
enum SafeMessage {
    Shut { code: Secret<String> },
    Open { code: Secret<String> },
    Tell { to: Id<Safe>, code: Secret<String> },
    Write { text: String },
    Air,
}

impl StateMachine for Safe {
    type Node = Bank;
    type Message = SafeMessage;

    fn handle(&mut self, message: SafeMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            SafeMessage::Shut { code } => {
                self.enter(SafePhase::Shut { bolt: Phase::new() }, cx)?;
                self.code = code.clone();
                cx.timer("open", Time::from_secs(9_000_000_000), SafeMessage::Open { code });
            }
            SafeMessage::Open { code } => {
                if code != self.code {
                    return Err(Rejection::new("expected the right code, found another"));
                }
                self.enter(SafePhase::Open, cx)?;
            }
            SafeMessage::Tell { to, code } => {
                cx.send(&to, SafeMessage::Shut { code });
                self.other = Some(to);
            }
            SafeMessage::Write { text } => self.text = text,
            SafeMessage::Air => {}
        }
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
struct Bank {
    #[amiko(machines)]
    safes: Table<Safe>,
}

/// What a state, or somebody who sends to it, can have in it to trick a page.
const HOSTILE: &str = "<script>alert(1)</script>\" onload='x' \u{202e}gpj\u{0}\u{7}\u{1b}[2J& /../%2e%2e/?#";

fn bank() -> Bank {
    let seal = || Phase::at(Seal::Waxed(Wax { state: Phase::new() })).ok();
    let safe = || Safe {
        phase: Phase::new(),
        seal: seal(),
        code: Secret::new(format!("{SECRET}-code")),
        text: String::new(),
        other: None,
    };
    Bank { safes: ["one", "two", HOSTILE].into_iter().map(|key| (Id::new(key), safe())).collect() }
}

type Node = Handle<Bank, Directory>;

/// A node in a directory with some events, and its inspector.
async fn node(directory: &Path) -> (Node, Router, Settings) {
    let mut settings = EngineSettings::default();
    (settings.deliveries, settings.journal_rejected) = (1_000, true);
    let engine = Engine::open_with(Directory::open(directory).unwrap(), settings, bank).unwrap();
    let runtime = Runtime::new(engine);
    let handle = runtime.handle();
    tokio::spawn(runtime.run());
    let one = Id::<Safe>::new("one");
    let code = || Secret::new(format!("{SECRET}-new"));
    handle.send(&one, SafeMessage::Tell { to: Id::new("two"), code: code() }).await.unwrap();
    assert!(handle.send(&one, SafeMessage::Open { code: code() }).await.is_err());
    handle.send(&one, SafeMessage::Shut { code: code() }).await.unwrap();
    handle.send(&Id::new(HOSTILE), SafeMessage::Write { text: HOSTILE.repeat(100) }).await.unwrap();
    let mut settings = Settings::new().unwrap();
    settings.directory = Some(directory.to_owned());
    let router = amiko_inspector::router(handle.clone(), settings.clone());
    (handle, router, settings)
}

fn request(path: &str) -> axum::http::request::Builder {
    Request::builder().uri(path).header("host", "127.0.0.1:1234")
}

async fn ask(router: &Router, request: Request<Body>) -> (StatusCode, String) {
    let response = router.clone().oneshot(request).await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 4 << 20).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

/// The parts of a page.
async fn page(router: &Router, settings: &Settings, address: &str) -> String {
    let token = format!("Bearer {}", settings.token.expose());
    let request = request(&format!("/-/frame?path={address}")).header("authorization", token);
    let (status, text) = ask(router, request.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{address}: {text}");
    text
}

/// Waits until the inspector has seen a version.
async fn until(router: &Router, settings: &Settings, version: u64) {
    let token = format!("Bearer {}", settings.token.expose());
    let live = request("/-/live").header("authorization", token).body(Body::empty()).unwrap();
    let mut events = router.clone().oneshot(live).await.unwrap().into_body().into_data_stream();
    while let Some(event) = events.next().await {
        let text = String::from_utf8(event.unwrap().to_vec()).unwrap();
        let newest = text.lines().find_map(|line| line.strip_prefix("data:")?.trim().parse::<u64>().ok());
        if newest.is_some_and(|newest| newest >= version) {
            return;
        }
    }
    panic!("no version {version}");
}

/// All addresses of a page.
fn links(page: &str) -> impl Iterator<Item = String> {
    page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"))
}

#[tokio::test]
async fn every_page_can_be_reached_and_none_of_them_has_a_secret_or_runs_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let (handle, router, settings) = node(folder.path()).await;
    until(&router, &settings, 4).await;
    let mut left = vec!["/".to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(address) = left.pop() {
        if seen.len() == 250 || !seen.insert(address.clone()) {
            continue;
        }
        let page = page(&router, &settings, &address).await;
        assert!(!page.contains(SECRET), "{address}: {page}");
        for bad in ["<script", "\u{202e}", "\u{0}", "\u{7}", "\u{1b}", "' onload", "\" onload"] {
            assert!(!page.contains(bad), "{address} has {bad:?}");
        }
        assert!(page.len() < 300_000, "{address}: {} bytes", page.len());
        left.extend(links(&page));
    }
    for wanted in ["/event/1?at=1", "/object/safes/two?at=1", "/rejections", "/outside", "/dry-run", "/health"] {
        assert!(seen.contains(wanted), "{wanted} isn't among {seen:#?}");
    }
    // However long it is.
    handle.send(&Id::new(HOSTILE), SafeMessage::Write { text: HOSTILE.repeat(20_000) }).await.unwrap();
    until(&router, &settings, 5).await;
    for address in ["/event/5?at=5", "/tree/state/safes?at=5", "/dry-run?q=script"] {
        let page = page(&router, &settings, address).await;
        assert!(page.len() < 50_000 && !page.contains("<script"), "{address}: {} bytes", page.len());
    }
    // The secrets are there.
    let journal = std::fs::read_to_string(folder.path().join("journal-1.jsonl")).unwrap();
    assert!(journal.contains(SECRET));
    assert!(page(&router, &settings, "/event/1").await.contains("(secret)"));
    handle.stop();
}

#[tokio::test]
async fn pages_show_what_was() {
    let folder = tempfile::tempdir().unwrap();
    let (handle, router, settings) = node(folder.path()).await;
    until(&router, &settings, 4).await;
    // One message from outside, and the one that it caused.
    let event = page(&router, &settings, "/event/1").await;
    assert!(event.contains("sequence diagram with 2 arrows"), "{event}");
    assert!(event.contains("<li>Command → safe one: Tell</li><li>safe one → safe two: Shut</li>"), "{event}");
    // A phase then and now, its timer, and who refers to it.
    let [then, now] = ["/object/safes/two?at=0", "/object/safes/two?at=4"];
    assert!(page(&router, &settings, then).await.contains("phases of phase: it is in Open"));
    let now = page(&router, &settings, now).await;
    assert!(now.contains("phases of phase: it is in Shut"));
    assert!(now.contains("phases of seal: it is in Waxed") && now.contains("phases of state: it is in Whole"), "{now}");
    // What is inside it, what is said of each, and its time-out.
    assert!(now.contains("phases of bolt: it is in Once"));
    assert!(now.contains("after 4000 days, Air") && now.contains("on Air, Open"), "{now}");
    assert!(now.contains(">@phase</a>"), "{now}");
    assert!(now.contains("<h3>Timers</h3>") && now.contains("/state/safes/one"), "{now}");
    // Rejections by reason, from the journal and from memory.
    let rejections = page(&router, &settings, "/rejections").await;
    let rejections = rejections.split("data-part=\"main\"").nth(1).unwrap();
    assert_eq!(rejections.matches("expected the right code, found another").count(), 2, "{rejections}");
    // A filter, in the list beside each page.
    let filtered = page(&router, &settings, "/?class=Write").await;
    assert_eq!(filtered.matches("<li><a href=\"/event/").count(), 1, "{filtered}");
    // A table is looked through by the server.
    let found = page(&router, &settings, "/tree/state/safes?find=tw").await;
    assert!(found.contains("/object/safes/two") && !found.contains("/object/safes/one?"), "{found}");
    // How long the disk took is known of a node that runs.
    assert!(!handle.sync_times().is_empty() && handle.sync_times().len() <= 256);
    assert!(page(&router, &settings, "/health").await.contains("<h3>Syncs</h3>"));
    // What happens is shown.
    handle.send(&Id::new("one"), SafeMessage::Write { text: "hello".into() }).await.unwrap();
    until(&router, &settings, 5).await;
    assert!(page(&router, &settings, "/object/safes/one").await.contains("hello"));
    handle.stop();
}

#[tokio::test]
async fn a_directory_is_shown_without_its_program() {
    let folder = tempfile::tempdir().unwrap();
    let (handle, router, settings) = node(folder.path()).await;
    until(&router, &settings, 4).await;
    let lone = Settings::new().unwrap();
    let offline = amiko_inspector::router_of_directory(folder.path(), lone.clone());
    until(&offline, &lone, 4).await;
    for address in ["/event/2?at=2", "/object/safes/one?at=3", "/tree/timers?at=1"] {
        let [here, there] = [page(&router, &settings, address).await, page(&offline, &lone, address).await];
        let main = |page: &str| page.split("data-part=\"main\"").nth(1).unwrap().to_owned();
        // A directory has no deliveries.
        if !address.contains("event") {
            assert_eq!(main(&here), main(&there), "{address}");
        }
        assert!(!there.contains(SECRET));
    }
    // What is written now is seen.
    handle.send(&Id::new("one"), SafeMessage::Write { text: "hello".into() }).await.unwrap();
    until(&offline, &lone, 5).await;
    handle.stop();
    // One that is damaged says where.
    let journal = folder.path().join("journal-1.jsonl");
    let damaged = std::fs::read_to_string(&journal).unwrap().replacen("\"Tell\"", "\"Toll\"", 1);
    std::fs::write(&journal, damaged).unwrap();
    let offline = amiko_inspector::router_of_directory(folder.path(), lone.clone());
    let mut said = String::new();
    // It begins by reading, which takes a moment.
    while !said.contains("journal-1.jsonl") {
        tokio::task::yield_now().await;
        said = page(&offline, &lone, "/").await;
        assert!(!said.contains("data-part=\"moment\""), "{said}");
    }
    assert!(said.contains("checksum") || said.contains("line 2"), "{said}");
}

#[tokio::test]
async fn nobody_sees_anything_without_the_token_or_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let (handle, router, settings) = node(folder.path()).await;
    let right = format!("Bearer {}", settings.token.expose());
    for path in ["/-/frame?path=/", "/-/live"] {
        for token in ["", "Bearer ", "Bearer x", &right[..right.len() - 1], settings.token.expose()] {
            let asked = request(path).header("authorization", token).body(Body::empty()).unwrap();
            assert_eq!(ask(&router, asked).await.0, StatusCode::UNAUTHORIZED, "{path} {token}");
        }
    }
    // What everybody gets says nothing of the node.
    for path in ["/", "/event/1", "/object/safes/one"] {
        let (status, shell) = ask(&router, request(path).body(Body::empty()).unwrap()).await;
        assert_eq!((status, shell.contains("safe")), (StatusCode::OK, false));
    }
    let with = |path: &str, name: &str, value: &str| {
        let asked = Request::builder().uri(path).header("authorization", &right).header(name, value);
        let asked = if name == "host" { asked } else { asked.header("host", "localhost") };
        asked.body(Body::empty()).unwrap()
    };
    for path in ["/", "/-/frame?path=/", "/-/inspector.js"] {
        for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::2]"] {
            assert_eq!(
                ask(&router, with(path, "host", host)).await.0,
                StatusCode::MISDIRECTED_REQUEST,
                "{path} {host}"
            );
        }
        for host in ["localhost:1", "127.0.0.1", "[::1]:80"] {
            assert_eq!(ask(&router, with(path, "host", host)).await.0, StatusCode::OK, "{path} {host}");
        }
        for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
            assert_eq!(ask(&router, with(path, "origin", origin)).await.0, StatusCode::FORBIDDEN, "{path} {origin}");
        }
        assert_eq!(ask(&router, with(path, "origin", "http://localhost:99")).await.0, StatusCode::OK);
    }
    assert!(!format!("{settings:?}").contains(settings.token.expose()));
    assert!(settings.url("http://127.0.0.1:1").ends_with(&format!("/#{}", settings.token.expose())));
    handle.stop();
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_nothing_changes_anything() {
    let folder = tempfile::tempdir().unwrap();
    let (handle, router, settings) = node(folder.path()).await;
    until(&router, &settings, 4).await;
    let form = page(&router, &settings, "/dry-run").await;
    assert!(form.contains("safe · Write") && form.contains("&quot;text&quot;"), "{form}");
    let before = handle.query(|engine| (engine.version(), engine.document().unwrap())).await.unwrap();
    let token = format!("Bearer {}", settings.token.expose());
    let try_it = async |kind: &str, body: &str| {
        let asked = request("/-/dry-run").method("POST").header("authorization", &token).header("content-type", kind);
        ask(&router, asked.body(Body::from(body.to_owned())).unwrap()).await
    };
    let command = |message: &str| format!(r#"{{"kind":"safe","id":"one","message":{message}}}"#);
    let (_, outcome) = try_it("application/json", &command(r#"{"_class":"Write","text":"new"}"#)).await;
    assert!(outcome.contains("/state/safes/one/text") && outcome.contains("new"), "{outcome}");
    let (_, outcome) = try_it("application/json", &command(r#"{"_class":"Tell","to":"two","code":"hush-hush"}"#)).await;
    assert!(outcome.contains("It would be rejected") && !outcome.contains(SECRET), "{outcome}");
    for (kind, body, status) in [
        ("text/plain", "{}", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/json", "nonsense", StatusCode::OK),
        ("application/json", r#"{"kind":"nobody","message":{}}"#, StatusCode::OK),
        ("application/json", &"x".repeat((1 << 20) + 1), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        assert_eq!(try_it(kind, body).await.0, status);
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        for path in ["/", "/event/1", "/-/frame?path=/", "/-/live"] {
            let asked = request(path).method(method).header("authorization", &token).body(Body::empty()).unwrap();
            let (status, _) = ask(&router, asked).await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        }
    }
    assert_eq!(handle.query(|engine| (engine.version(), engine.document().unwrap())).await.unwrap(), before);
    handle.stop();
}

#[tokio::test]
async fn a_browser_that_reads_nothing_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (handle, router, mut settings) = node(folder.path()).await;
    drop(router);
    settings.followers = 3;
    let router = amiko_inspector::router(handle.clone(), settings.clone());
    let token = format!("Bearer {}", settings.token.expose());
    let live = || request("/-/live").header("authorization", &token).body(Body::empty()).unwrap();
    let mut idle = Vec::new();
    for _ in 0..3 {
        idle.push(router.clone().oneshot(live()).await.unwrap());
    }
    // There is no place for one more, until one goes.
    assert_eq!(router.clone().oneshot(live()).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    let writes = (0..3_000).map(|at| (Id::<Safe>::new("one"), SafeMessage::Write { text: format!("{at}") }));
    assert!(handle.send_all(writes).await.iter().all(Result::is_ok));
    let version = handle.query(|engine| engine.version()).await.unwrap();
    assert_eq!(version, Version(3_004));
    drop(idle.pop());
    // More events than the node keeps in memory are read from its directory.
    tokio::time::timeout(Duration::from_secs(60), until(&router, &settings, 3_004)).await.unwrap();
    assert!(page(&router, &settings, "/object/safes/one?at=2000").await.contains(">1995<"));
    handle.stop();
}

#[test]
fn what_a_browser_loads_is_small_and_from_here_alone() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/assets");
    let mut bytes = 0;
    for entry in std::fs::read_dir(assets).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        bytes += text.len();
        assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("innerHTML"), "{text}");
    }
    assert!(bytes < 150_000, "{bytes}");
}
