//! A payment node that several processes lead in turn, on a PostgreSQL that `AMIKO_POSTGRES` names; `.ci/postgres` starts one.

#![allow(clippy::unwrap_used, clippy::panic)]

mod node;

use node::{Node, amiko_node, fails};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

/// The address of the database. Without one, the test says that it wasn't run, and is over.
fn database() -> Option<String> {
    let url = std::env::var("AMIKO_POSTGRES").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        // Past the test harness, which keeps to itself what a test that passes prints.
        let said = "NOT RUN: there is no PostgreSQL; start one with .ci/postgres, or name yours in AMIKO_POSTGRES=postgres://…";
        let _ = writeln!(std::io::stderr(), "{said}");
    }
    url
}

/// The processes of one node.
struct Cluster {
    root: PathBuf,
    url: String,
    name: String,
}

impl Cluster {
    fn new(root: &Path, url: &str, name: &str) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
        // A file instead of the address itself, which others could see in the list of processes.
        let file = root.join("store");
        fs::write(&file, url).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        Self { root: root.to_owned(), url: format!("@{}", file.display()), name: format!("{name}-{now}") }
    }

    fn arguments(&self) -> [&str; 8] {
        ["--store", &self.url, "--node", &self.name, "--lease", "1000", "--external-meeting-point", "hub"]
    }

    fn lead(&self, directory: &str) -> Node {
        Node::run(&self.root.join(directory), "127.0.0.1:0", &self.arguments())
    }

    /// One that has the key of another, and leads when it is its turn.
    fn follow(&self, directory: &str, leader: &Node) -> JoinHandle<Node> {
        let directory = self.root.join(directory);
        fs::create_dir(&directory).unwrap();
        let key = directory.join("key");
        fs::copy(leader.directory.join("key"), &key).unwrap();
        let arguments: Vec<String> = self.arguments().iter().map(ToString::to_string).collect();
        thread::spawn(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--standby"]).collect();
            Node::run(&directory, "127.0.0.1:0", &arguments)
        })
    }
}

#[test]
fn a_payment_goes_on_where_another_process_leads_the_node() {
    let Some(url) = database() else { return };
    let root = tempfile::tempdir().unwrap();
    let shop = Cluster::new(root.path(), &url, "shop");
    let customer = Node::new(root.path(), "customer");
    let mut one = shop.lead("one");
    let link = one.url(&["link", "add", "customer"]);
    customer.url(&["link", "add", "shop", "--to", &link]);
    customer.json(&["deposit", "shop", "1000"]);
    customer.json(&["meeting-point", "add", "hub"]);
    let pay = |to: &Node, amount: &str| {
        let request = to.url(&["request", amount]);
        customer.json(&["pay", &request, "--yes"])["outcome"].clone()
    };
    assert_eq!(pay(&one, "100"), "committed");

    let other = shop.follow("other", &one);
    one.process.kill().unwrap();
    one.process.wait().unwrap();
    let other = other.join().unwrap();
    assert_eq!(other.key, one.key);
    assert_eq!(pay(&other, "20"), "committed");
    let channel = |node: &Node, link: &str| node.json(&["list"])["state"]["links"][link]["channels"][0].clone();
    assert_eq!(channel(&other, "customer")["amountLocal"], 120);
    assert_eq!(channel(&customer, "shop")["amountRemote"], 120);

    // A stop hands over at once.
    let third = shop.follow("third", &other);
    other.signal("TERM");
    let third = third.join().unwrap();
    assert_eq!(third.json(&["payments"]).as_array().unwrap().len(), 2);
}

#[test]
fn one_that_does_not_lead_says_so_and_one_without_the_key_is_refused() {
    let Some(url) = database() else { return };
    let root = tempfile::tempdir().unwrap();
    let shop = Cluster::new(root.path(), &url, "shop");
    let mut one = shop.lead("one");
    let start = |directory: &str, more: &[&str]| {
        let arguments = [&["run", "--listen", "127.0.0.1:0"], &shop.arguments()[..], more].concat();
        amiko_node(&root.path().join(directory), &arguments)
    };
    fails(&start("second", &[]), 5, &["leads the node", "--standby"]);
    fails(&start("stranger", &["--standby"]), 1, &["expected the key", &one.key]);

    // One that was stopped for longer than its lease ends when it goes on.
    let other = shop.follow("other", &one);
    one.signal("STOP");
    let other = other.join().unwrap();
    one.signal("CONT");
    assert_eq!(one.process.wait().unwrap().code(), Some(5));

    let followed = shop.follow("follower", &other);
    let said = loop {
        // Its socket for commands is there before it leads.
        let output = amiko_node(&root.path().join("follower"), &["list"]);
        if output.status.code() != Some(3) {
            break output;
        }
    };
    fails(&said, 1, &["not the leader: ask the other members"]);
    other.signal("TERM");
    drop(followed.join().unwrap());
}

#[test]
fn an_address_in_a_file_that_others_may_read_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("store");
    fs::write(&file, "postgres://amiko:secret@127.0.0.1/amiko").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let store = format!("@{}", file.display());
    let output = amiko_node(&root.path().join("one"), &["run", "--listen", "127.0.0.1:0", "--store", &store]);
    let said = fails(&output, 1, &["others may read it", "chmod 600"]);
    assert!(!said.contains("secret"), "{said}");
}
