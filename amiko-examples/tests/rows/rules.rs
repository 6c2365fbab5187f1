//! A message that breaks a rule: the event is rolled back as a whole and logged with its reason, and the link goes on.
//!
//! What isn't a message at all never comes to a machine: see `amiko-runtime/tests/wire.rs`.

use super::common::{Net, PAYEE, PAYER, link_to};
use super::stories::When;
use super::way::{MEETING, WAY, net, rejections, run_for_millis, state};
use amiko_core::prelude::*;
use amiko_core::sim::NodeIndex;
use amiko_examples::payment::{
    IouCredit, MEETING_POINT, Message, Network, PaymentNodeMessage, PlainDeposit, PlainWithdraw, Token, TransactionId,
};

/// What is in a channel with the neighbour, less than a payment over the twelve nodes; and what it sends around.
const FUNDS: u64 = 120;
const OWN: u64 = 100;

/// The neighbour that a test speaks for, on a link of its own with one of the twelve nodes.
struct Neighbour {
    seed: u64,
    index: NodeIndex,
    node: NodeIndex,
    socket: u64,
}

impl Neighbour {
    fn of(node: NodeIndex, net: &mut Net, seed: u64) -> Self {
        let index = net.world.add_puppet("node12:4321");
        net.asks(node, PaymentNodeMessage::AddLink { name: link_to(index), to: None });
        let hello = Message::ConnectLink {
            id: link_to(index),
            dice: [0; 4],
            callback_host: None,
            callback_port: None,
            callback_id: link_to(node),
        };
        let socket = net.world.puppet_dials(index, node, None, hello).unwrap();
        run_for_millis(net, 200);
        let neighbour = Self { seed, index, node, socket };
        neighbour.says(net, Message::Deposit { channel_index: 0, channel_class: "PlainChannel".into() });
        let message = Box::new(PlainDeposit { amount: FUNDS });
        neighbour.says(net, Message::ChannelMessage { channel_index: 0, message });
        assert_eq!(net.channels(node, index)[0].remote(), FUNDS);
        neighbour
    }

    /// Says something, and waits until it has been heard.
    fn says(&self, net: &mut Net, message: Message) {
        net.world.puppet_says(self.index, self.socket, message).unwrap();
        run_for_millis(net, 50);
    }

    /// Says something that the rules forbid: nothing changes, and the reason is logged.
    fn is_refused(&self, net: &mut Net, message: Message, reason: &str) {
        let (before, logged) = (self.holds(net), self.rejected(net).len());
        self.says(net, message.clone());
        let rejected = self.rejected(net);
        assert!(
            rejected.len() == logged + 1 && rejected[logged].contains(reason),
            "{message:?}: {rejected:?}, seed {}",
            self.seed
        );
        assert_eq!(self.holds(net), before, "{message:?}, seed {}", self.seed);
    }

    /// Says something that is over, or nobody's concern: nothing changes.
    fn is_ignored(&self, net: &mut Net, message: Message) {
        let (before, logged) = (self.holds(net), self.rejected(net).len());
        self.says(net, message.clone());
        assert_eq!(self.rejected(net).len(), logged, "{message:?}, seed {}", self.seed);
        assert_eq!(self.holds(net), before, "{message:?}, seed {}", self.seed);
    }

    /// What it has heard since this was asked last.
    fn hears(&self, net: &mut Net) -> Vec<Message> {
        let all = net.world.take_heard();
        all.into_iter().filter(|heard| heard.to == self.index).map(|heard| (*heard.message).clone()).collect()
    }

    /// The reasons why its node has rejected something.
    fn rejected(&self, net: &Net) -> Vec<String> {
        let of = net.world.engine(self.node).unwrap().rejections();
        of.map(|found| found.rejection.reason().to_owned()).collect()
    }

    /// Everything that the node holds, but for how far its connections have come.
    fn holds(&self, net: &Net) -> (String, Vec<String>) {
        let engine = net.world.engine(self.node).unwrap();
        let timers = engine.timers().map(|(id, timer)| format!("{id} {:?}", timer.at)).collect();
        (to_json(engine.node()).unwrap(), timers)
    }
}

fn token() -> Token {
    Token::new([7; 32])
}

fn transaction() -> TransactionId {
    token().transaction(Network::Amiko)
}

fn make_route(amount: u64, is_payer_side: bool, times: Option<u64>, channel_index: u32) -> Message {
    Message::MakeRoute {
        amount,
        transaction_id: transaction(),
        start_time: times,
        end_time: times,
        meeting_point_id: Id::new(MEETING_POINT),
        channel_index,
        is_payer_side,
    }
}

fn have_route(transaction: Option<TransactionId>) -> Message {
    Message::HaveRoute { transaction_id: transaction, is_payer_side: true, start_time: Some(1), end_time: Some(2) }
}

fn lock(transaction_id: TransactionId, is_payer_side: bool, amount: u64, channel_index: u32) -> Message {
    Message::Lock { transaction_id, is_payer_side, amount, start_time: None, end_time: None, channel_index }
}

fn deposit(channel_index: u32, class: &str) -> Message {
    Message::Deposit { channel_index, channel_class: class.into() }
}

fn settle_commit(is_payer_side: bool) -> Message {
    Message::SettleCommit { token: token(), is_payer_side: Some(is_payer_side) }
}

/// What is forbidden at any time, and why.
fn forbidden() -> Vec<(Message, &'static str)> {
    let far = Some(1_900_000_000);
    vec![
        // A duplicate channel index, and one that isn't the next.
        (deposit(0, "PlainChannel"), "expected a channel with the index 1, found 0"),
        (deposit(7, "PlainChannel"), "expected a channel with the index 1, found 7"),
        // Messages of another type than is expected there.
        (
            Message::ChannelMessage { channel_index: 0, message: Box::new(IouCredit { limit: 5 }) },
            "expected a message of a PlainChannel, found IouChannel_Credit",
        ),
        (
            Message::ChannelMessage { channel_index: 0, message: Box::new(PlainDeposit { amount: 5 }) },
            "expected the neighbour's first deposit",
        ),
        (
            Message::ChannelMessage { channel_index: 9, message: Box::new(PlainWithdraw {}) },
            "expected one of the 1 channels, found index 9",
        ),
        (Message::Cancel, "expected a message for a link, found Cancel"),
        (Message::Confirm { meeting_point_id: Id::new(MEETING_POINT) }, "expected a message for a link, found Confirm"),
        (Message::Pay { id: Id::new("0011223344556677") }, "expected a message for a link, found Pay"),
        (have_route(None), "expected a transaction and its times on a link, found none"),
        (
            Message::SettleCommit { token: token(), is_payer_side: None },
            "expected a message for a link, found SettleCommit",
        ),
        // Insufficient funds, and amounts, times and channels that can't be.
        (make_route(FUNDS + 1, true, None, 0), "insufficient funds: expected at least 121, found 120"),
        (make_route(0, true, None, 0), "expected an amount above 0"),
        (make_route(OWN, true, None, 3), "expected one of the 1 channels, found index 3"),
        (make_route(OWN, true, Some(1_800_000_000), 0), "expected times on the payee's side and none on the payer's"),
        (make_route(OWN, false, None, 0), "expected times on the payee's side and none on the payer's"),
        (make_route(OWN, false, far, 0), "expected a lock that ends within"),
        // A wrong state: there is nothing to be settled.
        (settle_commit(true), "expected a route of transaction"),
    ]
}

/// What has nothing to do with this link, or no longer: it is no fault to say so.
fn over(transaction_id: TransactionId) -> Vec<Message> {
    [true, false]
        .into_iter()
        .flat_map(|is_payer_side| {
            [
                Message::HaveNoRoute { transaction_id, is_payer_side },
                Message::CancelRoute { transaction_id, is_payer_side },
                Message::SettleRollback { transaction_id, is_payer_side },
                // More than the neighbour has: it can't be locked here, and is only given back.
                lock(transaction_id, is_payer_side, FUNDS + 1, 0),
            ]
        })
        .chain([have_route(Some(transaction_id))])
        .collect()
}

/// The halves that the neighbour has asked for stand, both over the same link.
fn both_stand(net: &mut Net, neighbour: &Neighbour) {
    let class = "PlainChannel".to_owned();
    net.asks(neighbour.node, PaymentNodeMessage::Deposit { link: link_to(neighbour.index), class, amount: FUNDS });
    run_for_millis(net, 50);
    neighbour.says(net, make_route(OWN, true, None, 0));
    // Until it waits at the meeting point, and nothing else is under way.
    run_for_millis(net, 1_000);
    let duplicate = "expected a new route, found one that uses this link already";
    neighbour.is_refused(net, make_route(OWN, true, None, 0), duplicate);
    neighbour.is_refused(net, have_route(Some(transaction())), "expected this from the other side of the route");
    neighbour.hears(net);
    neighbour.says(net, make_route(OWN, false, Some(net.world.now().as_secs() + 3_600), 1));
    run_for_millis(net, 1_000);
    let halves = neighbour.hears(net).into_iter().filter(|message| matches!(message, Message::HaveRoute { .. }));
    assert_eq!(halves.count(), 2);
}

#[test]
fn in_every_state_of_a_route_what_breaks_a_rule_changes_nothing_and_the_link_goes_on() {
    for (seed, node) in (900..).zip(WAY) {
        let mut net = net(seed);
        let neighbour = Neighbour::of(node, &mut net, seed);
        let net = &mut net;
        for (message, reason) in forbidden() {
            neighbour.is_refused(net, message, reason);
        }
        for message in over(transaction()) {
            neighbour.is_ignored(net, message);
        }

        both_stand(net, &neighbour);
        let request = |is_payer_side| Message::RequestCommit { token: token(), is_payer_side };
        let rollback = |is_payer_side| Message::SettleRollback { transaction_id: transaction(), is_payer_side };
        neighbour.is_refused(net, lock(transaction(), true, OWN - 1, 0), "expected 100 on channel 0, found 99 on 0");
        neighbour.is_refused(net, lock(transaction(), true, OWN, 1), "expected 100 on channel 0, found 100 on 1");
        neighbour.is_refused(net, lock(transaction(), false, OWN, 1), "a route whose money is incoming");
        neighbour.is_refused(net, request(false), "expected a locked amount, found a reservation");
        neighbour.is_refused(net, request(true), "a route whose money is outgoing");
        neighbour.is_refused(net, settle_commit(true), "expected a locked amount, found none");
        neighbour.is_refused(net, rollback(true), "expected a locked amount, found a reservation");
        neighbour.is_refused(net, rollback(false), "expected a locked amount, found a reservation");

        neighbour.says(net, lock(transaction(), true, OWN, 0));
        run_for_millis(net, 500);
        assert!(neighbour.hears(net).contains(&lock(transaction(), false, OWN, 1)), "seed {seed}");
        neighbour.is_refused(net, lock(transaction(), true, OWN, 0), "expected a reservation, found none");
        neighbour.is_refused(net, settle_commit(false), "a route whose money is incoming");
        let other = Message::SettleCommit { token: Token::new([8; 32]), is_payer_side: Some(true) };
        neighbour.is_refused(net, other, "expected a route of transaction");
        // Its own again before its time is over: nobody may say so while this node may have to pay onward.
        neighbour.says(net, rollback(true));
        assert_eq!(net.channels(node, neighbour.index)[0].claimed(), (OWN, 0), "seed {seed}");

        // And yet it ends as it should.
        neighbour.says(net, request(false));
        run_for_millis(net, 500);
        assert!(neighbour.hears(net).contains(&request(true)), "seed {seed}");
        neighbour.says(net, settle_commit(true));
        run_for_millis(net, 500);
        let ends =
            net.channels(node, neighbour.index).iter().map(|end| (end.local(), end.remote())).collect::<Vec<_>>();
        assert_eq!(ends, [(OWN, FUNDS - OWN), (FUNDS - OWN, OWN)], "seed {seed}");
        net.settle();
        net.assert_settled();
    }
}

#[test]
fn whatever_a_neighbour_says_in_any_phase_of_a_payment_over_its_node_the_payment_goes_its_way() {
    let mut seed = 91_000;
    for node in [PAYER, 2, MEETING, 5, PAYEE] {
        for when in When::ALL {
            seed += 1;
            let mut net = net(seed);
            let neighbour = Neighbour::of(node, &mut net, seed);
            let url = net.request(PAYEE, 123);
            let payer = net.begin_pay(PAYER, &url);
            let reached = |net: &mut Net, when: When| {
                assert!(net.world.run_until(secs(5), |world| when.has_come(world, node)), "{when:?}, seed {seed}");
            };
            if when > When::Receipt {
                reached(&mut net, When::Receipt);
                net.agree(PAYER, &payer);
            }
            reached(&mut net, when);
            let payee = state(&net.world, PAYEE).unwrap().payees.iter().next();
            let about = payee.map_or_else(transaction, |(_, payee)| payee.token.transaction(Network::Amiko));
            let (forbidden, over) = (forbidden(), over(about));
            let expected = forbidden.len();
            for message in forbidden.into_iter().map(|(message, _)| message).chain(over) {
                net.world.puppet_says(neighbour.index, neighbour.socket, message).unwrap();
            }
            if when == When::Asked {
                reached(&mut net, When::Receipt);
            }
            if when <= When::Receipt {
                net.agree(PAYER, &payer);
            }
            net.settle();
            assert_eq!(net.outcomes(PAYER), ["payer committed"], "{when:?} on node {node}, seed {seed}");
            assert_eq!(net.outcomes(PAYEE), ["payee committed"], "{when:?} on node {node}, seed {seed}");
            assert_eq!(net.balance_changes(), [-123, 0, 0, 0, 0, 0, 0, 123, 0, 0, 0, 0], "seed {seed}");
            net.assert_settled();
            assert_eq!(rejections(&net).len(), expected, "{when:?} on node {node}, seed {seed}");
        }
    }
}
