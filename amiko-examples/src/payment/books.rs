//! The books of a node: what must be true after every event, whatever its handlers have done.
//!
//! Invariant: nothing in here changes anything, and the cost follows from what the event has changed.

use super::{ChannelState, Funds, Link, PaymentNode, PaymentNodeUndo, Transaction};
use amiko_core::prelude::*;

/// Checks what an event has changed against the books.
pub(super) fn check(node: &PaymentNode, undo: &PaymentNodeUndo) -> Result<(), Rejection> {
    for (name, old) in undo.links.first_touches() {
        let Some(link) = node.links.get(&Id::new(name.clone())) else { continue };
        match old {
            // The name must not be one that a payment may have: commands are refused earlier, edits here.
            None => node.limits.expect_link_name(name, node.network)?,
            Some(old) => no_money_comes_or_goes(name, old, link)?,
        }
        each_route_has_one_claim(name, link)?;
    }
    for (key, _) in undo.transactions.first_touches() {
        if let Some(transaction) = node.transactions.get(&Id::new(key.clone())) {
            the_payee_side_ends_first(transaction)?;
        }
    }
    Ok(())
}

/// Only a deposit changes the sum of a channel.
fn no_money_comes_or_goes(name: &str, old: &Link, new: &Link) -> Result<(), Rejection> {
    for (index, (old, new)) in old.channels.iter().zip(&new.channels).enumerate() {
        let (before, after) = (old.funds(), new.funds());
        let change = difference(&before, &after);
        let deposited = before.state == ChannelState::Opening || old.expects_deposit();
        if change < 0 || (change > 0 && !deposited) {
            let reason =
                format!("the books of link {name}: expected channel {index} to hold what it held, found {change} more");
            return Err(Rejection::new(reason));
        }
    }
    Ok(())
}

/// The change of a channel's sum, found from what has changed in it.
fn difference(old: &Funds, new: &Funds) -> i128 {
    let balance = |funds: &Funds| i128::from(funds.amount_local) + i128::from(funds.amount_remote);
    let claims = [
        (&old.transactions_incoming_reserved, &new.transactions_incoming_reserved),
        (&old.transactions_outgoing_reserved, &new.transactions_outgoing_reserved),
        (&old.transactions_incoming_locked, &new.transactions_incoming_locked),
        (&old.transactions_outgoing_locked, &new.transactions_outgoing_locked),
    ];
    let mut change = balance(new) - balance(old);
    for (old, new) in claims {
        new.changes(old, |_, old, new| {
            change += new.map_or(0, |claim| i128::from(claim.amount)) - old.map_or(0, |claim| i128::from(claim.amount));
        });
    }
    change
}

fn each_route_has_one_claim(name: &str, link: &Link) -> Result<(), Rejection> {
    let claims: usize = link.channels.iter().map(|channel| channel.claims()).sum();
    if claims == link.routes.len() {
        return Ok(());
    }
    let routes = link.routes.len();
    Err(Rejection::new(format!(
        "the books of link {name}: expected one claim for each of {routes} routes, found {claims}"
    )))
}

/// The amount towards the payer stays locked for longer than the one towards the payee, so the node that pays has time
/// to be paid.
fn the_payee_side_ends_first(transaction: &Transaction) -> Result<(), Rejection> {
    match (transaction.commit_by, transaction.settle_by) {
        (Some(commit_by), Some(settle_by)) if settle_by < commit_by => Err(Rejection::new(format!(
            "the books of a transaction: expected the lock towards the payer to end after {commit_by}, found {settle_by}"
        ))),
        _ => Ok(()),
    }
}
