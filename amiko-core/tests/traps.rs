//! Small programs that once came out wrong, each for its kind: keys, own fields of a node, strong references further in, old texts.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use amiko_core::engine::{EngineOpenError, EventError};
use amiko_core::prelude::*;
use amiko_core::serializable::{Codec, Json, UnknownFields, schema};
use amiko_core::store::Memory;
use amiko_core::{ReadError, Reader, WriteError, Writer};
use indexmap::IndexMap;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::hash::{Hash, Hasher};

fn now() -> Time {
    Time::from_secs(1)
}

fn reopened<N: Node>(engine: Engine<N, Memory>) -> Engine<N, Memory> {
    Engine::open(engine.into_store().crash(), Settings::default()).unwrap()
}

mod keys {
    use super::*;

    /// A name to which capitals are the same as small letters.
    #[derive(Clone, Debug)]
    pub struct Nick(String);

    impl Nick {
        fn small(&self) -> String {
            self.0.to_lowercase()
        }
    }

    impl PartialEq for Nick {
        fn eq(&self, other: &Self) -> bool {
            self.small() == other.small()
        }
    }

    impl Eq for Nick {}

    impl PartialOrd for Nick {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    impl Ord for Nick {
        fn cmp(&self, other: &Self) -> Ordering {
            self.small().cmp(&other.small())
        }
    }

    impl Hash for Nick {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.small().hash(state);
        }
    }

    impl Key for Nick {
        fn encode(&self) -> std::borrow::Cow<'_, str> {
            self.0.encode()
        }

        fn decode(text: &str) -> Result<Self, &'static str> {
            String::decode(text).map(Self)
        }
    }

    #[derive(Clone, Serializable)]
    #[amiko(key = Nick)]
    struct Member {
        number: u64,
    }

    #[derive(Clone, Default, Serializable)]
    struct Maps {
        tree: BTreeMap<Nick, u64>,
        hash: HashMap<Nick, u64>,
        map: Map<Nick, u64>,
        id: Option<Id<Member>>,
    }

    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(machine)]
    struct Club {
        maps: Maps,
        #[amiko(objects)]
        members: Table<Member>,
    }

    #[derive(Clone, Serializable)]
    struct Join {
        nick: String,
        number: u64,
        anew: bool,
    }

    impl StateMachine for Club {
        type Node = Self;
        type Message = Join;

        fn handle(&mut self, join: Join, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
            let nick = Nick(join.nick);
            let maps = &mut self.maps;
            if join.anew {
                maps.tree.remove(&nick);
                maps.hash.remove(&nick);
                maps.map.remove(&nick);
            }
            maps.tree.insert(nick.clone(), join.number);
            maps.hash.insert(nick.clone(), join.number);
            maps.map.insert(nick.clone(), join.number);
            maps.id = Some(Id::new(nick.clone()));
            self.members.insert(&Id::new(nick), Member { number: join.number });
            Ok(())
        }
    }

    #[test]
    fn an_equal_key_with_another_text_has_that_text_in_memory_as_on_disk() {
        let mut settings = Settings::default();
        settings.check_records = true;
        let mut club = Engine::<Club, _>::open(Memory::new(), settings).unwrap();
        let joins = [("ann", 1, false), ("ANN", 1, false), ("Ann", 2, true), ("aNN", 2, true), ("ann", 2, false)];
        for (nick, number, anew) in joins {
            club.send(&Id::new(()), Join { nick: nick.into(), number, anew }, now()).unwrap();
            let texts: Vec<String> = club.node().members.iter().map(|(id, _)| id.key().0.clone()).collect();
            assert_eq!(texts, [nick]);
            assert_eq!(club.node().maps.map.keys().map(|key| key.0.as_str()).collect::<Vec<_>>(), [nick]);
            assert_eq!(club.node().maps.id.as_ref().map(|id| id.key().0.as_str()), Some(nick));
        }
        club.sync().unwrap();
        let document = club.document().unwrap();
        assert_eq!(reopened(club).document().unwrap(), document);
    }

    /// A name whose order looks at its length alone, though it is equal only to itself.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Key, Serializable)]
    #[amiko(transparent)]
    struct ByLength(String);

    impl PartialOrd for ByLength {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    impl Ord for ByLength {
        fn cmp(&self, other: &Self) -> Ordering {
            self.0.len().cmp(&other.0.len())
        }
    }

    #[test]
    fn a_hash_loses_nothing_that_an_order_calls_the_same() {
        let names = ["bob", "ann", "jo", "eve"].map(|name| ByLength(name.into()));
        // Each hash has a seed of its own, so the texts would be of different orders.
        for _ in 0..8 {
            let set: HashSet<ByLength> = names.iter().cloned().collect();
            assert_eq!(to_json(&set).unwrap(), r#"["jo","ann","bob","eve"]"#);
            assert_eq!(from_json::<HashSet<ByLength>>(&to_json(&set).unwrap()).unwrap(), set);
            let map: HashMap<ByLength, u8> = names.iter().cloned().zip(1..).collect();
            assert_eq!(to_json(&map).unwrap(), r#"{"jo":3,"ann":2,"bob":1,"eve":4}"#);
            assert_eq!(from_json::<HashMap<ByLength, u8>>(&to_json(&map).unwrap()).unwrap(), map);
        }
        let twice = from_json::<HashSet<ByLength>>(r#"["jo","jo"]"#).unwrap_err();
        assert!(twice.to_string().contains("found one twice"), "{twice}");
        let wrong = from_json::<HashSet<ByLength>>(r#"["jo",7]"#).unwrap_err();
        assert!(wrong.to_string().contains("[1]"), "{wrong}");
    }

    /// A key whose text is that of another one.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    struct Lossy(u64);

    impl Key for Lossy {
        fn encode(&self) -> std::borrow::Cow<'_, str> {
            (self.0 / 10).to_string().into()
        }

        fn decode(text: &str) -> Result<Self, &'static str> {
            u64::decode(text).map(|tens| Self(tens * 10))
        }
    }

    #[test]
    fn a_key_that_is_read_back_as_another_is_refused() {
        let lossy = |numbers: [u64; 2]| numbers.map(|number| (Lossy(number), 1_u8)).into_iter().collect();
        let good: BTreeMap<Lossy, u8> = lossy([10, 20]);
        assert_eq!(to_json(&good).unwrap(), r#"{"1":1,"2":1}"#);
        let bad: BTreeMap<Lossy, u8> = lossy([10, 21]);
        assert!(matches!(to_json(&bad).unwrap_err().problem(), WriteError::Unreadable { .. }));
        let bad: Map<Lossy, u8> = Map::from_iter([(Lossy(21), 1)]);
        assert!(to_json(&bad).is_err());
    }
}

mod own_fields {
    use super::*;

    struct Cents;

    impl Codec<u64> for Cents {
        fn write(&self, cents: &u64, out: &mut Writer) -> Result<(), WriteError> {
            out.text(&format!("{cents} cents"));
            Ok(())
        }

        fn read(&self, input: &mut Reader<'_>) -> Result<u64, ReadError> {
            let before = input.clone();
            let text = input.text()?;
            text.strip_suffix(" cents").and_then(|text| text.parse().ok()).ok_or_else(|| before.expected("cents"))
        }
    }

    #[derive(Clone, Serializable)]
    #[amiko(key = u64)]
    struct Owner {}

    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(machine, unknown = "keep")]
    struct Till {
        #[amiko(with = Cents, default)]
        balance: u64,
        #[amiko(default)]
        ratio: f32,
        #[amiko(secret, default)]
        pin: Secret<u64>,
        #[amiko(strong, default)]
        boss: Option<Id<Owner>>,
        #[amiko(skip)]
        cache: u64,
        rest: UnknownFields,
        #[amiko(objects)]
        owners: Table<Owner>,
    }

    #[derive(Clone, Serializable)]
    enum Say {
        Add,
        Boss { id: u64 },
        Hire { id: u64 },
        Fire { id: u64 },
    }

    impl StateMachine for Till {
        type Node = Self;
        type Message = Say;

        fn handle(&mut self, say: Say, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
            match say {
                Say::Add => {
                    (self.balance, self.ratio, self.cache) = (self.balance + 5, self.ratio + 0.5, 7);
                    self.pin = Secret::new(777_777);
                }
                Say::Boss { id } => self.boss = Some(Id::new(id)),
                Say::Hire { id } => drop(self.owners.insert(&Id::new(id), Owner {})),
                Say::Fire { id } => drop(self.owners.remove(&Id::new(id))),
            }
            Ok(())
        }
    }

    #[test]
    fn own_fields_of_a_node_that_is_a_machine_go_the_way_of_every_field() {
        let first = || from_json::<Till>(r#"{"_class":"Till","colour":"red"}"#).unwrap();
        let mut till = Engine::open_with(Memory::new(), Settings::default(), first).unwrap();
        let node = Id::<Till>::new(());
        till.send(&node, Say::Add, now()).unwrap();
        let record = till.history().last().unwrap().record.clone();
        assert!(record.contains(r#""path":"/state/balance","value":"5 cents""#), "{record}");
        assert!(record.contains(r#""path":"/state/ratio","value":0.5"#), "{record}");
        assert!(!till.document_without_secrets().unwrap().contains("777777"));

        let error = till.send(&node, Say::Boss { id: 7 }, now()).unwrap_err();
        assert_eq!(error.to_string(), "expected owner 7, to which node refers, found none");
        till.send(&node, Say::Hire { id: 7 }, now()).unwrap();
        till.send(&node, Say::Boss { id: 7 }, now()).unwrap();
        assert!(till.send(&node, Say::Fire { id: 7 }, now()).is_err());
        assert_eq!(till.referrers(&Id::<Owner>::new(7)).iter().map(ToString::to_string).collect::<Vec<_>>(), ["node"]);

        till.sync().unwrap();
        let document = till.document().unwrap();
        assert!(document.contains(r#""colour":"red""#), "{document}");
        let mut till = reopened(till);
        assert_eq!(till.document().unwrap(), document);
        assert!(till.send(&node, Say::Fire { id: 7 }, now()).is_err(), "the reference is known after a restart");
    }
}

mod strong {
    use super::*;

    #[derive(Clone, Serializable)]
    #[amiko(key = u64)]
    struct Owner {}

    #[derive(Clone, Serializable)]
    struct Right {
        #[amiko(strong)]
        owner: Id<Owner>,
    }

    #[derive(Clone, Serializable)]
    enum Deed {
        None,
        Held { right: Option<Box<Right>> },
    }

    /// The class of the table has no strong reference of its own.
    #[derive(Clone, Serializable)]
    #[amiko(key = u64)]
    struct House {
        deed: Deed,
        others: IndexMap<String, Right>,
    }

    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(machine)]
    struct Town {
        #[amiko(objects)]
        houses: Table<House>,
        #[amiko(objects)]
        owners: Table<Owner>,
    }

    #[derive(Clone, Serializable)]
    enum Act {
        Build { deed: Deed, other: Option<u64> },
        Hire { id: u64 },
    }

    impl StateMachine for Town {
        type Node = Self;
        type Message = Act;

        fn handle(&mut self, act: Act, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
            match act {
                Act::Build { deed, other } => {
                    let others = other.map(|id| ("other".to_owned(), Right { owner: Id::new(id) }));
                    self.houses.insert(&Id::new(1), House { deed, others: others.into_iter().collect() });
                }
                Act::Hire { id } => drop(self.owners.insert(&Id::new(id), Owner {})),
            }
            Ok(())
        }
    }

    #[test]
    fn below_an_object_is_everything_below_it() {
        let mut town = Engine::<Town, _>::open(Memory::new(), Settings::default()).unwrap();
        let node = Id::<Town>::new(());
        let held = |id| Deed::Held { right: Some(Box::new(Right { owner: Id::new(id) })) };
        let error = town.send(&node, Act::Build { deed: held(7), other: None }, now()).unwrap_err();
        assert_eq!(error.to_string(), "expected owner 7, to which house 1 refers, found none");
        let error = town.send(&node, Act::Build { deed: Deed::None, other: Some(8) }, now()).unwrap_err();
        assert_eq!(error.to_string(), "expected owner 8, to which house 1 refers, found none");
        town.send(&node, Act::Hire { id: 7 }, now()).unwrap();
        town.send(&node, Act::Build { deed: held(7), other: Some(7) }, now()).unwrap();
        assert_eq!(amiko_core::tree::referrers(town.node(), &Id::<Owner>::new(7)).len(), 1);
    }
}

mod evolution {
    use super::*;

    #[derive(Debug, PartialEq, Serializable)]
    enum Before {
        Idle,
        Busy,
    }

    #[derive(Debug, PartialEq, Serializable)]
    enum After {
        Idle,
        Busy {
            #[amiko(default)]
            since: u64,
        },
        Late {
            since: u64,
        },
    }

    #[test]
    fn a_unit_variant_that_gets_fields_reads_its_old_text() {
        assert_eq!(from_json(&to_json(&Before::Idle).unwrap()), Ok(After::Idle));
        assert_eq!(from_json(&to_json(&Before::Busy).unwrap()), Ok(After::Busy { since: 0 }));
        let error = from_json::<After>("\"Late\"").unwrap_err().to_string();
        assert!(error.contains(r#"expected the field "since" of class Late"#), "{error}");
        // And back, where nothing is lost by it.
        assert_eq!(from_json(r#"{"_class":"Idle"}"#), Ok(Before::Idle));
        assert!(from_json::<Before>(r#"{"_class":"Busy","since":7}"#).is_err());
    }

    #[derive(Debug, PartialEq, Serializable)]
    #[amiko(version = 3, migrate = lift)]
    enum Lifted {
        Waiting { since: u64 },
        Done,
    }

    #[derive(Debug, PartialEq, Serializable)]
    #[amiko(version = 2, migrate = lift)]
    enum Renamed {
        Waiting,
        Done,
    }

    #[derive(Debug, PartialEq, Serializable)]
    #[amiko(version = 2, migrate = lift)]
    struct Amount {
        cents: u64,
    }

    fn lift(from: u32, old: &mut Json) -> Result<(), String> {
        match (from, &*old) {
            (1, Json::String(name)) if name == "Idle" => *old = Json::parse("\"Waiting\"").unwrap(),
            (1, Json::Number(cents)) => {
                *old = Json::parse(&format!(r#"{{"_class":"Amount","cents":{cents}}}"#)).unwrap();
            }
            (2, Json::String(name)) if name == "Waiting" => {
                *old = Json::parse(r#"{"_class":"Waiting","since":7}"#).unwrap();
            }
            _ => {}
        }
        Ok(())
    }

    #[test]
    fn a_migration_is_called_for_any_old_text_of_its_class() {
        assert_eq!(from_json("\"Idle\""), Ok(Lifted::Waiting { since: 7 }));
        assert_eq!(from_json("\"Done\""), Ok(Lifted::Done));
        assert_eq!(from_json("\"Idle\""), Ok(Renamed::Waiting));
        assert_eq!(from_json("\"Done\""), Ok(Renamed::Done));
        assert!(from_json::<Renamed>("\"Never\"").is_err());
        // It was transparent once.
        assert_eq!(from_json("700"), Ok(Amount { cents: 700 }));
        assert_eq!(from_json(&to_json(&Amount { cents: 7 }).unwrap()), Ok(Amount { cents: 7 }));
    }

    #[derive(Clone, Serializable)]
    #[amiko(key = String)]
    struct Thing {}

    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(class = "Shop")]
    struct Old {
        name: String,
    }

    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(class = "Shop")]
    struct New {
        name: String,
        #[amiko(objects)]
        things: Table<Thing>,
    }

    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(class = "Shop")]
    struct Other {
        name: u64,
    }

    #[test]
    fn a_table_that_is_new_is_empty() {
        let first = || Old { name: "ann".into() };
        let old = Engine::open_with(Memory::new(), Settings::default(), first).unwrap();
        let new = Engine::<New, _>::open(old.into_store().crash(), Settings::default()).unwrap();
        assert_eq!((new.node().name.as_str(), new.node().things.len()), ("ann", 0));
    }

    #[test]
    fn an_old_file_that_cannot_be_read_says_class_field_and_place() {
        let old = Engine::<Old, _>::open(Memory::new(), Settings::default()).unwrap();
        let error = Engine::<Other, _>::open(old.into_store().crash(), Settings::default()).err().unwrap();
        let mut said = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            said = format!("{said}: {error}");
            cause = error.source();
        }
        for part in ["state.name", "class Shop", "expected an unsigned integer"] {
            assert!(said.contains(part), "{said}");
        }
        let lift = EngineOpenError::Lift(from_json::<Amount>(r#"{"_class":"Amount","cents":"x"}"#).unwrap_err());
        assert!(lift.source().unwrap().to_string().contains("cents: expected"), "{lift}");
        assert!(lift.to_string().contains("class Amount"), "{lift}");
    }

    mod serde_types {
        use serde::{Deserialize, Serialize};

        #[derive(Clone, Serialize, Deserialize)]
        pub enum Wide {
            Calm,
            Angry { since: u64, at: Option<String> },
        }

        #[derive(Clone, Serialize, Deserialize)]
        #[serde(rename = "Wide")]
        pub enum Narrow {
            Calm,
        }

        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Colour {
            Red,
            Green,
        }
    }

    #[derive(Clone, Serializable)]
    struct Inner {
        #[amiko(strong)]
        thing: Id<Thing>,
    }

    #[derive(Clone, Serializable)]
    struct Holder {
        mood: serde_types::Wide,
        ratio: f32,
        by_colour: BTreeMap<serde_types::Colour, Inner>,
        later: (f32, uuid::Uuid, Inner),
    }

    #[test]
    fn the_lock_sees_types_of_serde_as_far_as_they_show_themselves() {
        let text = schema::describe::<Holder>();
        let expected = "\
class Colour of serde, version 1
  Green
  Red
class Holder, version 1
  mood: Wide of serde
  ratio: number of 32 bits
  by_colour: map of Colour of serde to class Inner
  later: tuple of number of 32 bits, text, class Inner
class Inner, version 1
  thing: ID of a thing
class Wide of serde, version 1
  Angry: {at: text or null, since: unsigned integer of 64 bits}
  Calm
";
        assert_eq!(text, expected);
        #[derive(Clone, Serializable)]
        #[amiko(class = "Holder")]
        struct Narrowed {
            mood: serde_types::Narrow,
        }
        assert_ne!(schema::describe::<Narrowed>(), text);
    }

    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Key)]
    struct Slot(u64, String);

    #[derive(Clone, Serializable)]
    #[amiko(key = Slot)]
    struct Placed {}

    #[derive(Clone, Default, Serializable, Node)]
    struct Store {
        #[amiko(objects)]
        placed: Table<Placed>,
    }

    #[test]
    fn the_lock_sees_the_form_of_a_key() {
        let text = schema::describe::<Store>();
        assert!(text.contains("placed: table of class Placed by key Slot of integer, text\n"), "{text}");
    }
}

/// A class that the schema can't see behind serde: after another class in a tuple.
#[test]
fn a_class_that_the_schema_cannot_see_is_refused_on_writing() {
    #[derive(Clone, Serializable)]
    struct One {
        number: u64,
    }
    #[derive(Clone, Serializable)]
    struct Two {
        number: u64,
    }
    #[derive(Clone, Serializable)]
    struct Both {
        both: (f32, One, Two),
    }
    let error = to_json(&Both { both: (0.5, One { number: 1 }, Two { number: 2 }) }).unwrap_err().to_string();
    assert!(error.starts_with("both: expected a value that can be read back") && error.contains("Two"), "{error}");
    assert!(to_json(&One { number: 1 }).is_ok() && to_json(&Two { number: 1 }).is_ok());
}

#[test]
fn a_map_of_serde_that_keeps_an_order_keeps_it_and_changes_entry_by_entry() {
    #[derive(Clone, Serializable)]
    struct Queue {
        waiting: IndexMap<String, u64>,
    }
    let queue = |names: &[&str]| Queue { waiting: names.iter().map(|name| ((*name).to_owned(), 1)).collect() };
    let diff = |old: &Queue, new: &Queue| amiko_core::serializable::diff(old, new).unwrap();
    assert_eq!(to_json(&queue(&["zoe", "ann"])).unwrap(), r#"{"_class":"Queue","waiting":{"zoe":1,"ann":1}}"#);
    let added = diff(&queue(&["zoe"]), &queue(&["zoe", "ann"]));
    assert_eq!(added, r#"[{"op":"add","path":"/waiting/ann","value":1}]"#);
    let moved = diff(&queue(&["zoe", "ann"]), &queue(&["ann", "zoe"]));
    assert_eq!(moved, r#"[{"op":"replace","path":"/waiting","value":{"ann":1,"zoe":1}}]"#);
    let gone = diff(&queue(&["zoe", "ann", "bob"]), &queue(&["zoe", "bob"]));
    assert_eq!(gone, r#"[{"op":"remove","path":"/waiting/ann"}]"#);
}

#[test]
fn errors_of_writing_name_the_place() {
    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(machine)]
    struct Meters {
        readings: Map<String, Vec<f64>>,
    }
    #[derive(Clone, Serializable)]
    struct Read {}
    impl StateMachine for Meters {
        type Node = Self;
        type Message = Read;

        fn handle(&mut self, _: Read, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
            self.readings.insert("a/b".into(), vec![1.0, f64::NAN]);
            Ok(())
        }
    }
    let mut meters = Engine::<Meters, _>::open(Memory::new(), Settings::default()).unwrap();
    let EventError::Write(error) = meters.send(&Id::new(()), Read {}, now()).unwrap_err() else { panic!() };
    assert_eq!(error.to_string(), "state.readings.a/b[1]: expected a finite number, found NaN: JSON can't hold it");
}

mod behind_serde {
    use super::*;
    use serde::{Deserialize, Serialize};

    fn settings() -> Settings {
        let mut settings = Settings::default();
        settings.check_records = false;
        settings
    }

    #[derive(Clone, Serializable)]
    #[amiko(key = String)]
    struct Owner {}

    #[derive(Clone, Serializable)]
    struct Login {
        #[amiko(secret)]
        password: Secret<u64>,
    }

    #[derive(Clone, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        None,
        In(Login),
    }

    #[derive(Clone, Serialize, Deserialize)]
    struct Flat {
        id: u8,
        #[serde(flatten)]
        login: Option<Login>,
    }

    #[derive(Clone, Serializable)]
    struct Holder<T> {
        value: T,
    }

    #[derive(Clone, Serializable)]
    struct Hidden {
        tagged: Option<Tagged>,
        flat: Option<Flat>,
    }

    #[test]
    fn a_class_that_serde_puts_where_it_cannot_be_seen_is_refused() {
        let login = || Login { password: Secret::new(777_777) };
        for hidden in [
            Hidden { tagged: Some(Tagged::In(login())), flat: None },
            Hidden { tagged: None, flat: Some(Flat { id: 1, login: Some(login()) }) },
        ] {
            let error = to_json(&hidden).unwrap_err().to_string();
            assert!(error.contains("expected a class where it can be seen"), "{error}");
        }
        let seen = Hidden { tagged: Some(Tagged::None), flat: Some(Flat { id: 1, login: None }) };
        assert!(to_json(&seen).is_ok());
    }

    /// Refuses to be empty, also halfway.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(try_from = "BTreeMap<String, u8>", into = "BTreeMap<String, u8>")]
    struct FullMap(BTreeMap<String, u8>);

    impl TryFrom<BTreeMap<String, u8>> for FullMap {
        type Error = &'static str;

        fn try_from(map: BTreeMap<String, u8>) -> Result<Self, &'static str> {
            if map.is_empty() { Err("empty") } else { Ok(Self(map)) }
        }
    }

    impl From<FullMap> for BTreeMap<String, u8> {
        fn from(map: FullMap) -> Self {
            map.0
        }
    }

    #[derive(Clone, Serialize, Deserialize)]
    #[serde(transparent)]
    struct BlockHashes(Vec<String>);

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Name {
        Number(u32),
        Text(String),
    }

    #[derive(Clone, Serializable)]
    struct Named {
        full: FullMap,
        hashes: BlockHashes,
        names: IndexMap<String, u64>,
        first: Name,
    }

    #[test]
    fn what_only_looks_like_a_map_or_a_hash_is_replaced_and_kept_in_its_order() {
        let named = |key: &str, hashes: [&str; 2], names: u64| Named {
            full: FullMap([(key.to_owned(), 1)].into()),
            hashes: BlockHashes(hashes.map(str::to_owned).to_vec()),
            names: (0..40).map(|number| (number.to_string(), number * names)).collect(),
            first: Name::Text("1".into()),
        };
        let (old, new) = (named("a", ["b", "a"], 1), named("b", ["a", "b"], 2));
        let patch = amiko_core::serializable::diff(&old, &new).unwrap();
        // Of many entries the whole is replaced: each operation reads all of it.
        assert_eq!(patch.matches("\"op\"").count(), 3, "{patch}");
        let led = amiko_core::serializable::apply(&old, &patch).unwrap();
        assert_eq!(to_json(&led).unwrap(), to_json(&new).unwrap());
        assert!(to_json(&old).unwrap().contains(r#""hashes":["b","a"]"#));
        let keys = IndexMap::from([(Name::Number(1), 1_u8)]);
        #[derive(Serializable)]
        struct Keys {
            keys: IndexMap<Name, u8>,
        }
        assert!(to_json(&Keys { keys }).is_err(), "it is read back as a text");
    }

    impl Eq for Name {}

    impl Hash for Name {
        fn hash<H: Hasher>(&self, state: &mut H) {
            format!("{self:?}").hash(state);
        }
    }

    /// A class in itself, behind serde.
    #[derive(Clone, Serializable)]
    struct Tree {
        children: IndexMap<String, Tree>,
        weights: Vec<(f32, Tree)>,
    }

    #[test]
    fn a_class_may_contain_itself_behind_serde() {
        let leaf = || Tree { children: IndexMap::new(), weights: Vec::new() };
        let tree = Tree { children: IndexMap::from([("left".to_owned(), leaf())]), weights: vec![(0.5, leaf())] };
        let text = to_json(&tree).unwrap();
        assert_eq!(to_json(&from_json::<Tree>(&text).unwrap()).unwrap(), text);
        assert!(schema::describe::<Tree>().contains("children: map of text to class Tree"));
    }

    /// Written as its field, which is strong.
    #[derive(Clone, Serializable)]
    #[amiko(transparent)]
    struct Claim(#[amiko(strong)] Id<Owner>);

    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(machine)]
    struct Court {
        plain: Option<Holder<u8>>,
        claims: Option<Holder<Claim>>,
        #[amiko(objects)]
        owners: Table<Owner>,
    }

    #[derive(Clone, Serializable)]
    struct Put {
        id: String,
    }

    impl StateMachine for Court {
        type Node = Self;
        type Message = Put;

        fn handle(&mut self, put: Put, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
            self.claims = Some(Holder { value: Claim(Id::new(put.id)) });
            Ok(())
        }
    }

    #[test]
    fn a_strong_reference_is_seen_in_whatever_is_written_as_its_field_and_in_any_use_of_a_generic_class() {
        let mut court = Engine::<Court, _>::open(Memory::new(), settings()).unwrap();
        let error = court.send(&Id::new(()), Put { id: "ann".into() }, now()).unwrap_err();
        assert_eq!(error.to_string(), "expected owner ann, to which node refers, found none");
        // Both uses of the generic class are described.
        let text = schema::describe::<Court>();
        assert!(text.contains("value: unsigned integer of 8 bits") && text.contains("value: ID of a owner"), "{text}");
    }
}
