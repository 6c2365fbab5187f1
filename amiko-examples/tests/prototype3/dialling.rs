//! Who dials whom, which socket stays, and how a conversation goes on after one is lost.

use crate::node::{Node, run};
use crate::peer::Peer;
use amiko_core::Protocol;
use amiko_core::engine::Engine;
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use amiko_examples::payment::{Address, Link, Network, PaymentNode, PaymentNodeMessage, PaymentProtocol, PlainChannel};
use tokio::net::TcpListener;

const NOW: u64 = 1_795_369_393;

/// A node with one link that dials there, if anywhere.
async fn node(peer: Option<&TcpListener>) -> Node {
    node_with(peer, 0).await
}

/// The same after it has dialled with these dice.
async fn node_with(peer: Option<&TcpListener>, dice: u32) -> Node {
    let peer = peer.map(|listener| listener.local_addr().unwrap().to_string());
    let remote_id = peer.is_some().then(|| Id::new("toA"));
    let node = PaymentNode {
        network: Network::Prototype3,
        links: [(Id::new("toB"), Link { remote_id, peer, dice, ..Link::default() })].into_iter().collect(),
        address: Some(Address { host: "localhost".into(), port: 4501 }),
        ..PaymentNode::default()
    };
    Node::start(node, NOW).await
}

/// The dice that it dials with next.
async fn dice(listener: &TcpListener) -> u32 {
    assert_hello(&Peer::accept(listener).await.1)
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// The first line of the neighbour, which listens there.
fn hello(dice: &str, callback: &TcpListener) -> String {
    let port = callback.local_addr().unwrap().port();
    format!(
        "{{\"index\": null, \"message\": {{\"ID\": \"toB\", \"dice\": {dice:?}, \"callbackHost\": \"127.0.0.1\", \
         \"callbackPort\": {port}, \"callbackID\": \"toA\", \"_class\": \"ConnectLink\"}}}}"
    )
}

/// The first line of the node, in which only the dice aren't known. Returns them.
fn assert_hello(line: &str) -> u32 {
    let (before, rest) = line.split_once("\"dice\":\"!x").unwrap();
    assert_eq!(before, r#"{"index":null,"message":{"_class":"ConnectLink","ID":"toA","#);
    let (dice, after) = rest.split_at(8);
    assert_eq!(after, r#"","callbackHost":"localhost","callbackPort":4501,"callbackID":"toB"}}"#);
    u32::from_str_radix(dice, 16).unwrap()
}

const DEPOSIT: &str = r#"{"index":0,"message":{"_class":"Deposit","channelIndex":0,"channelClass":"PlainChannel"}}"#;
const AMOUNT: &str = r#"{"index":1,"message":{"_class":"ChannelMessage","channelIndex":0,"message":{"_class":"PlainChannel_Deposit","amount":7}}}"#;

async fn deposit(node: &Node) {
    node.asks(PaymentNodeMessage::Deposit { link: Id::new("toB"), class: PlainChannel::CLASS.into(), amount: 7 }).await;
}

fn channels(engine: &Engine<PaymentNode, Memory>) -> Vec<(u64, u64)> {
    let channels = engine.node().links.iter().flat_map(|(_, link)| link.channels.iter());
    channels.map(|channel| (channel.local(), channel.remote())).collect()
}

#[test]
fn when_both_dial_at_once_the_larger_dice_stays() {
    run(async {
        let listener = listen().await;
        let node = node(Some(&listener)).await;
        let (mut ours, said) = Peer::accept(&listener).await;
        assert_hello(&said);
        // Smaller than any but one.
        Peer::dial(node.address, &hello("!x00000000", &listener)).await.hears_the_end().await;
        deposit(&node).await;
        assert_eq!([ours.hears().await, ours.hears().await], [DEPOSIT, AMOUNT]);
        // Larger than any but one: it takes the place, and what is unconfirmed is said again.
        let mut theirs = Peer::dial(node.address, &hello("!xffffffff", &listener)).await;
        ours.hears_the_end().await;
        assert_eq!([theirs.hears().await, theirs.hears().await], [DEPOSIT, AMOUNT]);
    });
}

#[test]
fn random_bytes_decide_where_dice_begin_and_never_let_them_sink() {
    let draw = |network, dice, random| {
        let links = [(Id::new("toB"), Link { dice, ..Link::default() })].into_iter().collect();
        let node = PaymentNode { network, links, ..PaymentNode::default() };
        let draw = PaymentProtocol.draw(&node, &Id::new("toB"), random);
        (u32::from_be_bytes(draw.tie_breaker), draw.event.is_some())
    };
    assert_eq!(draw(Network::Prototype3, 0, [0; 4]), (0xff00_0000, true));
    assert_eq!(draw(Network::Prototype3, 0, [0xff; 4]), (0xff7f_ffff, true));
    for last in [0xff00_0000, 0xff12_3456, 0xff7f_ffff, 0xffff_fffe] {
        for random in [[0; 4], [0x12; 4], [0xff; 4]] {
            assert!(draw(Network::Prototype3, last, random).0 > last);
        }
    }
    assert_eq!(draw(Network::Prototype3, u32::MAX, [7; 4]), (u32::MAX, true));
    // On our own network nothing depends on them, and nothing is recorded.
    assert_eq!(draw(Network::Amiko, 7, [1, 2, 3, 4]), (0x0102_0304, false));
}

#[test]
fn dice_only_rise_whatever_was_restarted() {
    run(async {
        let listener = listen().await;
        let mut node = node(Some(&listener)).await;
        let mut last = dice(&listener).await;
        // Larger than nearly all of a prototype, with room for those that follow.
        assert!((0xff00_0000..=0xff7f_ffff).contains(&last), "{last:x}");
        for restart in [false, true, false, true] {
            if restart {
                node = Node::restart(node.stop().await, NOW).await;
            }
            let next = dice(&listener).await;
            assert!(next > last, "{next:x} after {last:x}");
            last = next;
        }
    });
}

#[test]
fn the_largest_dice_stay_the_last_ones() {
    run(async {
        let listener = listen().await;
        let node = node_with(Some(&listener), u32::MAX - 1).await;
        assert_eq!([dice(&listener).await, dice(&listener).await], [u32::MAX; 2]);
        let node = Node::restart(node.stop().await, NOW).await;
        assert_eq!(dice(&listener).await, u32::MAX);
        drop(node);
    });
}

#[test]
fn two_nodes_that_dial_each_other_at_once_end_with_one_conversation() {
    run(async {
        for _ in 0..10 {
            let nodes = [node(None).await, node(None).await];
            for (node, other) in [(&nodes[0], &nodes[1]), (&nodes[1], &nodes[0])] {
                let to = Some(format!("amikolink://{}/toB", other.address).parse().unwrap());
                node.asks(PaymentNodeMessage::RenewLink { link: Id::new("toB"), to }).await;
            }
            deposit(&nodes[0]).await;
            while nodes[1].looks(channels).await != [(0, 7)] {}
            deposit(&nodes[1]).await;
            while nodes[0].looks(channels).await != [(7, 0), (0, 7)] {}
        }
    });
}

#[test]
fn a_neighbour_that_has_dialled_is_dialled_when_it_is_lost() {
    run(async {
        let listener = listen().await;
        let node = node(None).await;
        let mut peer = Peer::dial(node.address, &hello("!x1186f949", &listener)).await;
        deposit(&node).await;
        assert_eq!([peer.hears().await, peer.hears().await], [DEPOSIT, AMOUNT]);
        drop(peer);
        let (mut peer, said) = Peer::accept(&listener).await;
        assert_hello(&said);
        assert_eq!([peer.hears().await, peer.hears().await], [DEPOSIT, AMOUNT]);
    });
}

#[test]
fn a_conversation_goes_on_by_the_numbers_of_its_messages_alone() {
    run(async {
        let listener = listen().await;
        let node = node(Some(&listener)).await;
        let (mut peer, _) = Peer::accept(&listener).await;
        deposit(&node).await;
        assert_eq!([peer.hears().await, peer.hears().await], [DEPOSIT, AMOUNT]);
        peer.say(r#"{"received": 0}"#).await;
        let deposited = [
            r#"{"index": 0, "message": {"channelIndex": 1, "channelClass": "PlainChannel", "_class": "Deposit"}}"#,
            r#"{"index": 1, "message": {"channelIndex": 1, "message": {"amount": 5, "_class": "PlainChannel_Deposit"}, "_class": "ChannelMessage"}}"#,
        ];
        peer.say(deposited[0]).await;
        peer.is_confirmed(0).await;
        drop(peer);
        // After another socket, and after another process: first who it is, and then what isn't confirmed.
        let (mut peer, said) = Peer::accept(&listener).await;
        assert_hello(&said);
        assert_eq!(peer.hears().await, AMOUNT);
        // The confirmation was lost: what is said again acts once, and is confirmed again.
        peer.say(deposited[0]).await;
        peer.is_confirmed(0).await;
        peer.say(deposited[1]).await;
        peer.is_confirmed(1).await;
        let (engine, ()) = tokio::join!(node.stop(), peer.hears_the_end());
        assert_eq!(channels(&engine), [(7, 0), (0, 5)]);
        let node = Node::restart(engine, NOW).await;
        let (mut peer, said) = Peer::accept(&listener).await;
        assert_hello(&said);
        assert_eq!(peer.hears().await, AMOUNT);
        for line in deposited {
            peer.say(line).await;
        }
        peer.is_confirmed(1).await;
        peer.say(r#"{"received": 1}"#).await;
        let (engine, ()) = tokio::join!(node.stop(), peer.hears_the_end());
        assert_eq!(channels(&engine), [(7, 0), (0, 5)]);
    });
}
