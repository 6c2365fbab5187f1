//! What a user takes back: links, meeting points, requests and payments that nobody has agreed to.
//!
//! Invariant: nothing goes that money is in, or that a payment still needs; and the refusal says what that is.

use super::names::none_named;
use super::{
    ChannelState, Funds, Link, MeetingPoint, Payee, PayeeMessage, PayeePhase, Payer, PayerMessage, PayerPhase,
    PaymentNode, payer,
};
use amiko_core::prelude::*;

type Cx<'a> = Context<'a, PaymentNode>;

impl PaymentNode {
    pub(super) fn remove_link(&self, id: &Id<Link>, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let link = self.expect_link(id)?;
        let open = link.channels.iter().map(|channel| channel.funds());
        let open: Vec<Funds> = open.filter(|funds| funds.state != ChannelState::Closed).collect();
        let sum = |amount: &dyn Fn(&Funds) -> u64| open.iter().map(amount).fold(0, u64::saturating_add);
        let (total, local) = (sum(&|funds| funds.total()), sum(&|funds| funds.amount_local));
        if total > 0 {
            return Err(Rejection::new(format!(
                "expected a link without money, found {total} in {}, {local} of it ours to spend: withdraw its channels first",
                id.key()
            )));
        }
        if !link.routes.is_empty() {
            let found = link.routes.len();
            return Err(Rejection::new(format!(
                "expected a link that no payment uses, found {found} routes over it: try again later"
            )));
        }
        let asked =
            self.payees.iter().filter(|(_, payee)| payee.via.as_ref() == Some(id)).map(|(id, _)| id.key().clone());
        let begun = self.payers.iter().filter(|(_, payer)| payer.via.as_ref() == Some(id));
        if let Some(payment) = asked.chain(begun.map(|(id, _)| payer::payment(&id).to_owned())).next() {
            return Err(Rejection::new(format!(
                "expected a link that no payment is bound to, found {payment}: cancel it first, or wait"
            )));
        }
        if self.transactions.iter().any(|(_, transaction)| transaction.links.contains(id)) {
            return Err(Rejection::new(
                "expected a link that no payment may still use, found one on its way: try again later",
            ));
        }
        cx.close(&super::link::connection(id));
        cx.remove::<Link>(id);
        Ok(())
    }

    pub(super) fn remove_meeting_point(&self, id: &Id<MeetingPoint>, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let Some(point) = self.meeting_points.get(id) else {
            return Err(none_named("a meeting point", id.key(), &self.meeting_points));
        };
        if !point.waiting.is_empty() {
            let found = point.waiting.len();
            return Err(Rejection::new(format!(
                "expected a meeting point where no route waits, found {found}: try again later"
            )));
        }
        let mut named = self.payees.iter().filter(|(_, payee)| payee.meeting_points.contains(id));
        if let Some((payment, _)) = named.next() {
            return Err(Rejection::new(format!(
                "expected a meeting point that no open request names, found {}: cancel it first, or wait",
                payment.key()
            )));
        }
        cx.remove::<MeetingPoint>(id);
        Ok(())
    }

    pub(super) fn cancel(&self, payment: &str, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let payment = payment.strip_suffix(payer::SUFFIX).unwrap_or(payment);
        let (asked, begun): (Id<Payee>, Id<Payer>) = (Id::new(payment), Id::new(format!("{payment}{}", payer::SUFFIX)));
        match (self.payees.get(&asked), self.payers.get(&begun)) {
            (Some(payee), _) if payee.phase == PayeePhase::Initial => cx.send(&asked, PayeeMessage::Cancel),
            (_, Some(payer)) if matches!(*payer.phase, PayerPhase::Initial | PayerPhase::HasReceipt) => {
                cx.send(&begun, PayerMessage::Cancel);
            }
            (None, None) => {
                return Err(Rejection::new(format!(
                    "expected a payment that isn't over, found none named {payment:?}: `requests` and `list` name them"
                )));
            }
            _ => {
                return Err(Rejection::new(format!(
                    "expected a payment that nobody has agreed to, found that {payment} is being paid: it ends by itself"
                )));
            }
        }
        Ok(())
    }
}
