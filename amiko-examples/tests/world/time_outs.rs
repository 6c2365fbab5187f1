//! The time-outs of phases: a node has exactly those that the phases of its machines ask for.

use amiko_core::machine::{Phased, PhasesOf};
use amiko_core::prelude::*;
use amiko_core::sim::{NodeIndex, SimEngine};
use amiko_core::tree::Keeps;
use amiko_examples::payment::{Payee, PayeePhase, Payer, PayerPhase, PaymentNode, Transaction, TransactionPhase};
use std::collections::BTreeSet;

/// Nothing but an event that enters a phase arms its time-out, and nothing but the one that leaves it takes it away: none of
/// these has a time-out that comes while it stays.
pub(crate) fn check(node: NodeIndex, engine: &SimEngine<PaymentNode>) -> Result<(), String> {
    let mut expected = BTreeSet::new();
    asked_by::<Payer, PayerPhase>(engine.node(), &mut expected);
    asked_by::<Payee, PayeePhase>(engine.node(), &mut expected);
    asked_by::<Transaction, TransactionPhase>(engine.node(), &mut expected);
    let of_phases = |id: &str| id.rsplit_once('/').is_some_and(|(_, name)| name.starts_with('@'));
    let found: BTreeSet<String> = engine.timers().map(|(id, _)| id.key().clone()).filter(|id| of_phases(id)).collect();
    match found.symmetric_difference(&expected).next() {
        None => Ok(()),
        Some(odd) if found.contains(odd) => {
            Err(format!("node {node} has the time-out {odd}, and nothing in that phase"))
        }
        Some(odd) => Err(format!("node {node} lacks the time-out {odd}")),
    }
}

/// The IDs of the timers that the machines of a class have by their phases.
fn asked_by<M, P>(node: &PaymentNode, ids: &mut BTreeSet<String>)
where
    M: Phased<P>,
    P: PhasesOf<M>,
    PaymentNode: Keeps<M>,
{
    for (id, machine) in Keeps::<M>::table(node).iter() {
        let key = id.key().encode().replace('~', "~0").replace('/', "~1");
        let mut add = |name: &str| {
            ids.insert(format!("{}/{key}/{name}", M::KIND));
        };
        if let Some(phase) = machine.phase_of() {
            phase.timers(&mut add);
        }
    }
}
