//! Effects: what a handler asks of the outside, kept with the state until its owner has heard what came of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use amiko_core::Performed;
use amiko_core::effect::{Effect, Failure, Outcome, Policy, WhyGivenUp};
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Serializable)]
struct Charge {
    cents: u64,
}

impl Effect for Charge {
    type Outcome = String;

    fn policy(&self) -> Policy {
        assert!(self.cents != 666, "no policy for 666");
        Policy { attempts: 3, ..Policy::default() }
    }
}

#[derive(Debug, Clone, PartialEq, Serializable)]
struct SendMail {
    text: String,
}

impl Effect for SendMail {
    type Outcome = ();
    const ORDERED: bool = true;
}

#[derive(Debug, Clone, Serializable)]
struct Phone {
    #[amiko(strong)]
    clerk: Id<Clerk>,
}

impl Effect for Phone {
    type Outcome = ();
}

#[derive(Debug, Clone, Serializable)]
#[amiko(key = String)]
struct Order {
    cents: u64,
    heard: Vec<String>,
}

#[derive(Clone, Serializable)]
enum OrderMessage {
    Pay,
    PayAndFail,
    PayAndCancel,
    Mail {
        text: String,
    },
    Cancel,
    Remove,
    Phone,
    Dismiss,
    #[amiko(performed)]
    Charged {
        performed: Performed<Charge>,
    },
    #[amiko(performed)]
    Mailed {
        performed: Performed<SendMail>,
    },
    #[amiko(performed)]
    Phoned {
        performed: Performed<Phone>,
    },
}

impl StateMachine for Order {
    type Node = Shop;
    type Message = OrderMessage;

    fn handle(&mut self, message: OrderMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            OrderMessage::Pay => cx.perform("charge", Charge { cents: self.cents }),
            OrderMessage::PayAndFail => {
                cx.perform("charge", Charge { cents: self.cents });
                return Err(Rejection::new("no"));
            }
            OrderMessage::PayAndCancel => {
                cx.perform("charge", Charge { cents: self.cents });
                cx.cancel_effect("charge");
            }
            OrderMessage::Mail { text } => cx.perform(&text.clone(), SendMail { text }),
            OrderMessage::Cancel => cx.cancel_effect("charge"),
            OrderMessage::Remove => cx.remove(&cx.id().clone()),
            OrderMessage::Charged { performed } => {
                if self.cents == 13 {
                    return Err(Rejection::new("13 is no amount"));
                }
                let Performed { name, attempts, outcome } = performed;
                self.heard.push(match outcome {
                    Outcome::Done { value } => format!("{name}: {value} after {attempts}"),
                    Outcome::GivenUp { why, error } => format!("{name}: {why:?}, {error} after {attempts}"),
                });
            }
            OrderMessage::Phone => cx.perform("phone", Phone { clerk: Id::new(7) }),
            OrderMessage::Dismiss => cx.remove(&Id::<Clerk>::new(7)),
            OrderMessage::Phoned { performed } => self.heard.push(performed.name),
            OrderMessage::Mailed { performed } => self.heard.push(format!("mailed {}", performed.name)),
        }
        Ok(())
    }
}

/// A machine that asks for nothing.
#[derive(Debug, Clone, Serializable)]
#[amiko(key = u64)]
struct Clerk {}

#[derive(Clone, Serializable)]
struct Greet {}

impl StateMachine for Clerk {
    type Node = Shop;
    type Message = Greet;

    fn handle(&mut self, Greet {}: Greet, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        Ok(())
    }
}

#[derive(Debug, Clone, Default, Serializable, Node)]
#[amiko(effects(Charge, SendMail, Phone))]
struct Shop {
    #[amiko(machines)]
    orders: Table<Order>,
    #[amiko(machines)]
    clerks: Table<Clerk>,
}

type Opened = Engine<Shop, Memory>;

const NOW: Time = Time::from_secs(1_000);

/// Orders of these names, of which `x/y` tests escaping.
fn shop() -> Opened {
    let order = |cents| Order { cents, heard: Vec::new() };
    let orders = [("a", 500), ("b", 13), ("c", 666), ("x/y", 7)].map(|(name, cents)| (Id::new(name), order(cents)));
    let clerks = [(Id::new(7), Clerk {})].into_iter().collect();
    let node = || Shop { orders: orders.into_iter().collect(), clerks };
    Engine::open_with(Memory::new(), Settings::default(), node).unwrap()
}

fn tell(engine: &mut Opened, order: &str, message: OrderMessage) -> Result<(), String> {
    engine.send(&Id::<Order>::new(order), message, NOW).map(drop).map_err(|error| error.to_string())
}

/// The outputs about effects.
fn leaves(engine: &mut Opened) -> Vec<String> {
    engine.sync().unwrap().iter().map(|output| format!("{output:?}")).collect()
}

/// The only effect: its ID, and its number.
fn pending(engine: &Opened) -> (Id<amiko_core::Pending<Shop>>, u64) {
    let mut effects = engine.effects().map(|(id, pending)| (id, pending.number));
    let only = effects.next().unwrap();
    assert!(effects.next().is_none());
    only
}

fn heard(engine: &Opened, order: &str) -> Vec<String> {
    engine.node().orders.get(&Id::new(order)).unwrap().heard.clone()
}

#[test]
fn an_effect_leaves_when_its_commit_is_on_disk_and_its_owner_hears_once_what_came_of_it() {
    for order in ["a", "x/y"] {
        let mut engine = shop();
        tell(&mut engine, order, OrderMessage::Pay).unwrap();
        let (effect, number) = pending(&engine);
        let name = effect.to_string();
        assert_eq!(leaves(&mut engine), [format!("Perform({name})")]);
        let cents = engine.node().orders.get(&Id::new(order)).unwrap().cents;
        let state = engine.effect(&effect).unwrap();
        assert_eq!(<Shop as amiko_core::Performs<Charge>>::as_effect(&state.effect), Some(&Charge { cents }));
        engine.performed::<Charge>(&effect, number, Ok("receipt 7".into()), NOW).unwrap();
        assert_eq!(heard(&engine, order), ["charge: receipt 7 after 1"]);
        assert_eq!(engine.effects().count(), 0);
        assert_eq!(leaves(&mut engine), [format!("EffectEnded({name})")]);
        // The answer comes once more: the state has heard it.
        let version = engine.version();
        engine.performed::<Charge>(&effect, number, Ok("receipt 8".into()), NOW).unwrap();
        assert_eq!((engine.version(), heard(&engine, order).len()), (version, 1));
    }
}

#[test]
fn an_event_that_is_undone_asks_for_nothing() {
    let mut engine = shop();
    tell(&mut engine, "a", OrderMessage::PayAndFail).unwrap_err();
    assert_eq!((engine.effects().count(), leaves(&mut engine).len()), (0, 0));
}

#[test]
fn a_name_is_free_when_its_effect_is_over() {
    let mut engine = shop();
    tell(&mut engine, "a", OrderMessage::Pay).unwrap();
    let error = tell(&mut engine, "a", OrderMessage::Pay).unwrap_err();
    assert!(error.contains(r#"no effect named "charge" of order a, found Charge, which isn't over"#), "{error}");
    let (effect, first) = pending(&engine);
    leaves(&mut engine);
    tell(&mut engine, "a", OrderMessage::Cancel).unwrap();
    assert_eq!(leaves(&mut engine), [format!("EffectEnded({effect})")]);
    tell(&mut engine, "a", OrderMessage::Cancel).unwrap();
    tell(&mut engine, "a", OrderMessage::Pay).unwrap();
    let (again, second) = pending(&engine);
    assert!(again == effect && second != first);
    // What was cancelled was performed all the same: nobody hears it.
    engine.performed::<Charge>(&effect, first, Ok("late".into()), NOW).unwrap();
    assert_eq!((heard(&engine, "a").len(), pending(&engine).1), (0, second));
}

#[test]
fn a_failure_is_kept_and_tried_again_until_the_policy_gives_up() {
    let mut engine = shop();
    tell(&mut engine, "a", OrderMessage::Pay).unwrap();
    let (effect, number) = pending(&engine);
    let key = engine.effect(&effect).unwrap().key;
    leaves(&mut engine);
    for attempt in 1..3 {
        engine.effect_failed(&effect, number, Failure::retry("busy"), NOW).unwrap();
        let state = engine.effect(&effect).unwrap();
        assert_eq!((state.attempts, state.error.as_deref(), state.key), (attempt, Some("busy"), key));
        let pause = state.next - NOW;
        let longest = Duration::from_secs(1 << (attempt - 1));
        assert!(pause >= longest / 2 && pause <= longest, "{pause:?}");
        assert_eq!(leaves(&mut engine), [format!("Perform({effect})")]);
    }
    engine.effect_failed(&effect, number, Failure::retry("still busy"), NOW).unwrap();
    assert_eq!(heard(&engine, "a"), ["charge: Attempts, still busy after 3"]);
    assert_eq!(engine.effects().count(), 0);
}

#[test]
fn a_failure_may_be_final_or_say_when_to_come_again_and_there_is_an_end() {
    for (failure, at, expected) in [
        (Failure::fatal("no such card"), NOW, Some(WhyGivenUp::Fatal)),
        (Failure::retry_after(secs(3_600), "limit"), NOW, None),
        (Failure::retry_after(secs(86_400), "limit"), NOW, Some(WhyGivenUp::Time)),
        (Failure::retry("late"), NOW + secs(86_400), Some(WhyGivenUp::Time)),
    ] {
        let mut engine = shop();
        tell(&mut engine, "a", OrderMessage::Pay).unwrap();
        let (effect, number) = pending(&engine);
        engine.performed::<Charge>(&effect, number, Err(failure.clone()), at).unwrap();
        match expected {
            Some(why) => assert_eq!(heard(&engine, "a"), [format!("charge: {why:?}, {failure} after 1")]),
            None => assert_eq!(engine.effect(&effect).unwrap().next, NOW + secs(3_600)),
        }
    }
}

#[test]
fn an_owner_that_refuses_what_came_of_it_hears_it_once_all_the_same() {
    let mut engine = shop();
    tell(&mut engine, "b", OrderMessage::Pay).unwrap();
    let (effect, number) = pending(&engine);
    let error = engine.performed::<Charge>(&effect, number, Ok("receipt".into()), NOW).unwrap_err();
    assert!(error.to_string().contains("13 is no amount"), "{error}");
    assert_eq!((engine.effects().count(), heard(&engine, "b").len()), (0, 0));
    assert!(engine.rejections().last().unwrap().rejection.to_string().contains("13 is no amount"));
}

#[test]
fn the_effects_of_an_object_go_with_it_and_those_of_others_stay() {
    let mut engine = shop();
    for order in ["a", "x/y"] {
        tell(&mut engine, order, OrderMessage::Pay).unwrap();
        tell(&mut engine, order, OrderMessage::Mail { text: "one/two".into() }).unwrap();
    }
    leaves(&mut engine);
    tell(&mut engine, "a", OrderMessage::Remove).unwrap();
    let left: Vec<String> = engine.effects().map(|(id, _)| id.to_string()).collect();
    assert_eq!(left, ["effect order/x~1y/charge", "effect order/x~1y/one/two"]);
    assert_eq!(leaves(&mut engine).len(), 2);
    let (id, number) = engine.effects().nth(1).map(|(id, pending)| (id, pending.number)).unwrap();
    engine.performed::<SendMail>(&id, number, Ok(()), NOW).unwrap();
    assert_eq!(heard(&engine, "x/y"), ["mailed one/two"]);
}

#[test]
fn effects_are_there_after_a_restart_with_their_order_and_their_keys() {
    let mut engine = shop();
    for text in ["z", "m", "a"] {
        tell(&mut engine, "a", OrderMessage::Mail { text: text.into() }).unwrap();
    }
    let (effect, number) = engine.effects().nth(1).map(|(id, pending)| (id, pending.number)).unwrap();
    engine.effect_failed(&effect, number, Failure::retry("busy"), NOW).unwrap();
    engine.sync().unwrap();
    let all = |engine: &Opened| -> Vec<_> {
        let state = |(id, it): (Id<_>, &amiko_core::Pending<Shop>)| {
            (it.number, id.to_string(), it.key, it.attempts, it.next, it.error.clone())
        };
        let mut all: Vec<_> = engine.effects().map(state).collect();
        all.sort();
        all
    };
    let before = all(&engine);
    let names: Vec<&str> = before.iter().map(|(_, id, ..)| id.as_str()).collect();
    assert_eq!(names, ["effect order/a/z", "effect order/a/m", "effect order/a/a"]);
    let document = engine.document().unwrap();
    let mut engine = Opened::open(engine.into_store().crash(), Settings::default()).unwrap();
    assert_eq!((all(&engine), engine.document().unwrap()), (before, document));
    tell(&mut engine, "a", OrderMessage::Pay).unwrap();
    assert_eq!(all(&engine).last().unwrap().1, "effect order/a/charge");
}

#[test]
fn a_document_without_effects_has_no_place_for_them() {
    let mut engine = shop();
    assert!(!engine.document().unwrap().contains("\"effects\""));
    tell(&mut engine, "a", OrderMessage::Pay).unwrap();
    let text = engine.document().unwrap();
    assert!(text.contains(r#""effects":{"#) && text.contains(r#""effect":{"_class":"Charge","cents":500}"#), "{text}");
    tell(&mut engine, "a", OrderMessage::Cancel).unwrap();
    engine.sync().unwrap();
    let engine = Opened::open(engine.into_store().crash(), Settings::default()).unwrap();
    assert_eq!(engine.effects().count(), 0);
    assert!(!engine.document().unwrap().contains("\"effects\""));
}

#[test]
fn what_an_effect_refers_to_stays_while_it_is_there() {
    let mut engine = shop();
    tell(&mut engine, "a", OrderMessage::Phone).unwrap();
    let (effect, number) = pending(&engine);
    let error = tell(&mut engine, "a", OrderMessage::Dismiss).unwrap_err();
    assert!(error.contains("clerk 7") && error.contains("effect order/a/phone"), "{error}");
    engine.performed::<Phone>(&effect, number, Ok(()), NOW).unwrap();
    tell(&mut engine, "a", OrderMessage::Dismiss).unwrap();
}

#[test]
fn an_answer_that_cannot_be_kept_is_told_instead() {
    let mut settings = Settings::default();
    settings.limits.record = 4_096;
    let node = shop().node().clone();
    let mut engine = Engine::open_with(Memory::new(), settings, || node).unwrap();
    tell(&mut engine, "a", OrderMessage::Pay).unwrap();
    let (effect, number) = pending(&engine);
    engine.performed::<Charge>(&effect, number, Ok("x".repeat(5_000)), NOW).unwrap();
    let said = heard(&engine, "a");
    assert!(said[0].starts_with("charge: Answer, ") && said[0].ends_with(" after 1"), "{said:?}");
    assert_eq!(engine.effects().count(), 0);
}

#[test]
fn a_policy_that_panics_rejects_the_event_that_asks() {
    let mut engine = shop();
    let error = tell(&mut engine, "c", OrderMessage::Pay).unwrap_err();
    assert!(error.contains("no policy for 666"), "{error}");
    assert_eq!(engine.effects().count(), 0);
}

#[test]
fn the_text_of_a_failure_is_heard_whole_up_to_its_limit() {
    for (length, kept) in [(4_096, 4_096), (4_097, 4_094)] {
        let mut engine = shop();
        tell(&mut engine, "a", OrderMessage::Pay).unwrap();
        let (effect, number) = pending(&engine);
        let text = format!("{}ä", "x".repeat(length - 2));
        engine.effect_failed(&effect, number, Failure::fatal(text), NOW).unwrap();
        let said = heard(&engine, "a").remove(0);
        let error = said.strip_prefix("charge: Fatal, ").unwrap().strip_suffix(" after 1").unwrap();
        let cut = error.strip_suffix('…').unwrap_or(error);
        assert!(cut.len() <= kept && error.len() <= 4_096 && cut.len() > 4_000, "{}", error.len());
        assert_eq!(cut != error, length > 4_096);
    }
}

#[test]
fn a_service_that_says_at_once_is_not_asked_without_a_pause() {
    let mut engine = shop();
    tell(&mut engine, "a", OrderMessage::Pay).unwrap();
    let (effect, number) = pending(&engine);
    engine.effect_failed(&effect, number, Failure::retry_after(Duration::ZERO, "busy"), NOW).unwrap();
    assert_eq!(engine.effect(&effect).unwrap().next, NOW + secs(1));
}

#[test]
fn an_effect_that_is_asked_for_and_cancelled_at_once_changes_nothing() {
    let mut engine = shop();
    let version = engine.version();
    tell(&mut engine, "a", OrderMessage::PayAndCancel).unwrap();
    assert_eq!((engine.version(), engine.effects().count()), (version, 0));
}

#[test]
fn effects_are_edited_by_hand() {
    let mut engine = shop();
    tell(&mut engine, "a", OrderMessage::Pay).unwrap();
    let (effect, number) = pending(&engine);
    leaves(&mut engine);
    let edit = |engine: &mut Opened, from: &str, to: &str| {
        let document = engine.document().unwrap();
        assert!(document.contains(from), "{document}");
        engine.edit(&document.replace(from, to), NOW, |_| true).map_err(|error| format!("{error:?}"))
    };
    edit(&mut engine, r#""effect":{"_class":"Charge","cents":500}"#, r#""effect":{"_class":"Charge","cents":400}"#)
        .unwrap();
    assert_eq!(leaves(&mut engine), [format!("Perform({effect})")]);
    // Another one with the same number would be taken for it.
    let text = engine.document().unwrap();
    let begin = text.find(r#""order/a/charge":"#).unwrap();
    let one = &text[begin..text.len() - 2];
    // Its key is a text of hex digits.
    let key = one.find(r#""key":"!x"#).unwrap() + 9;
    let mut other = one.replace("order/a/", "order/b/");
    other.replace_range(key..key + 1, if &one[key..=key] == "0" { "1" } else { "0" });
    let two = format!("{one},{other}");
    let error = edit(&mut engine, one, &two).unwrap_err();
    assert!(
        error.contains("expected effects with different numbers, found a second 0: effect order/b/charge"),
        "{error}"
    );
    edit(
        &mut engine,
        one,
        &two.replace(
            r#""order/b/charge":{"_class":"Pending","effect":{"_class":"Charge","cents":400},"number":0"#,
            r#""order/b/charge":{"_class":"Pending","effect":{"_class":"Charge","cents":400},"number":5"#,
        ),
    )
    .unwrap();
    assert_eq!(engine.effects().map(|(_, pending)| pending.number).collect::<Vec<_>>(), [number, 5]);
    for (from, to, expected) in [
        (other.as_str(), one.replace("order/a/", "order/b/"), "expected effects with different keys"),
        (r#""number":5"#, format!(r#""number":{}"#, u64::MAX), "with a number of at most"),
    ] {
        let from = from.replace(r#""number":0"#, r#""number":5"#);
        let error = edit(&mut engine, &from, &to.replace(r#""number":0"#, r#""number":5"#)).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    leaves(&mut engine);
    let document = engine.document().unwrap();
    engine = Opened::open(engine.into_store().crash(), Settings::default()).unwrap();
    assert_eq!(engine.document().unwrap(), document);
    // Numbers go on after the highest.
    tell(&mut engine, "a", OrderMessage::Mail { text: "x".into() }).unwrap();
    assert_eq!(engine.effects().map(|(_, pending)| pending.number).max(), Some(6));
    // All are taken out, and one is put in.
    let place = |text: &str| {
        let name = text.find(r#""effects""#).unwrap();
        text[text[..name].rfind(',').unwrap()..text.trim_end().len() - 1].to_owned()
    };
    let all = place(&document);
    tell(&mut engine, "a", OrderMessage::Cancel).unwrap();
    let left = engine.document().unwrap();
    let none = place(&left);
    edit(&mut engine, &none, "").unwrap();
    assert_eq!(engine.effects().count(), 0);
    edit(&mut engine, r#""connections":{}"#, &format!(r#""connections":{{}}{all}"#)).unwrap();
    assert_eq!(engine.effects().count(), 2);
    leaves(&mut engine);
    let document = engine.document().unwrap();
    engine = Opened::open(engine.into_store().crash(), Settings::default()).unwrap();
    assert_eq!(engine.document().unwrap(), document);
}

#[test]
fn there_are_at_most_so_many() {
    let mut settings = Settings::default();
    settings.limits.effects = 2;
    let node = shop().node().clone();
    let mut engine = Engine::open_with(Memory::new(), settings, || node).unwrap();
    for (text, fits) in [("one", true), ("two", true), ("three", false)] {
        let said = tell(&mut engine, "a", OrderMessage::Mail { text: text.into() });
        assert_eq!(said.is_ok(), fits, "{said:?}");
    }
    assert_eq!(engine.effects().count(), 2);
}
