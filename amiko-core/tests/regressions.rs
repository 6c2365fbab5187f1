//! What went wrong once. Each name goes on where the module's name begins: never …

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod script;
use amiko_core::engine::*;
use amiko_core::prelude::*;
use amiko_core::store::*;
use amiko_core::*;
use script::*;
use std::collections::BTreeMap;

mod never {
    use super::*;

    #[derive(Clone, Serializable, Debug, PartialEq)]
    struct Nest {
        inner: Option<Box<Nest>>,
    }
    #[derive(Clone, Serializable)]
    #[amiko(key = String)]
    struct Deep {
        nest: Nest,
    }
    #[derive(Clone, Serializable)]
    enum DeepMessage {
        Grow { levels: u64 },
        Take { nest: Nest },
    }
    fn nest(n: u64) -> Nest {
        (1..n).fold(Nest { inner: None }, |i, _| Nest { inner: Some(Box::new(i)) })
    }
    impl StateMachine for Deep {
        type Node = Deeps;
        type Message = DeepMessage;
        fn handle(&mut self, m: DeepMessage, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
            match m {
                DeepMessage::Grow { levels } => self.nest = nest(levels),
                DeepMessage::Take { .. } => {}
            }
            Ok(())
        }
    }
    #[derive(Clone, Default, Serializable, Node)]
    struct Deeps {
        #[amiko(machines)]
        deeps: Table<Deep>,
    }
    fn deeps(store: Memory) -> Result<Engine<Deeps, Memory>, EngineOpenError> {
        let mut settings = Settings::default();
        settings.snapshot_minimum = u64::MAX;
        Engine::open_with(store, settings, || Deeps {
            deeps: [(Id::new("a"), Deep { nest: nest(1) })].into_iter().collect(),
        })
    }

    #[test]
    fn deep_value_is_synced_and_cannot_be_reopened() {
        let mut bad = vec![];
        for levels in 115..130 {
            let mut engine = deeps(Memory::new()).unwrap();
            if engine.send(&Id::<Deep>::new("a"), DeepMessage::Grow { levels }, Time::default()).is_err() {
                continue;
            }
            engine.sync().unwrap();
            let doc = engine.document().is_err();
            if let Err(e) = deeps(engine.into_store().crash()) {
                bad.push((levels, doc, format!("{e:?}")))
            } else if doc {
                bad.push((levels, doc, "document() fails".into()))
            }
        }
        assert!(bad.is_empty(), "{bad:#?}");
    }
    #[test]
    fn deep_message_of_peer_never_used_up() {
        // own engine with a connection: World script nested
        let mut engine = engine();
        at(&mut engine, 1, [connect("bob")]).unwrap();
        engine.sync().unwrap();
        let mut acts: Vec<Act> = vec![];
        for _ in 0..62 {
            acts = vec![Act::Root { acts }];
        }
        // what a peer sent was read within the limit
        let text = to_json(&Script { acts: acts.clone() }).unwrap();
        let read: Script = from_json(&text).unwrap();
        let e = engine
            .receive(&peer("bob"), 0, Ok(WorldEnvelope::Thing(thing("nobody"), read)), Time::default())
            .unwrap_err();
        assert_eq!(engine.connection(&peer("bob")).unwrap().received, 1, "{e:?}");
    }
    #[test]
    fn too_long_message_of_peer_never_used_up() {
        let mut s = settings();
        s.limits.record = 1000;
        let mut engine = open(Memory::new(), s);
        at(&mut engine, 1, [connect("bob")]).unwrap();
        engine.sync().unwrap();
        let e =
            engine.receive(&peer("bob"), 0, Ok(envelope("a", [log(&"x".repeat(2000))])), Time::default()).unwrap_err();
        assert_eq!(engine.connection(&peer("bob")).unwrap().received, 1, "{e:?}");
    }
    #[test]
    fn unwritable_timer_event_is_not_noted() {
        let mut engine = engine();
        at(&mut engine, 1, [timer("t", 5, [Act::Divide])]).unwrap();
        engine.tick(Time::from_millis(5)).unwrap();
        assert_eq!(engine.timers().count(), 0);
        assert_eq!(engine.rejections().count(), 1);
    }
    #[test]
    fn panic_has_no_chain() {
        let mut engine = engine();
        let Err(EventError::Rejected(r)) = at(&mut engine, 1, [send("b", [Act::Panic])]) else { panic!() };
        assert_eq!(r.chain().len(), 2, "{r}");
    }
    #[test]
    fn random_repeats_after_an_event_without_change() {
        // a command that answers with random bytes and changes nothing
        #[derive(Clone, Default, Serializable, Node)]
        #[amiko(machine, notice = String)]
        struct N {
            secret: String,
        }
        #[derive(Clone, Serializable)]
        enum M {
            Challenge,
            Key,
        }
        impl StateMachine for N {
            type Node = N;
            type Message = M;
            fn handle(&mut self, m: M, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
                let bytes = format!("{:?}", cx.random::<8>());
                match m {
                    M::Challenge => cx.notify(bytes),
                    M::Key => self.secret = bytes,
                }
                Ok(())
            }
        }
        let mut e = Engine::<N, _>::open(Memory::new(), Settings::default()).unwrap();
        e.send(&Id::<N>::new(()), M::Challenge, Time::default()).unwrap();
        e.send(&Id::<N>::new(()), M::Key, Time::default()).unwrap();
        let out = e.sync().unwrap();
        let Output::Notice(told) = &out[0] else { panic!() };
        assert_ne!(&e.node().secret, told, "a secret was told to a stranger before");
    }
    #[test]
    fn skipped_own_field_journal_cannot_be_reopened() {
        #[derive(Clone, Default, Serializable, Node)]
        #[amiko(machine)]
        struct N {
            v: u64,
            #[amiko(skip)]
            cache: u64,
        }
        #[derive(Clone, Serializable)]
        enum M {
            Go,
        }
        impl StateMachine for N {
            type Node = N;
            type Message = M;
            fn handle(&mut self, _: M, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
                self.v += 1;
                self.cache += 1;
                Ok(())
            }
        }
        let mut e = Engine::<N, _>::open(Memory::new(), Settings::default()).unwrap();
        e.send(&Id::<N>::new(()), M::Go, Time::default()).unwrap();
        e.sync().unwrap();
        if let Err(e) = Engine::<N, _>::open(e.into_store().crash(), Settings::default()) {
            panic!("{e:?}")
        };
    }
    #[test]
    fn raw_identifier_field_cannot_be_reopened() {
        #[derive(Clone, Default, Serializable, Node)]
        #[amiko(machine)]
        struct N {
            r#type: u64,
        }
        #[derive(Clone, Serializable)]
        enum M {
            Go,
        }
        impl StateMachine for N {
            type Node = N;
            type Message = M;
            fn handle(&mut self, _: M, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
                self.r#type += 1;
                Ok(())
            }
        }
        let mut e = Engine::<N, _>::open(Memory::new(), Settings::default()).unwrap();
        e.send(&Id::<N>::new(()), M::Go, Time::default()).unwrap();
        e.sync().unwrap();
        if let Err(e) = Engine::<N, _>::open(e.into_store().crash(), Settings::default()) {
            panic!("{e:?}")
        };
    }
    // table assigned
    #[derive(Clone, Serializable)]
    #[amiko(key = String)]
    struct Item {
        v: u64,
    }
    #[derive(Clone, Serializable)]
    enum ItemM {
        Go,
    }
    impl StateMachine for Item {
        type Node = Root;
        type Message = ItemM;
        fn handle(&mut self, _: ItemM, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
            Ok(())
        }
    }
    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(machine)]
    struct Root {
        #[amiko(machines)]
        items: Table<Item>,
    }
    #[derive(Clone, Serializable)]
    enum RootM {
        Clear { reject: bool },
        RemoveDirect,
        Timer,
    }
    impl StateMachine for Root {
        type Node = Root;
        type Message = RootM;
        fn handle(&mut self, m: RootM, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
            match m {
                RootM::Clear { reject } => {
                    self.items = Table::new();
                    if reject {
                        return Err(Rejection::new("no"));
                    }
                }
                RootM::RemoveDirect => {
                    self.items.remove(&Id::new("x"));
                }
                RootM::Timer => {
                    let _ = cx;
                }
            }
            Ok(())
        }
    }
    fn rooted() -> Engine<Root, Memory> {
        Engine::open_with(Memory::new(), Settings::default(), || Root {
            items: [(Id::new("x"), Item { v: 1 })].into_iter().collect(),
        })
        .unwrap()
    }
    #[test]
    fn a_table_that_is_replaced_stays_replaced() {
        let mut e = rooted();
        assert!(matches!(
            e.send(&Id::<Root>::new(()), RootM::Clear { reject: true }, Time::default()),
            Err(EventError::Poisoned { .. })
        ));
        assert!(e.sync().is_err());
        // What is on disk is what was there before.
        let e = Engine::<Root, _>::open(e.into_store().crash(), Settings::default()).unwrap();
        assert_eq!(e.document().unwrap(), rooted().document().unwrap());
    }
    #[test]
    fn box_in_a_transparent_variant() {
        #[derive(Debug, Clone, PartialEq, Serializable)]
        struct Big {
            v: u64,
        }
        #[derive(Debug, Clone, PartialEq, Serializable)]
        enum E {
            Small {
                v: u8,
            },
            #[amiko(transparent)]
            Big(Box<Big>),
        }
        let e = E::Big(Box::new(Big { v: 1 }));
        let t = to_json(&e).unwrap();
        assert_eq!(from_json::<E>(&t).map_err(|e| e.to_string()), Ok(e));
    }
    #[test]
    fn number_in_a_transparent_variant_is_written_unreadable() {
        #[derive(Debug, Clone, PartialEq, Serializable)]
        enum E {
            Small {
                v: u8,
            },
            #[amiko(transparent)]
            N(u64),
        }
        assert!(matches!(to_json(&E::N(1)), Err(WriteError::NoVariant { class: None })));
        assert!(to_json(&E::Small { v: 1 }).is_ok());
    }
    #[test]
    fn an_inner_class_with_the_name_of_another_variant_is_read_as_that() {
        #[derive(Debug, Clone, PartialEq, Serializable)]
        #[amiko(class = "Small")]
        struct Other {
            v: u8,
        }
        #[derive(Debug, Clone, PartialEq, Serializable)]
        enum E {
            Small {
                v: u8,
            },
            #[amiko(transparent)]
            O(Other),
        }
        assert!(matches!(to_json(&E::O(Other { v: 1 })), Err(WriteError::NoVariant { class: Some("Small") })));
        assert!(to_json(&E::Small { v: 1 }).is_ok());
    }
    #[test]
    fn an_inner_class_of_two_variants_is_read_as_the_first() {
        #[derive(Debug, Clone, PartialEq, Serializable)]
        struct Small {
            v: u8,
        }
        #[derive(Debug, Clone, PartialEq, Serializable)]
        enum Inner {
            Small { w: u8 },
            Big { w: u8 },
        }
        #[derive(Debug, Clone, PartialEq, Serializable)]
        enum E {
            #[amiko(transparent)]
            One(Small),
            #[amiko(transparent)]
            Other(Inner),
        }
        for ambiguous in [E::One(Small { v: 1 }), E::Other(Inner::Small { w: 1 })] {
            assert!(matches!(to_json(&ambiguous), Err(WriteError::NoVariant { class: Some("Small") })));
        }
        let big = E::Other(Inner::Big { w: 1 });
        assert_eq!(from_json::<E>(&to_json(&big).unwrap()), Ok(big));
    }
    #[test]
    fn some_of_none_is_read_as_none() {
        assert_eq!(to_json(&Some(None::<u8>)), Err(WriteError::NullInSome));
        assert_eq!(to_json(&Some(())), Err(WriteError::NullInSome));
        assert_eq!(to_json(&Some(Some(1u8))).as_deref(), Ok("1"));
    }
    #[test]
    fn secret_in_an_error() {
        let e = from_json::<Secret<[u8; 4]>>(r#""!xdeadbeefz""#).unwrap_err().to_string();
        assert!(!e.contains("deadbeef"), "{e}");
    }
    #[test]
    fn key_in_path_not_escaped_or_short() {
        let e = from_json::<BTreeMap<String, u8>>(&format!("{{\"\\u001b[2J{}\":true}}", "x".repeat(5000)))
            .unwrap_err()
            .to_string();
        assert!(!e.contains('\u{1b}') && e.len() < 300, "{} bytes, esc {}", e.len(), e.contains('\u{1b}'));
    }
    #[test]
    fn ascii_mode_ids_and_keys() {
        let id: Id<Thing> = Id::new("zoë");
        let mut w = Writer::new().with_text(serializable::Text::Ascii);
        id.write(&mut w).unwrap();
        assert!(w.as_str().is_ascii(), "{}", w.as_str());
    }
    #[test]
    fn unreleased_index_of_a_reopened_connection() {
        let mut s = settings();
        s.limits.linger = std::time::Duration::from_millis(5);
        let mut engine = open(Memory::new(), s);
        at(&mut engine, 1, [connect("bob"), transmit("bob", "0")]).unwrap();
        engine.sync().unwrap();
        at(&mut engine, 1, [transmit("bob", "1"), close("bob")]).unwrap();
        engine.tick(Time::from_millis(6)).unwrap();
        at(&mut engine, 6, [connect("bob"), transmit("bob", "unsynced")]).unwrap();
        let may: Vec<_> = engine.outbox(&peer("bob")).map(|(i, m)| (i, m.to_string())).collect();
        assert!(may.is_empty(), "may be sent before it is on disk: {may:?}");
    }
    #[test]
    fn confirming_what_was_never_sent() {
        let mut engine = engine();
        at(&mut engine, 1, [connect("bob"), transmit("bob", "0")]).unwrap();
        assert_eq!(engine.outbox(&peer("bob")).count(), 0, "not sent yet");
        let r = engine.confirm(&peer("bob"), u64::MAX, Time::default());
        assert_eq!(engine.connection(&peer("bob")).unwrap().outbox.len(), 1, "dropped unsent {r:?}");
    }
    #[test]
    fn rejections_zero_keeps_one() {
        let mut s = settings();
        s.rejections = 0;
        let mut engine = open(Memory::new(), s);
        at(&mut engine, 1, [Act::Reject]).unwrap_err();
        assert_eq!(engine.rejections().count(), 0);
    }
    fn boom(_: &P, undo: &PUndo) -> Result<(), Rejection> {
        if undo.__own.is_some() {
            panic!("check")
        }
        Ok(())
    }
    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(machine, check = boom)]
    struct P {
        v: u64,
    }
    #[derive(Clone, Serializable)]
    enum PM {
        Go,
    }
    impl StateMachine for P {
        type Node = P;
        type Message = PM;
        fn handle(&mut self, _: PM, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
            self.v += 1;
            Ok(())
        }
    }
    #[test]
    fn panic_in_check_leaves_the_change() {
        let mut e = Engine::<P, _>::open(Memory::new(), Settings::default()).unwrap();
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            e.send(&Id::<P>::new(()), PM::Go, Time::default()).is_err()
        }));
        assert_eq!(e.node().v, 0);
    }
    struct Flaky {
        inner: Memory,
        fail: bool,
    }
    impl Store for Flaky {
        type Work = <Memory as Store>::Work;

        fn recover(&mut self, v: &mut dyn Recovery) -> Result<Recovered, RecoverError> {
            self.inner.recover(v)
        }
        fn append(&mut self, s: u64, r: &str) -> Result<(), StoreError> {
            self.inner.append(s, r)
        }
        fn begin_sync(&mut self) -> Result<Option<Self::Work>, StoreError> {
            self.inner.begin_sync()
        }
        fn end_sync(&mut self, done: <Self::Work as Work>::Done) -> Result<(), StoreError> {
            self.inner.end_sync(done)
        }
        fn begin_snapshot(&mut self, s: u64, time: Time) -> Result<(), StoreError> {
            if s > 0 && self.fail {
                return Err(StoreError::Poisoned { cause: "disk full".into() });
            }
            self.inner.begin_snapshot(s, time)
        }
        fn write_snapshot(&mut self, p: &str) -> Result<(), StoreError> {
            self.inner.write_snapshot(p)
        }
        fn finish_snapshot(&mut self) -> Result<(), StoreError> {
            self.inner.finish_snapshot()
        }
        fn usage(&self) -> Usage {
            self.inner.usage()
        }
    }
    #[test]
    fn after_a_failed_snapshot_outputs_are_released_by_the_next_sync() {
        let mut s = settings();
        s.snapshot_minimum = 0;
        s.snapshot_ratio = 0;
        let mut e = Engine::<World, _>::open_with(Flaky { inner: Memory::new(), fail: true }, s, three_things).unwrap();
        at(&mut e, 1, [set(1), notice("out")]).unwrap();
        assert!(e.sync().is_err());
        let second = e.sync();
        assert!(second.is_err(), "documented: nothing is released, now or later; found {:?}", second);
    }
    #[test]
    fn envelope_kind_twice() {
        let t = r#"{"kind":"thing","kind":"node","id":"a","message":{"_class":"Script","acts":[]}}"#;
        assert!(from_json::<WorldEnvelope>(t).is_err());
    }
    #[test]
    fn missing_is_not_delegated() {
        #[derive(Debug, Serializable)]
        struct S {
            a: Box<Option<u8>>,
            b: Secret<Option<u8>>,
        }
        if let Err(e) = from_json::<S>(r#"{"_class":"S"}"#) {
            panic!("{e}")
        };
    }
    #[test]
    fn found_shows_ellipsis_for_exactly_24() {
        let e = from_json::<u8>(&format!("\"{}\"", "x".repeat(24))).unwrap_err().to_string();
        assert!(!e.contains('…'), "{e}");
        let e = from_json::<u8>(r#""a\"b""#).unwrap_err().to_string();
        assert!(e.contains(r#"a\"b"#), "{e}");
    }
    #[test]
    fn poison_timer_when_reason_is_long() {
        #[derive(Clone, Default, Serializable, Node)]
        #[amiko(machine)]
        struct N {
            v: u64,
        }
        #[derive(Clone, Serializable)]
        enum M {
            Set,
            No,
        }
        impl StateMachine for N {
            type Node = N;
            type Message = M;
            fn handle(&mut self, m: M, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
                match m {
                    M::Set => cx.timer("t", Time::from_millis(5), M::No),
                    M::No => return Err(Rejection::new("x".repeat(2000))),
                }
                Ok(())
            }
        }
        let mut s = Settings::default();
        s.limits.record = 1000;
        let mut e = Engine::<N, _>::open(Memory::new(), s).unwrap();
        e.send(&Id::<N>::new(()), M::Set, Time::default()).unwrap();
        e.tick(Time::from_millis(5)).unwrap();
        assert_eq!(e.timers().count(), 0, "{} rejections noted in one tick", e.rejections().count());
    }
    #[test]
    fn buffer_full_says_reopen() {
        let d = tempfile::tempdir().unwrap();
        let st = Directory::open_with(d.path(), {
            let mut settings = DirectorySettings::default();
            settings.buffer_limit = 1000;
            settings
        })
        .unwrap();
        let mut e = Engine::<World, _>::open_with(st, settings(), three_things).unwrap();
        let err = (0..10).find_map(|i| at(&mut e, 1, [set(i), log("x")]).err()).unwrap();
        assert!(!err.to_string().contains("reopen"), "{err}: {:?}", err);
    }
}
