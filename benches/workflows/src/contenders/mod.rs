//! All sides.

pub mod amiko;
pub mod amiko_postgres;
pub mod by_hand;
pub mod dbos;
pub mod durare;
pub mod duroxide;

use crate::contender::Contender;

/// All of them; ours are the first.
pub const ALL: &[&dyn Contender] = &[
    &amiko::Amiko::Tuned,
    &amiko::Amiko::Defaults,
    &by_hand::ByHand,
    &durare::Durare::Tuned,
    &durare::Durare::Defaults,
    &duroxide::Duroxide::Tuned,
    &duroxide::Duroxide::NotSynced,
    &duroxide::Duroxide::Defaults,
    &amiko_postgres::AmikoPostgres::Tuned,
    &amiko_postgres::AmikoPostgres::Defaults,
    &dbos::Dbos::Tuned,
    &dbos::Dbos::Defaults,
];
