//! The texts of keys and URLs: each is read back, and anything else is refused.

use crate::machine::{hub, route, token};
use amiko_core::prelude::*;
use amiko_core::{Key, PublicKey};
use amiko_examples::payment::{
    Address, Invitation, LinkUrl, Network, PaymentNodeMessage, PaymentUrl, RouteId, TransactionKey, UrlError,
};
use proptest::prelude::*;

/// SHA-256 of 32 bytes of 7.
fn hash() -> String {
    to_json(&token().transaction(Network::Amiko)).unwrap().trim_matches('"').trim_start_matches("!x").to_owned()
}

#[test]
fn a_route_is_its_side_and_its_transaction() {
    let hash = hash();
    assert_eq!(route(true).encode(), format!("1{hash}"));
    assert_eq!(route(false).encode(), format!("0{hash}"));
    for side in [false, true] {
        let of_a_prototype = RouteId { transaction: token().transaction(Network::Prototype3), ..route(side) };
        assert_eq!(of_a_prototype.encode().len(), 41);
        for route in [route(side), of_a_prototype] {
            assert_eq!(RouteId::decode(&route.encode()), Ok(route));
            assert_eq!(from_json::<RouteId>(&to_json(&route).unwrap()).unwrap(), route);
        }
    }
}

#[test]
fn texts_that_are_not_routes_are_refused() {
    let hash = hash();
    let bad = [
        String::new(),
        "1".into(),
        hash.clone(),
        format!("2{hash}"),
        format!(" {hash}"),
        format!("é{hash}"),
        format!("1{}", hash.to_uppercase()),
        format!("1{}", &hash[1..]),
        format!("1{hash}0"),
        format!("1{}g", &hash[1..]),
        format!("1!x{hash}"),
        format!("1{}", &hash[..41]),
        format!("1{}", &hash[..38]),
    ];
    for text in bad {
        assert_eq!(RouteId::decode(&text), Err("0 or 1 and the 64 or 40 hex digits of a transaction"), "{text:?}");
        assert!(from_json::<RouteId>(&format!("{text:?}")).is_err());
    }
}

#[test]
fn a_transaction_is_its_route_and_its_instance() {
    let hash = hash();
    for (instance, text) in
        [(0, format!("1{hash}")), (1, format!("1{hash}.1")), (u32::MAX, format!("1{hash}.4294967295"))]
    {
        let key = TransactionKey { route: route(true), instance };
        assert_eq!(key.encode(), text);
        assert_eq!(TransactionKey::decode(&text), Ok(key));
    }
    for text in ["", ".", ".0", ".01", ".+1", ".-1", ".4294967296", ".1.1", ".x", ". 1"] {
        let text = format!("1{hash}{text}");
        let bad = TransactionKey::decode(&text);
        assert_eq!(bad.is_ok(), text.len() == 65, "{text}");
    }
}

fn address(host: &str, port: u16) -> Address {
    Address { host: host.into(), port }
}

#[test]
fn an_address_is_a_host_and_a_port_that_may_be_left_out() {
    for (text, expected, shown) in [
        ("localhost", address("localhost", 4321), "localhost:4321"),
        ("localhost:1", address("localhost", 1), "localhost:1"),
        ("1.2.3.4:65535", address("1.2.3.4", 65_535), "1.2.3.4:65535"),
        ("[::1]", address("::1", 4321), "[::1]:4321"),
        ("[fe80::1]:9", address("fe80::1", 9), "[fe80::1]:9"),
        ("a-b_c.d", address("a-b_c.d", 4321), "a-b_c.d:4321"),
    ] {
        assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
        assert_eq!(expected.to_string(), shown);
        assert_eq!(shown.parse(), Ok(expected.clone()));
        assert_eq!(to_json(&expected).unwrap(), format!("\"{shown}\""));
        assert_eq!(from_json::<Address>(&format!("\"{text}\"")).unwrap(), expected);
    }
}

#[test]
fn texts_that_are_not_addresses_are_refused() {
    let long = "x".repeat(256);
    for text in [
        "",
        ":1",
        "[]:1",
        "host:",
        "host:x",
        "host:65536",
        "host:-1",
        "ho st:1",
        "a/b:1",
        "a@b:1",
        "é:1",
        "[::1]:x",
        &long,
    ] {
        let error = text.parse::<Address>().unwrap_err();
        assert_eq!(error.to_string(), format!("expected HOST or HOST:PORT, found {text:?}"));
        assert!(from_json::<Address>(&format!("{text:?}")).is_err());
    }
}

#[test]
fn urls_are_read_back() {
    for (text, shown, host) in [
        ("amikolink://host/a", "amikolink://host:4321/a", address("host", 4321)),
        ("amikolink://[::1]:5/a", "amikolink://[::1]:5/a", address("::1", 5)),
    ] {
        let expected = LinkUrl { key: None, address: host, link: Id::new("a"), invitation: None };
        assert_eq!(text.parse(), Ok(expected.clone()));
        assert_eq!(expected.to_string(), shown);
        assert_eq!(from_json::<LinkUrl>(&to_json(&expected).unwrap()).unwrap(), expected);
    }
    for (text, shown, host) in [
        ("amikopay://host/0123456789abcdef", "amikopay://host:4321/0123456789abcdef", address("host", 4321)),
        ("amikopay://[::1]/0123456789abcdef", "amikopay://[::1]:4321/0123456789abcdef", address("::1", 4321)),
    ] {
        let expected = PaymentUrl { key: None, address: host, payment: Id::new("0123456789abcdef") };
        assert_eq!(text.parse(), Ok(expected.clone()));
        assert_eq!(expected.to_string(), shown);
        assert_eq!(from_json::<PaymentUrl>(&to_json(&expected).unwrap()).unwrap(), expected);
    }
}

/// A URL in which `KEY` stands for a key.
fn link_url(text: &str) -> Result<LinkUrl, UrlError> {
    text.replace("KEY", &key().to_string()).parse()
}

fn key() -> PublicKey {
    amiko_runtime::SecretKey::new([7; 32]).public()
}

#[test]
fn the_name_of_a_link_is_encoded_and_a_prototypes_is_taken_as_it_is() {
    for (path, name) in [
        ("a%20b", "a b"),
        ("%2F%3F%23%25%2541", "/?#%%41"),
        ("%E5%AD%97~._-", "字~._-"),
        // Nothing that we encode stands there as it is: these are of a prototype.
        ("a b", "a b"),
        ("a/b?c#d", "a/b?c#d"),
        ("/", "/"),
        ("字", "字"),
        ("100%", "100%"),
        ("%41", "%41"),
        ("a%20b c", "a%20b c"),
        ("%ff", "%ff"),
        ("%2f", "%2f"),
    ] {
        let url: LinkUrl = format!("amikolink://host:1/{path}").parse().unwrap();
        assert_eq!(url.link.key(), name, "{path}");
        assert_eq!(url.to_string().parse(), Ok(url));
    }
    // Those with a key are ours, and encoded.
    for (path, name) in [("a%20b", "a b"), ("%41%2f", "A/"), ("a+b", "a+b"), ("a%3finvitation=", "a?invitation=")] {
        assert_eq!(link_url(&format!("amikolink://KEY@host:1/{path}")).unwrap().link.key(), name, "{path}");
    }
    for path in ["a b", "a/b", "a?b", "a#b", "字", "100%", "%4", "%4g", "%ff", "%+1", ""] {
        assert!(link_url(&format!("amikolink://KEY@host:1/{path}")).is_err(), "{path}");
    }
}

/// So that a URL is one word of a command line, and stays whole in a mail.
#[test]
fn every_character_of_a_name_is_encoded_that_rfc_3986_does_not_call_unreserved() {
    for character in ' '..='~' {
        let plain = character.is_ascii_alphanumeric() || "-._~".contains(character);
        let shown = if plain { character.to_string() } else { format!("%{:02X}", u32::from(character)) };
        let url =
            LinkUrl { key: None, address: address("host", 1), link: Id::new(character.to_string()), invitation: None };
        assert_eq!(url.to_string(), format!("amikolink://host:1/{shown}"));
    }
}

#[test]
fn an_error_shows_no_secret() {
    let secret = "00112233445566778899aabbccddee";
    for name in ["a", "a b", "a%20b"] {
        let error = link_url(&format!("amikolink://KEY@host:1/{name}?invitation={secret}")).unwrap_err();
        assert!(!error.to_string().contains(secret), "{error}");
        let error = format!("amikolink://host:1/{name}?invitation={secret}").parse::<LinkUrl>().unwrap_err();
        assert!(!error.to_string().contains(secret), "{error}");
    }
}

proptest! {
    #[test]
    fn the_url_of_any_link_is_read_back(
        name in prop_oneof![any::<String>(), "[%?#/ a-f0-9!@:]{1,20}", "(%[0-9a-fA-F]{2}|[a b]){1,8}", ".{0,600}"],
        known in any::<bool>(),
        secret in any::<Option<[u8; 16]>>(),
    ) {
        prop_assume!(!name.is_empty());
        let address = address("::1", 5);
        let (key, invitation) = (known.then(key), secret.map(Invitation::new));
        let url = LinkUrl { key, address, link: Id::new(name), invitation };
        let text = url.to_string();
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{}", text);
        prop_assert_eq!(text.parse(), Ok(url.clone()));
        prop_assert_eq!(from_json::<LinkUrl>(&to_json(&url).unwrap()).unwrap(), url);
    }
}

#[test]
fn texts_that_are_not_urls_are_refused() {
    let long = format!("host/{}", "x".repeat(65));
    for rest in ["", "host", "host/", "/a", "host:x/a", "ho st/a"] {
        assert!(format!("amikolink://{rest}").parse::<LinkUrl>().is_err(), "{rest:?}");
        assert!(format!("amikopay://{rest}").parse::<PaymentUrl>().is_err(), "{rest:?}");
    }
    for rest in ["host/a/b", "host/a b", "host/é", "host/a#b", "host/a?b", long.as_str()] {
        assert!(format!("amikopay://{rest}").parse::<PaymentUrl>().is_err(), "{rest:?}");
    }
    for text in [
        "host/a",
        "http://host/a",
        "amikolink:host/a",
        "amikolink:/host/a",
        " amikolink://host/a",
        "AMIKOLINK://host/a",
    ] {
        assert!(text.parse::<LinkUrl>().is_err(), "{text:?}");
    }
    assert!("amikopay://host/a".parse::<LinkUrl>().is_err());
    let error = "amikolink://host/a".parse::<PaymentUrl>().unwrap_err();
    let expected = "expected a payment's URL, amikopay://KEY@HOST:PORT/PAYMENT, found \"amikolink://host/a\"";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_link_that_is_not_there_is_refused_with_the_first_of_those_that_are() {
    let names: Vec<String> = (10..22).map(|number| format!("link{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let missing =
        |count: usize| hub(&names[..count], &[]).asks(PaymentNodeMessage::RenewLink { link: Id::new("x"), to: None });
    let said = |known: &str| [format!("rejected: expected a link, found none named \"x\": {known}")];
    assert_eq!(missing(0), said("there is none"));
    assert_eq!(missing(1), said("there is link10"));
    assert_eq!(missing(2), said("there are link10, link11"));
    assert_eq!(missing(10), said(&format!("there are {}", names[..10].join(", "))));
    assert_eq!(missing(12), said(&format!("there are {} and 2 more", names[..10].join(", "))));
}
