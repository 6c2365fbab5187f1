//! Repeating timers: each run is heard of once, or counted as missed, whatever becomes of the node and its clock.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod repeating {
    #[cfg(feature = "calendar")]
    mod calendar;
    mod files;
    mod property;
}

use amiko_core::prelude::*;
use amiko_core::schedule::ScheduleError;
use amiko_core::store::Memory;
use std::time::Duration;

/// What hears of runs.
#[derive(Debug, Clone, Default, Serializable)]
#[amiko(key = String)]
struct Job {
    /// When it heard of one, in seconds, and how many were missed before.
    heard: Vec<(u64, u64)>,
    /// Whether it rejects the next ones.
    refuses: bool,
    panics: bool,
    then: Option<Then>,
}

/// What it does as it hears of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serializable)]
enum Then {
    Cancel,
    Replace,
    CancelAndRefuse,
    TellAnother,
}

#[derive(Debug, Clone, Serializable)]
enum JobMessage {
    Every {
        name: String,
        millis: u64,
    },
    #[cfg(feature = "calendar")]
    Calendar {
        expression: String,
        zone: String,
    },
    Once {
        at: u64,
    },
    Cancel,
    Remove,
    Refuse {
        yes: bool,
    },
    Panic {
        yes: bool,
    },
    Then {
        then: Then,
    },
    Run,
}

impl StateMachine for Job {
    type Node = Jobs;
    type Message = JobMessage;

    fn handle(&mut self, message: JobMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            JobMessage::Every { name, millis } => {
                cx.repeat(&name, Schedule::every(Duration::from_millis(millis))?, JobMessage::Run);
            }
            #[cfg(feature = "calendar")]
            JobMessage::Calendar { expression, zone } => {
                cx.repeat("run", Schedule::calendar(&expression, &zone)?, JobMessage::Run);
            }
            JobMessage::Once { at } => cx.timer("run", Time::from_secs(at), JobMessage::Run),
            JobMessage::Cancel => cx.cancel("run"),
            JobMessage::Remove => cx.remove(&cx.id().clone()),
            JobMessage::Refuse { yes } => self.refuses = yes,
            JobMessage::Panic { yes } => self.panics = yes,
            JobMessage::Then { then } => self.then = Some(then),
            JobMessage::Run => self.run(cx)?,
        }
        Ok(())
    }
}

impl Job {
    fn run(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.heard.push((cx.now().as_secs(), cx.missed()));
        match self.then {
            Some(Then::Cancel) => cx.cancel("run"),
            Some(Then::Replace) => cx.repeat("run", Schedule::every(secs(7))?, JobMessage::Run),
            Some(Then::CancelAndRefuse) => {
                cx.cancel("run");
                return Err(Rejection::new("cancelled, and refused"));
            }
            Some(Then::TellAnother) => cx.send(&Id::<Other>::new("o"), Hear {}),
            None => {}
        }
        assert!(!self.panics, "told to");
        if self.refuses { Err(Rejection::new("not now")) } else { Ok(()) }
    }
}

/// What hears of a run by another.
#[derive(Debug, Clone, Default, Serializable)]
#[amiko(key = String)]
struct Other {
    missed: Vec<u64>,
}

#[derive(Clone, Serializable)]
struct Hear {}

impl StateMachine for Other {
    type Node = Jobs;
    type Message = Hear;

    fn handle(&mut self, Hear {}: Hear, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.missed.push(cx.missed());
        Ok(())
    }
}

#[derive(Debug, Clone, Default, Serializable, Node)]
struct Jobs {
    #[amiko(machines)]
    jobs: Table<Job>,
    #[amiko(machines)]
    others: Table<Other>,
}

type Opened = Engine<Jobs, Memory>;

fn open_with(settings: Settings) -> Opened {
    let jobs = ["a", "b"].map(|name| (Id::new(name), Job::default())).into_iter().collect();
    let others = [(Id::new("o"), Other::default())].into_iter().collect();
    Engine::open_with(Memory::new(), settings, || Jobs { jobs, others }).unwrap()
}

fn open() -> Opened {
    open_with(Settings::default())
}

/// An engine with a job that runs every ten seconds from 1,010 s on.
fn every_ten() -> Opened {
    let mut engine = open();
    tell(&mut engine, JobMessage::Every { name: "run".into(), millis: 10_000 }, 1_000).unwrap();
    engine
}

fn tell(engine: &mut Opened, message: JobMessage, now: u64) -> Result<(), String> {
    engine.send(&Id::<Job>::new("a"), message, Time::from_secs(now)).map(drop).map_err(|error| error.to_string())
}

fn tick(engine: &mut Opened, now: u64) {
    engine.tick(Time::from_secs(now)).unwrap();
}

fn heard(engine: &Opened) -> Vec<(u64, u64)> {
    engine.node().jobs.get(&Id::new("a")).unwrap().heard.clone()
}

/// When the next run is, in seconds.
fn due(engine: &Opened) -> Option<u64> {
    engine.next_due().map(Time::as_secs)
}

fn restart(mut engine: Opened) -> Opened {
    engine.sync().unwrap();
    let document = engine.document().unwrap();
    let engine = Opened::open(engine.into_store().crash(), Settings::default()).unwrap();
    assert_eq!(engine.document().unwrap(), document);
    engine
}

#[test]
fn a_run_is_heard_of_once_and_the_next_is_a_period_later() {
    let mut engine = every_ten();
    assert_eq!(due(&engine), Some(1_010));
    for now in [1_009, 1_010, 1_010, 1_019, 1_020, 1_029] {
        tick(&mut engine, now);
    }
    assert_eq!((heard(&engine), due(&engine)), (vec![(1_010, 0), (1_020, 0)], Some(1_030)));
}

#[test]
fn a_run_that_is_late_is_heard_of_once_with_those_that_were_missed_and_moves_no_other() {
    let mut engine = every_ten();
    tick(&mut engine, 1_013);
    assert_eq!((heard(&engine), due(&engine)), (vec![(1_013, 0)], Some(1_020)));
    tick(&mut engine, 1_047);
    tick(&mut engine, 1_047);
    assert_eq!((heard(&engine).pop(), heard(&engine).len(), due(&engine)), (Some((1_047, 2)), 2, Some(1_050)));
    // Runs are due before a command, too.
    tell(&mut engine, JobMessage::Refuse { yes: false }, 1_060).unwrap();
    assert_eq!((heard(&engine).pop(), due(&engine)), (Some((1_060, 1)), Some(1_070)));
}

#[test]
fn what_is_missed_while_a_node_is_down_is_counted_when_it_is_there_again() {
    let mut engine = every_ten();
    tick(&mut engine, 1_010);
    let mut engine = restart(engine);
    assert_eq!(due(&engine), Some(1_020));
    tick(&mut engine, 4_600);
    assert_eq!((heard(&engine), due(&engine)), (vec![(1_010, 0), (4_600, 358)], Some(4_610)));
}

#[test]
fn a_clock_that_is_put_back_repeats_no_run() {
    let mut engine = every_ten();
    tick(&mut engine, 1_500);
    let before = heard(&engine);
    for now in [900, 1_010, 1_300, 1_500, 1_509] {
        tick(&mut engine, now);
    }
    assert_eq!((heard(&engine), due(&engine)), (before, Some(1_510)));
    tick(&mut engine, 1_510);
    assert_eq!(heard(&engine).pop(), Some((1_510, 0)));
}

#[test]
fn a_run_that_is_rejected_is_tried_no_second_time_and_counts_as_missed() {
    for (begin, end, reason) in [
        (JobMessage::Refuse { yes: true }, JobMessage::Refuse { yes: false }, "not now"),
        (JobMessage::Panic { yes: true }, JobMessage::Panic { yes: false }, "told to"),
    ] {
        let mut engine = every_ten();
        tell(&mut engine, begin, 1_001).unwrap();
        // Of the second there are two, of which one was missed anyway.
        for now in [1_010, 1_010, 1_019, 1_035, 1_035] {
            tick(&mut engine, now);
        }
        let rejections: Vec<_> = engine.rejections().map(|rejected| rejected.rejection.to_string()).collect();
        assert!(rejections.len() == 2 && rejections.iter().all(|text| text.contains(reason)), "{rejections:?}");
        assert_eq!((heard(&engine).len(), due(&engine)), (0, Some(1_040)));
        let missed = engine.timers().next().unwrap().1.missed();
        assert_eq!(missed, 3);
        let mut engine = restart(engine);
        tell(&mut engine, end, 1_036).unwrap();
        tick(&mut engine, 1_055);
        tick(&mut engine, 1_060);
        assert_eq!(heard(&engine), [(1_055, 4), (1_060, 0)]);
    }
}

#[test]
fn a_timer_that_repeats_goes_as_any_other() {
    let mut engine = every_ten();
    tell(&mut engine, JobMessage::Cancel, 1_001).unwrap();
    assert_eq!(due(&engine), None);

    let mut engine = every_ten();
    tell(&mut engine, JobMessage::Remove, 1_001).unwrap();
    assert_eq!((due(&engine), engine.timers().count()), (None, 0));

    let mut engine = every_ten();
    tell(&mut engine, JobMessage::Once { at: 1_003 }, 1_001).unwrap();
    tick(&mut engine, 1_030);
    assert_eq!((heard(&engine), due(&engine)), (vec![(1_030, 0)], None));

    // And another period takes the place of the first.
    let mut engine = every_ten();
    tell(&mut engine, JobMessage::Every { name: "run".into(), millis: 500 }, 1_001).unwrap();
    assert_eq!(engine.next_due(), Some(Time::from_millis(1_001_500)));
    assert_eq!(restart(engine).timers().next().unwrap().1.schedule().unwrap().to_string(), "every 500ms");
}

#[test]
fn its_handler_may_cancel_or_replace_it() {
    for (then, next) in [(Then::Cancel, None), (Then::Replace, Some(1_019))] {
        let mut engine = every_ten();
        tell(&mut engine, JobMessage::Then { then }, 1_001).unwrap();
        tick(&mut engine, 1_012);
        assert_eq!((heard(&engine), due(&engine)), (vec![(1_012, 0)], next), "{then:?}");
        assert_eq!(due(&restart(engine)), next);
    }
    // What is rejected is undone.
    let mut engine = every_ten();
    tell(&mut engine, JobMessage::Then { then: Then::CancelAndRefuse }, 1_001).unwrap();
    tick(&mut engine, 1_012);
    assert_eq!((heard(&engine).len(), due(&engine)), (0, Some(1_020)));
}

#[test]
fn only_the_message_of_the_timer_tells_what_was_missed() {
    let mut engine = every_ten();
    tell(&mut engine, JobMessage::Then { then: Then::TellAnother }, 1_001).unwrap();
    tick(&mut engine, 1_033);
    assert_eq!(heard(&engine), [(1_033, 2)]);
    tell(&mut engine, JobMessage::Run, 1_034).unwrap();
    assert_eq!(heard(&engine).pop(), Some((1_034, 0)));
    assert_eq!(engine.node().others.get(&Id::new("o")).unwrap().missed, [0, 0]);
}

#[test]
fn no_more_runs_are_counted_than_the_limit_says() {
    let mut settings = Settings::default();
    assert_eq!(settings.limits.missed, 1_000);
    settings.limits.missed = 5;
    let mut engine = open_with(settings);
    tell(&mut engine, JobMessage::Every { name: "run".into(), millis: 10_000 }, 1_000).unwrap();
    for now in [1_060, 1_130, 1_000_001] {
        tick(&mut engine, now);
    }
    assert_eq!((heard(&engine), due(&engine)), (vec![(1_060, 5), (1_130, 5), (1_000_001, 5)], Some(1_000_010)));
    tell(&mut engine, JobMessage::Refuse { yes: true }, 1_000_001).unwrap();
    tick(&mut engine, 1_000_100);
    assert_eq!(engine.timers().next().unwrap().1.missed(), 5);
}

#[test]
fn there_are_at_most_so_many_timers_of_either_kind() {
    let mut settings = Settings::default();
    settings.limits.timers = 2;
    let mut engine = open_with(settings);
    let every = |name: &str| JobMessage::Every { name: name.into(), millis: 1_000 };
    tell(&mut engine, JobMessage::Once { at: 5_000 }, 1_000).unwrap();
    tell(&mut engine, every("second"), 1_000).unwrap();
    tell(&mut engine, every("second"), 1_000).unwrap();
    let error = tell(&mut engine, every("third"), 1_000).unwrap_err();
    assert!(error.contains("at most 2 timers"), "{error}");
}

#[test]
fn a_period_without_a_moment_is_refused_and_one_that_leads_past_the_last_moment_ends() {
    for period in [Duration::ZERO, Duration::from_nanos(999_999), Duration::from_nanos(1_500_000), Duration::MAX] {
        assert_eq!(Schedule::every(period), Err(ScheduleError::Period { found: period }));
    }
    assert_eq!(Schedule::every(hours(1)).unwrap(), Schedule::every(minutes(60)).unwrap());
    let mut engine = open();
    let error = tell(&mut engine, JobMessage::Every { name: "run".into(), millis: 0 }, 1_000).unwrap_err();
    assert!(error.contains("a period of whole milliseconds, and of at least one, found 0ns"), "{error}");
    let error = tell(&mut engine, JobMessage::Every { name: "run".into(), millis: u64::MAX }, 1_000).unwrap_err();
    assert!(error.contains("a schedule with a run after now"), "{error}");
    // The last run that there is.
    tell(&mut engine, JobMessage::Every { name: "run".into(), millis: u64::MAX / 2 }, 1).unwrap();
    engine.tick(Time::from_millis(u64::MAX)).unwrap();
    assert_eq!((heard(&engine).len(), engine.next_due()), (1, None));
}
