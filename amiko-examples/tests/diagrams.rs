//! The diagrams in the documentation of the payment node are those of the code.

// Helpers of tests fail like tests.
#![allow(clippy::unwrap_used)]

use amiko_core::Phases;
use amiko_examples::payment::{ChannelState, PayeePhase, PayerPhase, TransactionPhase};

/// The documentation of an enum of phases ends with its diagram.
fn expect_diagram<P: Phases>(source: &str) {
    let diagram: String = P::CHART.mermaid().lines().map(|line| format!("/// {line}\n")).collect();
    let expected = format!("///\n/// ```mermaid\n{diagram}/// ```\n");
    let (before, _) = source.split_once(&format!("pub enum {} {{", P::CHART.name)).unwrap();
    let (documentation, _) = before.rsplit_once("#[derive(").unwrap();
    assert!(
        documentation.ends_with(&expected),
        "the diagram of {} isn't that of the code; let its documentation end with\n\n{expected}",
        P::CHART.name,
    );
}

#[test]
fn payer() {
    expect_diagram::<PayerPhase>(include_str!("../src/payment/payer.rs"));
}

#[test]
fn payee() {
    expect_diagram::<PayeePhase>(include_str!("../src/payment/payee.rs"));
}

#[test]
fn transaction() {
    expect_diagram::<TransactionPhase>(include_str!("../src/payment/transaction.rs"));
}

#[test]
fn channel() {
    expect_diagram::<ChannelState>(include_str!("../src/payment/channel.rs"));
}
