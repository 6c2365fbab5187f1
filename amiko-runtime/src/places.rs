//! Counts the sockets of peers that dialled: all of them, and those of each address.
//!
//! Invariant: a socket is counted exactly as long as it lives, and an address is forgotten with its last one.

use amiko_core::conversation::Refusal;
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
    /// Takes a place for one more socket, unless there are so many of its address, or so many at all.
    pub(crate) fn take(&self, address: IpAddr, per_address: usize, limit: usize) -> Result<Place, Refusal> {
        let address = network(address);
        // The counts are consistent after each step, so a poisoned lock is safe to use.
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, all) = (counts.get(&address).copied().unwrap_or(0), counts.values().sum::<usize>());
        for (count, limit, refusal) in [
            (count, per_address.max(1), Refusal::Address { limit: per_address.max(1) }),
            (all, limit.max(1), Refusal::Full { limit: limit.max(1) }),
        ] {
            if count >= limit {
                return Err(refusal);
            }
        }
        counts.insert(address, count + 1);
        Ok(Place { counts: Arc::clone(&self.0), address })
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
        let take = |address: &str| places.take(address.parse().unwrap(), limit, 100).ok();
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

    #[test]
    fn there_are_only_so_many_places_for_all_addresses_together() {
        let places = Places::default();
        let take = |last: u8| places.take([10, 0, 0, last].into(), 2, 3);
        let held: Vec<_> = [1, 1, 2].map(|last| take(last).ok()).into_iter().collect();
        assert!(held.iter().all(Option::is_some));
        assert!(matches!(take(1), Err(Refusal::Address { limit: 2 })));
        assert!(matches!(take(3), Err(Refusal::Full { limit: 3 })));
        drop(held);
        assert!(take(3).is_ok());
    }
}
