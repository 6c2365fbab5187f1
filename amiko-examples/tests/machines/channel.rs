//! Channels of each class: whatever is done to them, in whatever order, no money appears or disappears.

use crate::machine::{other_token, token};
use amiko_core::Phase;
use amiko_examples::payment::{
    Channel, ChannelMessage, ChannelState, Direction, Funds, IouChannel, IouCredit, IouWithdraw, Network, PlainChannel,
    PlainDeposit, PlainWithdraw, PrototypeIouChannel, Reservation, RouteId, Surroundings, Token,
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

fn total(channel: &dyn Channel) -> u128 {
    let (incoming, outgoing) = channel.claimed();
    [channel.local(), channel.remote(), incoming, outgoing].into_iter().map(u128::from).sum()
}

/// A class of channel, and its two messages.
struct Class {
    new: fn() -> Box<dyn Channel>,
    /// With 1000 on our side and 700 on the neighbour's, or the other way round.
    open: fn() -> Box<dyn Channel>,
    deposit: fn(u64) -> Box<dyn ChannelMessage>,
    withdraw: fn() -> Box<dyn ChannelMessage>,
}

/// A channel in which the user has deposited 1000, and the neighbour 700.
fn deposited(class: &Class) -> Box<dyn Channel> {
    let mut channel = (class.new)();
    channel.deposit(1000).unwrap();
    channel.receive((class.deposit)(700).as_ref()).unwrap();
    channel
}

/// As it is when the neighbour begins to open it.
fn begun() -> PrototypeIouChannel {
    let mut channel = PrototypeIouChannel::default();
    channel.begin(&Surroundings::new(Some(&"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa".parse().unwrap()))).unwrap();
    channel
}

const CLASSES: [Class; 3] = [
    Class {
        new: || Box::new(PlainChannel::default()),
        open: || deposited(&CLASSES[0]),
        deposit: |amount| Box::new(PlainDeposit { amount }),
        withdraw: || Box::new(PlainWithdraw {}),
    },
    Class {
        new: || Box::new(IouChannel::default()),
        open: || deposited(&CLASSES[1]),
        deposit: |limit| Box::new(IouCredit { limit }),
        withdraw: || Box::new(IouWithdraw {}),
    },
    Class {
        new: || Box::new(begun()),
        // Only one side deposits; the other one has been paid since.
        open: || {
            let funds = Funds {
                state: Phase::at(ChannelState::Open).unwrap(),
                amount_local: 1000,
                amount_remote: 700,
                ..Funds::default()
            };
            Box::new(PrototypeIouChannel { funds, ..begun() })
        },
        deposit: |amount| Box::new(PlainDeposit { amount }),
        withdraw: || Box::new(PlainWithdraw {}),
    },
];

/// One operation; gives back its name, whether it was done, and how much money it may have brought in.
fn operate(class: &Class, channel: &mut dyn Channel, random: &mut Random) -> (&'static str, bool, u64) {
    let direction = if random.below(2) == 0 { Direction::Incoming } else { Direction::Outgoing };
    let transaction = if random.below(2) == 0 { token() } else { other_token() }.transaction(Network::Amiko);
    let route = RouteId { payer_side: random.below(2) == 0, transaction };
    let amount = random.below(600);
    let (start, end) = (random.below(2), 10 + random.below(2));
    match random.below(40) {
        0 => ("withdraw", channel.withdraw().is_ok(), 0),
        1 => ("receive withdraw", channel.receive((class.withdraw)().as_ref()).is_ok(), 0),
        2 => ("deposit", channel.deposit(amount).is_ok(), amount),
        3 => ("receive deposit", channel.receive((class.deposit)(amount).as_ref()).is_ok(), amount),
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
    for class in &CLASSES {
        let mut done = std::collections::BTreeMap::new();
        for seed in 0..500 {
            let mut random = Random(seed);
            let mut channel = if seed % 4 == 0 { (class.new)() } else { (class.open)() };
            let mut expected = total(channel.as_ref());
            for step in 0..200 {
                let before = channel.clone();
                let (name, succeeded, brought) = operate(class, channel.as_mut(), &mut random);
                if succeeded {
                    expected += u128::from(brought);
                } else {
                    assert!(*channel == *before, "{name} failed and changed something: seed {seed}, step {step}");
                }
                assert_eq!(total(channel.as_ref()), expected, "{name}: seed {seed}, step {step}");
                let idle = channel.claims() == 0;
                assert!(!(channel.is(ChannelState::Closing) && idle), "{name}: seed {seed}, step {step}");
                assert!(!channel.is(ChannelState::Closed) || idle, "{name}: seed {seed}, step {step}");
                *done.entry((name, succeeded)).or_insert(0) += 1;
            }
        }
        // Every operation has both worked and failed.
        assert_eq!(done.len(), 20, "{done:?}");
    }
}

#[test]
fn what_can_be_reserved_is_what_reserving_takes() {
    for class in &CLASSES {
        for seed in 0..200 {
            let mut random = Random(seed);
            let mut channel = (class.open)();
            for _ in 0..50 {
                operate(class, channel.as_mut(), &mut random);
                let route = RouteId { payer_side: true, transaction: Token::new([9; 32]).transaction(Network::Amiko) };
                for direction in [Direction::Incoming, Direction::Outgoing] {
                    let amount = random.below(1500);
                    let claim = Reservation { start_time: None, end_time: None, amount };
                    let taken = channel.clone().reserve(direction, route, claim).is_ok();
                    assert_eq!(channel.can_reserve(direction, amount), taken, "seed {seed}");
                }
            }
        }
    }
}

#[test]
fn whatever_is_done_nobody_owes_more_than_the_other_side_has_allowed() {
    let iou = |channel: &dyn Channel| channel.as_any().downcast_ref::<IouChannel>().unwrap().clone();
    let class = &CLASSES[1];
    let mut most = (0, 0);
    for seed in 0..500 {
        let mut random = Random(seed);
        let mut channel = (class.new)();
        channel.deposit(1000).unwrap();
        for _ in 0..200 {
            let before = iou(channel.as_ref());
            let (name, _, _) = operate(class, channel.as_mut(), &mut random);
            let after = iou(channel.as_ref());
            // What the neighbour may owe is what the user has said, whatever the neighbour does.
            assert_eq!(after.limit_remote, 1000, "{name}: seed {seed}");
            assert!(
                after.remote_debt() <= 1000 && after.local_debt() <= after.limit_local,
                "{name}: seed {seed}, {after:?}"
            );
            assert!(before.limit_local == 0 || before.limit_local == after.limit_local, "{name}: seed {seed}");
            most = (most.0.max(after.remote_debt()), most.1.max(after.local_debt()));
        }
    }
    assert!(most.0 > 900 && most.1 > 500, "{most:?}");
}

#[test]
fn a_debt_grows_with_what_is_paid_and_shrinks_with_what_is_paid_back() {
    let route = RouteId { payer_side: true, transaction: token().transaction(Network::Amiko) };
    let mut channel = IouChannel::default();
    channel.deposit(500).unwrap();
    assert_eq!((channel.local(), channel.remote(), channel.remote_debt()), (0, 500, 0));
    let pay = |channel: &mut IouChannel, direction, amount| {
        let claim = Reservation { start_time: None, end_time: None, amount };
        channel.reserve(direction, route, claim)?;
        channel.lock(direction, route)?;
        channel.commit(direction, route)
    };
    pay(&mut channel, Direction::Incoming, 300).unwrap();
    assert_eq!((channel.remote_debt(), channel.local_debt()), (300, 0));
    let refused = pay(&mut channel, Direction::Incoming, 201).unwrap_err();
    assert_eq!(refused.reason(), "insufficient funds: expected at least 201, found 200");
    pay(&mut channel, Direction::Outgoing, 100).unwrap();
    assert_eq!((channel.remote_debt(), channel.local_debt()), (200, 0));
    // The neighbour gives no credit: we can pay what it owes us, and no more.
    assert!(pay(&mut channel, Direction::Outgoing, 201).is_err());
    // It gives some, once.
    channel.receive(&IouCredit { limit: 50 }).unwrap();
    assert!(channel.receive(&IouCredit { limit: 50 }).is_err());
    pay(&mut channel, Direction::Outgoing, 250).unwrap();
    assert_eq!((channel.remote_debt(), channel.local_debt()), (0, 50));
    assert_eq!(channel.remark(), "we owe 50; limits: ours 50, theirs 500");
    // What is owed stays written down.
    channel.withdraw().unwrap();
    assert!(channel.is(ChannelState::Closed));
    assert_eq!(channel.local_debt(), 50);
}

#[test]
fn a_message_of_another_class_of_channel_is_refused() {
    for (class, other) in [(&CLASSES[0], &CLASSES[1]), (&CLASSES[1], &CLASSES[0])] {
        let mut channel = (class.open)();
        let before = channel.clone();
        for message in [(other.deposit)(1), (other.withdraw)()] {
            let refused = channel.receive(message.as_ref()).unwrap_err();
            assert!(refused.reason().starts_with("expected a message of a "), "{refused}");
            assert!(*channel == *before);
        }
    }
}

#[test]
fn money_goes_where_the_direction_says() {
    let route = RouteId { payer_side: true, transaction: token().transaction(Network::Amiko) };
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
