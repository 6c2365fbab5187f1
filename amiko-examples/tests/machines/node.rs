//! The node: what its user can ask for, and what is refused; who is welcome; what a message on a connection means.

use crate::machine::{Machine, hub};
use amiko_core::Protocol;
use amiko_core::prelude::*;
use amiko_examples::payment::{
    Address, Link, MeetingPoint, Message, Network, PaymentLimits, PaymentNode, PaymentNodeMessage, PaymentProtocol,
};

fn add_link(name: &str, to: Option<&str>) -> PaymentNodeMessage {
    PaymentNodeMessage::AddLink { name: Id::new(name), to: to.map(|url| url.parse().unwrap()) }
}

fn request(amount: u64, receipt: &str, via: Option<&str>) -> PaymentNodeMessage {
    PaymentNodeMessage::Request { amount, receipt: receipt.into(), via: via.map(Id::new) }
}

fn pay(url: &str, via: Option<&str>) -> PaymentNodeMessage {
    PaymentNodeMessage::Pay { url: url.parse().unwrap(), via: via.map(Id::new) }
}

fn connect_link(id: &str, callback_id: &str, host: Option<&str>, port: Option<u16>) -> Message {
    let (callback_host, callback_port) = (host.map(str::to_owned), port);
    Message::ConnectLink {
        id: Id::new(id),
        dice: [1, 2, 3, 4],
        callback_host,
        callback_port,
        callback_id: Id::new(callback_id),
    }
}

#[test]
fn a_node_is_configured_at_each_start() {
    let mut node = hub(&["a"], &[]);
    let configure = PaymentNodeMessage::Configure {
        address: Some(Address { host: "::1".into(), port: 9 }),
        key: None,
        payout_address: None,
        external_meeting_points: vec![Id::new("Here")],
        timeout_increment: 60,
        limits: PaymentLimits::default(),
    };
    assert_eq!(node.asks(configure), [r#"node: Some("[::1]:9") ["Here"] 60"#]);
}

#[test]
fn a_link_with_an_invitation_is_dialled_and_one_without_waits() {
    let mut node = hub(&[], &[]);
    assert_eq!(
        node.asks(add_link("x", None)),
        ["opened x", "reply amikolink://here:4321/x", "link x: to unknown at None"]
    );
    assert_eq!(
        node.asks(add_link("y", Some("amikolink://there/z"))),
        ["opened y", "reply amikolink://here:4321/y", r#"link y: to z at Some("there:4321")"#]
    );
}

#[test]
fn names_that_could_be_taken_for_others_are_refused() {
    let mut node = hub(&["a"], &[]);
    let long = "x".repeat(65);
    for name in ["", "_x", "0123456789abcdef", "0123456789ABCDEF", "a b", "a/b", "a@payer", "é", "!x", long.as_str()] {
        let seen = node.asks(PaymentNodeMessage::AddMeetingPoint { name: Id::new(name) });
        assert_eq!(seen.len(), 1, "{name:?} {seen:?}");
        assert!(seen[0].starts_with("rejected: expected a name of 1 to 64 letters"), "{seen:?}");
    }
    for name in ["_x", "0123456789abcdef", "0123456789ABCDEF", "a@payer", "0123456789abcdef@payer", "@payer", "-", "."]
    {
        let seen = node.asks(add_link(name, None));
        assert_eq!(seen.len(), 1, "{name:?} {seen:?}");
        assert!(seen[0].starts_with("rejected: expected a link's name "), "{seen:?}");
    }
    let long = "x".repeat(64);
    for name in ["x", "0123456789abcde", "0123456789abcdefa", "0123456789abcdeg", "A-b_c.d", long.as_str()] {
        let seen = node.asks(PaymentNodeMessage::AddMeetingPoint { name: Id::new(name) });
        assert_eq!(seen, [format!("point {name}: waiting []")]);
        assert_eq!(node.asks(add_link(name, None)).len(), 3, "{name:?}");
    }
}

#[test]
fn a_name_is_used_once() {
    let mut node = hub(&["a"], &["Here"]);
    assert_eq!(node.asks(add_link("a", None)), ["rejected: expected a new name, found link a there already"]);
    assert_eq!(
        node.asks(PaymentNodeMessage::AddMeetingPoint { name: Id::new("Here") }),
        ["rejected: expected meetingPoint Here to be new, found it there already"]
    );
}

#[test]
fn a_node_without_an_address_can_invite_nobody() {
    let mut node = Machine::new(PaymentNode {
        meeting_points: [(Id::new("Here"), MeetingPoint::default())].into_iter().collect(),
        ..PaymentNode::default()
    });
    assert_eq!(
        node.asks(add_link("x", None)),
        ["rejected: this node has no address: run it with --listen or --advertise"]
    );
    assert_eq!(
        node.asks(request(1, "tea", None)),
        ["rejected: this node has no address: run it with --listen or --advertise"]
    );
}

#[test]
fn a_deposit_needs_an_amount_and_a_link() {
    let mut node = hub(&["a", "b"], &[]);
    let deposit =
        |link: &str, amount| PaymentNodeMessage::Deposit { link: Id::new(link), class: "PlainChannel".into(), amount };
    assert_eq!(node.asks(deposit("a", 0)), ["rejected: expected an amount above 0"]);
    assert_eq!(node.asks(deposit("x", 1)), [r#"rejected: expected a link, found none named "x": there are a, b"#]);
    assert_eq!(
        hub(&[], &[]).asks(deposit("x", 1)),
        [r#"rejected: expected a link, found none named "x": there is none"#]
    );
}

#[test]
fn a_request_makes_a_payee_with_a_random_id() {
    let mut node = hub(&["a"], &["Here"]);
    let seen = node.asks(request(123, "tea", Some("a")));
    let (id, payee) = node.payee();
    let id = id.key();
    assert!(id.len() == 16 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{id}");
    let payee_line = format!("payee {id}: Initial since +0, 123 for tea at [Here], via a");
    let timer = format!("timer payee/{id}/@phase: +86400");
    assert_eq!(seen, [format!("reply amikopay://here:4321/{id}"), payee_line, timer]);
    node.asks(request(123, "tea", None));
    let ids: Vec<_> =
        node.engine.node().payees.iter().map(|(id, payee)| (id, payee.token.transaction(Network::Amiko))).collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0].1, ids[1].1);
    assert!(ids.iter().any(|(_, transaction)| *transaction == payee.token.transaction(Network::Amiko)));
}

#[test]
fn a_request_names_the_meeting_points_of_others_first() {
    let node = PaymentNode {
        meeting_points: [(Id::new("Here"), MeetingPoint::default())].into_iter().collect(),
        external_meeting_points: vec![Id::new("There"), Id::new("Elsewhere")],
        address: Some(Address { host: "here".into(), port: 1 }),
        ..PaymentNode::default()
    };
    let mut node = Machine::new(node);
    node.asks(request(1, "", None));
    assert_eq!(node.payee().1.meeting_points, ["There", "Elsewhere", "Here"].map(Id::new));
}

#[test]
fn a_request_that_cannot_be_paid_is_refused() {
    let mut node = hub(&["a"], &["Here"]);
    assert_eq!(node.asks(request(0, "tea", None)), ["rejected: expected an amount above 0"]);
    assert_eq!(
        node.asks(request(1, &"x".repeat(10_001), None)),
        ["rejected: expected a receipt of at most 10000 bytes, found 10001"]
    );
    assert_eq!(
        node.asks(request(1, "tea", Some("x"))),
        [r#"rejected: expected a link, found none named "x": there is a"#]
    );
    assert_eq!(node.asks(request(1, &"x".repeat(10_000), None)).len(), 3);
    assert_eq!(
        hub(&["a"], &[]).asks(request(1, "tea", None)),
        ["rejected: expected a meeting point, found none: add one, or run with --external-meeting-point"]
    );
}

#[test]
fn a_payment_is_paid_once_at_a_time() {
    let mut node = hub(&["a"], &[]);
    assert_eq!(
        node.asks(pay("amikopay://shop:1/P", Some("a"))),
        [
            "opened P@payer",
            "paying P@payer",
            "payer P@payer: Initial since +0 at shop:1, via a",
            "timer payer/P@payer/@phase: +5"
        ]
    );
    // Another time, it goes on where it stands.
    assert_eq!(node.asks(pay("amikopay://shop:1/P", None)), ["paying P@payer"]);
    assert_eq!(
        node.asks(pay("amikopay://shop:1/Q", Some("x"))),
        [r#"rejected: expected a link, found none named "x": there is a"#]
    );
    assert_eq!(
        node.asks(pay("amikopay://shop:1/Q", None)),
        [
            "opened Q@payer",
            "paying Q@payer",
            "payer Q@payer: Initial since +0 at shop:1",
            "timer payer/Q@payer/@phase: +5"
        ]
    );
}

#[test]
fn hello_names_the_payment_or_both_ends_of_the_link() {
    let mut node = hub(&["a"], &[]);
    node.asks(pay("amikopay://shop/P", None));
    node.asks(add_link("x", None));
    let state = node.engine.node();
    let hello = |name: &str| PaymentProtocol.hello(state, &Id::new(name), [1, 2, 3, 4]);
    assert_eq!(hello("P@payer"), Ok(Message::Pay { id: Id::new("P") }));
    assert_eq!(hello("a"), Ok(connect_link("hub", "a", Some("here"), Some(4321))));
    let unknown = |name: &str| format!("expected a link with a known neighbour, found none for connection {name}");
    assert_eq!(hello("x").unwrap_err().reason(), unknown("x"));
    assert_eq!(hello("z").unwrap_err().reason(), unknown("z"));
    let node = Machine::new(PaymentNode { address: None, ..state.clone() });
    let hello = PaymentProtocol.hello(node.engine.node(), &Id::new("a"), [1, 2, 3, 4]);
    assert_eq!(hello, Ok(connect_link("hub", "a", None, None)));
}

#[test]
fn a_neighbour_is_welcome_on_its_own_link() {
    let mut node = hub(&["a"], &[]);
    node.asks(add_link("x", None));
    assert_eq!(node.welcomes(connect_link("a", "hub", None, None)), ["welcome a Some([1, 2, 3, 4])"]);
    assert_eq!(
        node.welcomes(connect_link("a", "other", None, None)),
        ["unwelcome: expected the neighbour of link a, found its link other"]
    );
    assert_eq!(
        node.welcomes(connect_link("z", "hub", None, None)),
        ["unwelcome: expected a link of this node, found link z"]
    );
    assert_eq!(
        node.welcomes(connect_link("x", "y", Some("::1"), Some(5))),
        ["welcome x Some([1, 2, 3, 4])", "opened x", r#"link x: to y at Some("[::1]:5")"#]
    );
    assert_eq!(node.welcomes(connect_link("x", "y", Some("elsewhere"), Some(5))), ["welcome x Some([1, 2, 3, 4])"]);
    assert_eq!(
        node.welcomes(connect_link("x", "y", Some("bad host"), Some(5))),
        [r#"unwelcome: expected HOST or HOST:PORT, found "bad host:5""#]
    );
    assert_eq!(
        node.welcomes(connect_link("x", "y", Some(""), Some(5))),
        [r#"unwelcome: expected HOST or HOST:PORT, found ":5""#]
    );
    assert_eq!(node.welcomes(connect_link("x", "y", Some("half"), None)), ["welcome x Some([1, 2, 3, 4])"]);
}

#[test]
fn a_payer_is_welcome_to_a_payment_that_was_asked_for() {
    let mut node = hub(&["a"], &["Here"]);
    node.asks(request(123, "tea", None));
    let (id, payee) = node.payee();
    node.name(&payee.token, "X", "XTOKEN");
    node.name_id(id.key(), "P");
    assert_eq!(
        node.welcomes(Message::Pay { id: id.clone() }),
        [
            "welcome P None",
            "opened P",
            "to P: Receipt{amount:123,receipt:tea,transactionID:X,meetingPoints:[Here]}",
            "payee P: Initial since +0, 123 for tea at [Here], told"
        ]
    );
    // Again: what is in the outbox isn't said twice.
    assert_eq!(node.welcomes(Message::Pay { id }), ["welcome P None"]);
    assert_eq!(
        node.welcomes(Message::Pay { id: Id::new("0000000000000000") }),
        ["unwelcome: expected a payment that this node asked for, found payee 0000000000000000"]
    );
    assert_eq!(node.welcomes(Message::Cancel), ["unwelcome: expected ConnectLink or Pay first, found Cancel"]);
}

#[test]
fn a_message_is_for_the_object_of_its_connection() {
    let mut node = hub(&["a"], &["Here"]);
    node.asks(request(123, "tea", None));
    node.asks(pay("amikopay://shop/P", None));
    let (payee, _) = node.payee();
    let state = node.engine.node();
    let kind = |name: &str| {
        PaymentProtocol.envelope(state, &Id::new(name), Message::Cancel).map(|envelope| to_json(&envelope).unwrap())
    };
    let remote = r#""message":{"_class":"Remote","message":{"_class":"Cancel"}}"#;
    assert_eq!(kind("a"), Ok(format!(r#"{{"kind":"link","id":"a",{remote}}}"#)));
    assert_eq!(kind(payee.key()), Ok(format!(r#"{{"kind":"payee","id":"{}",{remote}}}"#, payee.key())));
    assert_eq!(kind("P@payer"), Ok(format!(r#"{{"kind":"payer","id":"P@payer",{remote}}}"#)));
    for name in ["P", "Q@payer", "x", ""] {
        assert_eq!(kind(name).unwrap_err().reason(), "the payment that this was about has ended");
    }
}

#[test]
fn a_link_without_its_peer_has_forgotten_whom_to_dial_only() {
    let link = Link { peer: Some("there:1".into()), ..crate::machine::link() };
    assert_eq!(link.clone().without_peer(), Link { remote_id: None, peer: None, ..link });
}

#[test]
fn a_link_is_removed_when_no_money_is_in_it_and_its_name_is_free_when_the_neighbour_has_heard_all() {
    let mut node = hub(&["a", "b"], &["Here"]);
    let remove = || PaymentNodeMessage::RemoveLink { link: Id::new("a") };
    let with_money = "rejected: expected a link without money, found 2000 in a, 1000 of it ours to spend: withdraw its channels first";
    assert_eq!(node.asks(remove()), [with_money]);
    node.asks(PaymentNodeMessage::Withdraw { link: Id::new("a"), channel: 0 });
    node.asks(remove());
    assert!(!node.engine.node().links.contains(&Id::new("a")) && node.engine.node().links.contains(&Id::new("b")));
    assert!(
        node.asks(add_link("a", None))[0]
            .ends_with("its neighbour hasn't heard everything yet: wait, or choose another")
    );
    node.confirmed();
    assert!(!node.asks(add_link("a", None))[0].starts_with("rejected"));
    assert_eq!(node.asks(remove()).iter().filter(|line| line.starts_with("rejected")).count(), 0);
    assert_eq!(node.asks(remove()), [r#"rejected: expected a link, found none named "a": there is b"#]);
}
