//! Real processes, real sockets, real files: the commands as a user types them, and `kill -9`.

#![allow(clippy::unwrap_used, clippy::panic)]

mod node;

use amiko_runtime::{Noise, SecretKey, Transport};
use node::{Node, amiko_node, error};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn run(directory: &Path, listen: &str) -> Node {
    run_with(directory, listen, &[])
}

fn run_with(directory: &Path, listen: &str, arguments: &[&str]) -> Node {
    Node::run(directory, listen, &[&["--external-meeting-point", "hub"], arguments].concat())
}

fn new(root: &Path, name: &str) -> Node {
    run(&root.join(name), "127.0.0.1:0")
}

/// A – B – C, with channels and a meeting point on B.
fn line(root: &Path) -> (Node, Node, Node) {
    let (a, b, c) = (new(root, "a"), new(root, "b"), new(root, "c"));
    let url = a.url(&["link", "add", "to_b"]);
    b.url(&["link", "add", "to_a", "--to", &url]);
    let url = b.url(&["link", "add", "to_c"]);
    c.url(&["link", "add", "to_b", "--to", &url]);
    a.json(&["deposit", "to_b", "1000"]);
    b.json(&["deposit", "to_c", "1000"]);
    b.json(&["meeting-point", "add", "hub"]);
    (a, b, c)
}

/// What both ends of a channel have, each seen from its node.
fn ends(one: &Node, link: &str, other: &Node, back: &str) -> [(u64, u64); 2] {
    let amounts = |node: &Node, link: &str| {
        let channel = &node.json(&["list"])["state"]["links"][link]["channels"][0];
        (channel["amountLocal"].as_u64().unwrap(), channel["amountRemote"].as_u64().unwrap())
    };
    let (local, remote) = amounts(other, back);
    [amounts(one, link), (remote, local)]
}

/// Everything in a state directory is JSON: documents, and lines.
fn assert_readable(directory: &Path) {
    let mut read = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if !matches!(extension, Some("json" | "jsonl")) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        read += 1;
        if extension == Some("json") {
            serde_json::from_str::<Value>(&text).unwrap();
        } else {
            text.lines().filter(|line| !line.is_empty()).for_each(|line| {
                serde_json::from_str::<Value>(line)
                    .unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display()));
            });
        }
    }
    assert!(read >= 2);
}

#[test]
fn three_processes_pay_over_the_one_in_the_middle() {
    let root = tempfile::tempdir().unwrap();
    let (a, b, c) = line(root.path());
    let url = c.url(&["request", "123", "--receipt", "two coffees"]);
    let record = a.json(&["pay", &url, "--yes"]);
    assert_eq!((&record["outcome"], &record["amount"]), (&"committed".into(), &123.into()));
    assert_eq!(ends(&a, "to_b", &b, "to_a")[0], (877, 123));
    let log = c.json(&["payments"]);
    assert_eq!((&log[0]["role"], &log[0]["receipt"]), (&"payee".into(), &"two coffees".into()));

    let refused = a.command(&["pay", &c.url(&["request", "5"])]);
    assert_eq!(refused.status.code(), Some(1), "nobody agreed");
    let too_much = a.command(&["pay", &c.url(&["request", "5000"]), "--yes"]);
    assert_eq!(too_much.status.code(), Some(1));
    assert!(error(&too_much).contains("cancelled"), "{}", error(&too_much));
    assert_eq!(ends(&a, "to_b", &b, "to_a"), [(877, 123); 2]);
}

#[test]
fn killing_the_hub_in_the_middle_of_payments_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (a, mut b, c) = line(root.path());
    let mut paid = 0;
    for round in 0..6 {
        let url = c.url(&["request", "10"]);
        let mut pay = Command::new(node::BINARY)
            .args(["pay", "--yes", &url, "--dir"])
            .arg(&a.directory)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // "pay 10" is said when the payer is about to agree: from here on the hub is busy with the payment.
        let mut said = BufReader::new(pay.stderr.take().unwrap());
        said.read_line(&mut String::new()).unwrap();
        for _ in 0..round {
            drop(b.command(&["payments"]));
        }
        b.kill_and_restart();
        assert_readable(&b.directory);
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        match pay.wait().unwrap().code() {
            Some(0) => paid += 10,
            Some(1) => assert!(rest.contains("cancelled"), "{rest}"),
            other => panic!("expected committed or cancelled, found {other:?}: {rest}"),
        }
    }
    // One more payment goes through when all is quiet, and what was said before it has been said by then.
    a.json(&["pay", &c.url(&["request", "1"]), "--yes"]);
    paid += 1;
    let log = c.json(&["payments"]);
    let received: u64 = log
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| record["outcome"] == "committed")
        .map(|record| record["amount"].as_u64().unwrap())
        .sum();
    assert_eq!(received, paid);
    assert_eq!(ends(&a, "to_b", &b, "to_a"), [(1000 - paid, paid); 2]);
    assert_eq!(ends(&b, "to_c", &c, "to_b"), [(1000 - paid, paid); 2]);
}

#[test]
fn channels_of_each_class_are_opened_and_withdrawn_and_limits_are_those_of_the_start() {
    let root = tempfile::tempdir().unwrap();
    let (mut a, b, _c) = line(root.path());
    assert!(error(&a.command(&["deposit", "to_b", "7", "--class", "IouChannel"])).contains("that this link accepts"));
    for (node, link) in [(&a, "to_b"), (&b, "to_a")] {
        node.json(&["link", "accept", link, "PlainChannel", "IouChannel"]);
    }
    a.json(&["deposit", "to_b", "500", "--class", "IouChannel"]);
    let opened = until(&b, "to_a", |link| link["channels"][1]["limitLocal"] == 500);
    assert_eq!(opened["channels"][1]["funds"]["amountLocal"], 500);
    b.json(&["withdraw", "to_a", "1"]);
    until(&a, "to_b", |link| link["channels"][1]["funds"]["state"] == "closed");
    until(&a, "to_b", |link| link["channels"][0]["state"] == "open");
    let listed = String::from_utf8(a.command(&["list"]).stdout).unwrap();
    let row: Vec<&str> = listed.lines().find(|line| line.contains("IouChannel")).unwrap().split_whitespace().collect();
    assert_eq!(row[..7], ["to_b", "1", "IouChannel", "closed", "0", "500", "0"], "{listed}");
    assert!(error(&a.command(&["withdraw", "to_b", "1"])).contains("expected a channel that is open, found it closed"));

    a.process.kill().unwrap();
    a.process.wait().unwrap();
    let (directory, listen) = (a.directory.clone(), a.listen.clone());
    let a = run_with(&directory, &listen, &["--limit", "channels=2", "--limit", "amount=9"]);
    assert!(error(&a.command(&["deposit", "to_b", "10"])).contains("expected an amount of at most 9, found 10"));
    assert!(error(&a.command(&["deposit", "to_b", "9"])).contains("expected at most 2 channels on a link"));
}

#[test]
fn what_goes_wrong_is_said_in_one_sentence_with_its_exit_code_and_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let a = new(root.path(), "a");
    let check = |output: Output, code: i32, words: &[&str]| {
        let said = error(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        words.iter().for_each(|word| assert!(said.contains(word), "{word:?} in {said}"));
    };
    check(a.command(&["deposit", "nowhere", "5"]), 1, &["nowhere", "there is none"]);
    check(a.command(&["link", "add", "_hidden"]), 1, &["expected a link's name that doesn't begin with '_'"]);
    check(a.command(&["withdraw", "nowhere", "0"]), 1, &["nowhere", "there is none"]);
    check(a.command(&["link", "accept", "nowhere"]), 1, &["nowhere", "there is none"]);
    check(a.command(&["request", "0"]), 1, &["above 0"]);
    let limited = |limit: &str| amiko_node(&root.path().join("b"), &["run", "--limit", limit]);
    check(limited("links=5"), 2, &["expected one of the limits channels, routes", "\"links\""]);
    check(limited("channels=many"), 2, &["expected a number after channels="]);
    check(limited("channels"), 2, &["expected NAME=VALUE"]);
    check(a.command(&["pay", "http://example.org"]), 2, &["amikopay://KEY@HOST:PORT/PAYMENT"]);
    check(amiko_node(&root.path().join("b"), &["list"]), 3, &["amiko-node run --dir"]);
    check(amiko_node(&a.directory, &["run", "--listen", "127.0.0.1:0"]), 1, &["another process (pid"]);
    check(amiko_node(&root.path().join("b"), &["run", "--listen", &a.listen]), 1, &[&a.listen, "another process"]);
    assert!(!root.path().join("b").exists(), "a port in use changes nothing");
    assert!(a.json(&["list"])["state"]["links"].as_object().unwrap().is_empty());
}

#[test]
fn a_garbled_state_file_is_refused_with_its_place_and_left_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let a = new(root.path(), "a");
    a.url(&["link", "add", "to_b"]);
    let directory = a.directory.clone();
    drop(a);
    let snapshot = directory.join("snapshot-0.json");
    let text = std::fs::read_to_string(&snapshot).unwrap().replace("\"links\"", "\"lynx\"");
    std::fs::write(&snapshot, &text).unwrap();
    let output = amiko_node(&directory, &["run", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(4), "{}", error(&output));
    assert!(error(&output).contains("snapshot-0.json"), "{}", error(&output));
    assert_eq!(std::fs::read_to_string(&snapshot).unwrap(), text);
}

/// Says something to a node on an encrypted stream, and hears what it answers.
fn say_encrypted(key: &SecretKey, address: &str, bytes: &[u8]) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut stream = Noise::new(key.clone()).dial(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        // The node answers with the end of the stream; it may also have reset it.
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        answer
    })
}

#[test]
fn bad_lines_from_the_network_close_their_socket_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let (a, b, c) = line(root.path());
    let stranger = SecretKey::generate().unwrap();
    let long = format!("{{\"index\":null,\"message\":\"{}\"}}\n", "x".repeat(70_000));
    let deep = format!("{}\n", "[".repeat(1000));
    let hello = r#"{"index":null,"message":{"_class":"ConnectLink","ID":"ID?","dice":"!x00000000","callbackHost":null,"callbackPort":null,"callbackID":"to_b"}}"#;
    // A stranger that claims a link that there isn't, and one that there is.
    let (no_link, stolen) = (hello.replace("ID?", "no_link") + "\n", hello.replace("ID?", "to_a") + "\n");
    for bad in [
        "not json\n",
        "{}\n",
        "{\"index\":0,\"message\":{\"_class\":\"Cancel\"}}\n",
        "\u{1f600}\n",
        &long,
        &deep,
        &no_link,
        &stolen,
    ] {
        // In plain text, it doesn't even get to be a line.
        let mut socket = TcpStream::connect(&b.listen).unwrap();
        drop(socket.write_all(bad.as_bytes()));
        let mut answer = Vec::new();
        drop(socket.read_to_end(&mut answer));
        assert!(answer.is_empty());
        for address in [format!("{}@{}", b.key, b.listen), format!("anonymous:{}@{}", b.key, b.listen)] {
            assert!(say_encrypted(&stranger, &address, bad.as_bytes()).is_empty(), "{bad:?}");
        }
    }
    let record = a.json(&["pay", &c.url(&["request", "7"]), "--yes"]);
    assert_eq!(record["outcome"], "committed");
}

/// Waits until a node has said these words on standard error.
fn said(node: &Node, words: &str) -> String {
    let begun = Instant::now();
    loop {
        let said = std::fs::read_to_string(node::said(&node.directory)).unwrap();
        if said.contains(words) {
            return said;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "expected {words:?}, found {said}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn only_whom_an_invitation_was_given_to_gets_the_link() {
    let root = tempfile::tempdir().unwrap();
    let [a, b, thief] = ["a", "b", "thief"].map(|name| new(root.path(), name));
    let url = a.url(&["link", "add", "to_b"]);
    let (place, _) = url.split_once('?').unwrap();
    // Whoever saw the URL without its secret, or guesses it.
    thief.url(&["link", "add", "to_a", "--to", place]);
    said(&a, &format!("expected the secret of the invitation, found none of {}", thief.key));
    thief.url(&["link", "renew", "to_a", "--to", &format!("{place}?invitation={}", "0".repeat(32))]);
    said(&a, &format!("expected the secret of the invitation, found another of {}", thief.key));
    // Whoever it was given to.
    b.url(&["link", "add", "to_a", "--to", &url]);
    b.json(&["deposit", "to_a", "5"]);
    assert_eq!(until(&a, "to_b", |link| link["key"].is_string())["peer"], b.listen.as_str());
    // It needn't show the secret any more once it has heard of the inviter.
    a.json(&["deposit", "to_b", "3"]);
    until(&b, "to_a", |link| link["invitation"].is_null());
    // Whoever got hold of the whole URL afterwards.
    thief.url(&["link", "renew", "to_a", "--to", &url]);
    said(&a, "expected an invitation that wasn't used");
    // It would dial again and again, and who is refused too often is summed up, not said.
    drop(thief);
    // With a new invitation the link is somebody else's, with all that is in it.
    let url = a.url(&["link", "renew", "to_b"]);
    said(&a, &format!("expected the secret of the invitation, found none of {}", b.key));
    let c = new(root.path(), "c");
    c.url(&["link", "add", "to_a", "--to", &url]);
    assert_eq!(until(&a, "to_b", |link| link["key"].is_string())["peer"], c.listen.as_str());
    said(&a, &format!("expected the key of the neighbour, found {}", b.key));
    assert_eq!(a.json(&["list"])["state"]["links"]["to_b"]["channels"][0]["amountRemote"], 5);
}

/// A link of a node, once it is as it should be.
fn until(node: &Node, link: &str, reached: fn(&Value) -> bool) -> Value {
    let list = node.until(&["list"], |list| reached(&list["state"]["links"][link]));
    list["state"]["links"][link].clone()
}

#[test]
fn a_key_that_others_could_read_is_refused_and_a_new_one_has_to_be_told() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let a = new(root.path(), "a");
    let (directory, key) = (a.directory.clone(), a.key.clone());
    drop(a);
    let path = directory.join("key");
    let refused = |words: &[&str]| {
        let output = amiko_node(&directory, &["run", "--listen", "127.0.0.1:0"]);
        assert_eq!(output.status.code(), Some(1));
        words.iter().for_each(|word| assert!(error(&output).contains(word), "{word:?} in {}", error(&output)));
    };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&["chmod 600", path.to_str().unwrap()]);
    std::fs::remove_file(&path).unwrap();
    refused(&[&key, "put it back"]);
    std::fs::write(&path, format!("{}\n", "07".repeat(32))).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let a = run(&directory, "127.0.0.1:0");
    assert_ne!(a.key, key);
    said(&a, &format!("the key of this node is {} now and was {key}", a.key));
}

/// All hex texts in a state directory that are secrets: the key, tokens and invitations.
fn secrets(directory: &Path) -> Vec<String> {
    let mut secrets = vec![std::fs::read_to_string(directory.join("key")).unwrap().trim().to_owned()];
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for begin in ["\"token\":\"!x", "\"invitation\":\"!x", "?invitation="] {
            let found = text.match_indices(begin).map(|(at, _)| &text[at + begin.len()..]);
            secrets.extend(found.map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
    secrets.sort();
    secrets.dedup();
    secrets
}

#[test]
fn no_log_no_list_and_no_error_shows_a_secret() {
    let root = tempfile::tempdir().unwrap();
    let (a, mut b, c) = line(root.path());
    let mut shown = String::new();
    let mut show = |node: &Node, arguments: &[&str]| {
        let output = node.command(arguments);
        shown += &String::from_utf8_lossy(&output.stdout);
        shown += &error(&output);
    };
    let invitation = a.url(&["link", "add", "open"]);
    let url = c.url(&["request", "123"]);
    for node in [&a, &b, &c] {
        show(node, &["list"]);
    }
    show(&c, &["list", "--json"]);
    show(&a, &["pay", &url, "--yes"]);
    show(&a, &["pay", &url, "--yes"]);
    b.kill_and_restart();
    show(&a, &["pay", &c.url(&["request", "1000000"]), "--yes"]);
    show(&b, &["link", "add", "x", "--to", &format!("{invitation}0")]);
    show(&b, &["link", "add", "x", "--to", &format!(" {invitation}")]);
    show(&b, &["link", "add", "to_a", "--to", &invitation]);
    for node in [&a, &b, &c] {
        show(node, &["list"]);
        show(node, &["payments"]);
        show(node, &["payments", "--json"]);
        show(node, &["list", "--json"]);
    }
    for node in [&a, &b, &c] {
        shown += &std::fs::read_to_string(node::said(&node.directory)).unwrap();
    }
    let mut counted = 0;
    for node in [&a, &b, &c] {
        for secret in secrets(&node.directory) {
            assert!(secret.len() == 32 || secret.len() == 64, "{secret}");
            assert!(!shown.contains(&secret), "{secret} in {shown}");
            counted += 1;
        }
    }
    assert!(counted >= 3 + 3 + 2 + 3, "three keys, invitations, and tokens: found {counted}");
    assert!(shown.contains(r#""token":"(secret)""#) && shown.contains(r#""invitation":"(secret)""#), "{shown}");
    assert!(shown.contains("connected") && shown.contains("dialled"), "{shown}");
}

/// Copies a state directory, but for who has it open.
fn back_up(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() && entry.file_name() != "LOCK" {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn a_node_that_is_put_back_to_a_backup_uses_no_link_and_says_so_everywhere_and_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let (a, mut b) = (new(root.path(), "a"), new(root.path(), "b"));
    let url = a.url(&["link", "add", "to_b"]);
    b.url(&["link", "add", "to_a", "--to", &url]);
    a.json(&["deposit", "to_b", "1000"]);
    until(&b, "to_a", |link| link["channels"][0]["amountRemote"] == 1000);
    let (directory, backup, newest) = (b.directory.clone(), root.path().join("backup"), root.path().join("newest"));
    let stop = |node: &mut Node| {
        node.process.kill().unwrap();
        node.process.wait().unwrap();
    };
    stop(&mut b);
    back_up(&directory, &backup);
    b = run(&directory, &b.listen.clone());
    a.json(&["deposit", "to_b", "7"]);
    until(&b, "to_a", |link| link["channels"][1]["amountRemote"] == 7);
    a.until(&["list"], |list| list["connections"]["to_b"]["outbox"].as_object().unwrap().is_empty());
    stop(&mut b);
    let whole = amiko_node(&directory, &["verify"]);
    assert!(String::from_utf8_lossy(&whole.stdout).contains("all is well"), "{whole:?}");
    std::fs::rename(&directory, &newest).unwrap();
    std::fs::rename(&backup, &directory).unwrap();
    b = run(&directory, &b.listen.clone());

    // On standard error, and in the list, of both.
    let ours = "this node's state is older than it should be: restore this node's newest state, or give the link up";
    let theirs = "the peer's state is older than it should be: have the peer restore its newest state";
    for (node, link, words) in [(&b, "to_a", ours), (&a, "to_b", theirs)] {
        said(node, &format!("{link:?}: not used any more: {words}"));
        let list = String::from_utf8(node.command(&["list"]).stdout).unwrap();
        for said in [&format!("{link}  in conflict"), words, &format!("; then `amiko-node link reconcile {link}`")] {
            assert!(list.contains(said), "expected {said:?}, found {list}");
        }
        assert!(node.json(&["list"])["connections"][link]["conflict"].is_object());
    }
    // Nothing goes over it.
    a.json(&["deposit", "to_b", "8"]);
    // Again at each start.
    stop(&mut b);
    std::fs::write(node::said(&b.directory), "").unwrap();
    b = run(&directory, &b.listen.clone());
    said(&b, ours);
    assert_eq!(b.json(&["list"])["state"]["links"]["to_a"]["channels"].as_array().unwrap().len(), 1);
    stop(&mut b);
    let output = amiko_node(&directory, &["verify"]);
    let verified = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    for said in ["in conflict\n  to_a: this node's state is older", "link reconcile to_a`", "no file is damaged"] {
        assert!(verified.contains(said), "expected {said:?}, found {verified}");
    }
    let output = amiko_node(&directory, &["verify", "--json"]);
    let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(verified["conflicts"][0].as_str().unwrap().starts_with("to_a: this node's state"), "{verified}");

    // And what it says helps.
    std::fs::rename(&directory, root.path().join("old")).unwrap();
    std::fs::rename(&newest, &directory).unwrap();
    b = run(&directory, &b.listen.clone());
    a.json(&["link", "reconcile", "to_b"]);
    until(&b, "to_a", |link| link["channels"][2]["amountRemote"] == 8);
}

#[test]
fn the_demo_prints_one_document_and_ends_consistent() {
    let output = Command::new(node::BINARY)
        .args(["demo", "--payments", "20", "--concurrency", "5", "--json"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", error(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["consistent"], true);
    assert_eq!(report["payments"].as_array().unwrap().len(), 20);
    assert_eq!(report["nodes"].as_array().unwrap().len(), 12);
}
