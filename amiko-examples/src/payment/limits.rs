//! Every limit that belongs to the payment node: what its neighbours, its payees and its own log may take.
//!
//! Invariant: each has a name, a default, and an error that says it; the runtime's limits are in
//! [`Settings`](amiko_core::engine::Settings) and in `NetSettings`.

use amiko_core::prelude::*;
use amiko_core::serializable::Json;

/// The limits of a payment node. They are in its state, and set at each start: [`PaymentNodeMessage::Configure`].
///
/// What is there already when a limit becomes smaller stays; only what is new is refused.
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
    /// Channels of one link, with those that are closed. Default 64.
    pub channels: u32,
    /// Half-routes that use one link at the same time: each may have two more messages to put into the outbox. Default 4,096.
    pub routes: u32,
    /// Messages that a neighbour may leave unconfirmed before no new route goes over its link. Default 16,384, half of what an
    /// outbox holds, so that what ends or settles a route always has a place.
    pub unconfirmed: u32,
    /// How far in the future a lock may end that a neighbour asks for, in seconds. Default 60 days.
    pub lock: u64,
    /// What one channel may hold, and one payment be, in satoshi. Default 21 million bitcoin: all that there will ever be.
    pub amount: u64,
    /// Bytes of a receipt. Default 10,000: it has to fit into a line on the wire even in hex.
    pub receipt: u32,
    /// Bytes of the name of a link or a meeting point. Default 64.
    pub name: u32,
    /// Lines of the payment log; for a new one the oldest goes. Default 100,000, which are some 40 MB.
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
            payments: 100_000,
        }
    }
}

impl PaymentLimits {
    /// The same with another value of one limit, which is called here as its field is.
    ///
    /// # Errors
    /// There is no such limit, or it can't be so large; the reason says which there are.
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

    /// Rejects what is one too many.
    pub(super) fn expect_fewer(count: usize, limit: u32, what: &str) -> Result<(), Rejection> {
        if u32::try_from(count).is_ok_and(|count| count < limit) {
            return Ok(());
        }
        Err(Rejection::new(format!("expected at most {limit} {what}, found more")))
    }

    /// Rejects an amount that is none, or too much.
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
        Err(Rejection::new(format!("expected a receipt of at most {} bytes, found more", self.receipt)))
    }

    /// Rejects a name that somebody else has given: it is passed on, so it must be short, and the same on any wire.
    pub(super) fn expect_remote_name(&self, name: &str) -> Result<(), Rejection> {
        if self.has_length(name) && name.bytes().all(|byte| (32..127).contains(&byte)) {
            return Ok(());
        }
        Err(Rejection::new(format!("expected a name of 1 to {} printable ASCII characters", self.name)))
    }

    /// Rejects a name of our user's that looks like those that the node gives to payments, or spoils a URL or a terminal.
    pub(super) fn expect_own_name(&self, name: &str) -> Result<(), Rejection> {
        let good = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
        let payment = name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if self.has_length(name) && !name.starts_with('_') && !payment && name.chars().all(good) {
            return Ok(());
        }
        let length = self.name;
        Err(Rejection::new(format!(
            "expected a name of 1 to {length} letters, digits, '-', '.' and '_', that doesn't begin with '_' and isn't \
             16 hex digits"
        )))
    }

    fn has_length(&self, name: &str) -> bool {
        u32::try_from(name.len()).is_ok_and(|length| (1..=self.name).contains(&length))
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
