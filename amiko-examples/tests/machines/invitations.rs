//! Who may speak for a link: whoever shows the secret of its invitation first, and from then on whoever has that key.

use crate::machine::Machine;
use amiko_core::prelude::*;
use amiko_core::{Protocol, PublicKey};
use amiko_examples::payment::{
    Address, Invitation, Link, LinkUrl, Message, PaymentNode, PaymentNodeMessage, PaymentProtocol, PaymentUrl,
};

const OWN: PublicKey = PublicKey::new([1; 32]);
const NEIGHBOUR: PublicKey = PublicKey::new([2; 32]);
const THIEF: PublicKey = PublicKey::new([3; 32]);
const ELSEWHERE: PublicKey = PublicKey::new([4; 32]);

fn node() -> Machine {
    let address = Some(Address { host: "here".into(), port: 4321 });
    Machine::new(PaymentNode { key: Some(OWN), address, ..PaymentNode::default() })
}

fn add(name: &str, to: Option<LinkUrl>) -> PaymentNodeMessage {
    PaymentNodeMessage::AddLink { name: Id::new(name), to }
}

fn renew(name: &str, to: Option<LinkUrl>) -> PaymentNodeMessage {
    PaymentNodeMessage::RenewLink { link: Id::new(name), to }
}

/// The URL that a command was answered with.
fn url(seen: &[String]) -> LinkUrl {
    seen.iter().find_map(|line| line.strip_prefix("reply ")).unwrap().parse().unwrap()
}

fn link(node: &Machine, name: &str) -> Link {
    node.engine.node().links.get(&Id::new(name)).unwrap().clone()
}

fn shows(invitation: &Invitation) -> Message {
    Message::AcceptInvitation {
        id: Id::new("a"),
        invitation: invitation.clone(),
        dice: [0; 4],
        callback_host: Some("there".into()),
        callback_port: Some(1),
        callback_id: Id::new("back"),
    }
}

fn connects() -> Message {
    Message::ConnectLink {
        id: Id::new("a"),
        dice: [0; 4],
        callback_host: None,
        callback_port: None,
        callback_id: Id::new("back"),
    }
}

fn dials(node: &Machine, name: &str) -> Option<String> {
    node.engine.connection(&Id::new(name)).unwrap().dial.clone()
}

#[test]
fn the_first_to_show_the_secret_has_the_link_and_the_secret_is_used_up() {
    let mut node = node();
    let invitation = url(&node.asks(add("a", None))).invitation.unwrap();
    assert_eq!(dials(&node, "a"), None);
    node.welcomes_from(Some(NEIGHBOUR), shows(&invitation));
    let bound = link(&node, "a");
    assert_eq!((bound.key, bound.invitation), (Some(NEIGHBOUR), None));
    // It is dialled with its key from now on.
    assert_eq!(dials(&node, "a"), Some(format!("{NEIGHBOUR}@there:1")));
    // It may show it again: the first answer may have been lost.
    for hello in [shows(&invitation), connects()] {
        assert_eq!(node.welcomes_from(Some(NEIGHBOUR), hello), ["welcome a Some([0, 0, 0, 0])"]);
    }
    let used = "unwelcome: expected an invitation that wasn't used, found one of a link that has its neighbour";
    assert_eq!(node.welcomes_from(Some(THIEF), shows(&invitation)), [used]);
    let wrong = format!(
        "unwelcome: expected the key of the neighbour, found {THIEF}: if the neighbour has a new key, renew the link"
    );
    assert_eq!(node.welcomes_from(Some(THIEF), connects()), [wrong]);
    let anonymous = "unwelcome: expected a neighbour that shows its key, found an anonymous one";
    for hello in [shows(&invitation), connects()] {
        assert_eq!(node.welcomes_from(None, hello), [anonymous]);
    }
    assert_eq!(link(&node, "a").key, Some(NEIGHBOUR));
}

#[test]
fn a_url_that_was_stolen_without_its_secret_binds_nothing() {
    let mut node = node();
    let invitation = url(&node.asks(add("a", None))).invitation.unwrap();
    let none = format!("unwelcome: expected the secret of the invitation, found none of {THIEF}");
    assert_eq!(node.welcomes_from(Some(THIEF), connects()), [none]);
    let other = format!("unwelcome: expected the secret of the invitation, found another of {THIEF}");
    let mut digits = invitation.expose().into_bytes();
    digits[31] = if digits[31] == b'0' { b'1' } else { b'0' };
    for guess in [String::from_utf8(digits).unwrap(), "0".repeat(32)] {
        assert_eq!(node.welcomes_from(Some(THIEF), shows(&guess.parse().unwrap())), std::slice::from_ref(&other));
    }
    let anonymous = "unwelcome: expected a neighbour that shows its key, found an anonymous one";
    assert_eq!(node.welcomes_from(None, shows(&invitation)), [anonymous]);
    assert_eq!((link(&node, "a").key, link(&node, "a").invitation), (None, Some(invitation)));
}

#[test]
fn whoever_was_invited_shows_the_secret_until_the_neighbour_speaks() {
    let mut node = node();
    let secret: Invitation = "07".repeat(16).parse().unwrap();
    let invited: LinkUrl = format!("amikolink://{NEIGHBOUR}@there:1/a?invitation={}", secret.expose()).parse().unwrap();
    let own = url(&node.asks(add("back", Some(invited))));
    assert_eq!((own.key, own.invitation), (Some(OWN), None), "nobody is invited to a link that has its neighbour");
    assert_eq!(dials(&node, "back"), Some(format!("{NEIGHBOUR}@there:1")));
    let hello = |node: &Machine| PaymentProtocol.hello(node.engine.node(), &Id::new("back"), [0; 4]).unwrap();
    assert!(matches!(hello(&node), Message::AcceptInvitation { invitation, .. } if invitation == secret));
    node.hears("back", Message::Deposit { channel_index: 0, channel_class: "PlainChannel".into() });
    assert!(matches!(hello(&node), Message::ConnectLink { .. }));
    assert_eq!(link(&node, "back").invitation, None);
}

#[test]
fn a_secret_of_ours_is_for_the_neighbour_to_show_and_not_for_us() {
    let mut node = node();
    node.asks(add("a", None));
    assert!(PaymentProtocol.hello(node.engine.node(), &Id::new("a"), [0; 4]).is_err());
}

#[test]
fn a_link_that_is_renewed_forgets_its_neighbour_and_keeps_its_channels() {
    let mut node = node();
    let first = url(&node.asks(add("a", None))).invitation.unwrap();
    node.welcomes_from(Some(NEIGHBOUR), shows(&first));
    node.asks(PaymentNodeMessage::Deposit { link: Id::new("a"), class: "PlainChannel".into(), amount: 7 });
    let second = url(&node.asks(renew("a", None))).invitation.unwrap();
    assert_ne!(first, second);
    assert_eq!((link(&node, "a").channels.len(), dials(&node, "a")), (1, None));
    let other = format!("unwelcome: expected the secret of the invitation, found another of {NEIGHBOUR}");
    assert_eq!(node.welcomes_from(Some(NEIGHBOUR), shows(&first)), [other]);
    node.welcomes_from(Some(ELSEWHERE), shows(&second));
    assert_eq!(link(&node, "a").key, Some(ELSEWHERE));
    // The other way round: the neighbour has sent a new invitation.
    let to = format!("amikolink://{THIEF}@there:2/x?invitation={}", first.expose()).parse().unwrap();
    node.asks(renew("a", Some(to)));
    assert_eq!((link(&node, "a").key, dials(&node, "a")), (Some(THIEF), Some(format!("{THIEF}@there:2"))));
    assert_eq!(node.asks(renew("b", None)), ["rejected: expected a link, found none named \"b\": there is a"]);
}

#[test]
fn a_link_from_before_there_were_keys_lets_nobody_in_until_it_is_renewed() {
    let old = r#"{"_class":"Link","remoteId":"back","peer":"there:1","channels":[],"routes":{}}"#;
    let links = [(Id::new("a"), from_json::<Link>(old).unwrap())].into_iter().collect();
    let address = Some(Address { host: "here".into(), port: 4321 });
    let mut node = Machine::new(PaymentNode { key: Some(OWN), address, links, ..PaymentNode::default() });
    let refused = format!("unwelcome: expected nobody, found {NEIGHBOUR}: invite a neighbour by renewing the link");
    assert_eq!(node.welcomes_from(Some(NEIGHBOUR), connects()), [refused]);
    let secret = url(&node.asks(renew("a", None))).invitation.unwrap();
    node.welcomes_from(Some(NEIGHBOUR), shows(&secret));
    assert_eq!(link(&node, "a").key, Some(NEIGHBOUR));
}

#[test]
fn a_node_with_a_key_talks_to_nobody_without() {
    let mut node = node();
    let plain: LinkUrl = "amikolink://there:1/a".parse().unwrap();
    let refused = ["rejected: expected a URL with a key, KEY@HOST:PORT, found one without"];
    assert_eq!(node.asks(add("a", Some(plain))), refused);
    let url: PaymentUrl = "amikopay://there/0123456789abcdef".parse().unwrap();
    assert_eq!(node.asks(PaymentNodeMessage::Pay { url, via: None }), refused);
    let own: LinkUrl = format!("amikolink://{OWN}@there:1/a").parse().unwrap();
    assert_eq!(node.asks(add("a", Some(own))), ["rejected: expected a URL of another node, found our own"]);
    let mut plain =
        Machine::new(PaymentNode { address: Some(Address { host: "here".into(), port: 1 }), ..PaymentNode::default() });
    let keyed: LinkUrl = format!("amikolink://{NEIGHBOUR}@there:1/a").parse().unwrap();
    let refused = ["rejected: expected a URL without a key on this network, found one with"];
    assert_eq!(plain.asks(add("a", Some(keyed))), refused);
}

#[test]
fn a_payee_is_dialled_by_its_key_and_anonymously() {
    let mut node = node();
    let url: PaymentUrl = format!("amikopay://{NEIGHBOUR}@there:1/0123456789abcdef").parse().unwrap();
    node.asks(PaymentNodeMessage::Pay { url, via: None });
    assert_eq!(dials(&node, "0123456789abcdef@payer"), Some(format!("anonymous:{NEIGHBOUR}@there:1")));
}

#[test]
fn urls_with_keys_are_read_back_and_their_errors_show_no_secret() {
    let secret = "0123456789abcdef0123456789abcdef";
    for text in [
        format!("amikolink://{OWN}@here:1/a?invitation={secret}"),
        format!("amikolink://{OWN}@[::1]:1/a"),
        format!("amikolink://here:1/a?invitation={secret}"),
    ] {
        let url: LinkUrl = text.parse().unwrap();
        assert_eq!(url.to_string(), text);
        assert_eq!(from_json::<LinkUrl>(&to_json(&url).unwrap()).unwrap(), url);
        assert!(!format!("{url:?}").contains(secret), "{url:?}");
    }
    let text = format!("amikopay://{OWN}@here:1/0123456789abcdef");
    assert_eq!(text.parse::<PaymentUrl>().unwrap().to_string(), text);
    for bad in [
        format!("amikolink://{OWN}@here:1/a?invitation={secret}0"),
        format!("amikolink://{OWN}@here:1/a?Invitation={secret}"),
        format!("amikolink://{OWN}@here:1/a?invitation={secret}?"),
        format!("amikolink://{OWN}0@here:1/a?invitation={secret}"),
        format!("amikolink://@here:1/a?invitation={secret}"),
        format!("amikolink://here:x/a?invitation={secret}"),
        format!("amikolink://here/?invitation={secret}"),
        format!("amikopay://{OWN}@here:1/a?invitation={secret}"),
    ] {
        let error = bad.parse::<LinkUrl>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("0123"), "{error}");
        let error = from_json::<LinkUrl>(&format!("{bad:?}")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("0123"), "{error}");
        let error = bad.parse::<PaymentUrl>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("0123"), "{error}");
    }
}
