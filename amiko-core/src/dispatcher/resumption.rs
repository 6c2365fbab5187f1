//! The resume points of both ends of a connection, and whether they are consistent.
//!
//! Invariant: two ends that haven't forgotten anything that they told each other are never in conflict.

use crate::Serializable;
use crate::time::Time;
use std::fmt;

/// How far one end of a connection has come, as recorded on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serializable)]
// The name in the files of older programs.
#[amiko(class = "Standing")]
pub struct ResumePoint {
    /// How many messages of the peer it has processed, which is the number of the next one.
    pub received: u64,
    /// The number of its first message that the peer hasn't confirmed; that of the next message, if there is none.
    pub first: u64,
    /// How many messages it may have sent, which is the number of the next one.
    pub sent: u64,
}

/// Whose state is outdated: it has forgotten something that it told the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serializable)]
pub enum Older {
    /// That of this node.
    Ours,
    /// That of the peer.
    Theirs,
    /// Those of both.
    Both,
}

/// Two ends that can't go on together: one of them was restored to an older state, most likely from a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serializable)]
pub struct Conflict {
    /// When the conflict was found.
    pub found: Time,
    /// Whose state is outdated.
    pub older: Older,
    /// The resume point of this node.
    pub ours: ResumePoint,
    /// The resume point that the peer sent.
    pub theirs: ResumePoint,
}

impl ResumePoint {
    /// Whether a connection can have this resume point.
    pub const fn is_possible(&self) -> bool {
        self.first <= self.sent
    }

    /// Whose state is outdated, if any.
    ///
    /// The peer may have sent this some time ago, but nothing sent before it may be processed afterwards. So the
    /// dialler sends its resume point after receiving the other side's, and by then data from an older socket is
    /// ignored.
    pub const fn older(&self, peer: &Self) -> Option<Older> {
        // Whatever the peer got from us was sent, and whatever it believes to be confirmed was received.
        let ours = peer.received > self.sent || peer.first > self.received;
        let theirs = self.received > peer.sent || self.first > peer.received;
        match (ours, theirs) {
            (false, false) => None,
            (true, false) => Some(Older::Ours),
            (false, true) => Some(Older::Theirs),
            (true, true) => Some(Older::Both),
        }
    }
}

impl fmt::Display for ResumePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} received, {} sent, {} of them confirmed", self.received, self.sent, self.first)
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ours, theirs, .. } = self;
        let (whose, what) = match self.older {
            Older::Ours => ("this node's state is", "restore this node's newest state"),
            Older::Theirs => ("the peer's state is", "have the peer restore its newest state, then use the link again"),
            Older::Both => ("both states are", "restore the newest state of both"),
        };
        write!(
            f,
            "{whose} older than it should be: {what}, or give the link up and settle with the peer by hand \
             (here {ours}; there {theirs})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn standing(received: u64, first: u64, sent: u64) -> ResumePoint {
        ResumePoint { received, first, sent }
    }

    #[test]
    fn every_way_to_be_older() {
        // Ten messages each way, eight confirmed, nine received.
        let ours = standing(9, 8, 10);
        for (theirs, expected) in [
            (standing(9, 8, 10), None),
            (standing(10, 9, 10), None),
            (standing(8, 8, 9), None),
            (standing(8, 8, u64::MAX), None),
            (standing(11, 8, 10), Some(Older::Ours)),
            (standing(9, 10, 10), Some(Older::Ours)),
            (standing(9, 8, 8), Some(Older::Theirs)),
            (standing(7, 8, 10), Some(Older::Theirs)),
            (standing(11, 8, 8), Some(Older::Both)),
            (standing(7, 10, 10), Some(Older::Both)),
            (standing(0, 0, 0), Some(Older::Theirs)),
        ] {
            assert_eq!(ours.older(&theirs), expected, "{theirs:?}");
        }
        assert_eq!(standing(0, 0, 0).older(&standing(0, 0, 0)), None);
        assert_eq!(standing(0, 0, 0).older(&ours), Some(Older::Ours));
    }

    /// One end: what it remembers of the messages that it has sent and received.
    #[derive(Clone, Default, Debug)]
    struct End {
        sent: Vec<u32>,
        first: usize,
        received: Vec<u32>,
    }

    impl End {
        fn resume_point(&self) -> ResumePoint {
            standing(self.received.len() as u64, self.first as u64, self.sent.len() as u64)
        }
    }

    /// Whether what each end remembers of the other matches what the other remembers having said.
    fn fits(one: &End, other: &End) -> bool {
        let heard = |from: &End, to: &End| from.sent.starts_with(&to.received) && from.first <= to.received.len();
        heard(one, other) && heard(other, one)
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Send(usize),
        /// This many waiting messages arrive.
        Deliver(usize, usize),
        Confirm(usize),
        Backup(usize),
        /// Restores an older state, with which the peer then meets.
        Restore(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let end = 0..2_usize;
        prop_oneof![
            4 => end.clone().prop_map(Step::Send),
            4 => (end.clone(), 1..4_usize).prop_map(|(end, count)| Step::Deliver(end, count)),
            2 => end.clone().prop_map(Step::Confirm),
            1 => end.clone().prop_map(Step::Backup),
            1 => end.prop_map(Step::Restore),
        ]
    }

    proptest! {
        #[test]
        fn two_ends_with_backups(steps in prop::collection::vec(step(), 0..60)) {
            let (mut ends, mut number) = ([End::default(), End::default()], 0);
            let mut backups = [End::default(), End::default()];
            for step in steps {
                match step {
                    Step::Send(end) => {
                        number += 1;
                        ends[end].sent.push(number);
                    }
                    Step::Deliver(to, count) => {
                        let from = ends[1 - to].sent.clone();
                        let next = ends[to].received.len();
                        ends[to].received.extend(from.iter().skip(next).take(count));
                    }
                    Step::Confirm(to) => ends[to].first = ends[1 - to].received.len(),
                    Step::Backup(end) => backups[end] = ends[end].clone(),
                    Step::Restore(end) => {
                        let newest = std::mem::replace(&mut ends[end], backups[end].clone());
                        let found = ends[end].resume_point().older(&ends[1 - end].resume_point());
                        prop_assert_eq!(found.is_none(), fits(&ends[0], &ends[1]), "{:?}", ends);
                        let peer = ends[1 - end].resume_point().older(&ends[end].resume_point());
                        if found.is_some() {
                            prop_assert_eq!((found, peer), (Some(Older::Ours), Some(Older::Theirs)));
                            // The user follows the advice.
                            ends[end] = newest;
                        } else {
                            // Forgotten messages were never told: when sent again, they are the only ones.
                            prop_assert_eq!(peer, None);
                            let confirmed = ends[1 - end].received.len();
                            ends[end].first = ends[end].first.max(confirmed);
                        }
                        // Backups newer than the restored state never existed.
                        backups[end] = ends[end].clone();
                    }
                }
                prop_assert_eq!(ends[0].resume_point().older(&ends[1].resume_point()), None);
                prop_assert_eq!(ends[1].resume_point().older(&ends[0].resume_point()), None);
                prop_assert!(fits(&ends[0], &ends[1]));
            }
        }
    }
}
