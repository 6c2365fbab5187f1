//! Records without their document.

use std::ops::ControlFlow;

use super::*;
use crate::store::walk;

fn versions(path: &Path, from: u64) -> Vec<u64> {
    let mut versions = Vec::new();
    walk(path, from, |version, record| {
        assert!(record.starts_with(&format!("{{\"seq\":{version},")) || record.starts_with("{\"seq\":"), "{record}");
        versions.push(version);
        ControlFlow::Continue(())
    })
    .unwrap();
    versions
}

#[test]
fn records_are_handed_over_as_far_back_as_they_are_kept() {
    let folder = folder();
    ten_records_and_two(folder.path(), Retention::Forever);
    // The first two were replaced by the first snapshot, and its segment went.
    let first = versions(folder.path(), 0)[0];
    for from in [0, first, 5, 7, 11, 12, 13, u64::MAX] {
        assert_eq!(versions(folder.path(), from), (from.max(first)..=12).collect::<Vec<u64>>(), "{from}");
    }
    let few = self::folder();
    ten_records_and_two(few.path(), Retention::Count(0));
    assert_eq!(versions(few.path(), 0), [11, 12]);
    assert_eq!(versions(self::folder().path(), 0), Vec::<u64>::new());
}

#[test]
fn a_visitor_may_break_off_and_a_directory_in_use_is_read() {
    let folder = folder();
    let mut store = open(folder.path());
    recover(&mut store);
    commit(&mut store, 1..=3);
    let mut seen = Vec::new();
    let walked = walk(folder.path(), 0, |version, _| {
        seen.push(version);
        if version == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((seen, walked.unwrap().first), (vec![1, 2], Some(1)));
    commit(&mut store, 4..=4);
    assert_eq!(versions(folder.path(), 4), [4]);
}

#[test]
fn what_is_damaged_is_said_with_its_place_and_a_torn_end_is_none() {
    let folder = folder();
    journal_of(folder.path(), 5);
    let path = folder.path().join("journal-1.jsonl");
    let good = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let torn = good.replacen(lines[5], &lines[5][..lines[5].len() / 2], 1);
    fs::write(&path, torn).unwrap();
    let mut last = 0;
    let walked = walk(folder.path(), 0, |version, _| {
        last = version;
        ControlFlow::Continue(())
    });
    assert_eq!((last, walked.unwrap().torn.is_some()), (4, true));
    fs::write(&path, good.replacen(lines[2], &lines[2].replace("seq", "sqe"), 1)).unwrap();
    let error = walk(folder.path(), 0, |_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(&error, RecoverError::Damaged { line: 3, .. }), "{error:?}");
    assert!(matches!(
        walk(folder.path().join("none"), 0, |_, _| ControlFlow::Continue(())),
        Err(RecoverError::Io { .. })
    ));
}
