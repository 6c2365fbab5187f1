//! What `#[derive(Serializable)]` saves: one class twice, with the derive and by hand, and the count of the lines of each.
//!
//!     cargo run --example by_hand

use amiko_core::prelude::*;
use amiko_core::serializable::{schema, summary};
use amiko_core::{Patch, Reader, apply_patch};
use std::error::Error;

/// Whom an account belongs to: its ID is the one that both accounts refer to.
#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Owner {}

mod derived {
    use super::Owner;
    use amiko_core::{Id, Map, Secret, Serializable};

    // derived: begin
    #[derive(Debug, Clone, PartialEq, Serializable)]
    pub(crate) struct Account {
        #[amiko(strong)]
        pub(crate) owner: Id<Owner>,
        pub(crate) nickname: Option<String>,
        #[amiko(default)]
        pub(crate) balance: u64,
        pub(crate) holds: Map<String, u64>,
        #[amiko(secret)]
        pub(crate) pin: Secret<u32>,
    }
    // derived: end
}

mod by_hand {
    use super::Owner;
    use amiko_core::serializable::{Problem, Reference, Schema, Summary};
    use amiko_core::{
        Change, Id, Map, Patch, Pointer, ReadError, Reader, Secret, Serializable, WriteError, Writer, serializable,
    };

    // by hand: begin
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct Account {
        pub(crate) owner: Id<Owner>,
        pub(crate) nickname: Option<String>,
        pub(crate) balance: u64,
        pub(crate) holds: Map<String, u64>,
        pub(crate) pin: Secret<u32>,
    }

    const FIELDS: &[&str] = &["owner", "nickname", "balance", "holds", "pin"];

    impl Serializable for Account {
        fn class(&self) -> Option<&'static str> {
            Some("Account")
        }

        fn is_class(name: &str) -> bool {
            name == "Account"
        }

        fn classes(known: &mut Vec<&'static str>) {
            known.push("Account");
        }

        fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
            out.begin_class("Account")?;
            out.key("owner");
            self.owner.write(out)?;
            out.key("nickname");
            self.nickname.write(out)?;
            out.key("balance");
            self.balance.write(out)?;
            out.key("holds");
            self.holds.write(out)?;
            out.key("pin");
            self.pin.write(out)?;
            out.end_object();
            Ok(())
        }

        fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
            let (mut class, mut owner, mut nickname, mut balance, mut holds, mut pin) =
                (None, None, None, None, None, None);
            input.begin_object()?;
            while let Some(key) = input.key()? {
                match &*key {
                    "_class" => read_class(&mut class, input)?,
                    "owner" => read_field(&mut owner, "owner", input)?,
                    "nickname" => read_field(&mut nickname, "nickname", input)?,
                    "balance" => read_field(&mut balance, "balance", input)?,
                    "holds" => read_field(&mut holds, "holds", input)?,
                    "pin" => read_field(&mut pin, "pin", input)?,
                    other => input.unknown_field(other, "Account", FIELDS)?,
                }
            }
            take_field(class, "_class", input)?;
            Ok(Self {
                owner: take_field(owner, "owner", input)?,
                nickname: take_field(nickname, "nickname", input)?,
                balance: balance.unwrap_or_default(),
                holds: take_field(holds, "holds", input)?,
                pin: take_field(pin, "pin", input)?,
            })
        }

        fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
            patch.field("owner", &old.owner, &self.owner)?;
            patch.field("nickname", &old.nickname, &self.nickname)?;
            patch.field("balance", &old.balance, &self.balance)?;
            patch.field("holds", &old.holds, &self.holds)?;
            patch.field("pin", &old.pin, &self.pin)
        }

        fn apply(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
            let Some((segment, rest)) = pointer.split() else {
                return serializable::replace_whole(self, pointer, change);
            };
            match &*segment {
                "owner" => self.owner.apply(rest, change),
                "nickname" => self.nickname.apply(rest, change),
                "balance" => self.balance.apply(rest, change),
                "holds" => self.holds.apply(rest, change),
                "pin" => self.pin.apply(rest, change),
                other => Err(Pointer::no_such_path(other)),
            }
        }

        fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
            self.owner.references(&mut |reference| visit(Reference { strong: true, ..reference }));
            self.nickname.references(visit);
            self.balance.references(visit);
            self.holds.references(visit);
            self.pin.references(visit);
        }

        fn summarize(&self, out: &mut Summary) {
            out.object("Account", |out| {
                out.field("owner", |out| self.owner.summarize(out));
                out.field("nickname", |out| self.nickname.summarize(out));
                out.field("balance", |out| self.balance.summarize(out));
                out.field("holds", |out| self.holds.summarize(out));
                out.field("pin", |out| self.pin.summarize(out));
            });
        }

        fn schema(schema: &mut Schema) -> String {
            schema.strong();
            schema.class::<Self>("Account", 1, |fields| {
                let ty = Id::<Owner>::schema(fields.schema);
                fields.field("owner", &ty, false);
                let ty = Option::<String>::schema(fields.schema);
                fields.field("nickname", &ty, true);
                let ty = u64::schema(fields.schema);
                fields.field("balance", &ty, true);
                let ty = Map::<String, u64>::schema(fields.schema);
                fields.field("holds", &ty, false);
                let ty = Secret::<u32>::schema(fields.schema);
                fields.field("pin", &ty, false);
            })
        }
    }

    /// One field into its slot; twice is an error.
    fn read_field<T: Serializable>(
        slot: &mut Option<T>,
        field: &'static str,
        input: &mut Reader<'_>,
    ) -> Result<(), ReadError> {
        if slot.is_some() {
            return Err(input.error(Problem::Duplicate { field: field.into() }));
        }
        *slot = Some(T::read(input).map_err(|error| error.within(field).of_class("Account"))?);
        Ok(())
    }

    fn read_class(slot: &mut Option<()>, input: &mut Reader<'_>) -> Result<(), ReadError> {
        let before = input.clone();
        let found = input.string()?;
        if slot.is_some() {
            return Err(before.error(Problem::Duplicate { field: "_class".into() }));
        }
        if found != "Account" {
            return Err(before.error(Problem::UnknownClass { found: found.into_owned(), known: vec!["Account"] }));
        }
        *slot = Some(());
        Ok(())
    }

    /// A field out of its slot; what may be missing is none.
    fn take_field<T: Serializable>(slot: Option<T>, field: &'static str, input: &Reader<'_>) -> Result<T, ReadError> {
        slot.or_else(T::missing).ok_or_else(|| input.error(Problem::MissingField { field, class: "Account" }))
    }
    // by hand: end
}

/// The two accounts of the same values.
fn both(nickname: Option<&str>, balance: u64, holds: &[(&str, u64)]) -> (derived::Account, by_hand::Account) {
    let holds: Map<String, u64> = holds.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect();
    let (owner, nickname, pin) = (Id::new("ann"), nickname.map(str::to_owned), Secret::new(1234));
    let derived = derived::Account { owner, nickname, balance, holds, pin };
    let derived::Account { owner, nickname, balance, holds, pin } = derived.clone();
    (derived, by_hand::Account { owner, nickname, balance, holds, pin })
}

fn difference<T: Serializable>(old: &T, new: &T) -> Result<String, Box<dyn Error>> {
    let mut patch = Patch::new();
    new.difference(old, &mut patch)?;
    Ok(patch.to_json())
}

fn references<T: Serializable>(value: &T) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    value.references(&mut |reference| found.push((format!("{} {}", reference.kind, reference.key), reference.strong)));
    found
}

/// The lines between two marks in this file that aren't empty.
fn lines(name: &str) -> usize {
    let (begin, end) = (format!("// {name}: begin"), format!("// {name}: end"));
    let lines = include_str!("by_hand.rs").lines().map(str::trim);
    lines
        .skip_while(|line| *line != begin)
        .skip(1)
        .take_while(|line| *line != end)
        .filter(|line| !line.is_empty())
        .count()
}

fn main() -> Result<(), Box<dyn Error>> {
    let (derived, by_hand) = both(Some("!savings"), 7, &[("food", 300), ("rent", 700)]);

    // The same text, and each reads the other's.
    let text = to_json(&derived)?;
    assert_eq!(text, to_json(&by_hand)?);
    assert_eq!(from_json::<by_hand::Account>(&text)?, by_hand);
    assert_eq!(from_json::<derived::Account>(&to_json(&by_hand)?)?, derived);
    // What may be missing is, and what is wrong is answered in the same words.
    for text in [
        r#"{"holds":{},"pin":1,"_class":"Account","owner":"bob"}"#,
        r#"{"_class":"Account","owner":"bob","holds":{"rent":-1},"pin":1}"#,
        r#"{"_class":"Account","owner":"bob","holds":{},"pin":"a secret that no error shows"}"#,
        r#"{"_class":"Account","owner":"bob","owner":"ann"}"#,
        r#"{"_class":"Account","_class":"Account"}"#,
        r#"{"_class":"Owner"}"#,
        r#"{"_class":"Account","colour":"red"}"#,
        r#"{"_class":"Account"}"#,
        r#"{"owner":"bob","holds":{},"pin":1}"#,
        "[]",
    ] {
        let written = from_json::<derived::Account>(text).map(|account| to_json(&account));
        assert_eq!(from_json::<by_hand::Account>(text).map(|account| to_json(&account)), written, "{text}");
    }

    // The same difference, and each applies the other's.
    let (new_derived, new_by_hand) = both(None, 8, &[("rent", 650), ("tax", 1)]);
    let patch = difference(&derived, &new_derived)?;
    assert_eq!(patch, difference(&by_hand, &new_by_hand)?);
    let (mut patched_derived, mut patched_by_hand) = (derived.clone(), by_hand.clone());
    apply_patch(&mut patched_by_hand, &mut Reader::new(&patch))?;
    apply_patch(&mut patched_derived, &mut Reader::new(&patch))?;
    assert_eq!((patched_derived, patched_by_hand), (new_derived, new_by_hand));

    // The same to people, to the check of references and to that of the schema.
    assert_eq!(summary(&derived), summary(&by_hand));
    assert_eq!(references(&derived), references(&by_hand));
    assert_eq!(schema::describe::<derived::Account>(), schema::describe::<by_hand::Account>());

    let (short, long) = (lines("derived"), lines("by hand"));
    assert!(long >= 10 * short, "{long} lines by hand, {short} with the derive");
    println!("{}\n\n{short} lines with the derive, {long} by hand: {} for one", summary(&derived), long / short);
    Ok(())
}

#[test]
fn the_derive_and_the_hand_do_the_same() -> Result<(), Box<dyn Error>> {
    main()
}
