//! Commands with a key: sent again, they don't act again, and their sender gets the first reply.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use amiko_core::engine::EventError;
use amiko_core::event::Request;
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use std::time::Duration;

/// A shop as one version of a program knows it.
macro_rules! program {
    ($name:ident, $($more:ident: $ty:ty)?) => {
        mod $name {
            use amiko_core::prelude::*;

            #[derive(Clone, Serializable)]
            #[amiko(key = String, reply = Secret<u64>)]
            pub(crate) struct Item {
                pub(crate) stock: u64,
                $(#[amiko(default)] pub(crate) $more: $ty,)?
            }

            #[derive(Clone, Serializable)]
            pub(crate) enum ItemMessage {
                Take { count: u64 },
                TakeLater { count: u64 },
            }

            #[derive(Clone, Default, Serializable, Node)]
            pub(crate) struct Shop {
                #[amiko(machines)]
                pub(crate) items: Table<Item>,
            }

            impl StateMachine for Item {
                type Node = Shop;
                type Message = ItemMessage;

                fn handle(&mut self, message: ItemMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
                    match message {
                        ItemMessage::Take { count } => {
                            self.stock = self.stock.checked_sub(count).ok_or(Rejection::new("expected more stock"))?;
                            cx.reply(Secret::new(self.stock));
                        }
                        ItemMessage::TakeLater { count } => {
                            cx.timer("take", cx.now() + secs(1), ItemMessage::Take { count });
                        }
                    }
                    Ok(())
                }
            }
        }
    };
}

program!(old,);
program!(new, colour: String);

use old::{Item, ItemMessage, Shop};

type Shops = Engine<Shop, Memory>;

fn open(store: Memory, settings: Settings) -> Shops {
    let nuts = || Shop { items: [(Id::new("nuts"), Item { stock: 100 })].into_iter().collect() };
    Engine::open_with(store, settings, nuts).unwrap()
}

/// The reply to a command, once it is durable.
fn ask(shop: &mut Shops, key: &str, message: ItemMessage, second: u64) -> Result<Option<u64>, EventError> {
    let envelope = Shop::envelope(Id::<Item>::new("nuts"), message);
    shop.command_once(key, envelope, Some(Request(7)), Time::from_secs(second))?;
    let replies = shop.sync().unwrap().into_iter().filter_map(|output| match output {
        Output::Reply { request: Request(7), reply } => Some(*reply.read::<Secret<u64>>().unwrap().expose()),
        _ => None,
    });
    Ok(replies.last())
}

fn take(shop: &mut Shops, key: &str, count: u64, second: u64) -> Option<u64> {
    ask(shop, key, ItemMessage::Take { count }, second).unwrap()
}

fn keys(shop: &Shops) -> Vec<String> {
    shop.answers().map(|(id, _)| id.key().clone()).collect()
}

#[test]
fn it_acts_once_and_answers_each_time_also_after_a_restart() {
    // From the journal, and from snapshots: one with each event.
    let mut eager = Settings::default();
    (eager.snapshot_ratio, eager.snapshot_minimum) = (0, 0);
    for settings in [Settings::default(), eager] {
        let mut shop = open(Memory::new(), settings.clone());
        assert_eq!(take(&mut shop, "a", 2, 1), Some(98));
        assert_eq!(take(&mut shop, "b", 2, 1), Some(96));
        let version = shop.version();
        assert_eq!(take(&mut shop, "a", 2, 2), Some(98));
        assert_eq!(shop.version(), version);
        let text = shop.document().unwrap();
        shop = Engine::open(shop.into_store().crash(), settings).unwrap();
        assert_eq!(shop.document().unwrap(), text);
        assert_eq!(take(&mut shop, "a", 2, 3), Some(98));
        assert_eq!(take(&mut shop, "b", 2, 3), Some(96));
        assert_eq!(shop.node().items.get(&Id::new("nuts")).unwrap().stock, 96);
    }
}

#[test]
fn a_command_that_gives_no_reply_acts_once_too() {
    let mut shop = open(Memory::new(), Settings::default());
    for second in [1, 2] {
        assert_eq!(ask(&mut shop, "a", ItemMessage::TakeLater { count: 3 }, second).unwrap(), None);
    }
    shop.tick(Time::from_secs(9)).unwrap();
    assert_eq!(shop.node().items.get(&Id::new("nuts")).unwrap().stock, 97);
}

#[test]
fn another_command_of_the_same_key_is_refused_and_changes_nothing() {
    let mut shop = open(Memory::new(), Settings::default());
    take(&mut shop, "a", 2, 1);
    let before = shop.document().unwrap();
    let error = ask(&mut shop, "a", ItemMessage::Take { count: 3 }, 1).unwrap_err();
    assert!(matches!(&error, EventError::KeyUsed { key } if key == "a"), "{error}");
    assert_eq!(shop.document().unwrap(), before);
}

#[test]
fn a_key_has_a_limited_length() {
    let mut shop = open(Memory::new(), Settings::default());
    assert_eq!(take(&mut shop, &"k".repeat(255), 2, 1), Some(98));
    let error = ask(&mut shop, &"k".repeat(256), ItemMessage::Take { count: 2 }, 1).unwrap_err();
    assert!(matches!(error, EventError::KeyTooLong { limit: 255, found: 256 }), "{error}");
}

#[test]
fn a_rejected_command_isnt_remembered() {
    let mut shop = open(Memory::new(), Settings::default());
    let before = shop.document().unwrap();
    assert!(ask(&mut shop, "a", ItemMessage::Take { count: 101 }, 1).is_err());
    assert_eq!((shop.document().unwrap(), keys(&shop).len()), (before, 0));
    assert_eq!(take(&mut shop, "a", 1, 2), Some(99));
}

#[test]
fn what_fails_after_its_handlers_isnt_remembered_either() {
    let mut settings = Settings::default();
    (settings.limits.record, settings.limits.answers) = (600, 1);
    let mut shop = open(Memory::new(), settings);
    let before = shop.document().unwrap();
    // Its record would name the key.
    let error = ask(&mut shop, &"k".repeat(255), ItemMessage::Take { count: 1 }, 1).unwrap_err();
    assert!(matches!(error, EventError::TooLong { .. }), "{error}");
    assert_eq!(shop.document().unwrap(), before);
    // One answer is kept: the one that was never given doesn't take its place.
    for (second, key) in [(2, "a"), (3, "b")] {
        take(&mut shop, key, 1, second);
        assert_eq!(keys(&shop), [key]);
    }
}

#[test]
fn an_answer_that_is_put_in_by_hand_is_there_after_a_restart() {
    let mut shop = open(Memory::new(), Settings::default());
    let mut other = open(Memory::new(), Settings::default());
    take(&mut other, "a", 1, 1);
    let text = other.document().unwrap();
    let answers = &text[text.find(",\n\"answers\":").unwrap()..];
    let edited = format!("{}{answers}", shop.document().unwrap().strip_suffix('}').unwrap());
    shop.edit(&edited, Time::from_secs(2), |_| true).unwrap();
    shop.sync().unwrap();
    assert_eq!(keys(&shop), ["a"]);
    shop = Engine::open(shop.into_store().crash(), Settings::default()).unwrap();
    assert_eq!(take(&mut shop, "a", 1, 3), Some(99));
    assert_eq!(shop.node().items.get(&Id::new("nuts")).unwrap().stock, 100);
}

#[test]
fn an_answer_is_kept_for_so_long_and_up_to_so_many() {
    let mut settings = Settings::default();
    (settings.limits.answers, settings.limits.answer_age) = (3, Duration::from_secs(60));
    let mut shop = open(Memory::new(), settings.clone());
    for (at, key) in ["a", "b", "c", "d"].into_iter().enumerate() {
        take(&mut shop, key, 1, at as u64);
    }
    // The oldest had to go, so it acts again, and the next one goes.
    assert_eq!(keys(&shop), ["b", "c", "d"]);
    assert_eq!(take(&mut shop, "a", 1, 5), Some(95));
    shop = Engine::open(shop.into_store().crash(), settings).unwrap();
    assert_eq!(keys(&shop), ["a", "c", "d"]);
    // A minute later only the last one is young enough.
    assert_eq!(take(&mut shop, "d", 1, 64), Some(94));
    assert_eq!(take(&mut shop, "a", 1, 64), Some(95));
    assert_eq!(keys(&shop), ["a", "d"]);
}

#[test]
fn a_reply_that_is_kept_is_hidden_from_people_and_a_document_without_any_says_nothing_of_them() {
    let mut shop = open(Memory::new(), Settings::default());
    assert!(!shop.document().unwrap().contains("answers"));
    take(&mut shop, "a", 23, 1);
    let text = shop.document().unwrap();
    assert!(text.contains("\"answers\":") && text.contains("[77]"), "{text}");
    let shown = shop.document_without_secrets().unwrap();
    assert!(shown.contains("\"answers\":") && !shown.contains("[77]"), "{shown}");
}

#[test]
fn a_program_with_other_classes_reads_the_first_answer_of_a_journal() {
    let mut shop = open(Memory::new(), Settings::default());
    take(&mut shop, "a", 2, 1);
    let mut shop = Engine::<new::Shop, _>::open(shop.into_store().crash(), Settings::default()).unwrap();
    let take = new::ItemMessage::Take { count: 2 };
    let envelope = new::Shop::envelope(Id::<new::Item>::new("nuts"), take);
    shop.command_once("a", envelope, None, Time::from_secs(2)).unwrap();
    assert_eq!(shop.node().items.get(&Id::new("nuts")).map(|item| (item.stock, item.colour.as_str())), Some((98, "")));
}
