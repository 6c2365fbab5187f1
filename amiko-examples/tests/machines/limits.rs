//! Limits: what a peer may name, ask for and leave behind.

use crate::machine::{BEGIN, Machine, NOTHING, hub, link, other_token, token};
use crate::messages::{AMOUNT, channel, deposit, have_no_route, have_route, lock, make_route, make_route_with};
use amiko_core::Protocol;
use amiko_core::prelude::*;
use amiko_examples::payment::{
    Channel, ConnectionId, Direction, Link, LinkMessage, Message, Network, PayerMessage, PaymentLimits, PaymentNode,
    PaymentNodeMessage, PaymentProtocol, PlainChannel, PlainDeposit, Reservation, Route, RouteId, Token,
    TransactionKey,
};

/// Half of what an outbox holds, and the routes that one link takes.
const MANY: usize = 16_384;
const DAY: u64 = 86_400;

/// The token of a transaction among many.
fn numbered(number: u32) -> Token {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Token::new(bytes)
}

fn small_route(number: u32) -> Message {
    Message::MakeRoute {
        amount: 1,
        transaction_id: numbered(number).transaction(Network::Amiko),
        start_time: None,
        end_time: None,
        meeting_point_id: Id::new("Here"),
        channel_index: 0,
        is_payer_side: true,
    }
}

/// A hub whose channels can carry as many routes as there are.
fn rich_hub() -> Machine {
    let rich = || Link { channels: vec![Box::new(PlainChannel::open(100_000, 100_000))], ..link() };
    let links = ["a", "b"].map(|name| (Id::new(name), rich()));
    Machine::new(PaymentNode { links: links.into_iter().collect(), ..PaymentNode::default() })
}

/// The same as [`Machine::hears`] for one of many messages: only whether it was taken.
fn takes(hub: &mut Machine, connection: &str, message: Message) -> bool {
    let connection: ConnectionId = Id::new(connection);
    let index = hub.engine.connection(&connection).unwrap().received;
    let envelope = PaymentProtocol.envelope(hub.engine.node(), &connection, message);
    let taken = hub.engine.receive(&connection, index, envelope, hub.now).is_ok();
    hub.engine.sync().unwrap();
    taken
}

fn unconfirmed(hub: &Machine, connection: &str) -> usize {
    hub.engine.connection(&Id::new(connection)).unwrap().outbox.len()
}

/// A route of `a` that `b` is asked for.
fn searched(hub: &mut Machine, number: u32) -> RouteId {
    assert!(takes(hub, "a", small_route(number)));
    RouteId { payer_side: true, transaction: numbered(number).transaction(Network::Amiko) }
}

/// The same where the amount is locked, with `b` for 100 s.
fn locked(hub: &mut Machine, number: u32) -> RouteId {
    let route = searched(hub, number);
    let (start_time, end_time) = (Some(BEGIN), Some(BEGIN + 100));
    let transaction_id = Some(route.transaction);
    let stands = Message::HaveRoute { transaction_id, is_payer_side: true, start_time, end_time };
    assert!(takes(hub, "b", stands));
    let locks = Message::Lock {
        transaction_id: route.transaction,
        is_payer_side: true,
        amount: 1,
        start_time: None,
        end_time: None,
        channel_index: 0,
    };
    assert!(takes(hub, "a", locks));
    route
}

/// What the hub has said last to a neighbour.
fn last_to(hub: &Machine, connection: &str) -> Message {
    let (_, message) = hub.engine.outbox(&Id::new(connection)).last().unwrap();
    (**message).clone()
}

#[test]
fn a_link_whose_neighbour_confirms_nothing_takes_no_new_route_and_ends_those_that_it_has() {
    let mut hub = rich_hub();
    locked(&mut hub, 1);
    let late = locked(&mut hub, 2);
    hub.now = hub.now + secs(90);
    let searched = searched(&mut hub, 3);
    while unconfirmed(&hub, "b") < MANY {
        // Any message to b.
        let again = LinkMessage::RequestCommit { route: searched, token: numbered(3) };
        hub.engine.send(&Id::<Link>::new("b"), again, hub.now).unwrap();
    }
    hub.forget();
    // The neighbour that asks for a route through it hears so at once; itself, it is refused.
    assert_eq!(hub.hears("a", make_route(true)), ["to a: HaveNoRoute{transactionID:T,isPayerSide:true}"]);
    let full = ["rejected: expected at most 16384 messages that the neighbour hasn't confirmed, found more"];
    assert_eq!(hub.hears("b", make_route(true)), full);
    // A route ends in each of the ways that there are.
    hub.after(secs(5));
    let transaction_id = searched.transaction;
    assert_eq!(last_to(&hub, "b"), Message::CancelRoute { transaction_id, is_payer_side: true });
    assert_eq!(last_to(&hub, "a"), Message::HaveNoRoute { transaction_id, is_payer_side: true });
    assert!(takes(&mut hub, "b", Message::RequestCommit { token: numbered(1), is_payer_side: true }));
    let settled = Message::SettleCommit { token: numbered(1), is_payer_side: Some(true) };
    assert_eq!(last_to(&hub, "b"), settled);
    assert!(takes(&mut hub, "a", settled));
    hub.after(secs(5));
    let rolled_back = Message::SettleRollback { transaction_id: late.transaction, is_payer_side: true };
    assert_eq!((last_to(&hub, "b"), last_to(&hub, "a")), (rolled_back.clone(), rolled_back.clone()));
    assert!(takes(&mut hub, "a", rolled_back));
    hub.assert_idle();
    assert_eq!(unconfirmed(&hub, "b"), MANY + 3);
    // Once it has confirmed, it takes routes again.
    hub.confirmed();
    assert_eq!(hub.hears("a", make_route(true)).len(), 7);
}

#[test]
fn a_link_carries_4_096_routes_at_the_most() {
    let mut plain = PlainChannel::open(100_000, 100_000);
    let mut full = link();
    for number in 0..4_096 {
        let route = RouteId { payer_side: true, transaction: numbered(number).transaction(Network::Amiko) };
        let claim = Reservation { start_time: None, end_time: None, amount: 1 };
        plain.reserve(Direction::Incoming, route, claim).unwrap();
        let transaction = Id::new(TransactionKey { route, instance: 0 });
        let (channel_index, direction, locked) = (0, Direction::Incoming, false);
        full.routes.insert(route, Route { transaction, channel_index, direction, locked });
    }
    full.channels = vec![Box::new(plain)];
    let links = [(Id::new("a"), full), (Id::new("b"), link())];
    let mut hub = Machine::new(PaymentNode { links: links.into_iter().collect(), ..PaymentNode::default() });
    let refused = ["rejected: expected at most 4096 routes on a link, found more"];
    assert_eq!(hub.hears("a", make_route(true)), refused);
    assert_eq!(hub.hears("b", make_route(true)), ["to b: HaveNoRoute{transactionID:T,isPayerSide:true}"]);
    // One ends, and another one has its place.
    let first = RouteId { payer_side: true, transaction: numbered(0).transaction(Network::Amiko) };
    hub.tells(&Id::<Link>::new("a"), LinkMessage::HaveNoRoute { route: first });
    hub.after(secs(5));
    assert_eq!(hub.hears("a", make_route(true)).len(), 7);
}

#[test]
fn a_lock_may_end_within_60_days() {
    let far = |end: u64| {
        vec![format!("rejected: expected a lock that ends within 5184000 seconds, found one that ends at {end}")]
    };
    let mut node = hub(&["a", "b"], &[]);
    node.hears("a", make_route(true));
    assert_eq!(node.hears("b", have_route(true, 1 << 60)), far(BEGIN + (1 << 60)));
    assert_eq!(node.hears("b", have_route(true, 60 * DAY + 1)), far_relative(60 * DAY + 1));
    assert_eq!(node.hears("b", have_route(true, 60 * DAY)).len(), 4);
    let mut node = hub(&["a", "b"], &[]);
    let until = |end: u64| make_route_with(AMOUNT, Some(BEGIN), Some(BEGIN + end), 0, false);
    assert_eq!(node.hears("a", until(1 << 60)), far(BEGIN + (1 << 60)));
    assert_eq!(node.hears("a", until(60 * DAY + 1)), far_relative(60 * DAY + 1));
    assert_eq!(node.hears("a", until(60 * DAY)).len(), 7);
}

/// In what is seen, such a time is counted from the beginning.
fn far_relative(end: u64) -> Vec<String> {
    vec![format!("rejected: expected a lock that ends within 5184000 seconds, found one that ends at +{end}")]
}

#[test]
fn a_route_that_would_end_too_late_times_out() {
    let mut node = hub(&["a", "b"], &[]);
    node.hears("a", make_route(true));
    node.hears("b", have_route(true, 1 << 60));
    assert_eq!(node.hears("b", lock(true)), ["rejected: expected this of a route whose money is incoming"]);
    node.after(secs(5));
    node.assert_idle();
}

#[test]
fn a_route_for_nothing_is_refused() {
    let mut node = hub(&["a", "b"], &[]);
    assert_eq!(node.hears("a", make_route_with(0, None, None, 0, true)), ["rejected: expected an amount above 0"]);
    assert_eq!(
        node.hears("a", make_route_with(0, Some(BEGIN), Some(BEGIN), 0, false)),
        ["rejected: expected an amount above 0"]
    );
    node.assert_idle();
}

#[test]
fn a_receipt_for_nothing_is_refused_and_cannot_be_agreed_to() {
    let mut node = hub(&["a"], &[]);
    node.asks(PaymentNodeMessage::Pay { url: "amikopay://shop/P".parse().unwrap(), via: None });
    let receipt = |amount, point: &str| Message::Receipt {
        amount,
        receipt: "tea".into(),
        transaction_id: token().transaction(Network::Amiko),
        meeting_points: vec![Id::new(point)],
    };
    assert_eq!(node.hears("P@payer", receipt(0, "Here")), ["rejected: expected an amount above 0"]);
    assert_eq!(
        node.hears("P@payer", receipt(1, "\u{1b}[2J")),
        ["rejected: expected a name of 1 to 64 printable ASCII characters"]
    );
    assert_eq!(node.tells(&node.payer(), PayerMessage::Agree), ["rejected: Agree doesn't fit a payer that is Initial"]);
    assert_eq!(node.after(secs(5))[2], "log P@payer: Payer Cancelled 0 for , +0..+5 the payee sent no receipt");
    node.assert_idle();
}

#[test]
fn names_that_would_grow_or_break_on_the_way_are_refused() {
    let mut node = hub(&["a", "b"], &[]);
    let to = |point: &str, token: Token| Message::MakeRoute {
        amount: 1,
        transaction_id: token.transaction(Network::Amiko),
        start_time: None,
        end_time: None,
        meeting_point_id: Id::new(point),
        channel_index: 0,
        is_payer_side: true,
    };
    let long = "x".repeat(65);
    for bad in ["", "é", "\u{1}", "a\nb", "\u{7f}", "\u{2028}", "\u{202e}", &"\u{1}".repeat(30_000), &long] {
        assert_eq!(
            node.hears("a", to(bad, token())),
            ["rejected: expected a name of 1 to 64 printable ASCII characters"],
            "{bad:?}"
        );
    }
    // In hex it comes through as what it is.
    let hash = to_json(&token().transaction(Network::Amiko)).unwrap();
    let line = format!(
        r#"{{"_class":"MakeRoute","amount":1,"transactionID":{hash},"startTime":null,"endTime":null,"meetingPointID":"!x{}","channelIndex":0,"isPayerSide":true}}"#,
        "01".repeat(30_000)
    );
    assert_eq!(
        node.hears("a", from_json(&line).unwrap()),
        ["rejected: expected a name of 1 to 64 printable ASCII characters"]
    );
    assert_eq!(node.hears("a", to(&long[..64], token())).len(), 7);
    assert_eq!(node.hears("a", to(" ~", other_token())).len(), 7);
}

#[test]
fn a_neighbour_that_calls_its_link_something_else_than_a_name_is_not_welcome() {
    let links = [(Id::new("a"), Link::default())].into_iter().collect();
    let mut node = Machine::new(PaymentNode { links, ..PaymentNode::default() });
    let hello = |name: &str| Message::ConnectLink {
        id: Id::new("a"),
        dice: [0; 4],
        callback_host: None,
        callback_port: None,
        callback_id: Id::new(name),
    };
    for bad in ["", &"x".repeat(2049), &"é".repeat(1025)] {
        let length = bad.len();
        let limit = "expected a link's name of 1 to 2048 bytes (the limit link_name of this node)";
        assert_eq!(node.welcomes(hello(bad)), [format!("unwelcome: {limit}, found {length}")]);
    }
    assert_eq!(node.welcomes(hello("x"))[1], "link a: to x at None");
    // What it calls it names nothing here, and goes back to it as it was.
    let hidden = "\u{200b}".repeat(682);
    for name in ["../x", "a\nb", "%00", "\0", "_x", "0123456789abcdef", "0123456789abcdef@payer", &hidden] {
        let links = [(Id::new("a"), Link::default())].into_iter().collect();
        let mut node = Machine::new(PaymentNode { links, ..PaymentNode::default() });
        assert!(node.welcomes(hello(name))[0].starts_with("welcome a "), "{name:?}");
        let node = node.restarted();
        assert_eq!(node.engine.node().links.len(), 1);
        let answer = PaymentProtocol.hello(node.engine.node(), &Id::new("a"), [0; 4]).unwrap();
        assert!(matches!(answer, Message::ConnectLink { id, .. } if id.key() == name), "{name:?}");
    }
}

#[test]
fn have_no_route_for_a_route_that_was_refused_changes_nothing() {
    let mut node = hub(&["a", "b"], &[]);
    node.hears("a", make_route_with(0, None, None, 0, true));
    assert_eq!(node.hears("b", have_no_route(true)), NOTHING);
}

/// A node with these links whose limits are others.
fn limited(links: &[&str], limits: &[(&str, u64)]) -> Machine {
    let limits =
        limits.iter().fold(PaymentLimits::default(), |limits, (name, value)| limits.with(name, *value).unwrap());
    let mut node = hub(links, &["Here"]);
    node.asks(PaymentNodeMessage::Configure {
        address: node.engine.node().address.clone(),
        key: None,
        payout_address: None,
        external_meeting_points: Vec::new(),
        timeout_increment: DAY,
        limits,
    });
    node
}

fn opens(amount: u64) -> PaymentNodeMessage {
    PaymentNodeMessage::Deposit { link: Id::new("a"), class: "PlainChannel".into(), amount }
}

fn requests(amount: u64, receipt: &str) -> PaymentNodeMessage {
    PaymentNodeMessage::Request { amount, receipt: receipt.into(), via: None }
}

#[test]
fn each_limit_is_set_by_its_name() {
    let limits = PaymentLimits::default();
    for name in ["channels", "routes", "unconfirmed", "lock", "amount", "receipt", "name", "clock", "payments"] {
        let changed = limits.with(name, 7).unwrap();
        assert!(to_json(&changed).unwrap().contains(&format!("\"{name}\":7")), "{changed:?}");
    }
    let refused = |name, value| limits.with(name, value).unwrap_err().to_string();
    assert_eq!(
        refused("links", 1),
        "expected one of the limits channels, routes, unconfirmed, lock, amount, receipt, name, clock, link_name, payments, found \"links\""
    );
    assert!(refused("_class", 1).starts_with("expected one of the limits"));
    let too_large = refused("channels", 1 << 32);
    assert!(too_large.starts_with("the limit channels: ") && too_large.contains("4294967296"), "{too_large}");
}

#[test]
fn a_link_has_as_many_channels_as_its_node_allows() {
    let mut node = limited(&["a"], &[("channels", 2)]);
    let refused = ["rejected: expected at most 2 channels on a link, found more"];
    assert_eq!(node.hears("a", deposit(1, "PlainChannel")), ["channel a1: opening 0/0"]);
    assert_eq!(node.hears("a", deposit(2, "PlainChannel")), refused);
    assert_eq!(node.asks(opens(1)), refused);
    // One that is closed has its place: who opens and closes channels for ever is bounded too.
    node.asks(PaymentNodeMessage::Withdraw { link: Id::new("a"), channel: 0 });
    assert_eq!(node.asks(opens(1)), refused);
}

#[test]
fn a_link_carries_as_many_routes_as_its_node_allows() {
    let mut node = limited(&["a", "b"], &[("routes", 1)]);
    assert!(takes(&mut node, "a", small_route(1)));
    node.forget();
    assert_eq!(node.hears("a", small_route(2)), ["rejected: expected at most 1 routes on a link, found more"]);
}

#[test]
fn a_neighbour_leaves_as_many_messages_unconfirmed_as_its_node_allows() {
    let mut node = limited(&["a", "b"], &[("unconfirmed", 1)]);
    node.asks(opens(1));
    assert_eq!(
        node.hears("a", small_route(1)),
        ["rejected: expected at most 1 messages that the neighbour hasn't confirmed, found more"]
    );
    node.confirmed();
    assert!(takes(&mut node, "a", small_route(1)));
}

#[test]
fn a_lock_ends_within_what_its_node_allows() {
    let mut node = limited(&["a"], &[("lock", 100)]);
    let until = |end| make_route_with(AMOUNT, Some(BEGIN), Some(BEGIN + end), 0, false);
    assert_eq!(
        node.hears("a", until(101)),
        ["rejected: expected a lock that ends within 100 seconds, found one that ends at +101"]
    );
    assert!(node.hears("a", until(100)).len() > 1);
}

#[test]
fn no_sum_of_amounts_overflows_because_a_channel_holds_a_limited_amount() {
    const MOST: u64 = 2_100_000_000_000_000;
    let mut node = hub(&["a"], &["Here"]);
    let refused = [format!("rejected: expected an amount of at most {MOST}, found {}", MOST + 1)];
    assert_eq!(node.asks(opens(MOST + 1)), refused);
    assert_eq!(node.asks(requests(MOST + 1, "")), refused);
    assert_eq!(node.hears("a", make_route_with(MOST + 1, None, None, 0, true)), refused);
    node.hears("a", deposit(1, "PlainChannel"));
    for amount in [MOST + 1, u64::MAX] {
        assert_eq!(
            node.hears("a", channel(1, PlainDeposit { amount })),
            [format!("rejected: expected a channel that holds at most {MOST}, found {amount}")]
        );
    }
    assert_eq!(node.hears("a", channel(1, PlainDeposit { amount: MOST })), [format!("channel a1: open 0/{MOST}")]);
    // The two sides of one channel count together.
    assert_eq!(node.asks(opens(MOST)).len(), 3);
    assert_eq!(node.hears("a", deposit(2, "PlainChannel")), NOTHING);
    assert_eq!(
        node.hears("a", channel(2, PlainDeposit { amount: 1 })),
        [format!("rejected: expected a channel that holds at most {MOST}, found {}", MOST + 1)]
    );
    // As many channels as a link may have, each as full as it may be, can be counted.
    assert!(64_u64.checked_mul(MOST).is_some());
    let mut node = limited(&["a"], &[("amount", 1000)]);
    assert_eq!(node.asks(opens(1001)), ["rejected: expected an amount of at most 1000, found 1001"]);
}

#[test]
fn a_receipt_is_as_long_as_its_node_allows_whoever_has_written_it() {
    let mut node = limited(&["a"], &[("receipt", 3), ("amount", 1000)]);
    let refused = ["rejected: expected a receipt of at most 3 bytes, found 4"];
    assert_eq!(node.asks(requests(1, "teas")), refused);
    assert_eq!(node.asks(requests(1, "té")).len(), 3);
    node.asks(PaymentNodeMessage::Pay { url: "amikopay://shop/P".parse().unwrap(), via: None });
    let receipt = |amount, receipt: &str| Message::Receipt {
        amount,
        receipt: receipt.into(),
        transaction_id: token().transaction(Network::Amiko),
        meeting_points: vec![Id::new("Here")],
    };
    assert_eq!(node.hears("P@payer", receipt(1, "teas")), refused);
    assert_eq!(
        node.hears("P@payer", receipt(1001, "tea")),
        ["rejected: expected an amount of at most 1000, found 1001"]
    );
    assert!(node.hears("P@payer", receipt(1000, "tea")).len() > 1);
}

#[test]
fn a_name_is_as_long_as_its_node_allows_whoever_has_given_it() {
    let mut node = limited(&["a"], &[("name", 3)]);
    let add = |name: &str| PaymentNodeMessage::AddMeetingPoint { name: Id::new(name) };
    let refused = node.asks(add("long"));
    assert!(refused[0].starts_with("rejected: expected a name of 1 to 3 letters"), "{refused:?}");
    assert_eq!(node.asks(add("fit")), ["point fit: waiting []"]);
    assert_eq!(node.hears("a", make_route(true)), ["rejected: expected a name of 1 to 3 printable ASCII characters"]);
}

#[test]
fn a_links_name_is_as_long_as_its_node_allows_whoever_has_given_it() {
    let mut node = limited(&["a"], &[("link_name", 3)]);
    let refused = "rejected: expected a link's name of 1 to 3 bytes (the limit link_name of this node), found 4";
    let add = |name: &str, to: Option<&str>| PaymentNodeMessage::AddLink {
        name: Id::new(name),
        to: to.map(|url| url.parse().unwrap()),
    };
    assert_eq!(node.asks(add("long", None)), [refused]);
    assert_eq!(node.asks(add("b", Some("amikolink://there/long"))), [refused]);
    assert_eq!(node.asks(add("éa", Some("amikolink://there/a b"))).len(), 3);
}

#[test]
fn the_payment_log_is_as_long_as_its_node_allows_and_the_oldest_line_goes() {
    let log =
        |node: &Machine| -> Vec<u64> { node.engine.node().payments.iter().map(|(_, line)| line.amount).collect() };
    let expire = |node: &mut Machine, amount| {
        node.asks(requests(amount, ""));
        node.after(secs(DAY));
    };
    let mut node = limited(&["a"], &[("payments", 3)]);
    (1..=5).for_each(|amount| expire(&mut node, amount));
    assert_eq!(log(&node), [3, 4, 5]);
    // A lower limit is reached soon: two go for one that comes.
    let limits = PaymentLimits::default().with("payments", 1).unwrap();
    let state = node.engine.node();
    let (address, timeout_increment) = (state.address.clone(), state.timeout_increment);
    let external_meeting_points = Vec::new();
    node.asks(PaymentNodeMessage::Configure {
        address,
        key: None,
        payout_address: None,
        external_meeting_points,
        timeout_increment,
        limits,
    });
    expire(&mut node, 6);
    assert_eq!(log(&node), [5, 6]);
    expire(&mut node, 7);
    assert_eq!(log(&node), [7]);
}
