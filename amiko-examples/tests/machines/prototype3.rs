//! Nodes on the network of the prototype: its hash, no keys, and rollbacks of which only the neighbour towards the payer
//! hears, and which it doesn't answer.

use crate::machine::{BEGIN, Machine, NOTHING, hub, hub_on, link, token};
use crate::messages::{
    AMOUNT, have_route, lock, make_route, make_route_with, on, request_commit, settle_commit, settle_rollback,
};
use amiko_core::PublicKey;
use amiko_core::prelude::*;
use amiko_examples::payment::{
    Address, Link, Message, Network, Payee, PayeeMessage, PayerMessage, PaymentLimits, PaymentNode, PaymentNodeMessage,
};

const NETWORK: Network = Network::Prototype3;

fn hears(node: &mut Machine, connection: &str, message: Message) -> Vec<String> {
    node.hears(connection, on(NETWORK, &message))
}

/// Payer's side, from `a` to `b`, where the amount is locked: until 100 s with `b`, and a day more with `a`.
fn locked() -> Machine {
    let mut hub = hub_on(NETWORK, &["a", "b"], &[]);
    hears(&mut hub, "a", make_route(true));
    hears(&mut hub, "b", have_route(true, 100));
    hears(&mut hub, "a", lock(true));
    hub
}

#[test]
fn a_commit_time_out_gives_everything_back_at_once() {
    let mut hub = locked();
    assert_eq!(
        hub.after(secs(100)),
        [
            "to a: SettleRollback{transactionID:T,isPayerSide:true}",
            "channel a0: open 1000/1000",
            "channel b0: open 1000/1000",
            "claim a 1T: gone",
            "claim b 1T: gone",
            "timer transaction/1T/commit: gone",
            "timer transaction/1T/settle: gone",
            "transaction 1T: gone"
        ]
    );
    hub.assert_idle();
    // Too late.
    assert_eq!(hears(&mut hub, "b", request_commit(true)), NOTHING);
}

#[test]
fn a_neighbour_that_gives_up_gets_no_answer() {
    let mut hub = locked();
    assert_eq!(
        hears(&mut hub, "b", settle_rollback(true)),
        [
            "to a: SettleRollback{transactionID:T,isPayerSide:true}",
            "channel a0: open 1000/1000",
            "channel b0: open 1000/1000",
            "claim a 1T: gone",
            "claim b 1T: gone",
            "timer transaction/1T/commit: gone",
            "timer transaction/1T/settle: gone",
            "transaction 1T: gone"
        ]
    );
    hub.assert_idle();
}

#[test]
fn a_settled_neighbour_that_never_settles_itself_is_given_up_a_day_after_its_time() {
    let mut hub = locked();
    hears(&mut hub, "b", request_commit(true));
    assert_eq!(hub.after(secs(100 + 2 * 86_400 - 1)), NOTHING);
    let mut in_time = locked();
    hears(&mut in_time, "b", request_commit(true));
    in_time.after(secs(100 + 2 * 86_400 - 1));
    assert_eq!(hears(&mut in_time, "a", settle_commit(true))[0], "channel a0: open 1123/877");
    in_time.assert_idle();
    assert_eq!(
        hub.after(secs(1)),
        ["channel a0: open 1000/1000", "claim a 1T: gone", "timer transaction/1T/settle: gone", "transaction 1T: gone"]
    );
    hub.assert_idle();
}

#[test]
fn a_payee_that_is_never_settled_with_gives_up_a_day_after_the_time() {
    let payee = Payee {
        phase: Phase::INITIAL,
        begun: Time::from_secs(BEGIN),
        amount: AMOUNT,
        receipt: "tea".into(),
        token: token(),
        meeting_points: vec![Id::new("There")],
        via: None,
        told: false,
    };
    let mut node = Machine::new(PaymentNode {
        network: NETWORK,
        links: [(Id::new("a"), link())].into_iter().collect(),
        payees: [(Id::new("P"), payee)].into_iter().collect(),
        ..PaymentNode::default()
    });
    node.tells(&Id::<Payee>::new("P"), PayeeMessage::Dialled);
    node.hears("P", Message::Confirm { meeting_point_id: Id::new("There") });
    hears(&mut node, "a", have_route(false, 86_400));
    hears(&mut node, "a", lock(false));
    // The payment's connection is closed after its time.
    node.after(secs(3600));
    assert_eq!(node.after(secs(2 * 86_400 - 3601)), NOTHING);
    let seen = node.after(secs(1));
    assert!(seen.contains(&"channel a0: open 1000/1000".to_owned()), "{seen:?}");
    assert!(seen.iter().any(|line| line.starts_with("log P: Payee Cancelled 123 for tea, T")), "{seen:?}");
    node.assert_idle();
}

#[test]
fn a_payer_whose_lock_runs_out_has_its_money_back() {
    let mut node = hub_on(NETWORK, &["a"], &[]);
    let pay = PaymentNodeMessage::Pay { url: "amikopay://there/0123456789abcdef".parse().unwrap(), via: None };
    node.asks(pay);
    let connection = "0123456789abcdef@payer";
    let receipt = Message::Receipt {
        amount: AMOUNT,
        receipt: "tea".into(),
        transaction_id: token().transaction(NETWORK),
        meeting_points: vec![Id::new("Here")],
    };
    node.hears(connection, receipt);
    node.tells(&node.payer(), PayerMessage::Agree);
    hears(&mut node, "a", have_route(true, 100));
    let nothing = Message::HaveRoute { transaction_id: None, is_payer_side: false, start_time: None, end_time: None };
    node.hears(connection, nothing);
    let seen = node.after(secs(100));
    assert_eq!(
        seen.iter().filter(|line| line.starts_with("to ")).collect::<Vec<_>>(),
        [&format!("to {connection}: Cancel{{}}")]
    );
    assert!(seen.contains(&"channel a0: open 1000/1000".to_owned()), "{seen:?}");
    assert!(node.engine.node().payers.is_empty());
    assert_eq!(hears(&mut node, "a", request_commit(true)), NOTHING);
}

#[test]
fn a_hash_of_another_network_is_refused() {
    let refused = |length| format!("rejected: expected a transaction of the network {length}");
    let mut ours = hub(&["a"], &[]);
    let seen = ours.hears("a", on(NETWORK, &make_route(true)));
    assert_eq!(seen, [refused("amiko, found one whose hash has 20 bytes")]);
    let mut theirs = hub_on(NETWORK, &["a"], &[]);
    let seen = theirs.hears("a", make_route_with(AMOUNT, None, None, 0, true));
    assert_eq!(seen, [refused("prototype3, found one whose hash has 32 bytes")]);
    let pay = PaymentNodeMessage::Pay { url: "amikopay://there/0123456789abcdef".parse().unwrap(), via: None };
    theirs.asks(pay);
    let receipt = Message::Receipt {
        amount: AMOUNT,
        receipt: "tea".into(),
        transaction_id: token().transaction(Network::Amiko),
        meeting_points: vec![Id::new("Here")],
    };
    let seen = theirs.hears("0123456789abcdef@payer", receipt);
    assert_eq!(seen, [refused("prototype3, found one whose hash has 32 bytes")]);
}

#[test]
fn there_are_no_keys_and_none_in_urls() {
    let mut node = hub_on(NETWORK, &[], &["Here"]);
    let configure = PaymentNodeMessage::Configure {
        address: Some(Address { host: "here".into(), port: 4321 }),
        key: Some(PublicKey::new([1; 32])),
        payout_address: None,
        external_meeting_points: Vec::new(),
        timeout_increment: 86_400,
        limits: PaymentLimits::default(),
    };
    assert_eq!(node.asks(configure), ["rejected: expected no key on the network prototype3, found one"]);
    let add =
        |to: Option<&str>| PaymentNodeMessage::AddLink { name: Id::new("a"), to: to.map(|url| url.parse().unwrap()) };
    let seen = node.asks(add(Some(&format!("amikolink://{}@there:4322/b", "01".repeat(32)))));
    assert_eq!(seen, ["rejected: expected a URL without a key on this network, found one with"]);
    let seen = node.asks(add(Some("amikolink://there:4322/b")));
    assert!(seen.contains(&"reply amikolink://here:4321/a".to_owned()), "{seen:?}");
    let request = PaymentNodeMessage::Request { amount: 7, receipt: String::new(), via: None };
    let seen = node.asks(request);
    let (id, _) = node.payee();
    assert!(seen.contains(&format!("reply amikopay://here:4321/{}", id.key())), "{seen:?}");
}

#[test]
fn a_state_from_before_there_were_networks_is_of_our_own() {
    let now = to_json(&PaymentNode::default()).unwrap();
    let before = now.replace(r#""network":"amiko","#, "");
    assert_ne!(before, now);
    assert_eq!(from_json::<PaymentNode>(&before).unwrap(), PaymentNode::default());
}

/// A prototype takes the path of our URL for the name as it stands; a neighbour that we have dialled knows the name itself.
#[test]
fn a_prototype_that_dials_by_our_url_finds_the_link() {
    let hello = |id: &str| Message::ConnectLink {
        id: Id::new(id),
        dice: [0; 4],
        callback_host: None,
        callback_port: None,
        callback_id: Id::new("what? /"),
    };
    for (link, called) in [("a b", "a%20b"), ("a b", "a b"), ("100%", "100%25"), ("%41", "%41")] {
        let links = [(Id::new(link), Link::default())].into_iter().collect();
        let mut node = Machine::new(PaymentNode { network: NETWORK, links, ..PaymentNode::default() });
        assert!(node.welcomes(hello(called))[0].starts_with(&format!("welcome {link} ")), "{link} {called}");
        assert_eq!(node.welcomes(hello("a%2520b")), ["unwelcome: expected a link of this node, found link a%2520b"]);
    }
    // Nodes on our own network decode URLs themselves.
    let links = [(Id::new("a b"), Link::default())].into_iter().collect();
    let mut node = Machine::new(PaymentNode { links, ..PaymentNode::default() });
    assert_eq!(node.welcomes(hello("a%20b")), ["unwelcome: expected a link of this node, found link a%20b"]);
}
