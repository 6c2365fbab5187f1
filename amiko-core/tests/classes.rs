//! What is said of the classes beside a state: nothing secret is seen by whoever hides by it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use amiko_core::prelude::*;
use amiko_core::serializable::{Classes, Codec, Json};
use amiko_core::store::{self, Directory};
use amiko_core::tree::classes_of_node;
use amiko_core::{History, ReadError, Reader, WriteError, Writer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Begins each secret: none of them is seen.
const SEEN: &str = "hush";

fn hush(place: &str) -> Secret<String> {
    Secret::new(format!("{SEEN}-{place}"))
}

#[derive(Clone, Serializable)]
struct Token(Secret<String>);

/// Two fields without names.
#[derive(Clone, Serializable)]
struct Pair(u64, Secret<String>);

/// Written by something that knows no secrets.
#[derive(Clone, Serializable)]
#[amiko(transparent)]
struct Coded(#[amiko(with = Reversed)] Secret<String>);

struct Reversed;

impl Codec<Secret<String>> for Reversed {
    fn write(&self, value: &Secret<String>, out: &mut Writer) -> Result<(), WriteError> {
        out.string(value.expose());
        Ok(())
    }

    fn read(&self, input: &mut Reader<'_>) -> Result<Secret<String>, ReadError> {
        Ok(Secret::new(input.string()?.into_owned()))
    }
}

impl Codec<Option<Secret<String>>> for Reversed {
    fn write(&self, value: &Option<Secret<String>>, out: &mut Writer) -> Result<(), WriteError> {
        out.string(value.as_ref().map_or("", |value| value.expose()));
        Ok(())
    }

    fn read(&self, input: &mut Reader<'_>) -> Result<Option<Secret<String>>, ReadError> {
        Ok(Some(Secret::new(input.string()?.into_owned())))
    }
}

#[derive(Clone, Serializable)]
struct Card {
    owner: String,
    number: Secret<String>,
}

/// A foreign type, with a secret deep in it.
#[derive(Clone, Serialize, Deserialize)]
struct Foreign {
    inside: Vec<Secret<String>>,
}

#[derive(Clone, Serializable)]
struct Flat {
    flat: Secret<String>,
}

#[amiko(polymorphic)]
trait Vault: Serializable + Send {}

#[derive(Clone, Serializable)]
#[amiko(implements(Vault))]
struct Box2 {
    kept: Secret<String>,
}

impl Vault for Box2 {}

#[derive(Clone, Copy, Debug, PartialEq, Default, Serializable, Phases)]
enum SafePhase {
    #[default]
    #[amiko(next(Shut, Gone))]
    Open,
    #[amiko(next(Open), rename = "closed")]
    Shut,
    Gone,
}

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Safe {
    phase: Phase<SafePhase>,
    shown: String,
    direct: Secret<String>,
    listed: Vec<Secret<String>>,
    maybe: Option<Secret<String>>,
    mapped: BTreeMap<String, Secret<String>>,
    whole: Secret<BTreeMap<String, u64>>,
    pair: Pair,
    coded: Coded,
    #[amiko(with = Reversed)]
    perhaps: Option<Secret<String>>,
    /// A name that a record has, too.
    value: Secret<String>,
    token: Token,
    card: Card,
    foreign: Foreign,
    #[amiko(flatten)]
    flattened: Flat,
    vault: Box<dyn Vault>,
    last: Option<SafeMessage>,
}

#[derive(Clone, Serializable)]
enum SafeMessage {
    Put { code: Secret<String> },
    Pin(Secret<String>),
    Shut,
}

impl StateMachine for Safe {
    type Node = Bank;
    type Message = SafeMessage;

    fn handle(&mut self, message: SafeMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match &message {
            SafeMessage::Put { code } | SafeMessage::Pin(code) => {
                self.direct = code.clone();
                self.listed.push(code.clone());
                self.token = Token(code.clone());
                self.card.number = code.clone();
                self.foreign.inside.push(code.clone());
                self.flattened.flat = code.clone();
                self.mapped.insert("a".into(), code.clone());
                self.value = code.clone();
                let mut whole = self.whole.expose().clone();
                whole.insert(code.expose().clone(), 1);
                self.whole = Secret::new(whole);
                self.pair = Pair(1, code.clone());
                self.coded = Coded(code.clone());
                self.perhaps = Some(code.clone());
                self.vault = Box::new(Box2 { kept: code.clone() });
                cx.timer("later", Time::from_secs(9), message.clone());
            }
            SafeMessage::Shut => self.phase.enter(SafePhase::Shut)?,
        }
        self.last = Some(message);
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
struct Bank {
    #[amiko(machines)]
    safes: Table<Safe>,
}

fn bank() -> Bank {
    let safe = Safe {
        phase: Phase::new(),
        shown: "everybody sees this".into(),
        direct: hush("direct"),
        listed: vec![hush("listed")],
        maybe: Some(hush("maybe")),
        mapped: [("key".into(), hush("mapped"))].into(),
        whole: Secret::new([(format!("{SEEN}-key"), 1)].into()),
        pair: Pair(0, hush("pair")),
        coded: Coded(hush("coded")),
        perhaps: Some(hush("perhaps")),
        value: hush("value"),
        token: Token(hush("token")),
        card: Card { owner: "alice".into(), number: hush("card") },
        foreign: Foreign { inside: vec![hush("foreign")] },
        flattened: Flat { flat: hush("flat") },
        vault: Box::new(Box2 { kept: hush("vault") }),
        last: None,
    };
    Bank { safes: [(Id::new("one"), safe)].into_iter().collect() }
}

#[test]
fn no_secret_of_a_directory_is_seen_by_whoever_hides_by_its_classes() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::default();
    let mut engine = Engine::open_with(Directory::open(folder.path()).unwrap(), settings, bank).unwrap();
    let one = Id::<Safe>::new("one");
    for message in [SafeMessage::Put { code: hush("put") }, SafeMessage::Pin(hush("pin")), SafeMessage::Shut] {
        engine.send(&one, message, Time::from_secs(1)).unwrap();
    }
    engine.sync().unwrap();
    let classes = store::classes(folder.path()).unwrap().unwrap();
    assert_eq!(classes, classes_of_node::<Bank>());

    let mut document = Json::parse(&engine.document().unwrap()).unwrap();
    assert!(document.to_string().matches(SEEN).count() > 10, "{document}");
    classes.hide(&mut document);
    assert!(!document.to_string().contains(SEEN), "{}", document.to_pretty().unwrap());
    assert!(document.to_string().contains("everybody sees this"));

    let mut records = 0;
    store::walk(folder.path(), 0, |_, text| {
        let mut record = Json::parse(text).unwrap();
        records += 1;
        classes.hide(&mut record);
        assert!(!record.to_string().contains(SEEN), "{}", record.to_pretty().unwrap());
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(records, 3);
    // The rest of a record is there, and a number is no name.
    let mut record = Json::parse(
        r#"{"seq":1,"time":7,"cause":"Edit","patch":[{"op":"add","path":"/value/0/1","value":"shown"},
            {"op":"add","path":"/state/safes/one/whole/hush","value":2},{"op":"remove","path":"/state/safes/one/whole"}]}"#,
    )
    .unwrap();
    classes.hide(&mut record);
    assert_eq!(
        record.get("patch").unwrap().to_string(),
        r#"[{"op":"add","path":"/value/0/1","value":"shown"},{"op":"replace","path":"/state/safes/one/whole","value":"(secret)"},{"op":"remove","path":"/state/safes/one/whole"}]"#
    );
    assert_eq!(classes.shown_path("/state/safes/one/whole/hush"), "/state/safes/one/whole");
    let mut answer = Json::parse(r#"{"_class":"Answer","at":1,"reply":["hush"]}"#).unwrap();
    classes.hide_at("/answers/key", &mut answer);
    assert_eq!(answer.get("reply").unwrap().as_str(), Some("(secret)"));
}

#[test]
fn phases_machines_and_tables_are_described() {
    let classes = classes_of_node::<Bank>();
    let phases = classes.class_named("SafePhase").unwrap();
    let next: Vec<_> = phases.iter().map(|phase| (&*phase.name, phase.next.clone().unwrap())).collect();
    assert_eq!(
        next,
        [("Open", vec!["closed".to_owned(), "Gone".into()]), ("closed", vec!["Open".into()]), ("Gone", vec![])]
    );
    assert_eq!(classes.machines().collect::<Vec<_>>(), [("safe", "class SafeMessage")]);
    assert_eq!(classes.tables().collect::<Vec<_>>(), [("safes", "safe")]);
    assert_eq!(classes.kind_of("safes"), Some("safe"));
    assert_eq!(Classes::parse(&classes.to_text()).unwrap(), classes);
}

#[derive(Clone, Debug, PartialEq, Serializable, Phases)]
#[amiko(machine = Desk, field = task)]
enum Task {
    #[amiko(next(Done, Held))]
    New,
    #[amiko(next(Done, New), rename = "waiting", after(hours = 2, send = Stop), on(Go, Stop))]
    Held {
        at: History<Step>,
        before: Step,
    },
    Done {
        step: Phase<Step>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Serializable, Phases)]
#[amiko(machine = Desk, within = Task)]
enum Step {
    #[amiko(next(Last))]
    First,
    Last,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Desk {
    task: Phase<Task>,
    other: Option<Phase<Step>>,
}

#[derive(Clone, Serializable)]
enum DeskMessage {
    Go,
    Stop,
}

impl StateMachine for Desk {
    type Node = Self;
    type Message = DeskMessage;

    fn handle(&mut self, _: DeskMessage, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        Ok(())
    }
}

#[test]
fn phases_with_data_are_described_and_so_is_what_is_in_one() {
    let classes = classes_of_node::<Desk>();
    let said = |class: &str| -> Vec<(String, String, Option<Vec<String>>)> {
        let fields = classes.class_named(class).unwrap().iter().cloned();
        fields.map(|field| (field.name, field.ty.unwrap_or_default(), field.next)).collect()
    };
    let field = |name: &str, ty: &str| (name.to_owned(), ty.to_owned(), None);
    let phase = |name: &str, ty: &str, next: &[&str]| {
        (name.to_owned(), ty.to_owned(), Some(next.iter().map(|&next| next.to_owned()).collect::<Vec<_>>()))
    };
    let task = [
        phase("New", "class Task::New", &["Done", "waiting"]),
        phase("waiting", "class Task::waiting", &["Done", "New"]),
        phase("Done", "class Task::Done", &[]),
    ];
    assert_eq!(said("Task"), task);
    // What only keeps a phase isn't in it.
    assert_eq!(said("Task::waiting"), [field("at", "class Step"), field("before", "class Step")]);
    assert_eq!(said("Task::Done"), [field("step", "phase of class Step")]);
    assert_eq!(said("Step"), [phase("First", "", &["Last"]), phase("Last", "", &[])]);
    let remarks = classes.class_named("Task").unwrap().iter().map(|phase| phase.remarks.join("; "));
    assert_eq!(remarks.collect::<Vec<_>>(), ["", "on Go, Stop; after 2 hours, Stop", ""]);
    assert_eq!(said("Desk"), [field("task", "phase of class Task"), field("other", "phase of class Step or null")]);
    assert_eq!(Classes::parse(&classes.to_text()).unwrap(), classes);
    let spoiled = classes.to_text().replace("\"next\"", "\"then\"");
    assert!(Classes::parse(&spoiled).unwrap_err().to_string().contains("expected a field"));
    // Programs compare what is written, in which a phase is what it holds.
    let schema = amiko_core::tree::describe_node::<Desk>();
    for line in ["  task: class Task\n", "  other: class Step or null", "  waiting: class Task::waiting\n"] {
        assert!(schema.contains(line), "{line}{schema}");
    }
    // A lock has their moves, too.
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join("schema.lock");
    std::fs::write(&lock, schema).unwrap();
    let differs = amiko_core::tree::check_node::<Desk>(&lock).unwrap_err();
    assert!(differs.contains("Task: the move waiting -> Done is new"), "{differs}");
}

#[test]
fn what_was_secret_once_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("classes.json");
    drop(Engine::open_with(Directory::open(folder.path()).unwrap(), Settings::default(), bank).unwrap());
    let said = std::fs::read_to_string(&path).unwrap();
    // An earlier version of the program had another class, with another secret.
    let earlier = said.replace("\"direct\"", "\"formerly\"").replace("\"Safe\"", "\"Strongbox\"");
    std::fs::write(&path, earlier).unwrap();
    drop(Engine::<Bank>::open(Directory::open(folder.path()).unwrap(), Settings::default()).unwrap());
    let classes = store::classes(folder.path()).unwrap().unwrap();
    assert!(classes.is_secret("direct") && classes.is_secret("formerly"));
    assert!(classes.class_named("Strongbox").is_some() && classes.class_named("Safe").is_some());
    // What isn't a description is written anew, and never keeps a node from starting.
    for nonsense in ["", "{", "[]", "{\"classes\":1}", "\u{fffd}"] {
        std::fs::write(&path, nonsense).unwrap();
        assert!(store::classes(folder.path()).is_err(), "{nonsense}");
        drop(Engine::<Bank>::open(Directory::open(folder.path()).unwrap(), Settings::default()).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), said);
    }
}
