//! Runs by the calendar of a time zone, above all when its clocks are changed.

use super::super::*;
use jiff::civil::{Date, date};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};
use proptest::prelude::*;

fn secs_of(text: &str) -> u64 {
    u64::try_from(text.parse::<Timestamp>().unwrap().as_second()).unwrap()
}

fn berlin() -> TimeZone {
    zone("Europe/Berlin")
}

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

/// What the clock on the wall shows, and how far that is from UTC.
fn wall(seconds: u64, zone: &TimeZone) -> String {
    let zoned = Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap().to_zoned(zone.clone());
    zoned.strftime("%m-%d %H:%M %:z").to_string()
}

/// When a node in Berlin that is always up hears of runs in a time.
fn heard_in_berlin(expression: &str, from: &str, to: &str) -> Vec<String> {
    let mut engine = open();
    let message = JobMessage::Calendar { expression: expression.into(), zone: "Europe/Berlin".into() };
    tell(&mut engine, message, secs_of(from)).unwrap();
    while let Some(next) = due(&engine).filter(|next| *next < secs_of(to)) {
        tick(&mut engine, next - 1);
        tick(&mut engine, next);
        engine = restart(engine);
        tick(&mut engine, next);
    }
    assert!(heard(&engine).iter().all(|(_, missed)| *missed == 0));
    heard(&engine).iter().map(|(run, _)| wall(*run, &berlin())).collect()
}

#[test]
fn a_daily_run_at_a_time_that_clocks_leave_out_is_at_the_first_moment_after_it() {
    let heard = heard_in_berlin("30 2 * * *", "2026-03-28T00:00:00Z", "2026-03-31T00:00:00Z");
    assert_eq!(heard, ["03-28 02:30 +01:00", "03-29 03:00 +02:00", "03-30 02:30 +02:00"]);
}

#[test]
fn a_daily_run_at_a_time_that_clocks_show_twice_is_the_first_time() {
    let heard = heard_in_berlin("30 2 * * *", "2026-10-24T00:00:00Z", "2026-10-27T00:00:00Z");
    assert_eq!(heard, ["10-24 02:30 +02:00", "10-25 02:30 +02:00", "10-26 02:30 +01:00"]);
}

#[test]
fn runs_at_several_times_of_a_day_are_when_clocks_show_them() {
    let spring = heard_in_berlin("30 1-3 * * *", "2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z");
    assert_eq!(spring, ["03-29 01:30 +01:00", "03-29 03:30 +02:00"]);
    let autumn = heard_in_berlin("30 1-3 * * *", "2026-10-24T22:00:00Z", "2026-10-25T12:00:00Z");
    assert_eq!(autumn, ["10-25 01:30 +02:00", "10-25 02:30 +02:00", "10-25 02:30 +01:00", "10-25 03:30 +01:00"]);
}

#[test]
fn office_hours_are_those_of_the_zone_in_summer_and_in_winter() {
    let heard = heard_in_berlin("0 9 * * MON-FRI", "2026-03-27T00:00:00Z", "2026-03-31T00:00:00Z");
    assert_eq!(heard, ["03-27 09:00 +01:00", "03-30 09:00 +02:00"]);
}

#[test]
fn what_a_node_misses_over_a_change_of_clocks_is_counted() {
    for (from, to, missed) in
        [("2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z", 1), ("2026-10-24T00:00:00Z", "2026-10-26T12:00:00Z", 2)]
    {
        let mut engine = open();
        let message = JobMessage::Calendar { expression: "30 2 * * *".into(), zone: "Europe/Berlin".into() };
        tell(&mut engine, message, secs_of(from)).unwrap();
        tick(&mut engine, secs_of(to));
        assert_eq!(heard(&engine), [(secs_of(to), missed)]);
    }
}

#[test]
fn no_more_runs_of_a_calendar_are_counted_than_the_limit_says() {
    let mut settings = Settings::default();
    settings.limits.missed = 5;
    let mut engine = open_with(settings);
    let message = JobMessage::Calendar { expression: "* * * * *".into(), zone: "UTC".into() };
    tell(&mut engine, message, 1_000_000_020).unwrap();
    for now in [1_000_000_380, 1_000_000_800, 1_500_000_000] {
        tick(&mut engine, now);
    }
    assert_eq!(heard(&engine), [(1_000_000_380, 5), (1_000_000_800, 5), (1_500_000_000, 5)]);
    assert_eq!(due(&engine), Some(1_500_000_060));
}

#[test]
fn the_text_of_a_timer_has_the_expression_and_the_zone() {
    let mut engine = open();
    let message = JobMessage::Calendar { expression: "0 9 * * MON-FRI".into(), zone: "Europe/Berlin".into() };
    tell(&mut engine, message, 1_000).unwrap();
    let text = engine.document().unwrap();
    assert!(text.contains(r#""repeat":{"calendar":"0 9 * * MON-FRI","zone":"Europe/Berlin"}"#), "{text}");
    let engine = restart(engine);
    let (_, timer) = engine.timers().next().unwrap();
    assert_eq!(timer.schedule(), Some(&Schedule::calendar("0 9 * * MON-FRI", "Europe/Berlin").unwrap()));
}

#[test]
fn what_is_no_schedule_is_refused_and_says_why() {
    let long = "0,".repeat(128);
    for (expression, zone, expected) in [
        ("61 * * * *", "UTC", r#"expected a cron expression such as "0 9 * * MON-FRI", found "61 * * * *": "#),
        ("", "UTC", "expected a cron expression"),
        ("* * * *", "UTC", "5 or 6 fields"),
        ("0 0 1 1 * * 2027", "UTC", "when years are disallowed"),
        ("0 9 * * F\u{155}I", "UTC", "isn't ASCII"),
        ("0 0 30 2 *", "UTC", "which never has one"),
        ("0 0 31 APR *", "UTC", "which never has one"),
        ("0 9 * * *", "Europe/Berln", r#"IANA database such as "Europe/Berlin", found "Europe/Berln""#),
        ("0 9 * * *", "", "IANA database"),
        ("0 9 * * *", "../../etc/localtime", "IANA database"),
        (&long, "UTC", "at most 255 bytes each, found 256"),
        ("0 9 * * *", &long, "at most 255 bytes each, found 256"),
    ] {
        let error = Schedule::calendar(expression, zone).unwrap_err().to_string();
        assert!(error.contains(expected), "{expression:?} in {zone:?}: {error}");
        let mut engine = open();
        let message = JobMessage::Calendar { expression: expression.into(), zone: zone.into() };
        assert!(tell(&mut engine, message, 1_000).unwrap_err().contains(expected));
    }
    let never = Schedule::calendar("0 0 30 2 *", "UTC").unwrap_err();
    assert_eq!(never, ScheduleError::Never { found: "0 0 30 2 *".into() });
}

#[test]
fn a_day_that_a_zone_left_out_ends_no_timer() {
    let apia = zone("Pacific/Apia");
    let walls = |expression: &str, from: &str| -> Vec<String> {
        let runs = runs(expression, "Pacific/Apia", Time::from_secs(secs_of(from)), 3);
        runs.into_iter().map(|run| wall(run, &apia)).collect()
    };
    let days = walls("0 12 * * *", "2011-12-29T12:00:00Z");
    assert_eq!(days, ["12-29 12:00 -10:00", "12-31 12:00 +14:00", "01-01 12:00 +14:00"]);
    let months = walls("0 12 30 * *", "2011-11-01T12:00:00Z");
    assert_eq!(months, ["11-30 12:00 -10:00", "01-30 12:00 +14:00", "03-30 12:00 +14:00"]);
}

/// The runs of an expression in a time, found minute by minute.
fn by_hand(minutes: std::ops::Range<i64>, zone: &TimeZone, matches: impl Fn(&Zoned) -> bool) -> Vec<u64> {
    let zoned = |minute: i64| Timestamp::from_second(minute * 60).unwrap().to_zoned(zone.clone());
    minutes.filter(|minute| matches(&zoned(*minute))).map(|minute| u64::try_from(minute * 60).unwrap()).collect()
}

/// Those of one time of day.
fn daily_by_hand(first: Date, days: i32, (hour, minute): (i8, i8), zone: &TimeZone) -> Vec<u64> {
    let day = |days: i32| first.checked_add(jiff::Span::new().days(days)).unwrap();
    let run = |days: i32| {
        let ambiguous = zone.to_ambiguous_timestamp(day(days).at(hour, minute, 0, 0));
        let gap = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
        let earlier = ambiguous.earlier().unwrap();
        let run = if gap { zone.following(earlier).next().unwrap().timestamp() } else { earlier };
        u64::try_from(run.as_second()).unwrap()
    };
    (0..days).map(run).collect()
}

/// The runs of an expression after a moment, in seconds.
fn runs(expression: &str, zone: &str, after: Time, count: usize) -> Vec<u64> {
    let schedule = Schedule::calendar(expression, zone).unwrap();
    let next = |at: &Time| schedule.next(*at);
    std::iter::successors(next(&after), next).take(count).map(Time::as_secs).collect()
}

const ZONES: [&str; 5] = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"];

/// The last millisecond before a second.
fn just_before(second: i64) -> Time {
    Time::from_millis(u64::try_from(second * 1_000 - 1).unwrap())
}

#[test]
fn runs_at_several_times_of_a_day_are_those_that_are_found_minute_by_minute() {
    type Matches = fn(&Zoned) -> bool;
    let several: [(&str, Matches); 3] = [
        ("*/20 * * * *", |at| at.minute() % 20 == 0),
        ("15,45 1-3 * * *", |at| (1..=3).contains(&at.hour()) && [15, 45].contains(&at.minute())),
        ("0 */6 1 * SUN", |at| {
            at.minute() == 0 && at.hour() % 6 == 0 && (at.day() == 1 || at.weekday() == jiff::civil::Weekday::Sunday)
        }),
    ];
    for name in ZONES {
        let zone = zone(name);
        let begin = date(2026, 1, 1).to_zoned(zone.clone()).unwrap().timestamp();
        // Two days before each change of clocks in 2026, and where there is none, of the year.
        let changes = zone.following(begin).take(2).map(|change| change.timestamp().as_second());
        for change in changes.chain([begin.as_second()]) {
            let first = (change - 2 * 86_400) / 60;
            for (expression, matches) in several {
                let expected = by_hand(first..first + 4 * 1_440, &zone, matches);
                assert!(expected.len() >= 4);
                let found = runs(expression, name, just_before(first * 60), expected.len());
                assert_eq!(found, expected, "{expression} in {name}");
            }
        }
    }
}

#[test]
fn daily_runs_are_as_many_as_days_whatever_clocks_show() {
    for name in ZONES {
        let zone = zone(name);
        let first = date(2026, 1, 1);
        let begin = first.to_zoned(zone.clone()).unwrap().timestamp().as_second();
        for (hour, minute) in [(2, 30), (2, 0), (3, 0)] {
            let expected = daily_by_hand(first, 365, (hour, minute), &zone);
            let found = runs(&format!("{minute} {hour} * * *"), name, just_before(begin), 365);
            assert_eq!(found, expected, "{hour}:{minute} in {name}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_is_too_much_for_it(expression in ".{0,20}", ascii in "[0-9*/,LW#?@+ A-Z-]{0,24}", zone in ".{0,12}") {
        drop(Schedule::calendar(&expression, &zone));
        drop(Schedule::calendar(&ascii, "UTC"));
    }

    #[test]
    fn each_run_is_later_than_the_last_and_the_next_after_any_moment_between(
        fields in ("[0-9]|\\*/[1-9]|\\*", "[1-3]|1-3|\\*", "\\*|[1-9]|L", "\\*", "\\*|MON|SUN"),
        at in 0..4_000_000_000_u64,
        part in 0..1_000_u64,
    ) {
        let (minute, hour, day, month, weekday) = fields;
        let expression = format!("{minute} {hour} {day} {month} {weekday}");
        for zone in ["Europe/Berlin", "Pacific/Apia", "America/Sao_Paulo", "Antarctica/Troll"] {
            let schedule = Schedule::calendar(&expression, zone).unwrap();
            let at = Time::from_secs(at);
            let run = schedule.next(at).unwrap();
            prop_assert!(run > at);
            let between = Time::from_millis(at.as_millis() + (run.as_millis() - at.as_millis() - 1) * part / 1_000);
            prop_assert_eq!(schedule.next(between), Some(run), "{} in {}", &expression, zone);
        }
    }
}
