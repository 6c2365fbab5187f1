//! The phases of an enum and their moves, as data: what is checked, drawn and counted.
//!
//! Invariant: whatever is drawn is what is checked.

use crate::Rejection;
use crate::serializable::scan::differ;
use std::fmt::Write as _;
use std::path::Path;

/// The phases of an enum, their moves and their time-outs.
#[derive(Debug, PartialEq, Eq)]
pub struct Chart {
    /// The name of the enum.
    pub name: &'static str,
    /// All phases, in the order of their declaration.
    pub phases: &'static [PhaseShape],
    /// The place of the phase in which a machine begins.
    pub initial: usize,
}

/// One phase.
#[derive(Debug, PartialEq, Eq)]
pub struct PhaseShape {
    /// The name of the variant.
    pub name: &'static str,
    /// The places of those that may follow, in the order in which they are listed; empty for a final phase.
    pub next: &'static [usize],
    /// A machine may begin here, although it isn't the first one.
    pub initial: bool,
    /// The time-out.
    pub after: Option<After>,
    /// The messages that the machine takes; none if it takes all.
    pub on: Option<&'static [&'static str]>,
    /// The phases inside it.
    pub inner: Option<&'static Chart>,
}

/// The time-out of a phase.
#[derive(Debug, PartialEq, Eq)]
pub struct After {
    /// When it is due, for people: `15 minutes`.
    pub when: &'static str,
    /// The message that is sent.
    pub send: &'static str,
}

impl PhaseShape {
    /// Whether a time-out is armed when a machine begins here: that of this phase, or of the first one inside it.
    #[must_use]
    pub const fn is_timed(&self) -> bool {
        match self.inner {
            _ if self.after.is_some() => true,
            Some(inner) => inner.phases[inner.initial].is_timed(),
            None => false,
        }
    }
}

impl Chart {
    /// Whether any phase has a time-out, also of those inside.
    #[must_use]
    pub const fn has_time_outs(&self) -> bool {
        let mut place = 0;
        while place < self.phases.len() {
            let phase = &self.phases[place];
            if phase.after.is_some() {
                return true;
            }
            if let Some(inner) = phase.inner
                && inner.has_time_outs()
            {
                return true;
            }
            place += 1;
        }
        false
    }

    /// Whether the phases inside take the messages of the time-outs of those around them: for the code that the derive writes.
    #[doc(hidden)]
    #[must_use]
    pub const fn takes_its_time_outs(&self) -> bool {
        let mut place = 0;
        while place < self.phases.len() {
            let phase = &self.phases[place];
            if let (Some(after), Some(inner)) = (&phase.after, phase.inner)
                && !inner.takes(after.send)
            {
                return false;
            }
            place += 1;
        }
        true
    }

    /// Whether each phase takes a message, also each of those inside.
    const fn takes(&self, message: &str) -> bool {
        let mut place = 0;
        while place < self.phases.len() {
            let phase = &self.phases[place];
            if let Some(on) = phase.on {
                let (mut at, mut found) = (0, false);
                while at < on.len() {
                    found |= !differ(on[at], message);
                    at += 1;
                }
                if !found {
                    return false;
                }
            }
            if let Some(inner) = phase.inner
                && !inner.takes(message)
            {
                return false;
            }
            place += 1;
        }
        true
    }

    /// Whether a machine may begin in the phase at this place.
    pub(super) fn begins_in(&self, place: usize) -> bool {
        place == self.initial || self.phases.get(place).is_some_and(|phase| phase.initial)
    }

    /// Whether a machine may move from one place to the other.
    #[inline]
    pub(super) fn expect_move(&self, from: usize, to: usize) -> Result<(), Rejection> {
        let moves = self.phases.get(from).map_or(&[][..], |phase| phase.next);
        if moves.contains(&to) { Ok(()) } else { Err(self.refuse_move(from, to)) }
    }

    #[cold]
    fn refuse_move(&self, from: usize, to: usize) -> Rejection {
        let name = |place: usize| self.phases.get(place).map_or("", |phase| phase.name);
        let moves = self.phases.get(from).map_or(&[][..], |phase| phase.next);
        let names: Vec<_> = moves.iter().map(|next| name(*next)).collect();
        let expected = if names.is_empty() { "nothing".to_owned() } else { format!("one of {}", names.join(", ")) };
        let (chart, before, found) = (self.name, name(from), name(to));
        Rejection::new(format!("{chart}: expected {expected} after {before}, found {found}"))
    }

    /// The rejection of a message that isn't taken in the phase at this place: for the code that the derive writes.
    #[doc(hidden)]
    #[cold]
    #[must_use]
    pub fn refuse_message(&self, place: usize, message: Option<&str>) -> Rejection {
        let phase = self.phases.get(place);
        let taken = phase.and_then(|phase| phase.on).unwrap_or_default();
        let expected = match taken {
            [] => "nothing".to_owned(),
            [one] => (*one).to_owned(),
            several => format!("one of {}", several.join(", ")),
        };
        let (chart, name) = (self.name, phase.map_or("", |phase| phase.name));
        let found = message.unwrap_or("another message");
        Rejection::new(format!("{chart}: expected {expected} while it is {name}, found {found}"))
    }

    /// The phases and their moves as a state diagram for [Mermaid](https://mermaid.js.org), in the order of declaration.
    ///
    /// `[*]` marks the phases in which a machine begins, and the end after a final one. A phase with phases inside is drawn
    /// around them; what a phase takes, and its time-out, stand in it.
    #[must_use]
    pub fn mermaid(&self) -> String {
        self.mermaid_with(&|_, _, _| String::new())
    }

    /// The same with something said of each move, of this chart and of those inside.
    pub(super) fn mermaid_with(&self, said: &dyn Fn(&Self, usize, usize) -> String) -> String {
        let mut text = "stateDiagram-v2\n".to_owned();
        self.draw(&mut text, 1, "", said);
        text
    }

    /// Compares the diagram with a checked-in file: one line in a test.
    ///
    /// ```no_run
    /// # use amiko_core::prelude::*;
    /// # #[derive(Clone, PartialEq, Serializable, Phases)] enum OrderPhase { Placed }
    /// #[test]
    /// fn the_diagram_is_that_of_the_code() {
    ///     OrderPhase::CHART.check("docs/order.mmd").unwrap();
    /// }
    /// ```
    ///
    /// # Errors
    /// The file can't be read, or has another diagram. With the environment variable `AMIKO_BLESS=1` the file is written instead.
    pub fn check(&self, file: impl AsRef<Path>) -> Result<(), String> {
        let (file, text) = (file.as_ref(), self.mermaid());
        if std::env::var_os("AMIKO_BLESS").is_some_and(|value| value == "1") {
            return std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()));
        }
        let bless = "run the test with AMIKO_BLESS=1 to write it";
        let found = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}; {bless}", file.display()))?;
        if found == text {
            return Ok(());
        }
        let (name, file) = (self.name, file.display());
        Err(format!("{file}: expected the diagram of {name}, found another one; {bless}\n\n{text}"))
    }

    /// All names are of one diagram, so those inside a phase begin with its name, and are shown without it.
    fn draw(&self, text: &mut String, depth: usize, outer: &str, said: &dyn Fn(&Self, usize, usize) -> String) {
        let indent = "    ".repeat(depth);
        let line = |text: &mut String, line: std::fmt::Arguments<'_>| {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{indent}{line}");
        };
        let named = |phase: &PhaseShape| format!("{outer}{}", phase.name);
        if !outer.is_empty() {
            for phase in self.phases {
                line(text, format_args!("state \"{}\" as {}", phase.name, named(phase)));
            }
        }
        let begins = self.phases.iter().enumerate().filter(|(place, _)| self.begins_in(*place));
        for (_, phase) in begins {
            line(text, format_args!("[*] --> {}", named(phase)));
        }
        for (place, phase) in self.phases.iter().enumerate() {
            let name = named(phase);
            if let Some(inner) = phase.inner {
                line(text, format_args!("state {name} {{"));
                inner.draw(text, depth + 1, &format!("{name}_"), said);
                line(text, format_args!("}}"));
            }
            if let Some(taken) = phase.on {
                line(text, format_args!("{name} : on {}", taken.join(", ")));
            }
            if let Some(After { when, send }) = phase.after {
                line(text, format_args!("{name} : after {when}, {send}"));
            }
            for (to, next) in phase.next.iter().filter_map(|to| Some((*to, self.phases.get(*to)?))) {
                line(text, format_args!("{name} --> {}{}", named(next), said(self, place, to)));
            }
            if phase.next.is_empty() {
                line(text, format_args!("{name} --> [*]"));
            }
        }
    }
}
