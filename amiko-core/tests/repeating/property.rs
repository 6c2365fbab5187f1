//! Whatever becomes of a node, its clock and its handler: the runs that are heard of and those that are missed are the
//! runs that have been.

use super::super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    /// Some time passes, and the node ticks.
    Pass {
        millis: u64,
    },
    /// The clock is put back.
    Back {
        millis: u64,
    },
    Refuse {
        yes: bool,
    },
    Sync,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..100_000_u64).prop_map(|millis| Step::Pass { millis }),
        2 => (0..8_000_000_u64).prop_map(|millis| Step::Pass { millis }),
        2 => (0..8_000_000_u64).prop_map(|millis| Step::Back { millis }),
        2 => any::<bool>().prop_map(|yes| Step::Refuse { yes }),
        2 => Just(Step::Sync),
        1 => Just(Step::Crash),
    ]
}

fn schedule() -> impl Strategy<Value = JobMessage> {
    let every = (1_000..9_000_000_u64).prop_map(|millis| JobMessage::Every { name: "run".into(), millis });
    #[cfg(feature = "calendar")]
    let every = {
        const EXPRESSIONS: [&str; 5] =
            ["*/7 * * * *", "30 2 * * *", "15 2,3 * * *", "*/20 5 * * * *", "59 1-3 * * SUN"];
        const ZONES: [&str; 4] = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"];
        let calendar = (prop::sample::select(&EXPRESSIONS), prop::sample::select(&ZONES))
            .prop_map(|(expression, zone)| JobMessage::Calendar { expression: expression.into(), zone: zone.into() });
        prop_oneof![every, calendar]
    };
    every
}

/// Hours before clocks are put forward, or back, in one of the zones.
const BEGINS: [u64; 4] = [1_774_738_800, 1_792_879_200, 1_793_505_600, 1_775_300_400];

fn millis(engine: &Opened) -> u64 {
    engine.next_due().unwrap().as_millis()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_run_is_heard_of_or_missed_and_none_twice(
        schedule in schedule(),
        begin in prop::sample::select(&BEGINS),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut settings = Settings::default();
        settings.limits.missed = 1_000_000;
        let mut engine = open_with(settings.clone());
        tell(&mut engine, schedule, begin).unwrap();
        engine.sync().unwrap();
        let schedule = engine.timers().next().unwrap().1.schedule().unwrap().clone();
        let begin = begin * 1_000;
        let first = millis(&engine);
        // The time; and the latest at which a tick is in the state, now and on disk.
        let (mut now, mut latest, mut durable) = (begin, begin, begin);
        for step in steps {
            match step {
                Step::Pass { millis } => {
                    now += millis;
                    engine.tick(Time::from_millis(now)).unwrap();
                    latest = latest.max(now);
                }
                Step::Back { millis } => now = now.saturating_sub(millis).max(begin),
                Step::Refuse { yes } => {
                    let id = Id::<Job>::new("a");
                    engine.send(&id, JobMessage::Refuse { yes }, Time::from_millis(now)).unwrap();
                    latest = latest.max(now);
                }
                Step::Sync => {
                    engine.sync().unwrap();
                    durable = latest;
                }
                Step::Crash => {
                    engine = Opened::open(engine.into_store().crash(), settings.clone()).unwrap();
                    // An event that left nothing behind may have been lost, as those that did.
                    latest = durable;
                }
            }
            let mut next = Time::from_millis(first);
            let mut runs = 0;
            while next.as_millis() <= latest {
                runs += 1;
                next = schedule.next(next).unwrap();
            }
            prop_assert_eq!(millis(&engine), next.as_millis());
            let missed = engine.timers().next().unwrap().1.missed();
            let known: u64 = heard(&engine).iter().map(|(_, missed)| missed + 1).sum();
            prop_assert_eq!(known + missed, runs);
        }
    }

    #[test]
    fn a_period_has_as_many_runs_as_fit_into_the_time(period in 1..100_000_u64, late in 0..10_000_000_u64) {
        let mut settings = Settings::default();
        settings.limits.missed = u64::MAX;
        let mut engine = open_with(settings);
        tell(&mut engine, JobMessage::Every { name: "run".into(), millis: period }, 1_000).unwrap();
        engine.tick(Time::from_millis(1_000_000 + period + late)).unwrap();
        prop_assert_eq!(heard(&engine)[0].1, late / period);
        prop_assert_eq!(millis(&engine), 1_000_000 + (late / period + 2) * period);
    }
}
