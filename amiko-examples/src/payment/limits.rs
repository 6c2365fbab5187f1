//! Every limit that belongs to the payment node: what its neighbours, its payees and its own log may take.
//!
//! Invariant: each has a name, a default, and an error that names it. The runtime's limits are in
//! [`Settings`](amiko_core::engine::Settings) and in `RuntimeSettings`.

use amiko_core::prelude::*;
use amiko_core::serializable::Json;

/// The limits of a payment node. They are in its state, and set at each start: [`PaymentNodeMessage::Configure`].
///
/// If a limit is lowered, whatever exceeds it already stays; only new things are refused.
///
/// ```
/// use amiko_examples::payment::PaymentLimits;
///
/// let limits = PaymentLimits::default().with("channels", 100)?;
/// assert_eq!((limits.channels, limits.routes), (100, 4_096));
/// # Ok::<(), amiko_core::Rejection>(())
/// ```
///
/// [`PaymentNodeMessage::Configure`]: super::PaymentNodeMessage::Configure
#[derive(Debug, Clone, PartialEq, Eq, Serializable)]
pub struct PaymentLimits {
    /// Channels of one link, including closed ones. Default 64.
    pub channels: u32,
    /// Half-routes that use one link at the same time: each may have two more messages to put into the outbox. Default 4,096.
    pub routes: u32,
    /// Unconfirmed messages to a neighbour at which no new route uses its link. Default 16,384, half of what an outbox
    /// holds, so that messages which end or settle a route always have room.
    pub unconfirmed: u32,
    /// How far in the future a lock that a neighbour asks for may end, in seconds. Default 60 days.
    pub lock: u64,
    /// The most that one channel may hold, and that one payment may be, in satoshi. Default 21 million bitcoin: all
    /// that there will ever be.
    pub amount: u64,
    /// Bytes of a receipt. Default 10,000, so that it fits into a line on the wire even in hex.
    pub receipt: u32,
    /// Bytes of the name of a meeting point. Default 64: every message that looks for a route has one in it.
    pub name: u32,
    /// Seconds by which the clocks of two neighbours may differ before the node says so. Default 60. Whatever it is, nothing is
    /// locked over a link whose clocks differ by more than half of the time-out increment.
    #[amiko(default = minute)]
    pub clock: u64,
    /// Bytes of the name of a link, here or at the neighbour. Default 2,048, which is at least 512 characters.
    #[amiko(default = link_name)]
    pub link_name: u32,
    /// Lines of the payment log; a new one replaces the oldest. Default 100,000, about 40 MB.
    pub payments: u32,
}

impl Default for PaymentLimits {
    fn default() -> Self {
        Self {
            channels: 64,
            routes: 4_096,
            unconfirmed: 16_384,
            lock: 60 * 86_400,
            amount: 2_100_000_000_000_000,
            receipt: 10_000,
            name: 64,
            clock: minute(),
            link_name: link_name(),
            payments: 100_000,
        }
    }
}

fn minute() -> u64 {
    60
}

const fn link_name() -> u32 {
    2_048
}

impl PaymentLimits {
    /// Returns these limits with one of them changed, named as its field is.
    ///
    /// # Errors
    /// There is no such limit, or the value is too large; the reason lists the limits.
    pub fn with(&self, name: &str, value: u64) -> Result<Self, Rejection> {
        let failed = |error: &dyn std::fmt::Display| Rejection::new(format!("the limit {name}: {error}"));
        let text = to_json(self).map_err(|error| failed(&error))?;
        let mut json = Json::parse(&text).map_err(|error| failed(&error))?;
        let Json::Object(fields) = &mut json else { return Err(failed(&"expected an object")) };
        fields.retain(|(name, _)| name != "_class");
        let Some((_, limit)) = fields.iter_mut().find(|(known, _)| known == name) else {
            let known: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Rejection::new(format!("expected one of the limits {}, found {name:?}", known.join(", "))));
        };
        *limit = Json::integer(value);
        json.set("_class", Json::text("PaymentLimits"));
        from_json(&json.to_string()).map_err(|error| failed(&error.reason()))
    }

    /// Rejects a number beyond a limit.
    pub(super) fn expect_fewer(count: usize, limit: u32, what: &str) -> Result<(), Rejection> {
        if u32::try_from(count).is_ok_and(|count| count < limit) {
            return Ok(());
        }
        Err(Rejection::new(format!("expected at most {limit} {what}, found more")))
    }

    /// Rejects an amount that is zero or too large.
    pub(super) fn expect_amount(&self, amount: u64) -> Result<(), Rejection> {
        match amount {
            0 => Err(Rejection::new("expected an amount above 0")),
            _ if amount <= self.amount => Ok(()),
            _ => Err(Rejection::new(format!("expected an amount of at most {}, found {amount}", self.amount))),
        }
    }

    /// Rejects a receipt that is too long.
    pub(super) fn expect_receipt(&self, receipt: &str) -> Result<(), Rejection> {
        if u32::try_from(receipt.len()).is_ok_and(|length| length <= self.receipt) {
            return Ok(());
        }
        Err(Rejection::new(format!("expected a receipt of at most {} bytes, found {}", self.receipt, receipt.len())))
    }

    /// Rejects a lock that ends too far in the future.
    pub(super) fn expect_lock(&self, end: u64, now: Time) -> Result<(), Rejection> {
        let lock = self.lock;
        if end <= now.as_secs().saturating_add(lock) {
            return Ok(());
        }
        Err(Rejection::new(format!("expected a lock that ends within {lock} seconds, found one that ends at {end}")))
    }
}
