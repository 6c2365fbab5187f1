//! Counts the sockets of each address.
//!
//! Invariant: an address is counted exactly as long as a socket from it lives, and forgotten with the last one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// The counts of all addresses.
#[derive(Default)]
pub(crate) struct Places(Counts);

/// The place of one socket, freed on drop.
pub(crate) struct Place {
    counts: Counts,
    address: IpAddr,
}

impl Places {
    /// Takes a place for one more socket of an address, unless the limit is reached.
    pub(crate) fn take(&self, address: IpAddr, limit: usize) -> Option<Place> {
        let address = network(address);
        // The counts are consistent after each step, so a poisoned lock is safe to use.
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&address).copied().unwrap_or(0);
        if count >= limit.max(1) {
            return None;
        }
        counts.insert(address, count + 1);
        Some(Place { counts: Arc::clone(&self.0), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.address)),
        }
    }
}

/// The /64 network of an IPv6 address: its holder can use every address in it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_address_and_free_again() {
        let (places, limit) = (Places::default(), 2);
        let take = |address: &str| places.take(address.parse().unwrap(), limit);
        let first = take("10.0.0.1");
        let second = take("::ffff:10.0.0.1");
        assert!(first.is_some() && second.is_some() && take("10.0.0.1").is_none());
        assert!(take("10.0.0.2").is_some());
        drop(first);
        let third = take("10.0.0.1");
        assert!(third.is_some() && take("10.0.0.1").is_none());
        let network = [take("2001:db8::1"), take("2001:db8::ffff:2")];
        assert!(network.iter().all(Option::is_some) && take("2001:db8::3").is_none());
        assert!(take("2001:db8:0:1::1").is_some());
        drop((second, third, network));
        assert!(places.0.lock().unwrap().is_empty());
    }
}
