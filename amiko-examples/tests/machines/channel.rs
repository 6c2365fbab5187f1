//! `PlainChannel`: whatever is done to it, in whatever order, no money appears or disappears.

use crate::machine::{other_token, token};
use amiko_examples::payment::{
    Channel, ChannelState, Direction, PlainChannel, PlainDeposit, PlainWithdraw, Reservation, RouteId,
};

/// SplitMix64: the sequences of operations follow from a seed, so that one that fails can be had again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn total(channel: &PlainChannel) -> u128 {
    let (incoming, outgoing) = channel.claimed();
    [channel.local(), channel.remote(), incoming, outgoing].into_iter().map(u128::from).sum()
}

/// One operation; gives back its name, whether it was done, and how much money it may have brought in.
fn operate(channel: &mut PlainChannel, random: &mut Random) -> (&'static str, bool, u64) {
    let direction = if random.below(2) == 0 { Direction::Incoming } else { Direction::Outgoing };
    let transaction = if random.below(2) == 0 { token() } else { other_token() }.transaction();
    let route = RouteId { payer_side: random.below(2) == 0, transaction };
    let amount = random.below(600);
    let (start, end) = (random.below(2), 10 + random.below(2));
    match random.below(40) {
        0 => ("withdraw", channel.withdraw().is_ok(), 0),
        1 => ("receive withdraw", channel.receive(&PlainWithdraw {}).is_ok(), 0),
        2 => ("deposit", channel.deposit(amount).is_ok(), amount),
        3 => ("receive deposit", channel.receive(&PlainDeposit { amount }).is_ok(), amount),
        4..14 => {
            let claim = Reservation { start_time: None, end_time: None, amount };
            ("reserve", channel.reserve(direction, route, claim).is_ok(), 0)
        }
        14..18 => ("unreserve", channel.unreserve(direction, route).is_ok(), 0),
        18..22 => ("set times", channel.set_times(direction, route, start, end).is_ok(), 0),
        22..32 => ("lock", channel.lock(direction, route).is_ok(), 0),
        32..36 => ("commit", channel.commit(direction, route).is_ok(), 0),
        _ => ("roll back", channel.roll_back(direction, route).is_ok(), 0),
    }
}

#[test]
fn any_sequence_of_operations_keeps_the_sum_and_one_that_fails_changes_nothing() {
    let mut done = std::collections::BTreeMap::new();
    for seed in 0..500 {
        let mut random = Random(seed);
        let mut channel = if seed % 4 == 0 { PlainChannel::default() } else { PlainChannel::open(1000, 700) };
        let mut expected = total(&channel);
        for step in 0..200 {
            let before = channel.clone();
            let (name, succeeded, brought) = operate(&mut channel, &mut random);
            if succeeded {
                expected += u128::from(brought);
            } else {
                assert_eq!(channel, before, "{name} failed and changed something: seed {seed}, step {step}");
            }
            assert_eq!(total(&channel), expected, "{name}: seed {seed}, step {step}");
            let idle = channel.claims() == 0;
            assert!(!(channel.state == ChannelState::Closing && idle), "{name}: seed {seed}, step {step}");
            assert!(channel.state != ChannelState::Closed || idle, "{name}: seed {seed}, step {step}");
            *done.entry((name, succeeded)).or_insert(0) += 1;
        }
    }
    // Every operation has both worked and failed.
    assert_eq!(done.len(), 20, "{done:?}");
}

#[test]
fn what_can_be_reserved_is_what_reserving_takes() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let mut channel = PlainChannel::open(1000, 700);
        for _ in 0..50 {
            operate(&mut channel, &mut random);
            let route =
                RouteId { payer_side: true, transaction: amiko_examples::payment::Token::new([9; 32]).transaction() };
            for direction in [Direction::Incoming, Direction::Outgoing] {
                let amount = random.below(1500);
                let claim = Reservation { start_time: None, end_time: None, amount };
                let taken = channel.clone().reserve(direction, route, claim).is_ok();
                assert_eq!(channel.can_reserve(direction, amount), taken, "seed {seed}");
            }
        }
    }
}

#[test]
fn money_goes_where_the_direction_says() {
    let route = RouteId { payer_side: true, transaction: token().transaction() };
    let claim = || Reservation { start_time: None, end_time: None, amount: 100 };
    for (direction, commits, goes_back) in
        [(Direction::Outgoing, (900, 1100), (1000, 1000)), (Direction::Incoming, (1100, 900), (1000, 1000))]
    {
        let mut locked = PlainChannel::open(1000, 1000);
        locked.reserve(direction, route, claim()).unwrap();
        let mut unreserved = locked.clone();
        unreserved.unreserve(direction, route).unwrap();
        assert_eq!((unreserved.local(), unreserved.remote()), goes_back);
        assert_eq!(locked.lock(direction, route), Ok(claim()));
        let mut rolled_back = locked.clone();
        rolled_back.roll_back(direction, route).unwrap();
        assert_eq!((rolled_back.local(), rolled_back.remote()), goes_back);
        locked.commit(direction, route).unwrap();
        assert_eq!((locked.local(), locked.remote()), commits);
    }
}
