//! Links with names that URLs, paths, tables and command lines could misread: as a user types them. Real processes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod node;

use amiko_examples::payment::LinkUrl;
use amiko_examples::printable::plain;
use amiko_runtime::SecretKey;
use node::{Node, fails};
use serde_json::Value;
use std::path::Path;

/// What the prototype allows.
fn ugly() -> Vec<String> {
    let all: String = ('!'..='~').collect();
    let long = "0123456789".repeat(50);
    let mut names: Vec<String> = vec![all, long, "字".repeat(500), "a\nFORGED\u{1b}[2J\u{202e}".into()];
    names.extend(
        ["a b", " ", "/", "a/b/", "what?", "?invitation=0", "#", "%41", "100%", "%", "Zoë, 東京", "e\u{301}", "~1"]
            .map(String::from),
    );
    names.extend(
        ["!", "!x41", "!!", "\"", "\\", "'", "a@b", "a@payer ", "amikolink://x/y", "+", "__"].map(String::from),
    );
    names.retain(|name| !name.starts_with(['_', '-']));
    names
}

fn run(root: &Path, name: &str, network: &str) -> Node {
    Node::run(&root.join(name), "127.0.0.1:0", &["--network", network, "--external-meeting-point", "hub"])
}

/// What a node has on its only link, which it shows under this name.
fn listed(node: &Node, link: &str) -> (u64, u64) {
    let list = node.json(&["list"]);
    let links = list["state"]["links"].as_object().unwrap();
    assert_eq!(links.keys().collect::<Vec<_>>(), [link]);
    let summary = node.json(&["list", "--link", link]);
    assert_eq!(summary["name"], link);
    let shown = node.says(&["list"]);
    assert!(shown.contains(&plain(link)), "{link:?} in {shown}");
    (summary["local"].as_u64().unwrap(), summary["remote"].as_u64().unwrap())
}

/// Two nodes whose links have these names pay each other, also after a restart.
fn pay_over(network: &str, names: [&str; 2]) {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = (run(root.path(), "a", network), run(root.path(), "b", network));
    let [to_b, to_a] = names;
    let url = a.url(&["link", "add", "--", to_b]);
    assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "{url}");
    assert_eq!(url.parse::<LinkUrl>().unwrap().link.key(), to_b);
    b.says(&["link", "add", "--to", &url, "--", to_a]);
    b.says(&["meeting-point", "add", "hub"]);
    a.says(&["deposit", "--", to_b, "1000"]);
    let over =
        |list: &Value, link: &str, remote: u64| list["state"]["links"][link]["channels"][0]["amountRemote"] == remote;
    b.until(&["list"], |list| over(list, to_a, 1000));
    let pay = |a: &Node, b: &Node, via: &str| {
        let paid = a.json(&["pay", "--yes", "--via", via, &b.url(&["request", "7"])]);
        assert_eq!(paid["outcome"], "committed", "{paid}");
    };
    pay(&a, &b, to_b);
    b.until(&["list"], |list| over(list, to_a, 993));
    assert_eq!((listed(&a, to_b), listed(&b, to_a)), ((993, 7), (7, 993)));
    // What is on disk is read back.
    let (directory, listen) = (a.directory.clone(), a.listen.clone());
    drop(a);
    let a = Node::run(&directory, &listen, &["--network", network, "--external-meeting-point", "hub"]);
    pay(&a, &b, to_b);
    b.until(&["list"], |list| over(list, to_a, 986));
    assert_eq!(listed(&a, to_b), (986, 14));
}

#[test]
fn links_of_any_name_carry_payments_on_both_networks() {
    let some = ["a b/c?d#e%41 Zoë", &"ß".repeat(500), "?invitation=0", "100%", "!x41"];
    for network in ["amiko", "prototype3"] {
        for (name, other) in some.iter().zip(some.iter().rev()) {
            pay_over(network, [name, other]);
        }
    }
}

#[test]
fn any_name_is_added_listed_and_removed() {
    let root = tempfile::tempdir().unwrap();
    for network in ["amiko", "prototype3"] {
        let node = run(root.path(), network, network);
        for name in ugly() {
            let url: LinkUrl = node.url(&["link", "add", "--", &name]).parse().unwrap();
            assert_eq!(*url.link.key(), name);
            listed(&node, &name);
            assert_eq!(node.says(&["link", "remove", "--", &name]), format!("removed the link {}", plain(&name)));
        }
    }
}

#[test]
fn a_refusal_names_the_rule_and_whose_it_is() {
    let root = tempfile::tempdir().unwrap();
    for network in ["amiko", "prototype3"] {
        let node = run(root.path(), network, network);
        let of_network = format!("a rule of the network {network}");
        let long = "x".repeat(2049);
        for (name, rule, source) in [
            ("_a", "that doesn't begin with '_'", of_network.as_str()),
            ("0123456789abcdef", "other than 16 hex digits", of_network.as_str()),
            ("a@payer", "that doesn't end with '@payer'", "a rule of this node"),
            ("-a", "that doesn't begin with '-'", "a rule of this node"),
            ("..", "other than '.' and '..'", "a rule of this node"),
            ("", "of 1 to 2048 bytes", "found 0"),
            (&long, "of 1 to 2048 bytes", "the limit link_name of this node), found 2049"),
        ] {
            fails(&node.command(&["link", "add", "--", name]), 1, &["expected a link's name", rule, source]);
        }
        // A neighbour may use another program: its name is limited only in its length.
        let key =
            node.started["key"].as_str().map_or(String::new(), |_| format!("{}@", SecretKey::new([7; 32]).public()));
        let url = |name: &str| format!("amikolink://{key}127.0.0.1:1/{name}");
        fails(&node.command(&["link", "add", "a", "--to", &url(&long)]), 1, &["of 1 to 2048 bytes"]);
        if network == "prototype3" {
            node.says(&["link", "add", "a", "--to", &url("-who?/are you")]);
            assert_eq!(node.json(&["list"])["state"]["links"]["a"]["remoteId"], "-who?/are you");
        }
    }
}
