//! What commands print and answer, and how they fail: for people, and with `--json` for programs. Real processes.

#![allow(clippy::unwrap_used, clippy::panic)]

mod node;
mod pseudo_terminal;

use node::{Node, command, error, fails};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// Two nodes with a link, a channel from the second one, and a meeting point on the first.
fn pair(root: &Path) -> (Node, Node) {
    let (a, b) = (Node::new(root, "a"), Node::new(root, "b"));
    a.says(&["meeting-point", "add", "hub"]);
    b.says(&["link", "add", "to_a", "--to", &a.says(&["link", "add", "to_b"])]);
    b.says(&["deposit", "to_a", "1000"]);
    a.until(&["list"], |list| list["state"]["links"]["to_b"]["channels"][0]["amountRemote"] == 1000);
    (a, b)
}

#[test]
fn a_text_that_is_too_long_is_named_with_its_limit_and_the_node_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "a");
    node.says(&["meeting-point", "add", "hub"]);
    node.says(&["link", "add", "ann"]);
    let long = "x".repeat(70_000);
    let words = ["expected a receipt of at most 10000 bytes, found 70000"];
    fails(&node.command(&["request", "1", "--receipt", &long]), 1, &words);
    // More than the node takes as one command.
    let classes = ["a", "b", "c", "d"].map(|class| class.repeat(70_000));
    let classes = [&["link", "accept", "ann"][..], &classes.each_ref().map(String::as_str)].concat();
    fails(&node.command(&classes), 1, &["expected a command of less than 262144 bytes, found 280", "in its classes"]);
    node.says(&["list"]);
}

#[test]
fn json_has_each_text_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = pair(root.path());
    let url = a.says(&["request", "1", "--receipt", "!hurry"]);
    assert_eq!(b.json(&["pay", "--yes", &url])["receipt"], "!hurry");
    let payments = b.json(&["payments"]);
    assert_eq!(payments[0]["receipt"], "!hurry");
    let transaction = payments[0]["transaction"].as_str().unwrap();
    assert!(transaction.len() == 64 && transaction.bytes().all(|byte| byte.is_ascii_hexdigit()), "{transaction}");
    let list = b.says(&["list", "--json"]);
    assert!(list.contains("\"!hurry\"") && !list.contains("\"!x"), "{list}");
}

#[test]
fn a_node_says_only_addresses_that_others_can_dial() {
    let root = tempfile::tempdir().unwrap();
    for listen in ["0.0.0.0:0", "[::]:0", "[::ffff:0.0.0.0]:0"] {
        let output = command(&root.path().join("a"), &["run", "--listen", listen]).output().unwrap();
        fails(&output, 2, &["expected --advertise HOST:PORT with --listen", "all addresses"]);
    }
    for advertise in ["0.0.0.0:4321", "[::]:4321", "example.org:0"] {
        let arguments = ["run", "--listen", "127.0.0.1:0", "--advertise", advertise];
        let output = command(&root.path().join("a"), &arguments).output().unwrap();
        fails(&output, 2, &["expected --advertise with an address that others can dial", advertise]);
    }
    assert!(!root.path().join("a").exists());
    let node = Node::run(&root.path().join("a"), "0.0.0.0:0", &["--advertise", "example.org:4000"]);
    assert!(node.says(&["link", "add", "ann"]).contains("@example.org:4000/ann?invitation="));
}

#[test]
fn names_can_be_listened_on() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::run(&root.path().join("a"), "localhost:0", &[]);
    let listen = node.started["listen"].as_str().unwrap();
    assert!(listen.starts_with("127.0.0.1:") || listen.starts_with("[::1]:"), "{listen}");
    let output = command(&root.path().join("b"), &["run", "--listen", "nowhere.invalid:0"]).output().unwrap();
    fails(&output, 1, &["to listen on, found \"nowhere.invalid\""]);
}

#[test]
fn what_cannot_be_written_is_a_failure_and_a_secret_is_shown_again_until_it_is_used() {
    let root = tempfile::tempdir().unwrap();
    let a = Node::new(root.path(), "a");
    let full = |arguments: &[&str]| {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command(&a.directory, arguments).stdout(full).output().unwrap();
        fails(&output, 1, &["can't write to standard output: No space left on device"]);
    };
    full(&["list"]);
    full(&["list", "--json"]);
    full(&["link", "add", "to_b"]);
    let url = a.says(&["link", "add", "to_b"]);
    assert!(url.contains("?invitation="));
    assert_eq!(a.says(&["link", "add", "to_b"]), url);
    // Whoever reads and has gone has what it wanted.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert!(command(&a.directory, &["list"]).stdout(writer).status().unwrap().success());

    let b = Node::new(root.path(), "b");
    for _ in 0..2 {
        assert!(!b.says(&["link", "add", "to_a", "--to", &url]).contains("invitation"));
    }
    a.until(&["list"], |list| list["state"]["links"]["to_b"]["key"].is_string());
    fails(&a.command(&["link", "add", "to_b"]), 1, &["expected a new name, found link to_b there already"]);
    let other = a.says(&["link", "add", "to_c"]);
    fails(&b.command(&["link", "add", "to_a", "--to", &other]), 1, &["expected a new name"]);
}

/// A `pay` at a terminal that has asked.
fn asked(node: &Node, url: &str) -> (Child, File, BufReader<std::process::ChildStderr>) {
    let (terminal, stdin) = pseudo_terminal::open();
    let mut pay = command(&node.directory, &["pay", url]);
    let mut pay = pay.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(pay.stderr.take().unwrap());
    let mut text = Vec::new();
    said.read_until(b']', &mut text).unwrap();
    assert!(text.ends_with(b"pay it? [y/N]"), "{}", String::from_utf8_lossy(&text));
    (pay, terminal, said)
}

#[test]
fn a_payment_goes_on_where_it_stands_after_a_restart_of_its_payer() {
    let root = tempfile::tempdir().unwrap();
    let (a, mut b) = pair(root.path());
    let url = a.says(&["request", "10"]);
    let (mut pay, terminal, _) = asked(&b, &url);
    b.kill_and_restart();
    drop(terminal);
    pay.wait().unwrap();
    // It asks again, and a user that leaves without an answer may come back.
    let (mut pay, terminal, mut said) = asked(&b, &url);
    let interrupted = Command::new("kill").arg("-INT").arg(pay.id().to_string()).status().unwrap();
    assert!(interrupted.success());
    said.read_to_end(&mut Vec::new()).unwrap();
    assert!(!pay.wait().unwrap().success());
    drop(terminal);
    let (mut pay, mut terminal, mut said) = asked(&b, &url);
    terminal.write_all(&[4]).unwrap(); // Ctrl-D, the end of all that is typed
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert!(text.contains("nobody agreed, and the request stands"), "{text}");
    assert_eq!(pay.wait().unwrap().code(), Some(1));
    fails(&b.command(&["pay", &url]), 1, &["expected a terminal to ask on", "the request stands"]);
    assert_eq!(b.json(&["pay", "--yes", &url])["outcome"], "committed");
}

#[test]
fn a_user_that_is_asked_can_say_no() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = pair(root.path());
    let url = a.says(&["request", "10", "--receipt", "tea"]);
    let (mut pay, mut terminal, mut said) = asked(&b, &url);
    terminal.write_all(b"n\n").unwrap();
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert!(text.contains("the payment was cancelled: not agreed; nothing was paid"), "{text}");
    assert_eq!(pay.wait().unwrap().code(), Some(1));
    let record = &b.json(&["payments"])[0];
    assert_eq!((&record["receipt"], &record["reason"]), (&"tea".into(), &"not agreed".into()));
}

/// The one document of a command that fails.
fn failure(output: &Output, exit: i32, code: &str) -> Value {
    assert_eq!(output.status.code(), Some(exit), "{}", error(output));
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)));
    assert_eq!(document["error"]["code"], code, "{document}");
    let message = document["error"]["message"].as_str().unwrap();
    let said = error(output);
    assert!(said.contains(message.lines().next().unwrap()), "{message:?} in {said:?}");
    document
}

#[test]
fn each_failure_is_one_document_with_its_code() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = pair(root.path());
    let none = root.path().join("none");
    let json = |directory: &Path, arguments: &[&str]| command(directory, arguments).arg("--json").output().unwrap();
    failure(&json(&none, &["list"]), 3, "not-running");
    failure(&json(&none, &["lisst"]), 2, "usage");
    failure(&json(&none, &["pay", "http://example.org", "--yes"]), 2, "usage");
    failure(&json(&none, &["run", "--listen", "0.0.0.0:0"]), 2, "usage");
    failure(&json(&none, &["verify"]), 1, "refused");
    let refused = failure(&json(&a.directory, &["deposit", "nowhere", "5"]), 1, "refused");
    assert_eq!(refused.as_object().unwrap().len(), 1);
    let url = a.says(&["request", "5000"]);
    failure(&json(&b.directory, &["pay", &url]), 1, "not-agreed");
    let cancelled = failure(&json(&b.directory, &["pay", &url, "--yes"]), 1, "cancelled");
    assert_eq!((&cancelled["outcome"], &cancelled["amount"]), (&"cancelled".into(), &5000.into()));

    let directory = a.directory.clone();
    drop(a);
    let snapshot = directory.join("snapshot-0.json");
    let text = fs::read_to_string(&snapshot).unwrap();
    fs::write(&snapshot, text.replace("\"links\"", "\"lynx\"")).unwrap();
    let damaged = failure(&json(&directory, &["verify"]), 4, "damaged");
    assert_eq!(damaged["healthy"], false);
    failure(&json(&directory, &["run", "--listen", "127.0.0.1:0"]), 4, "damaged");
}

#[test]
fn a_directory_of_another_user_is_not_a_node_that_does_not_run() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "a");
    // Whoever may do everything is somebody else for once, and who has the binary out of reach gets a copy.
    let program = root.path().join("amiko-node");
    // Another process copies it: a child of another test could still hold the file open for writing that this one wrote.
    assert!(Command::new("cp").arg(node::BINARY).arg(&program).status().unwrap().success());
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&node.directory, fs::Permissions::from_mode(0o000)).unwrap();
    let root_user = fs::read_dir(&node.directory).is_ok();
    for arguments in [&["list"][..], &["run", "--listen", "127.0.0.1:0"], &["verify"]] {
        let mut command = Command::new(&program);
        command.arg("--dir").arg(&node.directory).args(arguments).arg("--json").stdin(Stdio::null());
        if root_user {
            command.uid(65_534).gid(65_534);
        }
        let document = failure(&command.output().unwrap(), 1, "permission-denied");
        assert!(document["error"]["message"].as_str().unwrap().starts_with("permission denied: "), "{document}");
    }
    fs::set_permissions(&node.directory, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn the_directory_and_the_version_have_their_names() {
    let root = tempfile::tempdir().unwrap();
    let version = Command::new(node::BINARY).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(version.stdout).unwrap(), "amiko-node 0.1.0\n");
    let node = Node::new(root.path(), "a");
    let listed = Command::new(node::BINARY).args(["list"]).env("AMIKO_DIR", &node.directory).output().unwrap();
    assert!(listed.status.success(), "{}", error(&listed));
    let mut nobody = Command::new(node::BINARY);
    let output = nobody.arg("list").env_remove("AMIKO_DIR").env("XDG_STATE_HOME", root.path()).output().unwrap();
    let expected = root.path().join("amiko");
    fails(&output, 3, &[expected.to_str().unwrap()]);
    let mut nobody = Command::new(node::BINARY);
    let output = nobody.arg("list").env_clear().output().unwrap();
    fails(&output, 2, &["expected --dir DIR"]);
}

#[test]
fn a_node_whose_terminal_is_gone_stops_cleanly() {
    let root = tempfile::tempdir().unwrap();
    let mut node = Node::new(root.path(), "a");
    let hung_up = Command::new("kill").arg("-HUP").arg(node.process.id().to_string()).status().unwrap();
    assert!(hung_up.success());
    assert_eq!(node.process.wait().unwrap().code(), Some(0));
    assert!(!node.directory.join("control.sock").exists());
}

#[test]
fn commands_say_what_they_did_and_what_a_link_holds_now() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = (Node::new(root.path(), "a"), Node::new(root.path(), "b"));
    assert_eq!(a.says(&["meeting-point", "add", "hub"]), "routes may meet at hub now");
    let url = a.says(&["link", "add", "to_b"]);
    let at = a.started["listen"].as_str().unwrap();
    assert_eq!(b.says(&["link", "add", "to_a", "--to", &url]), format!("to_a leads to {at} now"));
    let deposited = b.says(&["deposit", "to_a", "1000"]);
    assert_eq!(deposited, "deposited 1000 in a new PlainChannel of to_a: 1000 to pay with, 0 to receive over to_a");
    let deposited = b.json(&["deposit", "to_a", "5"]);
    assert_eq!((&deposited["link"]["local"], &deposited["link"]["name"]), (&1005.into(), &"to_a".into()));
    let withdrawn = b.says(&["withdraw", "to_a", "1"]);
    assert!(withdrawn.starts_with("channel 1 of to_a takes no new payments; it is clos"), "{withdrawn}");
    let holds = ", with 5 for this node and 0 for the neighbour: 1000 to pay with, 0 to receive over to_a";
    assert!(withdrawn.ends_with(holds), "{withdrawn}");
    assert!(b.says(&["link", "reconcile", "to_a"]).starts_with("to_a is used again"));
    assert!(b.says(&["link", "accept", "to_a"]).starts_with("to_a accepts no new channel"));
}

#[test]
fn the_list_counts_what_can_be_spent_in_the_order_of_people_and_fits_a_terminal() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = pair(root.path());
    b.says(&["deposit", "to_a", "70"]);
    a.until(&["list"], |list| list["state"]["links"]["to_b"]["channels"][1]["amountRemote"] == 70);
    b.says(&["withdraw", "to_a", "1"]);
    a.until(&["list"], |list| list["state"]["links"]["to_b"]["channels"][1]["state"] == "closed");
    for name in ["link10", "link2", "link1", &"x".repeat(60)] {
        b.says(&["link", "add", name]);
    }
    b.says(&["meeting-point", "add", "hub"]);
    b.says(&["request", "1"]);
    let list = b.says(&["list"]);
    for line in list.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for words in ["to pay with     1000\n", "to receive      0\n", "0 transactions, 1 timer\n"] {
        assert!(list.contains(words), "expected {words:?}, found {list}");
    }
    let begins = |name: &str| list.find(&format!("\n{name}  ")).unwrap();
    assert!(begins("link1") < begins("link2") && begins("link2") < begins("link10"), "{list}");
    let one = b.says(&["list", "--link", "to_a"]);
    assert!(one.contains("to_a  connected") && one.contains("closed") && !one.contains("link2"), "{one}");
    let one = b.json(&["list", "--link", "to_a"]);
    assert_eq!((&one["local"], &one["channels"][1]["local"]), (&1000.into(), &70.into()));
    fails(&b.command(&["list", "--link", "x"]), 1, &["expected a link, found none named \"x\""]);
}

const ADDRESS: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
/// The first transaction that there was.
const TRANSACTION: &str = "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000";
const TRANSACTION_ID: &str = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";

#[test]
fn a_debt_is_paid_back_to_the_address_that_the_neighbour_runs_with() {
    let root = tempfile::tempdir().unwrap();
    let p2sh = "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy";
    let run = |address| command(&root.path().join("x"), &["run", "--payout-address", address]).output().unwrap();
    fails(&run(p2sh), 2, &["expected a Bitcoin address of the kind P2PKH", "found one of the kind P2SH"]);
    let payee = Node::run(&root.path().join("a"), "127.0.0.1:0", &["--payout-address", ADDRESS]);
    let payer = Node::new(root.path(), "b");
    payee.says(&["meeting-point", "add", "hub"]);
    payer.says(&["link", "add", "to_a", "--to", &payee.says(&["link", "add", "to_b"])]);
    let list = payee.says(&["list"]);
    assert!(list.contains(&format!("payout address  {ADDRESS}\n")), "{list}");

    // Refused until both accept the class; the neighbour's index is used up.
    let deposit = ["deposit", "to_a", "1000", "--class", "IOUChannel"];
    fails(&payer.command(&deposit), 1, &["`amiko-node link accept to_a IOUChannel PlainChannel` accepts it, too"]);
    payer.says(&["link", "accept", "to_a", "IOUChannel"]);
    payer.says(&deposit);
    payee.until(&["list", "--link", "to_b"], |link| link["channels"][0]["class"] == "RefusedChannel");
    let list = payee.says(&["list", "--link", "to_b"]);
    let told = "to_b 0: refused: expected a class of channel that this link accepts, PlainChannel, found \"IOUChannel\"; \
                `amiko-node link accept to_b IOUChannel PlainChannel` accepts it, too";
    assert!(list.contains(&format!("remarks\n  {told}")), "{list}");
    payee.says(&["link", "accept", "to_b", "IOUChannel"]);
    payer.says(&deposit);
    payer.until(&["list", "--link", "to_a"], |link| link["channels"][1]["state"] == "open");

    payer.says(&["pay", "--yes", &payee.says(&["request", "300"])]);
    let closed = payer.says(&["withdraw", "to_a", "1"]);
    let owed = format!("(we owe 300: pay it to {ADDRESS}, and hand it in with `withdraw --transaction HEX`)");
    assert!(closed.contains("it is closed, with 700 for this node and 300") && closed.contains(&owed), "{closed}");
    let words = format!("expected a transaction of 300 to {ADDRESS}, which this node owes, found none");
    fails(&payer.command(&["withdraw", "to_a", "1"]), 1, &[&words]);
    let hands_in = |hex: &str| payer.command(&["withdraw", "to_a", "1", "--transaction", hex]);
    fails(&hands_in("0100"), 2, &["expected a raw transaction of Bitcoin, found one that breaks off"]);
    let said = hands_in(TRANSACTION);
    let told = format!("told the neighbour that {TRANSACTION_ID} pays what is owed in channel 1 of to_a");
    assert!(String::from_utf8_lossy(&said.stdout).starts_with(&told), "{said:?}");
    let kept =
        payee.until(&["list"], |list| list["state"]["links"]["to_b"]["channels"][1]["withdrawTxID"] == TRANSACTION_ID);
    assert_eq!(kept["state"]["payoutAddress"], ADDRESS);
}

#[test]
fn a_link_that_may_have_no_more_channels_says_so() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::run(&root.path().join("a"), "127.0.0.1:0", &["--limit", "channels=1"]);
    node.says(&["link", "add", "ann"]);
    assert!(!node.says(&["list"]).contains("at the limit"));
    node.says(&["deposit", "ann", "5"]);
    let list = node.says(&["list"]);
    let told = "at the limit\n  ann has 1 of 1 channels: ";
    assert!(list.contains(told) && list.contains("`run --limit channels=2` allows more"), "{list}");
}

#[test]
fn a_refusal_says_its_chain_only_if_asked_to() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "a");
    node.says(&["link", "add", "ann"]);
    let said = fails(&node.command(&["withdraw", "ann", "0"]), 1, &["expected one of the 0 channels"]);
    assert!(!said.contains("(in "), "{said}");
    let said = fails(&node.command(&["withdraw", "ann", "0", "--verbose"]), 1, &["expected one of the 0 channels"]);
    assert!(said.contains("(in Withdraw to link ann, sent by Withdraw to node)"), "{said}");
}

#[test]
fn what_was_added_can_be_taken_back_unless_something_needs_it() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = pair(root.path());
    fails(&b.command(&["link", "remove", "x"]), 1, &["found none named \"x\""]);
    let words = ["expected a link without money, found 1000 in to_a, 1000 of it ours to spend: withdraw"];
    fails(&b.command(&["link", "remove", "to_a"]), 1, &words);

    let url = a.says(&["request", "10", "--receipt", "tea", "--via", "to_b"]);
    let payment = url.rsplit('/').next().unwrap();
    let open = a.says(&["requests"]);
    assert!(open.contains(payment) && open.contains("10") && open.contains("tea"), "{open}");
    let open = a.json(&["requests"]);
    assert_eq!((&open[0]["url"], &open[0]["amount"]), (&url.as_str().into(), &10.into()));
    fails(&a.command(&["meeting-point", "remove", "hub"]), 1, &[payment, "cancel it first"]);
    b.says(&["withdraw", "to_a", "0"]);
    a.until(&["list"], |list| list["state"]["links"]["to_b"]["channels"][0]["state"] == "closed");
    fails(&a.command(&["link", "remove", "to_b"]), 1, &[payment, "cancel it first"]);

    fails(&a.command(&["cancel", "0123456789abcdef"]), 1, &["expected a payment that isn't over"]);
    assert_eq!(a.says(&["cancel", payment]), format!("cancelled {payment}"));
    assert_eq!(a.says(&["requests"]), "no open requests");
    let record = &a.json(&["payments"])[0];
    assert_eq!((&record["receipt"], &record["reason"]), (&"tea".into(), &"the request was taken back".into()));
    assert!(a.says(&["payments"]).contains("tea: the request was taken back"));
    fails(&b.command(&["pay", &url, "--yes"]), 1, &["the payee's node doesn't know this payment"]);

    assert_eq!(a.says(&["meeting-point", "remove", "hub"]), "no routes meet at hub any more");
    fails(&a.command(&["meeting-point", "remove", "hub"]), 1, &["found none named \"hub\": there is none"]);
    assert_eq!(a.says(&["link", "remove", "to_b"]), "removed the link to_b");
    assert!(a.json(&["list"])["state"]["links"].as_object().unwrap().is_empty());
    // The name is free again.
    assert!(a.says(&["link", "add", "to_b"]).contains("invitation"));
}

#[test]
fn a_payment_that_is_asked_for_twice_is_paid_once_and_both_learn_it() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = pair(root.path());
    let url = a.says(&["request", "10"]);
    let (mut first, mut terminal, mut said) = asked(&b, &url);
    let (mut second, other, mut heard) = asked(&b, &url);
    terminal.write_all(b"y\n").unwrap();
    said.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(0));
    drop(other);
    heard.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(1));
    assert_eq!(b.json(&["payments"]).as_array().unwrap().len(), 1);
    let list = b.says(&["list"]);
    assert!(!list.contains("rejected lately"), "{list}");
}

#[test]
fn a_payment_that_waits_for_its_user_can_be_taken_back() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = pair(root.path());
    let url = a.says(&["request", "10"]);
    let (mut pay, terminal, mut said) = asked(&b, &url);
    b.says(&["cancel", &url]);
    drop(terminal);
    said.read_to_end(&mut Vec::new()).unwrap();
    pay.wait().unwrap();
    assert_eq!(b.json(&["payments"])[0]["reason"], "the payment was taken back");
    a.until(&["payments"], |payments| payments[0]["reason"] == "the payer refused");
}

#[test]
fn pay_says_why_a_payment_does_not_begin() {
    let root = tempfile::tempdir().unwrap();
    let (mut a, b) = pair(root.path());
    let url = a.says(&["request", "10"]);
    b.says(&["pay", "--yes", &url]);
    let pay = |url: &str, words: &[&str]| {
        fails(&b.command(&["pay", "--yes", url]), 1, words);
        let payments = b.json(&["payments"]);
        let last = payments.as_array().unwrap().last().unwrap();
        assert!(last["reason"].as_str().unwrap().contains(words[0]), "{last}");
    };
    pay(&url, &["this node has paid it already"]);
    let (place, _) = url.rsplit_once('/').unwrap();
    pay(&format!("{place}/0123456789abcdef"), &["the payee's node doesn't know this payment"]);

    // What its node allows more of than ours.
    let long = a.says(&["request", "10", "--receipt", &"x".repeat(100)]);
    let listen = a.started["listen"].as_str().unwrap().to_owned();
    a.process.kill().unwrap();
    a.process.wait().unwrap();
    let small = Node::run(&root.path().join("small"), "127.0.0.1:0", &["--limit", "receipt=9"]);
    pay(&long, &["can't connect to the payee at 127.0.0.1:", "refused"]);
    let a = Node::run(&a.directory.clone(), &listen, &[]);
    let output = small.command(&["pay", "--yes", &long]);
    fails(&output, 1, &["what the payee asks for can't be paid: expected a receipt of at most 9 bytes, found 100"]);
    drop(a);
}

/// As under `nohup`: whoever has started it doesn't want it to end with the terminal.
#[test]
fn a_node_that_was_started_to_outlive_its_terminal_does() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("a");
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", node::BINARY, "run", "--listen", "127.0.0.1:0"]);
    nohup.stderr(Stdio::null());
    let mut node = Node::start(nohup, &directory);
    for name in ["HUP", "TERM"] {
        node.signal(name);
        if name == "HUP" {
            node.says(&["link", "add", "ann"]);
        }
    }
    assert_eq!(node.process.wait().unwrap().code(), Some(0));
}

#[test]
fn the_url_of_a_payment_is_drawn_for_a_camera() {
    let root = tempfile::tempdir().unwrap();
    let (a, _b) = pair(root.path());
    let said = a.says(&["request", "10", "--qr"]);
    let (url, code) = said.split_once('\n').unwrap();
    assert!(url.starts_with("amikopay://"), "{said}");
    let lines: Vec<&str> = code.lines().collect();
    // A square of modules with a margin of four on each side, two rows a line.
    let width = lines[0].chars().count();
    assert_eq!((lines.len(), (width - 8 - 17) % 4), (width.div_ceil(2), 0), "{said}");
    assert!(width <= 80 && lines.iter().all(|line| line.chars().count() == width), "{said}");
    assert!(code.chars().all(|part| "█▀▄ \n".contains(part)), "{said}");
    // Two URLs, two codes.
    assert_ne!(a.says(&["request", "10", "--qr"]).split_once('\n').unwrap().1, code);
    assert!(a.json(&["request", "10", "--qr"])["url"].is_string());
}
