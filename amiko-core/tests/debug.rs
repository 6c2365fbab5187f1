//! What an engine gives out shows no secret when it is printed for whoever looks for a fault.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use amiko_core::engine::{Cause, Settings};
use amiko_core::event::{Output, Request};
use amiko_core::prelude::*;
use amiko_core::serializable::{Lines, UnknownFields, diff};
use amiko_core::store::{Memory, Store, Work};
use amiko_core::{Hosts, Patch, Reader, Writer, to_json};
use std::fmt::Debug;

const SECRET: &str = "hunter2";

#[derive(Clone, Serializable)]
#[amiko(key = String, reply = Secret<String>, unknown = "keep")]
struct Vault {
    pin: Secret<String>,
    unknown: UnknownFields,
}

#[derive(Clone, Serializable)]
enum Say {
    Set { pin: Secret<String> },
    Later { pin: Secret<String> },
    Tell { pin: Secret<String> },
    Refuse { pin: Secret<String> },
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(network = Secret<String>, notice = Secret<String>)]
struct Vaults {
    #[amiko(machines)]
    vaults: Table<Vault>,
}

impl StateMachine for Vault {
    type Node = Vaults;
    type Message = Say;

    fn handle(&mut self, say: Say, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match say {
            Say::Set { pin } => self.pin = pin,
            Say::Later { pin } => cx.timer("t", cx.now() + secs(60), Say::Set { pin }),
            Say::Tell { pin } => {
                cx.connect(&Id::new("bob"), None);
                cx.transmit(&Id::new("bob"), pin.clone());
                cx.notify(pin.clone());
                cx.reply(pin);
            }
            Say::Refuse { .. } => return Err(Rejection::new("expected another one")),
        }
        Ok(())
    }
}

fn secret() -> Secret<String> {
    Secret::new(SECRET.to_owned())
}

fn vault() -> Vault {
    let unknown = format!(r#"{{"_class":"Vault","pin":"{SECRET}","newer":"{SECRET}"}}"#);
    from_json(&unknown).unwrap()
}

fn hides(value: impl Debug) -> String {
    let text = format!("{value:?} {value:#?}");
    assert!(!text.contains(SECRET), "{text}");
    format!("{value:?}")
}

fn lived_in() -> Engine<Vaults, Memory> {
    let first = || Vaults { vaults: [(Id::new("a"), vault())].into_iter().collect() };
    let mut engine = Engine::open_with(Memory::new(), Settings::default(), first).unwrap();
    let (id, now) = (Id::<Vault>::new("a"), Time::from_secs(1));
    engine.send(&id, Say::Set { pin: Secret::new(format!("not {SECRET}")) }, now).unwrap();
    engine.send(&id, Say::Later { pin: secret() }, now).unwrap();
    let tell = Vaults::envelope(id.clone(), Say::Tell { pin: secret() });
    engine.command(tell, Some(Request(1)), now).unwrap();
    hides(engine.send(&id, Say::Refuse { pin: secret() }, now).unwrap_err());
    engine
}

#[test]
fn nothing_that_an_engine_gives_out_shows_a_secret() {
    let mut engine = lived_in();
    assert!(engine.document().unwrap().contains(SECRET), "there is something to hide");
    assert_eq!(hides(&engine), "Engine { version: Version(3), durable: Version(0), poisoned: None, .. }");
    engine.history().for_each(|entry| assert!(entry.record.contains(SECRET)));
    let entry = hides(engine.history().next().unwrap());
    assert!(entry.starts_with("HistoryEntry { version: Version(1), time: Time("), "{entry}");
    engine.history().for_each(|entry| drop(hides(entry)));
    engine.rejections().for_each(|rejected| drop(hides(rejected)));
    hides(engine.diff(0, 1).unwrap());
    let again = Vaults::envelope(Id::<Vault>::new("a"), Say::Tell { pin: secret() });
    let rehearsal = engine.dry_run(again, Time::from_secs(2)).unwrap();
    assert!(rehearsal.difference().contains(SECRET));
    hides(&rehearsal);
    hides(engine.resume_point(&Id::new("bob")));
    // What it does with its store, and the store.
    let work = engine.begin_sync().unwrap().unwrap();
    assert_eq!(hides(&work), "MemoryWork { steps: 3, .. }");
    let done = work.run();
    hides(&done);
    engine.end_sync(done).unwrap();
    let outputs = engine.outputs();
    assert!(outputs.iter().any(|output| matches!(output, Output::Transmit { .. })));
    hides(&outputs);
    let unread = engine.edit("{}", Time::from_secs(2), |_| true).unwrap_err();
    hides(&unread);
    let edited = engine.document().unwrap().replace(&format!("\"{SECRET}\""), "7");
    hides(engine.edit(&edited, Time::from_secs(2), |_| true).unwrap_err());
    let mut store = engine.into_store();
    assert_eq!(hides(&store), "Memory { sequence: 3, state: Ready, .. }");
    hides(store.begin_sync());
}

#[test]
fn causes_name_what_was_said_and_to_whom() {
    let envelope = || Vaults::envelope(Id::<Vault>::new("a"), Say::Set { pin: secret() });
    let command: Cause<Vaults> = Cause::Command { envelope: envelope() };
    assert_eq!(hides(command), "Command(Set to vault)");
    let message: Cause<Vaults> = Cause::Message { connection: Id::new("bob"), index: 7, envelope: Some(envelope()) };
    assert_eq!(hides(message), "Message(connection bob, 7, Set to vault)");
    let timer: Cause<Vaults> = Cause::Timer { timer: Id::new("vault/a/t") };
    assert_eq!(hides(timer), "Timer(timer vault/a/t)");
}

#[test]
fn what_text_is_made_and_read_with_shows_lengths() {
    let mut out = Writer::new().with_lines(Lines::PerEntry);
    vault().write(&mut out).unwrap();
    assert!(hides(&out).starts_with("Writer { bytes: "));
    let text = to_json(&vault()).unwrap();
    let mut input = Reader::new(&text);
    assert_eq!(hides(&input), format!("Reader {{ bytes: {}, at: 0, depth: 0, .. }}", text.len()));
    Vault::read(&mut input).unwrap();
    hides(input);
    let mut patch = Patch::new();
    let (old, mut new) = (vault(), vault());
    new.pin = Secret::new(format!("not {SECRET}"));
    new.difference(&old, &mut patch).unwrap();
    assert!(patch.to_json().contains(SECRET) && diff(&old, &new).unwrap().contains(SECRET));
    assert!(hides(patch).starts_with("Patch { operations: 1, bytes: "));
    assert_eq!(hides(vault().unknown), r#"{"newer"}"#);
}
