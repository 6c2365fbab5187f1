//! Whether what the clients were told can be told of one ledger, which nobody else but them has written.

use super::clients::{Asked, Outcome, Question};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The journal of the node, as the database has it.
pub(crate) struct Journal {
    /// The first record of each row, its last one, and its epoch, in the order of the journal.
    pub(crate) groups: Vec<[u64; 3]>,
    /// The epoch in which each entry was committed.
    pub(crate) epochs: Vec<(u64, u64)>,
}

/// What is wrong; nothing, if the history holds.
pub(crate) fn faults(asked: &[Asked], entries: &[[u64; 3]], journal: &Journal) -> Vec<String> {
    let mut faults = Vec::new();
    faults.extend(order_of(entries));
    faults.extend(fates(asked, entries));
    faults.extend(times(asked));
    faults.extend(rows(journal));
    faults.extend(epochs(asked, entries, journal));
    faults
}

/// Each entry has the next number, none is there twice, and those of a client are in its order.
fn order_of(entries: &[[u64; 3]]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut reached = HashMap::new();
    for (entry, expected) in entries.iter().zip(1..) {
        let [index, client, number] = *entry;
        if index != expected {
            faults.push(format!("expected entry {expected}, found {index}"));
        }
        if let Some(before) = reached.insert(client, number)
            && before >= number
        {
            faults.push(format!("entry {index} is command {number} of client {client}, after its command {before}"));
        }
    }
    faults
}

/// What was acknowledged is there, as it was acknowledged; what was refused isn't; and nothing is there that nobody asked for.
fn fates(asked: &[Asked], entries: &[[u64; 3]]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut put: HashMap<(u64, u64), &Asked> = HashMap::new();
    for command in asked.iter().filter(|asked| asked.question != Question::Read) {
        put.insert((command.client, command.number), command);
        match (&command.outcome, command.question) {
            (Outcome::Open, _) => faults.push(format!("never answered, though everything was mended: {command:?}")),
            (Outcome::Done { value, .. }, Question::Put) => {
                let found = usize::try_from(value - 1).ok().and_then(|index| entries.get(index));
                if found != Some(&[*value, command.client, command.number]) {
                    faults.push(format!("acknowledged as entry {value}, which is {found:?}: {command:?}"));
                }
            }
            (Outcome::Done { .. }, _) => {
                faults.push(format!("acknowledged, though its handler rejects it: {command:?}"))
            }
            (Outcome::Rejected, Question::Put) => faults.push(format!("rejected without a reason: {command:?}")),
            (Outcome::Rejected | Outcome::Refused, _) => {}
        }
    }
    for [index, client, number] in entries {
        match put.get(&(*client, *number)).map(|command| (&command.outcome, *command)) {
            None => faults.push(format!("entry {index} is command {number} of client {client}, who didn't send it")),
            Some((Outcome::Rejected | Outcome::Refused, command)) => {
                faults.push(format!("entry {index} is there, though it was refused: {command:?}"));
            }
            Some(_) => {}
        }
    }
    faults
}

/// An answer isn't older than what anybody was told before its question was asked.
fn times(asked: &[Asked]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut moments = Vec::new();
    for (index, question) in asked.iter().enumerate() {
        if let Outcome::Done { value, .. } = &question.outcome {
            moments.push((question.begun, false, index, *value));
            moments.push((question.ended, true, index, *value));
        }
    }
    moments.sort();
    let mut known = 0;
    for (_, ended, index, value) in moments {
        let new = asked[index].question == Question::Put;
        match ended {
            true => known = known.max(value),
            false if value < known + u64::from(new) => {
                faults.push(format!("somebody knew of entry {known} before this was asked: {:?}", asked[index]));
            }
            false => {}
        }
    }
    faults
}

/// The rows of the journal have every record once, and no epoch comes back.
fn rows(journal: &Journal) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut reached, mut current) = (0, 0);
    for row in &journal.groups {
        let [first, last, epoch] = *row;
        if first != reached + 1 || last < first {
            faults.push(format!("expected a row from record {}, found {first} to {last}", reached + 1));
        }
        if epoch < current {
            faults.push(format!("the row to record {last} is of epoch {epoch}, after epoch {current}"));
        }
        (reached, current) = (last, epoch);
    }
    faults
}

/// In one epoch one process answers.
fn epochs(asked: &[Asked], entries: &[[u64; 3]], journal: &Journal) -> Vec<String> {
    let of: HashMap<u64, u64> = journal.epochs.iter().copied().collect();
    let mut by_epoch: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for question in asked.iter().filter(|asked| asked.question == Question::Put && asked.unknown == 0) {
        if let Outcome::Done { value, by } = &question.outcome
            && let Some(epoch) = of.get(value)
        {
            by_epoch.entry(*epoch).or_default().insert(by);
        }
    }
    let several = by_epoch.iter().filter(|(_, by)| by.len() > 1);
    let mut faults: Vec<_> = several.map(|(epoch, by)| format!("{by:?} have led in epoch {epoch}")).collect();
    let missing = entries.iter().filter(|[index, ..]| !of.contains_key(index)).count();
    if missing > 0 || of.len() != journal.epochs.len() {
        faults.push(format!("{missing} entries aren't in the journal, which has {} of them", journal.epochs.len()));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn asked(number: u64, outcome: Outcome) -> Asked {
        let begun = Instant::now();
        let ended = begun + Duration::from_nanos(number);
        Asked { client: 1, number, question: Question::Put, begun, ended, outcome, unknown: 0, elsewhere: 0 }
    }

    fn done(value: u64) -> Outcome {
        Outcome::Done { value, by: "one".into() }
    }

    fn found(asked: &[Asked], entries: &[[u64; 3]], groups: &[[u64; 3]]) -> String {
        let epochs = entries.iter().map(|[index, ..]| (*index, *index)).collect();
        faults(asked, entries, &Journal { groups: groups.to_vec(), epochs }).join("; ")
    }

    #[test]
    fn a_history_that_holds_has_no_fault_and_each_that_doesnt_has() {
        let (first, second) = (asked(1, done(1)), asked(2, done(2)));
        let (one, two) = ([1, 1, 1], [2, 1, 2]);
        let groups = [[1, 1, 1], [2, 2, 1]];
        let both = [first.clone(), second.clone()];
        assert_eq!(found(&both, &[one, two], &groups), "");
        let lost = found(&both, &[one], &groups);
        assert!(lost.contains("acknowledged as entry 2, which is None"), "{lost}");
        let doubled = found(&both, &[one, two, [3, 1, 2]], &groups);
        assert!(doubled.contains("after its command 2"), "{doubled}");
        let refused = found(&[first.clone(), asked(2, Outcome::Refused)], &[one, two], &groups);
        assert!(refused.contains("though it was refused"), "{refused}");
        let unasked = found(&both[..1], &[one, two], &groups);
        assert!(unasked.contains("who didn't send it"), "{unasked}");
        assert!(found(&both, &[one, two], &[[1, 1, 2], [2, 2, 1]]).contains("after epoch 2"));
        assert!(found(&both, &[one, two], &[[1, 1, 1], [3, 3, 1]]).contains("expected a row from record 2"));
        let mut stale = asked(0, done(1));
        stale.question = Question::Read;
        (stale.begun, stale.ended) = (second.ended + Duration::from_secs(1), second.ended + Duration::from_secs(2));
        let old = found(&[first, second, stale], &[one, two], &groups);
        assert!(old.contains("somebody knew of entry 2"), "{old}");
        let mut other = asked(2, Outcome::Done { value: 2, by: "other".into() });
        other.begun += Duration::from_secs(1);
        let entries = [one, two];
        let journal = Journal { groups: groups.to_vec(), epochs: vec![(1, 7), (2, 7)] };
        let forked = faults(&[asked(1, done(1)), other], &entries, &journal).join("; ");
        assert!(forked.contains("have led in epoch 7"), "{forked}");
    }
}
