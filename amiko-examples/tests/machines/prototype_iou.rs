//! The prototype's `IOUChannel`, from both sides: it is opened, used, closed, and paid back.

use crate::bitcoin::{ADDRESS, TRANSACTION, TRANSACTION_ID};
use crate::machine::{Machine, NOTHING, link};
use crate::messages::{
    AMOUNT, cancel_route, channel, deposit, have_route, lock, make_route, on, request_commit, settle_commit,
    settle_rollback,
};
use amiko_core::prelude::*;
use amiko_examples::payment::{
    Channel, ChannelState, Funds, IouCredit, Link, Message, Network, PaymentNode, PaymentNodeMessage, PlainDeposit,
    PlainWithdraw, PrototypeIouAddress, PrototypeIouChannel, PrototypeIouWithdrawTransaction,
};
use proptest::collection::vec;
use proptest::prelude::*;

const NETWORK: Network = Network::Prototype3;

/// A node with a plain channel on link `a`, and these on link `b`, which accepts the prototype's class as well.
fn node_with(channels: Vec<Box<dyn Channel>>) -> Machine {
    let accepts = ["PlainChannel", "IOUChannel"].map(str::to_owned).into();
    let b = Link { accepts, channels, ..link() };
    Machine::new(PaymentNode {
        network: NETWORK,
        links: [(Id::new("a"), link()), (Id::new("b"), b)].into_iter().collect(),
        payout_address: Some(ADDRESS.parse().unwrap()),
        ..PaymentNode::default()
    })
}

fn node() -> Machine {
    node_with(Vec::new())
}

/// An open channel, in which 1000 were deposited by the issuer.
fn open(is_issuer: bool, amount_local: u64) -> Machine {
    let amount_remote = 1000 - amount_local;
    let funds =
        Funds { state: Phase::at(ChannelState::Open).unwrap(), amount_local, amount_remote, ..Funds::default() };
    let address = Some(ADDRESS.parse().unwrap());
    node_with(vec![Box::new(PrototypeIouChannel { funds, is_issuer, address, withdraw_tx_id: None })])
}

fn deposits(amount: u64) -> PaymentNodeMessage {
    PaymentNodeMessage::Deposit { link: Id::new("b"), class: "IOUChannel".into(), amount }
}

fn withdraws() -> PaymentNodeMessage {
    PaymentNodeMessage::Withdraw { link: Id::new("b"), channel: 0 }
}

fn pays_back() -> PaymentNodeMessage {
    let transaction = TRANSACTION.parse().unwrap();
    PaymentNodeMessage::PayBack { link: Id::new("b"), channel: 0, transaction }
}

fn address(address: &str) -> Message {
    channel(0, PrototypeIouAddress { address: address.into() })
}

fn withdraw() -> Message {
    channel(0, PlainWithdraw {})
}

fn transaction(transaction: Option<&str>) -> Message {
    channel(0, PrototypeIouWithdrawTransaction { transaction: transaction.map(str::to_owned) })
}

fn says(message: &str) -> String {
    format!("to b: ChannelMessage{{channelIndex:0,message:{message}}}")
}

fn says_null() -> String {
    says("IOUChannel_WithdrawTransaction{transaction:null}")
}

fn says_withdraw() -> String {
    says("PlainChannel_Withdraw{}")
}

#[test]
fn our_deposit_opens_when_the_neighbour_has_sent_its_address() {
    let mut node = node();
    let waits =
        "channel b0: opening 1000/0 (waits for the neighbour's address; it sends none unless it accepts IOUChannel)";
    assert_eq!(
        node.asks(deposits(1000)),
        [
            "to b: Deposit{channelIndex:0,channelClass:IOUChannel}".to_owned(),
            says("PlainChannel_Deposit{amount:1000}"),
            waits.into(),
        ]
    );
    // Nothing goes over it before.
    assert_eq!(
        node.hears("a", on(NETWORK, &make_route(true))),
        ["to a: HaveNoRoute{transactionID:T,isPayerSide:true}"]
    );
    for (bad, found) in [("", "\"\""), ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "one of the kind P2SH")] {
        let expected = "expected a Bitcoin address of the kind P2PKH, which begins with 1, m or n";
        assert_eq!(node.hears("b", address(bad)), [format!("rejected: {expected}, found {found}")]);
    }
    assert_eq!(node.hears("b", address(ADDRESS)), ["channel b0: open 1000/0 (we owe 0)"]);
    let again = ["rejected: expected the address of a channel that waits for one, found another"];
    assert_eq!(node.hears("b", address(ADDRESS)), again);
    let seen = node.restarted().hears("b", channel(0, PlainDeposit { amount: 1 }));
    assert_eq!(seen[0], "rejected: expected the neighbour's first deposit in this channel, found another");
}

#[test]
fn a_neighbours_deposit_is_answered_with_our_address() {
    let mut node = node();
    assert_eq!(
        node.hears("b", deposit(0, "IOUChannel")),
        ["channel b0: opening 0/0 (waits for the neighbour's deposit)"]
    );
    assert_eq!(
        node.hears("b", channel(0, PlainDeposit { amount: 1000 })),
        [says(&format!("IOUChannel_Address{{address:{ADDRESS}}}")), "channel b0: open 0/1000 (they owe 0)".into()]
    );
    let again = ["rejected: expected the neighbour's first deposit in this channel, found another"];
    assert_eq!(node.hears("b", channel(0, PlainDeposit { amount: 1 })), again);
    let address = address("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2");
    let refused = ["rejected: expected the address of a channel that waits for one, found another"];
    assert_eq!(node.hears("b", address), refused);
    assert_eq!(
        node.hears("b", channel(0, IouCredit { limit: 1 })),
        ["rejected: expected a message of a IOUChannel, found IouChannel_Credit"]
    );
}

#[test]
fn a_neighbours_deposit_is_refused_without_an_address_of_ours_and_that_says_what_to_do() {
    let mut node = node();
    let configure = |payout_address| PaymentNodeMessage::Configure {
        address: None,
        key: None,
        payout_address,
        external_meeting_points: Vec::new(),
        timeout_increment: 1,
        limits: Default::default(),
    };
    node.asks(configure(None));
    let reason = "expected an address at which the neighbour can pay what it owes, found none: run this node with \
                  --payout-address ADDRESS, and let the neighbour deposit again";
    assert_eq!(node.hears("b", deposit(0, "IOUChannel")), [format!("channel b0: closed 0/0 (refused: {reason})")]);
    assert_eq!(
        node.hears("b", channel(0, PlainDeposit { amount: 1000 })),
        [format!("rejected: this channel was refused: {reason}")]
    );
    // Our own deposit needs none, and the neighbour's next one has the next index.
    assert_eq!(node.asks(deposits(5))[0], "to b: Deposit{channelIndex:1,channelClass:IOUChannel}");
    node.asks(configure(Some(ADDRESS.parse().unwrap())));
    node.hears("b", deposit(2, "IOUChannel"));
    let seen = node.hears("b", channel(2, PlainDeposit { amount: 7 }));
    assert!(seen[0].contains("IOUChannel_Address") && seen[1].starts_with("channel b2: open 0/7"), "{seen:?}");
}

#[test]
fn an_issuer_that_owes_nothing_says_so_when_it_closes() {
    // Its user, and the neighbour.
    assert_eq!(
        open(true, 1000).asks(withdraws()),
        [says_withdraw(), says_null(), "channel b0: closed 1000/0 (we owe 0)".into()]
    );
    let mut node = open(true, 1000);
    assert_eq!(
        node.hears("b", withdraw()),
        [says_withdraw(), says_null(), "channel b0: closed 1000/0 (we owe 0)".into()]
    );
    // Once.
    assert_eq!(node.hears("b", withdraw()), NOTHING);
    let refused = "rejected: expected a channel in which this node owes something, found one where it doesn't";
    assert_eq!(node.asks(pays_back()), [refused]);
    assert_eq!(node.hears("b", transaction(None)).len(), 1);
}

#[test]
fn an_issuer_that_owes_something_is_told_how_much_and_where_and_hands_in_a_transaction() {
    let mut node = open(true, 700);
    let early = "rejected: expected a channel that is closed, found that what is owed may still change: withdraw it first, \
                 without a transaction";
    assert_eq!(node.asks(pays_back()), [early]);
    let closed = format!(
        "channel b0: closed 700/300 (we owe 300: pay it to {ADDRESS}, and hand it in with `withdraw --transaction HEX`)"
    );
    assert_eq!(node.asks(withdraws()), [says_withdraw(), closed]);
    assert_eq!(node.hears("b", withdraw()), NOTHING);
    let asked = format!(
        "rejected: expected a transaction of 300 to {ADDRESS}, which this node owes, found none: make one with a wallet, and \
         hand it in with --transaction HEX"
    );
    assert_eq!(node.asks(withdraws()), [asked]);
    let mut node = node.restarted();
    assert_eq!(
        node.asks(pays_back()),
        [
            says(&format!("IOUChannel_WithdrawTransaction{{transaction:{TRANSACTION}}}")),
            format!("channel b0: closed 700/300 (we paid 300 to {ADDRESS} with {TRANSACTION_ID})")
        ]
    );
    let refused = "rejected: expected a channel in which this node owes something, found one where it doesn't";
    assert_eq!(node.asks(pays_back()), [refused]);
    assert_eq!(node.asks(withdraws()), ["rejected: expected a channel that is open, found it closed"]);
}

#[test]
fn a_side_that_is_owed_something_refuses_null_and_keeps_the_id_of_a_transaction() {
    let mut node = open(false, 300);
    let early = ["rejected: expected the issuer's transaction once, when the channel closes, found another"];
    assert_eq!(node.hears("b", transaction(Some(TRANSACTION))), early);
    assert_eq!(
        node.hears("b", withdraw()),
        [says_withdraw(), format!("channel b0: closed 300/700 (they owe 300, to be paid to {ADDRESS})")]
    );
    let owed = format!("rejected: expected a transaction of 300 to {ADDRESS}, which the neighbour owes, found none");
    assert_eq!(node.hears("b", transaction(None)), [owed]);
    // Nor is it this side that pays.
    let theirs = "rejected: expected a channel in which this node owes something, found one where it doesn't";
    assert_eq!(node.asks(pays_back()), [theirs]);
    for bad in ["", "01ff", "xyz", &"00".repeat(30_001)] {
        let seen = node.hears("b", transaction(Some(bad)));
        assert!(seen.len() == 1 && seen[0].starts_with("rejected: expected a raw transaction of Bitcoin"), "{seen:?}");
    }
    let says = format!(
        "channel b0: closed 300/700 (they owe 300, and say that {TRANSACTION_ID} pays it to {ADDRESS}: look for it in the block \
         chain)"
    );
    assert_eq!(node.hears("b", transaction(Some(TRANSACTION))), [says]);
    let mut node = node.restarted();
    assert_eq!(node.hears("b", transaction(Some(TRANSACTION))).first().map(String::as_str), Some(early[0]));
    let text = to_json(&node.engine.node().links).unwrap();
    assert!(
        text.contains(&format!(r#""isIssuer":false,"address":"{ADDRESS}","withdrawTxID":"{TRANSACTION_ID}""#)),
        "{text}"
    );
}

#[test]
fn a_side_that_is_owed_nothing_takes_null() {
    let mut node = open(false, 0);
    assert_eq!(node.asks(withdraws()), [says_withdraw(), "channel b0: closed 0/1000 (they owe 0)".into()]);
    assert_eq!(node.hears("b", withdraw()), NOTHING);
    assert_eq!(node.hears("b", transaction(None)), NOTHING);
    let ours = "rejected: expected a channel in which this node owes something, found one where it doesn't";
    assert_eq!(node.asks(pays_back()), [ours]);
}

#[test]
fn an_issuer_says_what_it_owes_behind_the_end_of_the_last_payment() {
    let hears = |node: &mut Machine, link: &str, message: Message| node.hears(link, on(NETWORK, &message));
    let begun = || {
        let mut node = open(true, 1000);
        hears(&mut node, "a", make_route(true));
        node
    };
    // A route that isn't wanted any more.
    let mut node = begun();
    assert_eq!(node.asks(withdraws()), [says_withdraw(), "channel b0: closing 877/0 (we owe 0)".into()]);
    assert_eq!(node.hears("b", withdraw()), NOTHING);
    let seen = hears(&mut node, "a", cancel_route(true));
    assert_eq!(seen[..2], ["to b: CancelRoute{transactionID:T,isPayerSide:true}".to_owned(), says_null()]);
    // A lock that is given back.
    let locked = || {
        let mut node = begun();
        hears(&mut node, "b", have_route(true, 100));
        hears(&mut node, "a", lock(true));
        assert_eq!(node.asks(withdraws())[0], says_withdraw());
        node
    };
    let mut node = locked();
    let seen = hears(&mut node, "b", settle_rollback(true));
    assert_eq!(seen[..2], [says_null(), "to a: SettleRollback{transactionID:T,isPayerSide:true}".to_owned()]);
    // One that is paid: then there is something to be paid back.
    let mut node = locked();
    let seen = hears(&mut node, "b", request_commit(true));
    assert_eq!(seen[0], "to b: SettleCommit{token:TOKEN,isPayerSide:true}");
    assert!(!seen.contains(&says_null()), "{seen:?}");
    hears(&mut node, "a", settle_commit(true));
    assert!(node.asks(pays_back())[0].contains("IOUChannel_WithdrawTransaction{transaction:0100"));
    node.assert_idle();
}

#[test]
fn an_issuer_that_was_paid_back_by_the_last_payment_says_so() {
    let hears = |node: &mut Machine, link: &str, message: Message| node.hears(link, on(NETWORK, &message));
    let mut node = open(true, 1000 - AMOUNT);
    hears(&mut node, "b", make_route(true));
    hears(&mut node, "a", have_route(true, 100));
    hears(&mut node, "b", lock(true));
    assert_eq!(node.asks(withdraws()), [says_withdraw(), format!("channel b0: closing 877/0 (we owe {AMOUNT})")]);
    hears(&mut node, "a", request_commit(true));
    let seen = hears(&mut node, "b", settle_commit(true));
    assert_eq!(seen[..2], [says_null(), "channel b0: closed 1000/0 (we owe 0)".to_owned()]);
}

#[test]
fn what_a_payment_under_way_claims_is_owed_too_and_may_be_paid_back_before_it_ends() {
    let mut node = open(false, AMOUNT);
    node.hears("a", on(NETWORK, &make_route(true)));
    assert_eq!(
        node.hears("b", withdraw()),
        [says_withdraw(), format!("channel b0: closing 0/877 (they owe {AMOUNT})")]
    );
    let owed =
        format!("rejected: expected a transaction of {AMOUNT} to {ADDRESS}, which the neighbour owes, found none");
    assert_eq!(node.hears("b", transaction(None)), [owed]);
    let seen = node.hears("b", transaction(Some(TRANSACTION)));
    assert!(seen.len() == 1 && seen[0].contains(&format!("say that {TRANSACTION_ID} pays it")), "{seen:?}");
}

#[test]
fn a_deposit_that_is_not_answered_can_be_given_up() {
    let mut node = node();
    node.asks(deposits(1000));
    assert_eq!(
        node.asks(withdraws()),
        [says_withdraw(), "channel b0: closed 1000/0 (the neighbour never opened it)".into()]
    );
    node.asks(PaymentNodeMessage::RemoveLink { link: Id::new("b") });
    assert_eq!(node.engine.node().links.len(), 1);
    // Its answer was on its way.
    let mut node = self::node();
    node.asks(deposits(1000));
    node.asks(withdraws());
    assert_eq!(node.hears("b", address(ADDRESS)), [says_null(), "channel b0: closed 1000/0 (we owe 0)".into()]);
}

#[test]
fn deposits_of_both_sides_at_the_same_moment_cancel_each_other_because_there_is_one_issuer() {
    for class in ["IOUChannel", "PlainChannel"] {
        let mut node = node();
        node.asks(deposits(1000));
        let reason =
            format!("both sides have opened it at the same moment, as a IOUChannel here and as {class:?} there");
        assert_eq!(node.hears("b", deposit(0, class)), [format!("channel b0: closed 1000/0 (refused: {reason})")]);
        // The same message is the deposit of both classes.
        let refused = [format!("rejected: this channel was refused: {reason}")];
        assert_eq!(node.hears("b", channel(0, PlainDeposit { amount: 7 })), refused);
        assert_eq!(node.hears("b", address(ADDRESS)), refused);
        // Both go on with the same index.
        node.hears("b", deposit(1, "IOUChannel"));
        let seen = node.hears("b", channel(1, PlainDeposit { amount: 7 }));
        assert!(seen[1].starts_with("channel b1: open 0/7"), "{seen:?}");
    }
}

#[test]
fn other_channels_are_not_paid_back_with_transactions() {
    let mut node = node();
    let transaction = TRANSACTION.parse().unwrap();
    let pays_back = PaymentNodeMessage::PayBack { link: Id::new("a"), channel: 0, transaction };
    let refused = ["rejected: expected a channel that is paid back with a transaction, found a PlainChannel"];
    assert_eq!(node.asks(pays_back), refused);
}

/// What a neighbour may say of a channel, and what our user may ask in between.
fn anything() -> impl Strategy<Value = Result<Message, PaymentNodeMessage>> {
    let told = prop_oneof![
        (0..5_u32, prop_oneof!["IOUChannel", "PlainChannel", "IouChannel", "RefusedChannel", "\\PC{0,80}"])
            .prop_map(|(index, class)| deposit(index, &class)),
        (0..4_u32, prop_oneof![0..3_u64, Just(u64::MAX)]).prop_map(|(at, amount)| channel(at, PlainDeposit { amount })),
        (0..4_u32, prop_oneof![Just(ADDRESS.to_owned()), ".{0,40}"])
            .prop_map(|(at, address)| channel(at, PrototypeIouAddress { address })),
        (0..4_u32).prop_map(|at| channel(at, PlainWithdraw {})),
        (0..4_u32, prop_oneof![Just(None), Just(Some(TRANSACTION.to_owned())), "[0-9a-f]{0,9}".prop_map(Some)])
            .prop_map(|(at, transaction)| channel(at, PrototypeIouWithdrawTransaction { transaction })),
        any::<bool>().prop_map(|side| on(NETWORK, &make_route(side))),
        any::<bool>().prop_map(|side| on(NETWORK, &lock(side))),
        any::<bool>().prop_map(|side| on(NETWORK, &settle_rollback(side))),
    ];
    let asked = prop_oneof![
        (1..200_u64).prop_map(deposits),
        Just(withdraws()),
        Just(pays_back()),
        Just(PaymentNodeMessage::Withdraw { link: Id::new("b"), channel: 1 }),
    ];
    prop_oneof![3 => told.prop_map(Ok), 1 => asked.prop_map(Err)]
}

proptest! {
    /// Each is answered or rejected, as the books of the node check; a node that was restarted knows the same.
    #[test]
    fn whatever_a_neighbour_says_in_whatever_order_only_deposits_bring_money(all in vec(anything(), 1..40)) {
        let mut node = node();
        let total = |node: &Machine| -> u64 {
            let links = node.engine.node().links.iter();
            links.flat_map(|(_, link)| link.channels.iter()).map(|channel| channel.funds().total()).sum()
        };
        for input in all {
            let before = total(&node);
            let deposited = match &input {
                Ok(Message::ChannelMessage { message, .. }) => {
                    (**message).as_any().downcast_ref().map_or(0, |PlainDeposit { amount }| *amount)
                }
                Err(PaymentNodeMessage::Deposit { amount, .. }) => *amount,
                _ => 0,
            };
            let seen = match input {
                Ok(message) => node.hears("b", message),
                Err(message) => node.asks(message),
            };
            prop_assert!(!seen.iter().any(|line| line.starts_with("error: ")), "{:?}", seen);
            let after = total(&node);
            prop_assert!(after == before || after == before.saturating_add(deposited), "{:?}", seen);
        }
        let before = to_json(&node.engine.node().links).unwrap();
        prop_assert_eq!(to_json(&node.restarted().engine.node().links).unwrap(), before);
    }
}
