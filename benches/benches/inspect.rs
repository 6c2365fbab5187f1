//! The inspector with many objects and events: the first page, a step of the slider, and the memory of the process that shows
//! them; and what three browsers cost twelve nodes that pay.
//!
//! `AMIKO_OBJECTS` and `AMIKO_RECORDS` say how many there are; by default 20,000 each. `--test` does everything once.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use amiko_benches::{Bank, bank, payment};
use amiko_core::prelude::*;
use amiko_core::store::{DirectorySettings, Retention};
use amiko_examples::running::{self, RunningNetwork};
use amiko_inspector::Settings as Inspector;
use amiko_runtime::{RuntimeSettings, SecretKey};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use futures_util::future::join_all;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio_stream::StreamExt;
use tower::ServiceExt;

/// The part that a process does.
const PART: &str = "AMIKO_BENCH_PART";
const DIRECTORY: &str = "AMIKO_BENCH_DIRECTORY";

/// Enough for as many payments as there will be.
const FUNDS: u64 = 1_000_000_000;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    let default = if quick { 500 } else { 20_000 };
    let (objects, records) = (number("AMIKO_OBJECTS", default), number("AMIKO_RECORDS", default));
    let directory = std::env::var_os(DIRECTORY);
    match (std::env::var(PART).as_deref(), directory) {
        (Ok("write"), Some(path)) => write(Path::new(&path), objects, records),
        (Ok("hold"), Some(path)) => hold(Path::new(&path)),
        (Ok("show"), Some(path)) => show(Path::new(&path), objects, records),
        (Ok("browsers"), _) => browsers(5, Duration::from_secs(3), number("AMIKO_BROWSERS", 3)),
        _ => {
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            println!("{objects} objects, {records} events");
            for part in ["write", "hold", "show"] {
                let this = std::env::current_exe().unwrap();
                let mut command = Command::new(this);
                command.env(PART, part).env(DIRECTORY, folder.path());
                command.env("AMIKO_OBJECTS", objects.to_string()).env("AMIKO_RECORDS", records.to_string());
                assert!(command.status().unwrap().success(), "{part}");
            }
            let (pairs, each) = if quick { (1, 200) } else { (5, 3_000) };
            browsers(pairs, Duration::from_millis(each), 3);
        }
    }
}

/// Memory of this process, in MiB: at present, and at most so far.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes >> 10)
    };
    (of("VmRSS:").unwrap_or(0), of("VmHWM:").unwrap_or(0))
}

fn open(path: &Path, objects: u64) -> Engine<Bank> {
    let mut directory = DirectorySettings::default();
    directory.retention = Retention::Forever;
    let mut settings = Settings::default();
    settings.check_records = false;
    settings.history = 0;
    Engine::open_with(Directory::open_with(path, directory).unwrap(), settings, || bank(objects)).unwrap()
}

fn write(path: &Path, objects: u64, records: u64) {
    let mut engine = open(path, objects);
    for number in 0..records {
        let (from, message) = payment(number, objects);
        engine.send(&from, message, Time::from_millis(number)).unwrap();
        if number % 10_000 == 0 {
            engine.sync().unwrap();
        }
    }
    engine.sync().unwrap();
}

/// What the node itself takes for this state.
fn hold(path: &Path) {
    let engine = open(path, 0);
    let (now, _) = memory();
    let text = engine.document().unwrap().len() >> 20;
    println!("the state: {text} MiB of text; a node that holds it: {now} MiB");
}

async fn page(router: &Router, settings: &Inspector, address: &str) -> String {
    let request = Request::builder().uri(format!("/-/frame?path={address}")).header("host", "localhost");
    let request = request.header("authorization", format!("Bearer {}", settings.token.expose()));
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    String::from_utf8(to_bytes(response.into_body(), 64 << 20).await.unwrap().to_vec()).unwrap()
}

fn show(path: &Path, objects: u64, records: u64) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut settings = Inspector::new().unwrap();
        settings.history = 1 << 30;
        let begun = Instant::now();
        let router = amiko_inspector::router_of_directory(path, settings.clone());
        while !page(&router, &settings, "/").await.contains("data-part=\"moment\"") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("read in {:.1} s", begun.elapsed().as_secs_f64());
        let addresses = |what: &'static str| -> Box<dyn Fn(u64) -> String> {
            let spread = move |number: u64, most: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % most.max(1);
            match what {
                "first page" => Box::new(|_| "/".into()),
                "step of the slider, anywhere" => {
                    Box::new(move |number| format!("/tree/state/accounts?at={}", spread(number, records)))
                }
                "step of the slider, to the next" => {
                    Box::new(move |number| format!("/tree/state/accounts?at={}", records / 2 + number))
                }
                "event" => Box::new(move |number| format!("/event/{}", 1 + spread(number, records))),
                "object" => Box::new(move |number| {
                    let account = spread(number, objects);
                    format!("/object/accounts/{account}?at={}", spread(number + 1, records))
                }),
                "search in a table" => {
                    Box::new(move |number| format!("/tree/state/accounts?find={}", spread(number, objects)))
                }
                _ => Box::new(|_| "/health".into()),
            }
        };
        for what in [
            "first page",
            "step of the slider, to the next",
            "step of the slider, anywhere",
            "event",
            "object",
            "search in a table",
            "health",
        ] {
            let address = addresses(what);
            let mut times = Vec::new();
            for number in 0..100 {
                let begun = Instant::now();
                let text = page(&router, &settings, &address(number)).await;
                times.push(begun.elapsed());
                assert!(text.contains("data-part=\"main\""), "{text}");
            }
            times.sort();
            println!("{what}: median {:.1?}, 95 of 100 within {:.1?}, at most {:.1?}", times[50], times[94], times[99]);
        }
        let (now, most) = memory();
        println!("the process that shows it: {now} MiB, at most {most} MiB");
    });
}

/// How long this process has had a processor, in milliseconds.
fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let of_thread = |text: &str| text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0);
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return of_thread(&text) / 1e6 };
    let threads = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok());
    threads.map(|text| of_thread(&text)).sum::<f64>() / 1e6
}

/// A browser that follows a node, and looks at each new version.
async fn browse(router: Router, settings: Inspector) {
    let live = Request::builder().uri("/-/live").header("host", "localhost");
    let live = live.header("authorization", format!("Bearer {}", settings.token.expose()));
    let live = router.clone().oneshot(live.body(Body::empty()).unwrap()).await.unwrap();
    let mut events = live.into_body().into_data_stream();
    while events.next().await.is_some() {
        page(&router, &settings, "/tree/state/links").await;
    }
}

/// Payments a second over six of twelve nodes, with and without browsers at the payer.
fn browsers(pairs: usize, each: Duration, browsers: u64) {
    const AT_ONCE: usize = 32;
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let settings = RuntimeSettings::default();
    let network = RunningNetwork::start(directory.path(), FUNDS, &settings, |path| {
        Ok((Directory::open(path)?, SecretKey::generate()?))
    });
    let network = tokio.block_on(network).unwrap();
    let (payer, payee) = (network.handles().next().unwrap(), network.handles().nth(7).unwrap());
    let measure = || {
        tokio.block_on(async {
            let (begun, used) = (Instant::now(), processor_time());
            let pay = async || {
                let mut paid = 0_u32;
                while begun.elapsed() < each {
                    running::pay(payer, payee, 1).await.unwrap();
                    paid += 1;
                }
                paid
            };
            let paid: u32 = join_all((0..AT_ONCE).map(|_| pay())).await.into_iter().sum();
            (f64::from(paid) / begun.elapsed().as_secs_f64(), (processor_time() - used) / f64::from(paid))
        })
    };
    measure();
    let mut ratios = Vec::new();
    for _ in 0..pairs {
        let (without, alone) = measure();
        let watching = tokio.block_on(async {
            let settings = Inspector::new().unwrap();
            let router = amiko_inspector::router(payer.clone(), settings.clone());
            let browsers: Vec<_> =
                (0..browsers).map(|_| tokio::spawn(browse(router.clone(), settings.clone()))).collect();
            (router, browsers)
        });
        let (with, watched) = measure();
        watching.1.into_iter().for_each(|browser| browser.abort());
        println!(
            "payments a second: {without:.0} alone, {with:.0} with {browsers} browsers; of one processor a payment takes \
             {alone:.1} ms and {watched:.1} ms"
        );
        ratios.push(with / without);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!("with {browsers} browsers: {median:.2} × ({:.2}–{:.2})", ratios[0], ratios[ratios.len() - 1]);
    network.stop().unwrap();
}
