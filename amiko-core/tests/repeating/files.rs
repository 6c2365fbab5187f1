//! What a repeating timer is on disk.

use super::super::*;
use amiko_core::store::Directory;
use std::fs;
use std::path::Path;

#[test]
fn a_timer_that_fires_once_has_no_trace_of_repetition_in_its_text() {
    let mut engine = open();
    tell(&mut engine, JobMessage::Once { at: 1_003 }, 1_000).unwrap();
    let text = engine.document().unwrap();
    assert!(text.contains(
        r#""timers":{
"job/a/run":{"_class":"Timer","at":1003000,"envelope":{"kind":"job","id":"a","message":{"_class":"Run"}}}}"#
    ));
    // And none is left when one replaces another.
    let mut engine = every_ten();
    assert!(engine.document().unwrap().contains(r#""message":{"_class":"Run"}},"repeat":{"every":"10s"}}}"#));
    tell(&mut engine, JobMessage::Once { at: 1_003 }, 1_000).unwrap();
    assert!(!restart(engine).document().unwrap().contains("repeat"));
}

#[test]
fn what_was_rejected_is_a_part_of_the_text() {
    let mut engine = every_ten();
    tell(&mut engine, JobMessage::Refuse { yes: true }, 1_000).unwrap();
    tick(&mut engine, 1_025);
    assert!(engine.document().unwrap().contains(r#""repeat":{"every":"10s","missed":2}"#));
    tell(&mut engine, JobMessage::Refuse { yes: false }, 1_025).unwrap();
    tick(&mut engine, 1_030);
    assert!(restart(engine).document().unwrap().contains(r#""repeat":{"every":"10s"}"#));
}

/// Edits the repetition of the timer; returns the error, or what the repetition then is.
fn edited(repeat: &str) -> String {
    let mut engine = every_ten();
    let before = engine.document().unwrap();
    let text = before.replace(r#"{"every":"10s"}"#, repeat);
    assert_ne!(text, before);
    match engine.edit(&text, Time::from_secs(1_001), |_| true) {
        Ok(_) => engine.timers().next().unwrap().1.schedule().map_or("once".into(), ToString::to_string),
        Err(error) => {
            assert_eq!(engine.document().unwrap(), before);
            let source = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error}: {}", source.unwrap_or_default())
        }
    }
}

#[test]
fn a_repetition_is_edited_by_hand_and_one_that_makes_no_sense_is_refused() {
    assert_eq!(edited(r#"{"every":"90m"}"#), "every 1h30m");
    for (repeat, expected) in [
        (r#"{"every":"soon"}"#, r#"expected a period such as "15m" or "1h30m", found "soon""#),
        (r#"{"every":"0s"}"#, r#"expected a period such as "15m" or "1h30m", found "0s""#),
        (r#"{"every":"1s","zone":"UTC"}"#, r#"expected either "every", or "calendar" and "zone""#),
        (r#"{"calendar":"* * * * *"}"#, r#"expected either "every", or "calendar" and "zone""#),
        (r#"{"every":"1s","every":"1s"}"#, "every"),
        (r#"{"often":"1s"}"#, "often"),
        ("{}", r#"expected either "every", or "calendar" and "zone""#),
    ] {
        let error = edited(repeat);
        assert!(error.contains(expected), "{repeat}: {error}");
    }
}

/// The state of `every_ten` in a folder, with this repetition in its snapshot.
fn folder_with(repeat: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let document = every_ten().to_document();
    let mut engine =
        Engine::open_document(Directory::open(folder.path()).unwrap(), Settings::default(), || document).unwrap();
    engine.sync().unwrap();
    drop(engine);
    for path in files(folder.path()) {
        let text = fs::read_to_string(&path).unwrap();
        if let Some((body, _)) = text.replace(r#"{"every":"10s"}"#, repeat).rsplit_once(",\n\"crc\":") {
            let sum = crc32c::crc32c(body.as_bytes());
            fs::write(path, format!("{body},\n\"crc\":\"{sum:08x}\"}}\n")).unwrap();
        }
    }
    folder
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Opens it; the schedule that is found, or the error.
fn reopened(folder: &Path) -> Result<String, String> {
    match Engine::<Jobs, _>::open(Directory::open(folder).unwrap(), Settings::default()) {
        Ok(engine) => Ok(engine.timers().next().unwrap().1.schedule().unwrap().to_string()),
        Err(error) => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(error) = source {
                text += &format!(": {error}");
                source = error.source();
            }
            Err(text)
        }
    }
}

#[test]
fn a_state_with_a_timer_that_this_program_cannot_keep_is_not_opened_and_stays_as_it_is() {
    let folder = folder_with(r#"{"every":"1m"}"#);
    assert_eq!(reopened(folder.path()), Ok("every 1m".into()));

    let text = r#"{"calendar":"0 9 * * MON-FRI","zone":"Europe/Berlin"}"#;
    let without = r#"expected a program with the feature "calendar" of amiko-core, which the timer "0 9 * * MON-FRI" in "Europe/Berlin" needs"#;
    let unknown = r#"expected a time zone of the IANA database such as "Europe/Berlin", found "Europe/Atlantis""#;
    let cases = if cfg!(feature = "calendar") {
        vec![(text.to_owned(), None), (text.replace("Berlin", "Atlantis"), Some(unknown))]
    } else {
        vec![(text.to_owned(), Some(without))]
    };
    for (text, expected) in cases {
        let folder = folder_with(&text);
        let before: Vec<_> = files(folder.path()).iter().map(|path| fs::read(path).unwrap()).collect();
        match (reopened(folder.path()), expected) {
            (Ok(schedule), None) => assert_eq!(schedule, "0 9 * * MON-FRI in Europe/Berlin"),
            (Err(error), Some(expected)) => {
                assert!(error.contains(expected), "{error}");
                let after: Vec<_> = files(folder.path()).iter().map(|path| fs::read(path).unwrap()).collect();
                assert!(after == before, "expected the files as they were");
            }
            (found, expected) => panic!("expected {expected:?}, found {found:?}"),
        }
    }
}
