//! Every row of the protocol's table of payments that don't work, on the twelve nodes: a module for each row, with what it
//! demands, and with all that can happen to a node or a link on the way in each phase of the payment.
//!
//! A failure names its seed. `AMIKO_ROWS=N` plays each story of the tables with `N` seeds instead of one.

#![allow(clippy::unwrap_used, clippy::panic, dead_code, reason = "what fails here fails the test")]

mod cancel_route;
mod commit_timeout;
#[path = "../common/mod.rs"]
mod common;
mod late_lock;
mod late_request_commit;
mod lock_timeout;
mod no_route;
mod route_timeout;
mod rules;
mod silence;
mod stories;
mod way;
