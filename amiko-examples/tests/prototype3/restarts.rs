//! A process that is killed again and again, and a neighbour that treats connections as a prototype does: between two of a link
//! it keeps the one with the larger dice, also when that one is dead; and it acts on what follows `ConnectLink` on one that it
//! refuses, and on a message that comes twice.

use crate::processes::{Node, pay};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// How soon a restarted node must have its link back.
const SOON: Duration = Duration::from_secs(2);

/// What anything else may take at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// The connections of a prototype, before a node of ours that makes up the rest of it.
#[derive(Clone)]
struct Prototype {
    shared: Arc<(Mutex<Connections>, Condvar)>,
}

struct Connections {
    /// The dice of the connection that is kept, and its stream, if it was one of the neighbour.
    kept: Option<(u32, Option<TcpStream>)>,
    /// The dice of all connections that were ever kept.
    dice: Vec<u32>,
    refused: usize,
    /// How often each message of the neighbour has acted.
    acted: BTreeMap<u64, u32>,
    /// What the neighbour hasn't confirmed.
    outbox: BTreeMap<u64, Value>,
    /// The rest of the prototype, once the neighbour has said who it is, and the number of the next message to it.
    inside: Option<TcpStream>,
    next: u64,
}

fn say(stream: &mut TcpStream, line: &Value) -> bool {
    stream.write_all(format!("{line}\n").as_bytes()).is_ok()
}

fn lines(stream: &TcpStream) -> impl Iterator<Item = Value> + use<> {
    let reader = BufReader::new(stream.try_clone().unwrap());
    reader.lines().map_while(Result::ok).map_while(|line| serde_json::from_str(&line).ok())
}

impl Connections {
    /// Says a line to the neighbour. Only now a connection that is dead is noticed.
    fn say(&mut self, line: &Value) {
        if let Some((_, stream)) = &mut self.kept
            && !stream.as_mut().is_some_and(|stream| say(stream, line))
        {
            self.kept = None;
        }
    }

    /// Acts on a line of the neighbour.
    fn act(&mut self, line: &Value) {
        if let Some(index) = line["received"].as_u64() {
            self.outbox = self.outbox.split_off(&(index + 1));
            self.inside.iter_mut().for_each(|inside| assert!(say(inside, line)));
        } else if let Some(index) = line["index"].as_u64() {
            *self.acted.entry(index).or_default() += 1;
            let line = json!({"index": self.next, "message": line["message"]});
            self.next += 1;
            self.inside.iter_mut().for_each(|inside| assert!(say(inside, &line)));
        }
    }
}

impl Prototype {
    /// One with this node inside. Returns where its neighbour dials.
    fn start(inside: &Node) -> (Self, String) {
        let (kept, inside_at) = (None, inside.started["listen"].as_str().unwrap().to_owned());
        let (dice, acted, outbox) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let connections = Connections { kept, dice, refused: 0, acted, outbox, inside: None, next: 0 };
        let prototype = Self { shared: Arc::new((Mutex::new(connections), Condvar::new())) };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let listening = prototype.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (prototype, inside_at) = (listening.clone(), inside_at.clone());
                thread::spawn(move || prototype.attend(stream.unwrap(), &inside_at));
            }
        });
        (prototype, address)
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.shared.0.lock().unwrap()
    }

    fn attend(&self, mut stream: TcpStream, inside: &str) {
        let mut lines = lines(&stream);
        let Some(hello) = lines.next() else { return };
        let dice = hello["message"]["dice"].as_str().unwrap().strip_prefix("!x").unwrap();
        let dice = u32::from_str_radix(dice, 16).unwrap();
        let mut connections = self.lock();
        if connections.kept.as_ref().is_some_and(|(kept, _)| *kept >= dice) {
            connections.refused += 1;
            drop(stream.shutdown(Shutdown::Write));
        } else {
            if connections.inside.is_none() {
                connections.inside = Some(self.enter(inside, hello));
            }
            let replaced = connections.kept.replace((dice, Some(stream.try_clone().unwrap())));
            replaced.and_then(|(_, old)| old).iter().for_each(|old| drop(old.shutdown(Shutdown::Both)));
            connections.dice.push(dice);
            for line in connections.outbox.values().cloned().collect::<Vec<_>>() {
                connections.say(&line);
            }
        }
        drop(connections);
        self.shared.1.notify_all();
        for line in lines {
            if let Some(index) = line["index"].as_u64() {
                // It confirms before it acts, where it can.
                say(&mut stream, &json!({"received": index}));
            }
            self.lock().act(&line);
        }
    }

    /// Brings the neighbour's hello to the rest of the prototype, and what that says to the neighbour from then on.
    fn enter(&self, inside: &str, mut hello: Value) -> TcpStream {
        let mut stream = TcpStream::connect(inside).unwrap();
        (hello["message"]["callbackHost"], hello["message"]["callbackPort"]) = (Value::Null, Value::Null);
        assert!(say(&mut stream, &hello));
        let (prototype, lines) = (self.clone(), lines(&stream));
        thread::spawn(move || {
            for line in lines {
                let mut connections = prototype.lock();
                if let Some(index) = line["index"].as_u64() {
                    connections.outbox.insert(index, line.clone());
                    connections.say(&line);
                }
            }
        });
        stream
    }

    /// Waits until this is so, and returns whether it was in time.
    fn waits(&self, patience: Duration, until: impl Fn(&Connections) -> bool) -> bool {
        let waited = self.shared.1.wait_timeout_while(self.lock(), patience, |connections| !until(connections));
        !waited.unwrap().1.timed_out()
    }
}

/// A node, its neighbour, and the connections of that one; the node has put 1000 into a channel.
fn neighbours(root: &std::path::Path) -> (Node, Node, Prototype) {
    let (a, b) = (Node::new(root, "a"), Node::new(root, "b"));
    let (prototype, address) = Prototype::start(&b);
    b.url(&["link", "add", "to_a"]);
    a.url(&["link", "add", "to_b", "--to", &format!("amikolink://{address}/to_a")]);
    a.json(&["deposit", "to_b", "1000"]);
    b.json(&["meeting-point", "add", "hub"]);
    (a, b, prototype)
}

/// Whether the node has something to say that isn't confirmed.
fn is_waiting(node: &Node) -> bool {
    node.json(&["list"])["connections"]["to_b"]["outbox"].as_object().is_some_and(|outbox| !outbox.is_empty())
}

/// Waits until nothing is under way, and gives what A and B have; both ends agree.
fn settled(a: &Node, b: &Node) -> (u64, u64) {
    let begun = Instant::now();
    loop {
        let ends = (a.at_rest("to_b"), b.at_rest("to_a"));
        if let (Some(a_has), Some(b_has)) = ends
            && a_has == (b_has.1, b_has.0)
            && !is_waiting(a)
        {
            return a_has;
        }
        assert!(begun.elapsed() < PATIENCE, "{ends:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for a payment, and returns whether it went through.
fn goes_through(mut payment: std::process::Child) -> bool {
    let begun = Instant::now();
    loop {
        if let Some(status) = payment.try_wait().unwrap() {
            return status.success();
        }
        if begun.elapsed() > PATIENCE {
            payment.kill().unwrap();
            payment.wait().unwrap();
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_node_that_is_killed_has_its_link_back_soon_and_its_first_payment_goes_through() {
    let root = tempfile::tempdir().unwrap();
    let (mut a, b, prototype) = neighbours(root.path());
    let mut expected = 1000;
    for round in 0..20 {
        assert_eq!(settled(&a, &b), (expected, 1000 - expected));
        let before = prototype.lock().dice.len();
        a.kill_and_restart();
        let back = prototype.waits(SOON, |connections| connections.dice.len() > before);
        assert!(back, "restart {round}: refused {} times", prototype.lock().refused);
        let (payment, after) = match round % 3 {
            2 => (pay(&b, &a, 10), expected + 10),
            _ => (pay(&a, &b, 10), expected - 10),
        };
        assert!(goes_through(payment), "restart {round}");
        expected = after;
    }
    assert_eq!(settled(&a, &b), (expected, 1000 - expected));
    let connections = prototype.lock();
    assert!(connections.dice.is_sorted_by(|earlier, later| earlier < later), "{:x?}", connections.dice);
    assert!(connections.acted.values().all(|times| *times == 1), "{:?}", connections.acted);
}

#[test]
fn on_a_connection_that_is_refused_nothing_acts() {
    let root = tempfile::tempdir().unwrap();
    let (mut a, b, prototype) = neighbours(root.path());
    assert_eq!(settled(&a, &b), (1000, 0));
    // The prototype has dialled A with dice that nobody exceeds, and doesn't notice that A is killed.
    prototype.lock().kept = Some((u32::MAX, None));
    a.kill_and_restart();
    let payment = pay(&a, &b, 10);
    let begun = Instant::now();
    while !is_waiting(&a) {
        assert!(begun.elapsed() < PATIENCE);
    }
    // With a message behind `ConnectLink`, if A said one: then the prototype would have an answer to it, and notice.
    let refused = prototype.lock().refused;
    let noticed = |connections: &Connections| !matches!(connections.kept, Some((_, None)));
    let until = |connections: &Connections| connections.refused > refused + 1 || noticed(connections);
    assert!(prototype.waits(PATIENCE, until));
    // Now it says something there, and notices.
    drop(prototype.lock().kept.take_if(|(_, stream)| stream.is_none()));
    assert!(goes_through(payment));
    assert_eq!(settled(&a, &b), (990, 10));
    let connections = prototype.lock();
    assert!(connections.acted.values().all(|times| *times == 1), "{:?}", connections.acted);
}
