//! Phases of machines: time-outs, what runs on the way in and out, what is taken, and phases inside phases; against a plain
//! model, with events that fail, restarts and hand edits in between.

// Helpers of tests fail like tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod model;
mod robot;
#[cfg(feature = "sim")]
mod worlds;

use amiko_core::History;
use amiko_core::engine::EventError;
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use robot::{
    Go, Hall, HallMessage, Light, RobotMessage, Step, Work, at, begun, found, hall, named, robot, send, timers,
};

#[test]
fn a_machine_that_is_created_has_the_time_out_of_its_first_phase() {
    let mut engine = begun();
    assert_eq!(timers(&engine), named(&[("@work", 60_000)]));
    engine.tick(at(60_000)).unwrap();
    assert_eq!(found(&engine).log, ["Bored"]);
    assert!(timers(&engine).is_empty());
}

#[test]
fn a_machine_begins_where_it_may() {
    let mut engine = hall();
    let error = engine.send(&Id::<Hall>::new(()), HallMessage::BeginBusy, at(0)).unwrap_err().to_string();
    assert!(error.contains("Work: expected to begin with one of Idle, Broken, found Busy"), "{error}");
    assert_eq!(engine.timers().count(), 0);
    engine.send(&Id::<Hall>::new(()), HallMessage::BeginBroken, at(0)).unwrap();
    assert_eq!((found(&engine).work.name(), timers(&engine)), ("Broken", named(&[("@work", 7_500)])));

    let error = Phase::at(Work::Broken).unwrap_err();
    assert!(error.reason().contains("begin with `cx.begin_phase_at`"), "{error}");
}

#[test]
fn a_machine_that_takes_the_place_of_another_has_its_own_time_out() {
    let mut engine = begun();
    send(&mut engine, &[Go::Busy, Go::On], 1_000).unwrap();
    engine.send(&Id::<Hall>::new(()), HallMessage::Replace, at(2_000)).unwrap();
    assert_eq!(timers(&engine), named(&[("@work", 62_000)]));
}

#[test]
fn each_level_has_a_time_out_of_its_own() {
    let mut engine = begun();
    send(&mut engine, &[Go::Busy, Go::On], 1_000).unwrap();
    assert_eq!(timers(&engine), named(&[("@work", 11_000), ("@Work.Step", 4_000), ("@light", 5_000)]));
    // A move inside leaves those of the outer phase, and of other phases, as they are.
    send(&mut engine, &[Go::Carry], 2_000).unwrap();
    assert_eq!(timers(&engine), named(&[("@work", 11_000), ("@light", 5_000)]));
    // Staying is a move: the time-out begins anew.
    send(&mut engine, &[Go::On], 3_000).unwrap();
    assert_eq!(timers(&engine), named(&[("@work", 11_000), ("@light", 7_000)]));
    // The outer phase takes those inside with it.
    send(&mut engine, &[Go::Fetch, Go::Idle], 3_500).unwrap();
    assert_eq!(timers(&engine), named(&[("@work", 63_500), ("@light", 7_000)]));
}

#[test]
fn functions_run_from_the_inside_outwards_and_back() {
    let mut engine = begun();
    send(&mut engine, &[Go::Busy, Go::Carry, Go::Busy], 0).unwrap();
    let expected = [
        "wake in Idle ",
        "start in Busy Fetch",
        "look in Busy Fetch",
        "lower in Busy Carry",
        "stop in Busy Carry",
        "start in Busy Fetch",
        "look in Busy Fetch",
    ];
    assert_eq!(found(&engine).log, expected);
}

#[test]
fn a_function_that_fails_undoes_the_event() {
    let mut engine = begun();
    send(&mut engine, &[Go::Busy, Go::Carry], 0).unwrap();
    let before = engine.document().unwrap();
    assert_eq!(send(&mut engine, &[Go::On, Go::Drop], 10), Err("nothing may be dropped".into()));
    assert_eq!(engine.document().unwrap(), before);
}

#[test]
fn a_function_that_runs_on_the_way_enters_no_phase() {
    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(machine)]
    struct Hasty {
        phase: Phase<Stage>,
        lamp: Phase<Lamp>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Serializable, Phases)]
    #[amiko(machine = Hasty)]
    enum Stage {
        #[amiko(next(Next))]
        First,
        #[amiko(entry = Hasty::light)]
        Next,
    }

    /// Nothing runs here, so that only the rule forbids it.
    #[derive(Clone, Copy, Debug, PartialEq, Serializable, Phases)]
    #[amiko(machine = Hasty, field = lamp)]
    enum Lamp {
        #[amiko(next(Lit))]
        Dark,
        Lit,
    }

    impl Hasty {
        fn light(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
            self.enter(Lamp::Lit, cx)
        }
    }

    impl StateMachine for Hasty {
        type Node = Self;
        type Message = u64;

        fn handle(&mut self, _: u64, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
            self.enter(Stage::Next, cx)
        }
    }

    let mut engine = Engine::<Hasty, _>::open(Memory::new(), Settings::default()).unwrap();
    let error = engine.send(&Id::<Hasty>::new(()), 0, at(0)).unwrap_err().to_string();
    assert!(error.contains("a phase can't be entered while another one is being entered or left"), "{error}");
    assert_eq!((*engine.node().phase, *engine.node().lamp), (Stage::First, Lamp::Dark));
}

#[test]
fn a_phase_inside_is_entered_only_while_the_outer_one_holds_it() {
    let mut engine = begun();
    let expected = "Step: expected robot 1 in a phase with Carry inside, found it in another one";
    assert_eq!(send(&mut engine, &[Go::Carry], 0), Err(expected.into()));
}

#[test]
fn one_comes_back_to_the_phase_that_was_left() {
    let mut engine = begun();
    send(&mut engine, &[Go::Busy, Go::Carry, Go::Pause], 0).unwrap();
    assert_eq!(timers(&engine), named(&[("@work", 20_000)]));
    send(&mut engine, &[Go::Resume], 5_000).unwrap();
    assert_eq!(found(&engine).work.inner::<Step>().unwrap(), &Step::Carry);
    assert_eq!(timers(&engine), named(&[("@work", 15_000)]));
}

#[test]
fn a_message_that_a_phase_does_not_take_is_rejected() {
    let mut engine = begun();
    let mut refused = |message: RobotMessage| match engine.send(&robot(), message, at(0)) {
        Err(EventError::Rejected(rejection)) => rejection.reason().to_owned(),
        other => format!("{other:?}"),
    };
    assert_eq!(refused(RobotMessage::Do { moves: vec![Go::Busy, Go::Carry], fail: false }), "Ok(Version(2))");
    let step = "Step: expected one of Do, Tired, Forgotten, LightOut while it is Carry, found Slow";
    assert_eq!(refused(RobotMessage::Slow), step);
    assert_eq!(refused(RobotMessage::Do { moves: vec![Go::Pause], fail: false }), "Ok(Version(3))");
    assert_eq!(refused(RobotMessage::Tired), "Work: expected one of Do, Forgotten while it is Paused, found Tired");
}

#[test]
fn names_of_timers_that_phases_have_are_theirs() {
    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(machine)]
    struct Lone {}

    impl StateMachine for Lone {
        type Node = Self;
        type Message = u64;

        fn handle(&mut self, _: u64, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
            cx.timer("@work", cx.now(), 1);
            Ok(())
        }
    }

    let mut engine = Engine::<Lone, _>::open(Memory::new(), Settings::default()).unwrap();
    let error = engine.send(&Id::<Lone>::new(()), 0, at(0)).unwrap_err().to_string();
    assert!(error.contains("expected a timer whose name doesn't begin with @"), "{error}");
}

#[test]
fn the_chart_is_drawn_with_what_is_inside() {
    let expected = "stateDiagram-v2
    [*] --> Idle
    [*] --> Broken
    Idle : after 1 minute, Bored
    Idle --> Busy
    Idle --> Broken
    state Busy {
        state \"Fetch\" as Busy_Fetch
        state \"Carry\" as Busy_Carry
        state \"Drop\" as Busy_Drop
        [*] --> Busy_Fetch
        Busy_Fetch : after 3 seconds, Slow
        Busy_Fetch --> Busy_Carry
        Busy_Carry : on Do, Tired, Forgotten, LightOut
        Busy_Carry --> Busy_Fetch
        Busy_Carry --> Busy_Drop
        Busy_Drop --> [*]
    }
    Busy : after 10 seconds, Tired
    Busy --> Idle
    Busy --> Busy
    Busy --> Paused
    Paused : on Do, Forgotten
    Paused : after wake_at, Forgotten
    Paused --> Busy
    Broken : after REPAIR, Repaired
    Broken --> Idle
";
    assert_eq!(Work::CHART.mermaid(), expected);

    let file = std::env::temp_dir().join(format!("amiko-work-{}.mmd", std::process::id()));
    std::fs::write(&file, expected).unwrap();
    assert_eq!(Work::CHART.check(&file), Ok(()));
    let error = Light::CHART.check(&file).unwrap_err();
    std::fs::remove_file(&file).unwrap();
    assert!(
        error.contains("expected the diagram of Light, found another one; run the test with AMIKO_BLESS=1"),
        "{error}"
    );
}

/// The rectangles of a drawing: left, top, right and bottom.
fn rectangles(svg: &str) -> Vec<[u32; 4]> {
    let of = |tag: &str, name: &str| -> u32 {
        let (_, rest) = tag.split_once(&format!(" {name}=\"")).unwrap();
        rest.split_once('"').unwrap().0.parse().unwrap()
    };
    let tags = svg.split("<rect").skip(1).map(|rest| format!(" {}", rest.split_once("/>").unwrap().0));
    let sides = tags.map(|tag| ["x", "y", "width", "height"].map(|name| of(&tag, name)));
    sides.map(|[x, y, width, height]| [x, y, x + width, y + height]).collect()
}

#[test]
fn a_drawing_has_a_box_for_each_phase_and_an_arrow_for_each_move() {
    let svg = Work::CHART.svg();
    assert_eq!(svg.matches("<path class=\"move").count(), 7 + 3, "{svg}");
    assert_eq!(svg.matches("<g>").count(), 4 + 3);
    assert_eq!((svg.matches("<circle").count(), svg.matches("class=\"end\"").count()), (2 + 1, 1));
    for text in
        [">Carry<", ">after 3 seconds, Slow<", ">on Do, Tired, Forgotten, LightOut<", ">after REPAIR, Repaired<"]
    {
        assert!(svg.contains(text), "{text} in {svg}");
    }
    // Boxes are beside or inside each other, and all of them on the page.
    let all = rectangles(&svg);
    let (_, size) = svg.split_once("viewBox=\"0 0 ").unwrap();
    let size: Vec<u32> = size.split_once('"').unwrap().0.split(' ').map(|side| side.parse().unwrap()).collect();
    for [left, top, right, bottom] in &all {
        assert!(left < right && top < bottom && *right <= size[0] && *bottom <= size[1]);
        for [other_left, other_top, other_right, other_bottom] in &all {
            let apart = right <= other_left || other_right <= left || bottom <= other_top || other_bottom <= top;
            let inside = left <= other_left && other_right <= right && top <= other_top && other_bottom <= bottom;
            let around = other_left <= left && right <= other_right && other_top <= top && bottom <= other_bottom;
            assert!(apart || inside || around);
        }
    }
}

#[test]
fn a_phase_is_written_as_what_it_holds() {
    let work = Phase::<Work>::INITIAL;
    assert_eq!(to_json(&work), to_json(&Work::Idle));
    assert_eq!(from_json::<Phase<Work>>(&to_json(&work).unwrap()).unwrap(), Work::Idle);
    assert_eq!((format!("{work:?}"), format!("{:?}", History::of(&work))), ("Idle".to_owned(), "Idle".to_owned()));
}

#[test]
fn an_edit_by_hand_moves_nothing_else() {
    let mut engine = begun();
    send(&mut engine, &[Go::On], 0).unwrap();
    let document = engine.document().unwrap();
    let edited = document.replace(r#""light":"On""#, r#""light":"Off""#);
    assert_ne!(edited, document);
    engine.edit(&edited, at(1), |_| true).unwrap();
    assert_eq!((found(&engine).light, timers(&engine)["@light"]), (Phase::new(), 4_000));
    // Its time-out stands in the same document.
    let document = engine.document().unwrap();
    let timer = document.find(r#","robot/1/@light":"#).or_else(|| document.find(r#""robot/1/@light":"#)).unwrap();
    assert!(document[timer..].contains("LightOut"), "{document}");
}

#[cfg(feature = "sim")]
#[test]
fn only_moves_that_stand_are_covered() {
    use amiko_core::sim::Coverage;

    /// Opens when it is told to, and shuts when its time is over, which fails.
    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(machine)]
    struct Hatch {
        phase: Phase<Lid>,
    }

    #[derive(Clone, Copy, PartialEq, Serializable, Phases)]
    #[amiko(machine = Hatch)]
    enum Lid {
        #[amiko(next(Open))]
        Shut,
        #[amiko(next(Shut, Broken), after(seconds = 1, send = Shut))]
        Open,
        Broken,
    }

    #[derive(Clone, Serializable)]
    enum LidMessage {
        Open,
        Shut,
    }

    impl StateMachine for Hatch {
        type Node = Self;
        type Message = LidMessage;

        fn handle(&mut self, message: LidMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
            match message {
                LidMessage::Open => self.enter(Lid::Open, cx),
                LidMessage::Shut => {
                    self.enter(Lid::Shut, cx)?;
                    Err(Rejection::new("it is stuck"))
                }
            }
        }
    }

    let mut coverage = Coverage::default();
    coverage.collect(|| {
        let mut engine = Engine::<Hatch, _>::open(Memory::new(), Settings::default()).unwrap();
        engine.send(&Id::<Hatch>::new(()), LidMessage::Open, at(0)).unwrap();
        engine.tick(at(1_000)).unwrap();
        assert_eq!((engine.rejections().count(), engine.timers().count()), (1, 0));
    });
    let svg = coverage.svg::<Lid>();
    assert_eq!((svg.matches("class=\"move odd\"").count(), svg.matches("<g class=\"odd\">").count()), (2, 1), "{svg}");
    assert_eq!(
        (coverage.taken::<Lid>("Shut", "Open"), coverage.never_taken::<Lid>()),
        (1, vec![("Open", "Shut"), ("Open", "Broken")])
    );
    let error = coverage.expect_all_but::<Lid>(&[("Shut", "Open"), ("Open", "Shut"), ("Open", "Broken")]).unwrap_err();
    assert_eq!(error, "Lid: expected these not to be taken, or not to be moves; take them from the list: Shut → Open");
}
