//! A class of channel that the node doesn't know of, since it is in this crate: links find it by its name.

#![allow(clippy::unwrap_used)]

use amiko_core::Protocol;
use amiko_core::engine::{Engine, Entropy, Settings};
use amiko_core::event::Output;
use amiko_core::prelude::*;
use amiko_core::serializable::check_classes;
use amiko_core::store::Memory;
use amiko_examples::payment::{
    Channel, ChannelMessage, ChannelState, ConnectionId, Direction, Funds, Link, LinkMessage, Message, Network,
    PaymentNode, PaymentNodeEnvelope, PaymentNodeMessage, PaymentProtocol, PlainChannel, PlainDeposit, PlainWithdraw,
    Reservation, RouteId, Token, new_channel,
};

/// A channel between friends, who write down what they owe each other: nobody has to deposit anything.
#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(implements(Channel))]
struct FreeChannel {
    #[amiko(default = even)]
    funds: Funds,
    #[amiko(default)]
    thanks: u32,
}

/// What friends owe each other at the most.
const CREDIT: u64 = 1_000_000;

fn even() -> Funds {
    Funds {
        state: Phase::at(ChannelState::Open).unwrap(),
        amount_local: CREDIT,
        amount_remote: CREDIT,
        ..Funds::default()
    }
}

impl FreeChannel {
    /// What the neighbour owes us; negative if we owe it.
    fn owed(&self) -> i64 {
        self.funds.amount_local as i64 - CREDIT as i64
    }
}

/// A message that only this class has.
#[derive(Clone, Serializable)]
#[amiko(class = "FreeChannel_Thanks", implements(ChannelMessage))]
struct Thanks {
    times: u32,
}

impl ChannelMessage for Thanks {}

impl Channel for FreeChannel {
    fn funds(&self) -> Funds {
        self.funds.clone()
    }

    fn set_funds(&mut self, funds: Funds) {
        self.funds = funds;
    }

    fn deposit(&mut self, _: u64) -> Result<Box<dyn ChannelMessage>, Rejection> {
        Err(Rejection::new("expected a channel that holds money, found one that is free"))
    }

    fn expects_deposit(&self) -> bool {
        false
    }

    fn withdraw(&mut self) -> Result<Box<dyn ChannelMessage>, Rejection> {
        Err(Rejection::new("expected a channel that ends, found one between friends"))
    }

    fn receive(&mut self, message: &dyn ChannelMessage) -> Result<Option<Box<dyn ChannelMessage>>, Rejection> {
        let thanks: &Thanks = message.as_any().downcast_ref().ok_or(Rejection::new("expected thanks"))?;
        self.thanks += thanks.times;
        Ok((thanks.times > 1).then(|| Box::new(Thanks { times: 1 }) as Box<dyn ChannelMessage>))
    }

    /// Friends don't lend each other more than this for one payment.
    fn can_reserve(&self, direction: Direction, amount: u64) -> bool {
        amount <= 1000 && self.funds.can_reserve(direction, amount)
    }

    fn reserve(&mut self, direction: Direction, route: RouteId, claim: Reservation) -> Result<(), Rejection> {
        if !self.can_reserve(direction, claim.amount) {
            return Err(Rejection::new("expected at most 1000, found more"));
        }
        self.funds.reserve(direction, route, claim)
    }
}

const BEGIN: u64 = 1_800_000_000;

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.entropy = Entropy::Seed([1; 32]);
    settings
}

fn token() -> Token {
    Token::new([7; 32])
}

/// A node with a neighbour at each of the links `a` and `b`; there is no channel yet.
struct Node {
    engine: Engine<PaymentNode, Memory>,
}

impl Node {
    fn new() -> Self {
        let links = ["a", "b"].map(|name| {
            let remote_id = Some(Id::new("hub"));
            let accepts = ["FreeChannel", "PlainChannel", "NoChannel"].map(str::to_owned).into();
            (Id::new(name), Link { remote_id, accepts, ..Link::default() })
        });
        let node = PaymentNode { links: links.into_iter().collect(), ..PaymentNode::default() };
        let configure = PaymentNodeMessage::Configure {
            address: None,
            key: None,
            payout_address: None,
            external_meeting_points: Vec::new(),
            timeout_increment: node.timeout_increment,
            limits: node.limits.clone(),
        };
        let mut engine = Engine::open_with(Memory::new(), settings(), || node).unwrap();
        engine.command(PaymentNodeEnvelope::PaymentNode(configure), None, Time::from_secs(BEGIN)).unwrap();
        engine.sync().unwrap();
        Self { engine }
    }

    /// A neighbour says something; gives back what is said thereupon, or why it is refused.
    fn hears(&mut self, link: &str, message: Message) -> Result<Vec<Message>, String> {
        let connection: ConnectionId = Id::new(link);
        let index = self.engine.connection(&connection).unwrap().received;
        let envelope = PaymentProtocol.envelope(self.engine.node(), &connection, message);
        let refused = self.engine.receive(&connection, index, envelope, Time::from_secs(BEGIN)).err();
        let outputs = self.engine.sync().unwrap();
        let said = outputs.into_iter().filter_map(|output| match output {
            Output::Transmit { message, .. } => Some((*message).clone()),
            _ => None,
        });
        match refused {
            None => Ok(said.collect()),
            Some(_) => Err(self.engine.rejections().next_back().unwrap().rejection.reason().to_owned()),
        }
    }

    /// The only channel of a link.
    fn channel(&self, link: &str) -> &FreeChannel {
        let channels = &self.engine.node().links.get(&Id::new(link)).unwrap().channels;
        assert_eq!(channels.len(), 1);
        (*channels[0]).as_any().downcast_ref().unwrap()
    }

    /// What a restart finds.
    fn crashed(self) -> Self {
        let store = self.engine.into_store().crash();
        Self { engine: Engine::open(store, settings()).unwrap() }
    }
}

fn deposit(class: &str) -> Message {
    Message::Deposit { channel_index: 0, channel_class: class.into() }
}

fn make_route(amount: u64) -> Message {
    Message::MakeRoute {
        amount,
        transaction_id: token().transaction(Network::Amiko),
        start_time: None,
        end_time: None,
        meeting_point_id: Id::new("There"),
        channel_index: 0,
        is_payer_side: true,
    }
}

fn have_route() -> Message {
    let transaction_id = Some(token().transaction(Network::Amiko));
    Message::HaveRoute { transaction_id, is_payer_side: true, start_time: Some(BEGIN), end_time: Some(BEGIN + 100) }
}

fn lock() -> Message {
    Message::Lock {
        transaction_id: token().transaction(Network::Amiko),
        is_payer_side: true,
        amount: 123,
        start_time: None,
        end_time: None,
        channel_index: 0,
    }
}

/// The node after each neighbour has opened a channel of this crate's class.
fn friends() -> Node {
    let mut node = Node::new();
    assert_eq!(node.hears("a", deposit("FreeChannel")), Ok(Vec::new()));
    assert_eq!(node.hears("b", deposit("FreeChannel")), Ok(Vec::new()));
    node
}

/// The same after 123 have been locked from `a` to `b`.
fn locked() -> Node {
    let mut node = friends();
    node.hears("a", make_route(123)).unwrap();
    node.hears("b", have_route()).unwrap();
    node.hears("a", lock()).unwrap();
    node
}

#[test]
fn a_neighbour_opens_a_channel_of_a_class_of_this_crate() {
    let node = friends();
    assert_eq!(node.channel("a"), &FreeChannel { funds: even(), thanks: 0 });
    assert_eq!(new_channel("FreeChannel").unwrap().class_name(), "FreeChannel");
    assert_eq!(new_channel("PlainChannel").unwrap().class_name(), "PlainChannel");
    assert_eq!(check_classes(), Ok(()));
}

#[test]
fn a_class_that_there_is_not_is_refused_and_those_that_there_are_are_named() {
    let accepted = "FreeChannel or NoChannel or PlainChannel";
    let known = "expected the class FreeChannel or IOUChannel or IouChannel or PlainChannel";
    for (class, expected) in [
        ("NoChannel", format!("{known}, found \"NoChannel\"")),
        (
            "freechannel",
            format!("expected a class of channel that this link accepts, {accepted}, found \"freechannel\""),
        ),
        ("", format!("expected a class of channel that this link accepts, {accepted}, found \"\"")),
        (
            "IouChannel",
            format!(
                "expected a class of channel that this link accepts, {accepted}, found \"IouChannel\"; `amiko-node link \
                 accept a FreeChannel IouChannel NoChannel PlainChannel` accepts it, too"
            ),
        ),
    ] {
        let mut node = Node::new();
        assert_eq!(node.hears("a", deposit(class)), Ok(Vec::new()));
        let channels = &node.engine.node().links.get(&Id::new("a")).unwrap().channels;
        let remarks: Vec<_> = channels.iter().map(|channel| channel.remark()).collect();
        assert_eq!(remarks, [format!("refused: {expected}")]);
    }
}

#[test]
fn a_name_of_a_class_is_not_a_way_into_the_text_of_one() {
    let sly = r#"FreeChannel","thanks":5,"x":""#;
    let reason = new_channel(sly).unwrap_err();
    assert_eq!(
        reason.reason(),
        format!("expected the class FreeChannel or IOUChannel or IouChannel or PlainChannel, found {sly:?}")
    );
}

#[test]
fn a_class_of_this_crate_has_messages_of_its_own() {
    let mut node = friends();
    let thanks = |times| {
        let line = format!(
            r#"{{"_class":"ChannelMessage","channelIndex":0,"message":{{"_class":"FreeChannel_Thanks","times":{times}}}}}"#
        );
        from_json::<Message>(&line).unwrap()
    };
    assert_eq!(node.hears("a", thanks(1)), Ok(Vec::new()));
    assert_eq!(node.hears("a", thanks(2)), Ok(vec![thanks(1)]));
    assert_eq!(node.channel("a").thanks, 3);
    let message = Box::new(PlainWithdraw {});
    assert_eq!(node.hears("a", Message::ChannelMessage { channel_index: 0, message }), Err("expected thanks".into()));
}

#[test]
fn a_payment_goes_over_channels_of_a_class_of_this_crate() {
    let mut node = friends();
    let said = node.hears("a", make_route(123)).unwrap();
    assert!(matches!(said[..], [Message::MakeRoute { amount: 123, channel_index: 0, .. }]), "{said:?}");
    assert_eq!((node.channel("a").claimed(), node.channel("b").claimed()), ((123, 0), (0, 123)));
    node.hears("b", have_route()).unwrap();
    node.hears("a", lock()).unwrap();
    let token = token();
    let said = node.hears("b", Message::RequestCommit { token: token.clone(), is_payer_side: true }).unwrap();
    assert_eq!(said.len(), 2);
    assert_eq!((node.channel("a").owed(), node.channel("b").owed()), (0, -123));
    node.hears("a", Message::SettleCommit { token, is_payer_side: Some(true) }).unwrap();
    assert_eq!((node.channel("a").owed(), node.channel("b").owed()), (123, -123));
    assert_eq!(node.engine.node().claims(), 0);
    assert_eq!(node.engine.node().balance(), 2_000_000);
}

#[test]
fn what_a_class_of_this_crate_refuses_is_refused() {
    let mut node = friends();
    assert_eq!(node.hears("a", make_route(1001)), Err("expected at most 1000, found more".into()));
    assert_eq!(node.engine.node().claims(), 0);
}

#[test]
fn a_channel_of_this_crate_is_what_it_was_after_a_crash() {
    let node = locked();
    let before = (node.channel("a").clone(), node.channel("b").clone());
    assert_eq!(before.1.funds.transactions_outgoing_locked.len(), 1);
    let links = to_json(&node.engine.node().links).unwrap();
    let mut node = node.crashed();
    assert_eq!((node.channel("a").clone(), node.channel("b").clone()), before);
    assert_eq!(to_json(&node.engine.node().links).unwrap(), links);
    // And it goes on from there.
    node.hears("b", Message::RequestCommit { token: token(), is_payer_side: true }).unwrap();
    assert_eq!(node.crashed().channel("b").owed(), -123);
}

#[test]
fn a_change_of_a_channel_is_only_what_has_changed() {
    let old: Box<dyn Channel> = Box::new(FreeChannel { funds: even(), thanks: 0 });
    let change = |new: Box<dyn Channel>| {
        let mut patch = amiko_core::Patch::new();
        new.difference(&old, &mut patch).unwrap();
        patch.as_str().to_owned()
    };
    assert_eq!(change(old.clone()), "");
    let thanked = FreeChannel { funds: even(), thanks: 5 };
    assert_eq!(change(Box::new(thanked)), r#"{"op":"replace","path":"/thanks","value":5}"#);
    // One of another class takes its place as a whole.
    assert!(
        change(Box::new(PlainChannel::open(1, 2)))
            .starts_with(r#"{"op":"replace","path":"","value":{"_class":"PlainChannel""#)
    );
}

#[test]
fn channels_of_both_classes_are_side_by_side_on_a_link() {
    let mut node = friends();
    let plain = Message::Deposit { channel_index: 1, channel_class: "PlainChannel".into() };
    node.hears("a", plain).unwrap();
    let deposit = Box::new(PlainDeposit { amount: 7 });
    node.hears("a", Message::ChannelMessage { channel_index: 1, message: deposit }).unwrap();
    let class = "PlainChannel".to_owned();
    node.engine.send(&Id::<Link>::new("a"), LinkMessage::Deposit { class, amount: 9 }, Time::from_secs(BEGIN)).unwrap();
    node.engine.sync().unwrap();
    let node = node.crashed();
    let channels = &node.engine.node().links.get(&Id::new("a")).unwrap().channels;
    let classes: Vec<_> = channels.iter().map(|channel| (channel.class_name(), channel.remote())).collect();
    assert_eq!(classes, [("FreeChannel", 1_000_000), ("PlainChannel", 7), ("PlainChannel", 0)]);
}
