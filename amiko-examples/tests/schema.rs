//! The state of the payment node, locked: a change of a class that old files wouldn't survive doesn't go unnoticed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use amiko_core::prelude::*;
use amiko_core::serializable::schema;
use amiko_examples::payment::{Channel, Link, PaymentNode, PlainChannel};

#[test]
fn old_files_still_open() {
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.lock");
    if let Err(told) = schema::check::<PaymentNode>(lock) {
        panic!("{told}");
    }
}

#[test]
fn a_node_from_before_there_were_limits_and_classes_to_accept_opens_with_the_defaults() {
    let link = r#"{"_class":"Link","remoteId":"hub","peer":null,"channels":[{"_class":"PlainChannel","state":"open","amountLocal":7,"amountRemote":5,"transactionsIncomingReserved":{},"transactionsOutgoingReserved":{},"transactionsIncomingLocked":{},"transactionsOutgoingLocked":{}}],"routes":{}}"#;
    let text = format!(
        r#"{{"_class":"PaymentNode","links":{{"a":{link}}},"payers":{{}},"payees":{{}},"meetingPoints":{{}},"transactions":{{}},"payments":{{}},"address":null,"timeoutIncrement":86400,"externalMeetingPoints":[]}}"#
    );
    let node: PaymentNode = from_json(&text).unwrap();
    let channels = vec![Box::new(PlainChannel::open(7, 5)) as Box<dyn Channel>];
    let link = Link { remote_id: Some(Id::new("hub")), channels, ..Link::default() };
    let links = [(Id::new("a"), link)].into_iter().collect();
    assert_eq!(node, PaymentNode { links, ..PaymentNode::default() });
}
