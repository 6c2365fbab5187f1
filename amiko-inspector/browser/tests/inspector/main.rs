//! The inspector in a headless Chromium: one of twelve nodes that pay each other, as somebody sees it who looks at it.
//!
//! `AMIKO_NODE` is the program of the nodes, and `AMIKO_AXE` the file `axe.min.js` of the package `axe-core`. Pictures go to the
//! directory `AMIKO_SCREENSHOTS`, if it is set. `.ci/inspector` sets all of them.
//!
//! Invariant: nothing waits for time to pass, but only for what a page shows; and no process outlives its test.

mod browser;
mod journal;
mod network;
mod pages;
mod story;

use tokio::sync::Mutex;

/// Held by each test: twelve nodes and a browser are enough for a machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// What the environment says, or what is missing.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("expected ${name}, found nothing: see .ci/inspector"))
}
