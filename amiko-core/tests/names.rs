//! Names in JSON: those of raw identifiers, and those that attributes give.

#![allow(missing_docs, clippy::unwrap_used)]

use amiko_core::prelude::*;
use amiko_core::serializable::{schema, summary};

mod raw {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Serializable)]
    enum Word {
        r#Type,
        r#Move {
            r#in: u64,
        },
        r#Match(u64),
        #[amiko(transparent)]
        r#Item(r#item),
    }

    #[derive(Debug, Clone, Copy, PartialEq, Serializable, Phases)]
    #[allow(non_camel_case_types)]
    enum r#state {
        #[amiko(next(r#Try))]
        r#Loop,
        r#Try,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Serializable)]
    #[amiko(rename_all = "kebab-case")]
    enum Kebab {
        r#TryAgain,
    }

    #[allow(non_camel_case_types)]
    #[derive(Debug, Clone, PartialEq, Serializable)]
    #[amiko(key = u64, implements(r#dyn), version = 2, migrate = lift)]
    struct r#item {
        r#fn: u64,
    }

    fn lift(_: u32, _: &mut amiko_core::serializable::Json) -> Result<(), String> {
        Ok(())
    }

    #[amiko(polymorphic)]
    #[allow(non_camel_case_types)]
    trait r#dyn: Serializable {}

    impl r#dyn for r#item {}

    #[derive(Clone, Default, Serializable, Node)]
    #[allow(non_camel_case_types)]
    struct r#node {
        #[amiko(objects)]
        r#type: Table<r#item>,
        r#use: u64,
    }

    #[test]
    fn raw_identifiers_are_written_without_their_mark() {
        let text = |word: &Word| to_json(word).unwrap();
        assert_eq!(text(&Word::r#Type), r#"{"_class":"Type"}"#);
        assert_eq!(text(&Word::r#Move { r#in: 1 }), r#"{"_class":"Move","in":1}"#);
        assert_eq!(text(&Word::r#Match(1)), r#"{"_class":"Match","0":1}"#);
        assert_eq!(text(&Word::r#Item(r#item { r#fn: 1 })), r#"{"_class":"item","_version":2,"fn":1}"#);
        assert_eq!(from_json::<Word>(r#"{"_class":"Move","in":1}"#), Ok(Word::r#Move { r#in: 1 }));
        assert_eq!(to_json(&r#state::r#Loop).unwrap(), "\"Loop\"");
        assert_eq!(to_json(&Kebab::r#TryAgain).unwrap(), "\"try-again\"");
        assert_eq!((r#state::NAME, r#state::r#Try.name()), ("state", "Try"));
        assert_eq!(
            r#state::r#Try.enter(r#state::r#Loop).map_err(|rejection| rejection.to_string().contains("r#")),
            Err(false)
        );
        assert_eq!(Id::<r#item>::new(1_u64).to_string(), "item 1");
        assert_eq!(summary(&Word::r#Move { r#in: 1 }), "Move\n  in: 1");
    }

    #[test]
    fn raw_identifiers_are_described_without_their_mark() {
        let classes =
            schema::describe::<Word>() + &schema::describe::<r#state>() + &schema::describe::<Box<dyn r#dyn>>();
        assert!(!classes.contains('#'), "{classes}");
        let error = from_json::<r#item>(r#"{"_class":"item","_version":3,"fn":1}"#).unwrap_err().to_string();
        assert!(error.contains("item") && !error.contains('#'), "{error}");
    }

    #[test]
    fn raw_fields_of_a_node_are_paths_without_their_mark() {
        let node = r#node { r#type: [(Id::new(1_u64), r#item { r#fn: 1 })].into_iter().collect(), r#use: 2 };
        let text = r#"{"_class":"node","type":{"1":{"_class":"item","_version":2,"fn":1}},"use":2}"#;
        assert_eq!(to_json(&node).unwrap(), text);
        let patch = amiko_core::serializable::diff(&r#node::default(), &node).unwrap();
        assert!(patch.contains("\"/type/1\"") && patch.contains("\"/use\""), "{patch}");
    }
}
