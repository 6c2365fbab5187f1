//! `log --phase` and `stat --phases`, of machines with phases in them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod common;

use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use amiko_core::store::{DirectorySettings, Retention};
use amiko_core::{History, Phases};
use common::{fixture, said};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Its phases have data, and one of them others inside.
#[derive(Clone, Debug, PartialEq, Serializable, Phases)]
#[amiko(machine = Order)]
enum OrderPhase {
    #[amiko(next(Paid, Expired), after(minutes = 15, send = Expire))]
    Placed,
    #[amiko(next(Placed, Held, Shipped))]
    Paid {
        receipt: u64,
        parcel: Phase<Parcel>,
    },
    #[amiko(next(Paid))]
    Held {
        at: History<Parcel>,
    },
    Shipped,
    Expired,
}

#[derive(Clone, Copy, Debug, PartialEq, Serializable, Phases)]
#[amiko(machine = Order, within = OrderPhase)]
enum Parcel {
    #[amiko(next(Packed), rename = "to pack")]
    Wanted,
    #[amiko(next(Wanted))]
    Packed,
}

#[derive(Clone, Copy, Debug, PartialEq, Serializable, Phases)]
#[amiko(machine = Shop, field = door)]
enum Door {
    #[amiko(next(Shut), rename = "open")]
    Open,
    #[amiko(next(Open))]
    Shut,
}

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Order {
    phase: Phase<OrderPhase>,
    note: String,
}

#[derive(Clone, Copy, Serializable)]
enum OrderMessage {
    Pay,
    Refund,
    Pack,
    Hold,
    Resume,
    Ship,
    Expire,
    Note,
}

impl StateMachine for Order {
    type Node = Shop;
    type Message = OrderMessage;

    fn handle(&mut self, message: OrderMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let elsewhere = || Rejection::new("it is in another phase");
        match message {
            OrderMessage::Pay => self.enter(OrderPhase::Paid { receipt: 1, parcel: Phase::new() }, cx),
            OrderMessage::Refund => self.enter(OrderPhase::Placed, cx),
            OrderMessage::Pack => self.enter(Parcel::Packed, cx),
            OrderMessage::Hold => {
                let at = History::of(self.phase.inner::<Parcel>().ok_or_else(elsewhere)?);
                self.enter(OrderPhase::Held { at }, cx)
            }
            OrderMessage::Resume => {
                let OrderPhase::Held { at } = &*self.phase else { return Err(elsewhere()) };
                let parcel = at.resume();
                self.enter(OrderPhase::Paid { receipt: 2, parcel }, cx)
            }
            OrderMessage::Ship => self.enter(OrderPhase::Shipped, cx),
            OrderMessage::Expire => self.enter(OrderPhase::Expired, cx),
            OrderMessage::Note => {
                self.note.push('!');
                Ok(())
            }
        }
    }
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Shop {
    #[amiko(machines)]
    orders: Table<Order>,
    door: Phase<Door>,
    /// What only keeps a phase isn't in it.
    kept: Option<OrderPhase>,
}

#[derive(Clone, Serializable)]
enum ShopMessage {
    Place { order: String },
    Forget { order: String },
    Shut,
    Open,
}

impl StateMachine for Shop {
    type Node = Self;
    type Message = ShopMessage;

    fn handle(&mut self, message: ShopMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            ShopMessage::Place { order } => {
                let order = Id::new(order);
                let phase = cx.begin_phase(&order);
                cx.create(&order, Order { phase, note: String::new() });
                Ok(())
            }
            ShopMessage::Forget { order } => {
                cx.remove(&Id::<Order>::new(order));
                Ok(())
            }
            ShopMessage::Shut => self.enter(Door::Shut, cx),
            ShopMessage::Open => self.enter(Door::Open, cx),
        }
    }
}

/// A node in a directory, and what becomes of its phases.
struct World {
    folder: tempfile::TempDir,
    engine: Engine<Shop, Directory>,
}

/// Two orders are there before the first record.
fn begun() -> Shop {
    let paid = OrderPhase::Paid { receipt: 0, parcel: Phase::new() };
    let order = |phase| Order { phase, note: String::new() };
    let phase = |phase: &OrderPhase| from_json(&to_json(phase).unwrap()).unwrap();
    let orders = [("old/1", order(phase(&OrderPhase::Placed))), ("old/2", order(phase(&paid)))];
    let orders = orders.into_iter().map(|(key, order)| (Id::new(key), order)).collect();
    Shop { orders, door: Phase::new(), kept: Some(paid) }
}

impl World {
    fn begin() -> Self {
        Self::with(DirectorySettings::default(), Settings::default())
    }

    fn with(store: DirectorySettings, settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Directory::open_with(folder.path(), store).unwrap();
        Self { engine: Engine::open_with(store, settings, begun).unwrap(), folder }
    }

    /// Whether it made an event.
    fn shop(&mut self, message: ShopMessage, second: u64) -> bool {
        self.engine.send(&Id::<Shop>::node(), message, Time::from_secs(second)).is_ok()
    }

    fn order(&mut self, order: &str, message: OrderMessage, second: u64) -> bool {
        self.engine.send(&Id::<Order>::new(order), message, Time::from_secs(second)).is_ok()
    }

    fn said(&mut self, arguments: &[&str]) -> String {
        self.engine.sync().unwrap();
        let directory = self.folder.path().to_str().unwrap();
        let arguments: Vec<&str> = arguments.iter().map(|word| if *word == "DIR" { directory } else { word }).collect();
        said(&arguments).replace(directory, "DIR")
    }

    fn json(&mut self, arguments: &[&str]) -> Json {
        let said = self.said(&[arguments, &["--json"]].concat());
        Json::parse(said.strip_suffix("exit 0\n").unwrap_or_else(|| panic!("{said}"))).unwrap()
    }

    /// The versions that `log --phase` shows.
    fn log(&mut self, phase: &str) -> Vec<u64> {
        let Json::Array(records) = self.json(&["log", "DIR", "--phase", phase]) else { panic!("expected an array") };
        records.iter().map(|record| record.get("seq").unwrap().as_u64().unwrap()).collect()
    }
}

fn place(order: &str) -> ShopMessage {
    ShopMessage::Place { order: order.into() }
}

/// Ten orders are paid after one minute, two, and so on; one expires; one of the old ones is paid, and one is forgotten.
fn world() -> World {
    let mut world = World::begin();
    for number in 1..=10 {
        let order = format!("new {number}");
        assert!(world.shop(place(&order), 1_000));
    }
    for number in 1..=10 {
        assert!(world.order(&format!("new {number}"), OrderMessage::Pay, 1_000 + 60 * number));
    }
    assert!(world.order("new 1", OrderMessage::Pack, 1_690));
    assert!(world.order("new 1", OrderMessage::Note, 1_691));
    assert!(world.order("new 1", OrderMessage::Hold, 1_700));
    assert!(world.order("old/1", OrderMessage::Pay, 2_000));
    assert!(world.shop(ShopMessage::Forget { order: "old/2".into() }, 2_001));
    assert!(world.shop(place("late"), 3_000));
    world.engine.tick(Time::from_secs(3_900)).unwrap();
    assert!(world.shop(ShopMessage::Shut, 4_000));
    assert!(world.shop(ShopMessage::Open, 4_001));
    world
}

#[test]
fn the_log_of_a_phase_has_the_events_in_which_something_entered_it() {
    let mut world = world();
    assert_eq!(world.log("OrderPhase=Placed"), (1..=10).chain([26]).collect::<Vec<_>>());
    assert_eq!(world.log("OrderPhase=Paid"), (11..=20).chain([24]).collect::<Vec<_>>());
    assert_eq!(world.log("OrderPhase=Held"), [23]);
    assert_eq!(world.log("OrderPhase=Shipped"), [] as [u64; 0]);
    // Entered or left, whichever.
    let any: Vec<u64> = (1..=20).chain(23..=27).collect();
    assert_eq!(world.log("OrderPhase"), any);
    // The ones inside, by their names in JSON; what comes back to one isn't in it.
    assert_eq!(world.log("Parcel=to pack"), (11..=20).chain([24]).collect::<Vec<_>>());
    assert_eq!(world.log("Parcel=Packed"), [21]);
    assert_eq!(world.log("Parcel"), (11..=21).chain(23..=25).collect::<Vec<_>>());
    assert_eq!((world.log("Door=Shut"), world.log("Door=open"), world.log("Door")), (vec![28], vec![29], vec![28, 29]));
}

#[test]
fn the_log_of_a_phase_has_other_filters_too() {
    let mut world = world();
    let lines = |said: String| said.lines().filter(|line| !line.starts_with("exit")).count();
    assert_eq!(lines(world.said(&["log", "DIR", "--phase", "OrderPhase=Paid", "-n", "3"])), 3);
    assert_eq!(lines(world.said(&["log", "DIR", "--phase", "OrderPhase=Paid", "--since", "20"])), 2);
    assert_eq!(lines(world.said(&["log", "DIR", "--phase", "OrderPhase=Paid", "--since", "1970-01-01T00:30:00Z"])), 1);
    assert_eq!(lines(world.said(&["log", "DIR", "--phase", "OrderPhase", "--object", "orders/new 1"])), 3);
    assert_eq!(lines(world.said(&["grep", "new 10", "DIR", "--phase", "OrderPhase"])), 2);
    let patch = world.said(&["log", "DIR", "--phase", "OrderPhase=Held", "--patch"]);
    assert!(patch.contains(r#"replace /state/orders/new 1/phase {"_class":"Held","at":"Packed"}"#), "{patch}");
    // A part of the journal begins with the phases as they were then.
    assert_eq!(lines(world.said(&["log", "DIR", "--phase", "Parcel", "--since", "22"])), 3);
}

#[test]
fn the_log_of_a_phase_is_followed() {
    let mut world = World::begin();
    assert!(world.shop(ShopMessage::Shut, 1));
    world.engine.sync().unwrap();
    let mut follow = Command::new(env!("CARGO_BIN_EXE_amiko"))
        .args(["log", "--follow", "--phase", "Door=Shut", world.folder.path().to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("       1  "));
    assert!(world.shop(ShopMessage::Open, 2) && world.shop(place("new"), 3) && world.shop(ShopMessage::Shut, 4));
    world.engine.sync().unwrap();
    assert!(lines.next().unwrap().starts_with("       4  "));
    follow.kill().unwrap();
    follow.wait().unwrap();
}

#[test]
fn a_phase_that_there_is_not_is_refused_with_those_that_there_are() {
    let mut world = world();
    let mut refused = |phase: &str| world.said(&["log", "DIR", "--phase", phase]);
    assert_eq!(
        refused("Phase=Paid"),
        "amiko: expected an enum of phases, one of Door, OrderPhase, Parcel, found \"Phase\"\nexit 3\n"
    );
    assert_eq!(refused("Door=ajar"), "amiko: expected a phase of Door, one of open, Shut, found \"ajar\"\nexit 3\n");
    // The name in Rust isn't the one in the journal.
    assert!(refused("Parcel=Wanted").contains("one of to pack, Packed, found \"Wanted\"\nexit 3\n"));
    assert!(world.said(&["stat", "DIR", "--phases", "--tables", "1"]).ends_with("exit 2\n"));
    assert!(said(&["stat", "/no/such/directory", "--phases"]).contains("found none at /no/such/directory\nexit 3\n"));
    let none = fixture();
    let said = said(&["stat", none.path().to_str().unwrap(), "--phases"]);
    assert_eq!(
        said,
        "amiko: expected fields that are in a phase in `classes.json`, found none; the next start of a program that has some writes them\nexit 3\n"
    );
    std::fs::remove_file(world.folder.path().join("classes.json")).unwrap();
    let said = world.said(&["log", "DIR", "--phase", "Door"]);
    assert!(said.contains("expected `classes.json`, which says which phases there are, found none"), "{said}");
    assert!(said.ends_with("exit 3\n"), "{said}");
}

#[test]
fn the_times_in_each_phase_are_those_between_its_events() {
    let mut world = world();
    let expected = "\
version 29
29 events since version 0
Door
  phase    entered       left  in it now        p50        p99
  open           1          1          1          -          -
  Shut           1          1          0     1.00 s     1.00 s
OrderPhase
  phase      entered       left  in it now        p50        p99
  Placed          11         12          0   6.00 min   15.0 min
  Paid            11          2         10   10.7 min   10.7 min
  Held             1          0          1          -          -
  Shipped          0          0          0          -          -
  Expired          1          0          1          -          -
Parcel
  phase      entered       left  in it now        p50        p99
  to pack         11          2         10   10.5 min   10.5 min
  Packed           1          1          0     10.0 s     10.0 s
4 in a phase at version 0, before the first record that is kept: nobody knows since when, so p50 and p99 leave them out
exit 0
";
    assert_eq!(world.said(&["stat", "DIR", "--phases"]), expected);
    let document = world.json(&["stat", "DIR", "--phases"]);
    let placed = r#"{"before":1,"entered":11,"left":12,"now":0,"timed":11,"p50":360000,"p99":900000}"#;
    let phases = document.get("phases").unwrap();
    assert_eq!(phases.get("OrderPhase").unwrap().get("Placed").unwrap().to_string(), placed);
    let packed = r#"{"before":0,"entered":1,"left":1,"now":0,"timed":1,"p50":10000,"p99":10000}"#;
    assert_eq!(phases.get("Parcel").unwrap().get("Packed").unwrap().to_string(), packed);
    let door = r#"{"open":{"before":1,"entered":1,"left":1,"now":1,"timed":0,"p50":null,"p99":null},"Shut":"#;
    assert!(phases.get("Door").unwrap().to_string().starts_with(door), "{document}");
    let said = document.to_string();
    assert!(said.starts_with(r#"{"version":29,"since":0,"before":4,"phases":{"Door":"#), "{said}");
}

#[test]
fn a_phase_that_the_classes_no_longer_have_is_counted_as_unknown() {
    let mut world = world();
    let classes = world.folder.path().join("classes.json");
    let text = std::fs::read_to_string(&classes).unwrap();
    std::fs::write(&classes, text.replace("\"Held\": {", "\"Kept\": {").replace("\"Packed\": [", "\"Gone\": ["))
        .unwrap();
    let shown = world.said(&["stat", "DIR", "--phases"]);
    assert!(shown.contains("\n  (unknown)          1          0          1          -          -\nParcel"), "{shown}");
    assert!(shown.contains("\n  (unknown)          1          1          0     10.0 s     10.0 s\n"), "{shown}");
    assert_eq!(world.log("OrderPhase=Kept"), [] as [u64; 0]);
    assert_eq!(world.log("Parcel"), (11..=21).chain(23..=25).collect::<Vec<_>>());
}

#[test]
fn a_phase_that_is_hidden_is_seen_only_with_the_secrets() {
    let mut world = world();
    let classes = world.folder.path().join("classes.json");
    let text = std::fs::read_to_string(&classes).unwrap();
    std::fs::write(&classes, text.replacen("\"secrets\": []", "\"secrets\": [\"phase\"]", 1)).unwrap();
    assert_eq!((world.log("OrderPhase"), world.log("Door=Shut")), (vec![], vec![28]));
    let hidden = world.said(&["stat", "DIR", "--phases"]);
    assert!(hidden.contains("  Paid             0          0          0 "), "{hidden}");
    let shown = world.said(&["stat", "DIR", "--phases", "--secrets"]);
    assert!(shown.contains("  Paid            11          2         10 "), "{shown}");
}

#[test]
fn what_was_before_the_journal_that_is_kept_is_in_no_time() {
    let (mut store, mut settings) = (DirectorySettings::default(), Settings::default());
    // A snapshot after each event, and none before it is kept.
    (store.retention, store.segment_chunk) = (Retention::Count(0), 1_024);
    (settings.snapshot_minimum, settings.snapshot_ratio) = (1, 0);
    let mut world = World::with(store, settings);
    let mut known = vec![present(world.engine.node()).len() as u64];
    let mut since = 0;
    while since == 0 {
        let version = known.len() as u64;
        // Afterwards the first one expires.
        assert!(version < 800);
        assert!(world.shop(place(&format!("new {version}")), version));
        known.push(present(world.engine.node()).len() as u64);
        since = world.json(&["stat", "DIR", "--phases"]).get("since").unwrap().as_u64().unwrap();
    }
    // From now on there is no other snapshot.
    let World { folder, engine } = world;
    drop(engine);
    let store = Directory::open(folder.path()).unwrap();
    let mut world = World { engine: Engine::open_with(store, Settings::default(), begun).unwrap(), folder };
    assert!(world.order("new 1", OrderMessage::Pay, known.len() as u64));
    let document = world.json(&["stat", "DIR", "--phases"]);
    let since = document.get("since").unwrap().as_u64().unwrap();
    assert_eq!(document.get("before").unwrap().as_u64(), Some(known[since as usize]), "{document}");
    let placed = document.get("phases").unwrap().get("OrderPhase").unwrap().get("Placed").unwrap();
    let number = |field: &str| placed.get(field).unwrap().as_u64().unwrap();
    assert_eq!((number("left"), number("timed")), (1, 0), "{document}");
    assert_eq!(number("before") + number("entered"), number("now") + 1, "{document}");
    assert_eq!(world.log("OrderPhase=Paid"), [known.len() as u64]);
}

/// The phase of each object, and of its node itself.
fn present(shop: &Shop) -> BTreeMap<(String, &'static str), &'static str> {
    let orders = shop.orders.iter().flat_map(|(id, order)| {
        let inner = order.phase.inner::<Parcel>().map(|parcel| ((id.to_string(), "Parcel"), written(parcel)));
        std::iter::once(((id.to_string(), "OrderPhase"), order.phase.name())).chain(inner)
    });
    orders.chain([((String::new(), "Door"), written(&shop.door))]).collect()
}

/// The name in JSON of a phase without data.
fn written<P: Serializable + Phases>(phase: &Phase<P>) -> &'static str {
    phase.class().unwrap()
}

/// What the node was in, event by event.
struct Model {
    present: BTreeMap<(String, &'static str), &'static str>,
    since: BTreeMap<(String, &'static str), u64>,
    /// The versions that entered each phase, and those that entered or left any of an enum.
    entered: BTreeMap<String, Vec<u64>>,
    /// From entering to leaving, in milliseconds.
    times: BTreeMap<String, Vec<u64>>,
}

impl Model {
    fn new(shop: &Shop) -> Self {
        Self { present: present(shop), since: BTreeMap::new(), entered: BTreeMap::new(), times: BTreeMap::new() }
    }

    fn note(&mut self, version: u64, millis: u64, shop: &Shop) {
        let (was, now) = (std::mem::take(&mut self.present), present(shop));
        let mut any = |of: &str| self.entered.entry(of.to_owned()).or_default().push(version);
        for (key, phase) in was.iter().filter(|(key, phase)| now.get(*key) != Some(phase)) {
            any(key.1);
            if let Some(since) = self.since.remove(key) {
                self.times.entry(format!("{}={phase}", key.1)).or_default().push(millis - since);
            }
        }
        for (key, phase) in now.iter().filter(|(key, phase)| was.get(*key) != Some(phase)) {
            any(key.1);
            any(&format!("{}={phase}", key.1));
            self.since.insert(key.clone(), millis);
        }
        self.present = now;
        self.entered.values_mut().for_each(|versions| versions.dedup());
    }
}

/// An event or none, as chance has it.
fn happen(world: &mut World, second: u64, random: &mut impl FnMut(u64) -> u64) {
    use OrderMessage::{Hold, Note, Pack, Pay, Refund, Resume, Ship};
    let order = ["old/1", "old/2", "a", "b~", "c/phase"][random(5) as usize];
    match random(20) {
        0 => world.shop(ShopMessage::Forget { order: order.into() }, second),
        1..4 => world.shop(place(order), second),
        4 => world.shop(ShopMessage::Shut, second),
        5 => world.shop(ShopMessage::Open, second),
        _ => world.order(order, [Pay, Refund, Pack, Hold, Resume, Ship, Note][random(7) as usize], second),
    };
}

#[test]
fn what_the_journal_says_of_phases_is_what_the_node_was_in() {
    const EVENTS: u64 = 1_000;
    let mut seed = 7_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut world = World::begin();
    let mut model = Model::new(world.engine.node());
    let (mut second, mut version) = (1_000, 0);
    while version < EVENTS {
        second += random(200);
        let time = Time::from_secs(second);
        while world.engine.tick_slice(time, 1, time).unwrap() > 0 {
            version += 1;
            model.note(version, time.as_millis(), world.engine.node());
        }
        happen(&mut world, second, &mut random);
        if world.engine.version().0 > version {
            version += 1;
            model.note(version, time.as_millis(), world.engine.node());
        }
        assert_eq!(world.engine.version().0, version);
    }
    let document = world.json(&["stat", "DIR", "--phases"]);
    let mut phases = 0;
    for (of, names) in fields(document.get("phases").unwrap()) {
        assert_eq!(world.log(of), model.entered[of], "{of}");
        for (name, said) in fields(names) {
            let phase = format!("{of}={name}");
            let number = |field: &str| said.get(field).unwrap().as_u64();
            assert_eq!(world.log(&phase), model.entered[&phase], "{phase}");
            let now = model.present.iter().filter(|((_, enumerated), phase)| *enumerated == of && **phase == name);
            assert_eq!(number("now"), Some(now.count() as u64), "{phase}");
            assert_eq!(
                number("before").unwrap() + number("entered").unwrap(),
                number("left").unwrap() + number("now").unwrap()
            );
            let mut times = model.times.remove(&phase).unwrap_or_default();
            times.sort_unstable();
            assert_eq!(number("timed"), Some(times.len() as u64), "{phase}");
            for (percent, field) in [(50, "p50"), (99, "p99")] {
                let exact = times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied();
                let (exact, found) = (exact.unwrap_or(0), number(field).unwrap_or(0));
                assert!(found.abs_diff(exact) <= exact / 128, "{phase} {field}: {found}, expected {exact}");
            }
            phases += 1;
        }
    }
    assert_eq!(phases, 9);
    // A part of the journal says the same of its events.
    let Json::Array(records) = world.json(&["log", "DIR", "--phase", "Parcel=to pack", "--since", "500"]) else {
        panic!("expected an array");
    };
    let late = model.entered["Parcel=to pack"].iter().filter(|version| **version >= 500).count();
    assert_eq!(records.len(), late);
}

fn fields(json: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let Json::Object(fields) = json else { panic!("expected an object") };
    fields.iter().map(|(name, value)| (name.as_str(), value))
}
