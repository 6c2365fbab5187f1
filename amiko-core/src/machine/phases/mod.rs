//! Phases, and the moves between them.
//!
//! Invariant: a move leads only to a phase that `next` lists; a refused move changes nothing. A time-out is armed by the move into its
//! phase, until it fires or a move leaves the phase.

mod chart;
#[cfg(feature = "sim")]
pub(crate) mod coverage;
mod moves;
mod svg;

pub use chart::{After, Chart, PhaseShape};
pub use moves::{Hook, Phased, PhasesOf, Takes, expect_taken};

use crate::Rejection;
use crate::serializable::{
    Change, Kept, Patch, Pointer, ReadError, Reader, Reference, Schema, Serializable, Summary, WriteError, Writer,
};
use std::fmt;
use std::ops::Deref;

/// The phases of a machine: an enum, each of whose variants lists the phases that may follow it.
///
/// Derive it: `#[amiko(next(A, B))]` on a variant lists the phases that may follow it, and a variant without it is
/// final. Staying in a phase is a move too, and has to be listed. A machine begins in the first variant, unless
/// `#[default]` is on another. The machine's field is a [`Phase`], which nothing but a move changes.
///
/// ```
/// use amiko_core::prelude::*;
///
/// #[derive(Debug, Clone, Copy, PartialEq, Serializable, Phases)]
/// enum OrderPhase {
///     #[amiko(next(Open, Paid, Cancelled))] // it may be changed while it is open
///     Open,
///     #[amiko(next(Shipped))]
///     Paid,
///     Shipped,
///     Cancelled,
/// }
///
/// let mut phase = Phase::<OrderPhase>::new();
/// phase.enter(OrderPhase::Open)?;
/// phase.enter(OrderPhase::Paid)?;
///
/// let rejection = phase.enter(OrderPhase::Cancelled).unwrap_err();
/// assert_eq!(rejection.reason(), "OrderPhase: expected one of Shipped after Paid, found Cancelled");
/// assert_eq!(phase, OrderPhase::Paid);
///
/// assert_eq!(
///     OrderPhase::CHART.mermaid(),
///     "stateDiagram-v2
///     [*] --> Open
///     Open --> Open
///     Open --> Paid
///     Open --> Cancelled
///     Paid --> Shipped
///     Shipped --> [*]
///     Cancelled --> [*]
/// "
/// );
/// # Ok::<(), Rejection>(())
/// ```
///
/// # Data
/// A variant may have fields: they are there while the machine is in that phase, and are read by matching on the phase. A
/// move names variants, whatever their data. The phase in which a machine begins has none.
///
/// # Phases inside a phase
/// A variant with a field of type `Phase<Inner>` holds another enum of phases. Moves are made at each level; who leaves the
/// outer phase leaves the inner one with it. To come back to the inner phase later, keep a copy of it in a
/// [`History`], and enter the outer phase with [`History::resume`].
///
/// # Time-outs
/// With `#[amiko(machine = Order)]` on the enum, a phase can have a time-out: a message that the machine gets when it has been
/// in that phase for so long. The commit that enters the phase arms it, and the commit that leaves the phase cancels it; an
/// event that is rejected does neither. Like every timer it survives a restart, and it fires once. The machine moves with
/// [`Phased::enter`], and is made with [`Context::begin_phase`](super::Context::begin_phase) if it begins with a time-out.
///
/// ```
/// use amiko_core::{prelude::*, store::Memory};
///
/// #[derive(Clone, Default, Serializable, Node)]
/// #[amiko(machine)]
/// struct Door { phase: Phase<DoorPhase> }
///
/// #[derive(Clone, Copy, Debug, PartialEq, Serializable, Phases)]
/// #[amiko(machine = Door)]
/// enum DoorPhase {
///     #[amiko(next(Open), on(Open))]
///     Closed,
///     #[amiko(next(Closed, Open), after(seconds = 30, send = Close))]
///     Open,
/// }
///
/// #[derive(Clone, Serializable)]
/// enum DoorMessage { Open, Close }
///
/// impl StateMachine for Door {
///     type Node = Self;
///     type Message = DoorMessage;
///
///     fn handle(&mut self, message: DoorMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
///         match message {
///             DoorMessage::Open => self.enter(DoorPhase::Open, cx),
///             DoorMessage::Close => self.enter(DoorPhase::Closed, cx),
///         }
///     }
/// }
///
/// let (door, begin) = (Id::<Door>::new(()), Time::from_secs(1_000));
/// let mut engine = Engine::<Door, _>::open(Memory::new(), Settings::default())?;
/// let error = engine.send(&door, DoorMessage::Close, begin).unwrap_err();
/// assert!(error.to_string().contains("DoorPhase: expected Open while it is Closed, found Close"), "{error}");
///
/// engine.send(&door, DoorMessage::Open, begin)?;
/// engine.send(&door, DoorMessage::Open, begin + secs(20))?; // entered once more: the time-out begins anew
/// assert_eq!(engine.next_due(), Some(begin + secs(50)));
/// engine.tick(begin + secs(50))?;
/// assert_eq!(engine.node().phase, DoorPhase::Closed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// | on the enum | |
/// |---|---|
/// | `machine = Order` | the machine whose phases they are |
/// | `field = state` | the machine's field, if it isn't `phase` |
/// | `within = OrderPhase` | these are phases inside one of `OrderPhase` |
///
/// | on a variant | |
/// |---|---|
/// | `next(A, B)` | the phases that may follow |
/// | `initial` | a machine may also begin here: see [`Phase::at`] |
/// | `after(minutes = 15, send = Expire)` | a time-out; also in `milliseconds`, `seconds`, `hours`, `days`; `duration = EXPRESSION` of a `Duration`; `at = function`, a `fn(&Self) -> Time`, or of an `Option<Time>` |
/// | `on(Ship, Cancel)` | the messages that the machine takes in this phase; all, if it isn't there. Others are rejected: also those of effects, and of time-outs of other fields. One of the enums of a machine may have it, with those inside |
/// | `entry = function`, `exit = function` | `fn(&mut Order, &mut Context<'_, Order>) -> Result<(), Rejection>`: run in the event that enters or leaves the phase, and rejected with it; not when a machine is created or removed |
#[diagnostic::on_unimplemented(
    message = "`{Self}` isn't an enum of phases",
    note = "add `#[derive(Clone, PartialEq, Serializable, Phases)]` to `{Self}`"
)]
pub trait Phases: Clone + 'static {
    /// Who makes the moves: [`ByItself`], or [`ByMachine`] with `#[amiko(machine = …)]`.
    type Moves;

    /// All phases, in the order of their declaration, and their moves.
    const CHART: &'static Chart;

    /// The phase in which a machine begins.
    const INITIAL: Self;

    /// The place of this phase in [`Chart::phases`].
    fn place(&self) -> usize;

    /// The name of the variant.
    fn name(&self) -> &'static str {
        Self::CHART.phases.get(self.place()).map_or("", |phase| phase.name)
    }
}

/// The phases move by themselves: [`Phase::enter`].
#[derive(Debug)]
pub enum ByItself {}

/// The machine moves, with [`Phased::enter`]: there may be time-outs to arm, and functions to run.
#[derive(Debug)]
pub enum ByMachine {}

/// An enum of phases, one of which holds phases of another enum: implemented by the derive.
pub trait Holds<Q: Phases>: Phases {
    /// The inner phase; none in a phase that holds none.
    fn inner(&self) -> Option<&Phase<Q>>;

    #[doc(hidden)]
    fn inner_mut(&mut self) -> Option<&mut Phase<Q>>;
}

/// The phase that a machine is in. It is read as what it holds, written as what it holds, and compares with it; but no variant can be
/// assigned to it: a move changes it.
///
/// A field can be replaced as a whole, by another `Phase`: then a machine begins anew, and nothing is checked, armed or cancelled.
#[must_use = "a phase whose time-out was armed belongs into the machine that is created"]
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Phase<P>(P);

impl<P: Phases> Phase<P> {
    /// In the phase in which a machine begins, where that has no time-out: with one, this can't be built, and
    /// [`Context::begin_phase`](super::Context::begin_phase) makes it.
    pub fn new() -> Self {
        const {
            assert!(
                !P::CHART.phases[P::CHART.initial].is_timed(),
                "the first phase has a time-out, which has to be armed: make it with `cx.begin_phase(&id)`"
            );
        }
        Self::INITIAL
    }

    /// As [`new`](Self::new), also if the first phase has a time-out. That is armed when this is inside an outer phase that is entered;
    /// otherwise it isn't, as in a state that is made outside of an event.
    pub const INITIAL: Self = Self(P::INITIAL);

    /// In another phase than the first, where a machine may begin as well: one with `#[amiko(initial)]`.
    ///
    /// # Errors
    /// It isn't one of those, or it has a time-out: then [`Context::begin_phase_at`](super::Context::begin_phase_at) makes it.
    pub fn at(phase: P) -> Result<Self, Rejection> {
        let shape = expect_initial::<P>(&phase)?;
        if shape.is_timed() {
            let (chart, name) = (P::CHART.name, shape.name);
            return Err(Rejection::new(format!(
                "{chart}: {name} has a time-out, which has to be armed: begin with `cx.begin_phase_at`"
            )));
        }
        Ok(Self(phase))
    }

    /// The phase inside this one; none if this one holds none of that enum.
    pub fn inner<Q: Phases>(&self) -> Option<&Phase<Q>>
    where
        P: Holds<Q>,
    {
        self.0.inner()
    }

    /// For the code that the derive writes.
    #[doc(hidden)]
    pub fn inner_of_machine<Q: Phases>(&mut self) -> Option<&mut Phase<Q>>
    where
        P: Holds<Q>,
    {
        self.0.inner_mut()
    }
}

/// Phases without a machine: they have neither time-outs nor functions to run.
impl<P: Phases<Moves = ByItself>> Phase<P> {
    /// The phase inside this one, to be moved; none if this one holds none of that enum.
    pub fn inner_mut<Q: Phases>(&mut self) -> Option<&mut Phase<Q>>
    where
        P: Holds<Q>,
    {
        self.0.inner_mut()
    }

    /// Enters another phase, or stays if that is listed as a move.
    ///
    /// # Errors
    /// This phase doesn't list the other one as its next. The phase is unchanged then, and the rejection names the
    /// enum, both phases, and those that were expected.
    #[inline]
    pub fn enter(&mut self, next: P) -> Result<(), Rejection> {
        P::CHART.expect_move(self.0.place(), next.place())?;
        #[cfg(feature = "sim")]
        coverage::note(P::CHART, self.0.place(), next.place());
        self.0 = next;
        Ok(())
    }
}

fn expect_initial<P: Phases>(phase: &P) -> Result<&'static PhaseShape, Rejection> {
    let chart = P::CHART;
    match chart.phases.get(phase.place()) {
        Some(shape) if chart.begins_in(phase.place()) => Ok(shape),
        found => {
            let names = chart.phases.iter().enumerate().filter(|(place, _)| chart.begins_in(*place));
            let names: Vec<_> = names.map(|(_, shape)| shape.name).collect();
            let (chart, found) = (chart.name, found.map_or("", |shape| shape.name));
            let expected = names.join(", ");
            Err(Rejection::new(format!("{chart}: expected to begin with one of {expected}, found {found}")))
        }
    }
}

impl<P: Phases> Default for Phase<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> Deref for Phase<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0
    }
}

impl<P: PartialEq> PartialEq<P> for Phase<P> {
    fn eq(&self, other: &P) -> bool {
        self.0 == *other
    }
}

/// As what it holds.
impl<P: fmt::Debug> fmt::Debug for Phase<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A phase that was left, kept to come back to it.
///
/// ```
/// use amiko_core::{History, prelude::*};
///
/// #[derive(Debug, Clone, PartialEq, Serializable, Phases)]
/// enum Job {
///     #[amiko(next(Paused))]
///     Running { step: Phase<Step> },
///     #[amiko(next(Running))]
///     Paused { at: History<Step> },
/// }
///
/// #[derive(Debug, Clone, PartialEq, Serializable, Phases)]
/// enum Step {
///     #[amiko(next(Upload))]
///     Download,
///     Upload,
/// }
///
/// let mut job = Phase::<Job>::new();
/// job.inner_mut::<Step>().unwrap().enter(Step::Upload)?;
/// let at = History::of(job.inner().unwrap());
/// job.enter(Job::Paused { at: at.clone() })?;
/// job.enter(Job::Running { step: at.resume() })?;
/// assert_eq!(job.inner().unwrap(), &Step::Upload);
/// # Ok::<(), Rejection>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct History<P>(P);

impl<P: Phases> History<P> {
    /// Keeps this phase.
    pub fn of(phase: &Phase<P>) -> Self {
        Self(phase.0.clone())
    }

    /// The phase to continue with: entered as part of the outer phase, it arms its time-out anew.
    pub fn resume(&self) -> Phase<P> {
        Phase(self.0.clone())
    }
}

impl<P: fmt::Debug> fmt::Debug for History<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Both are written as what they hold.
macro_rules! written_as_held {
    ($($name:ident: $called:expr),*) => {$(
        crate::serializable::of_serde!([P: Phases + Serializable] $name<P>);

        impl<P: Phases + Serializable> Serializable for $name<P> {
            const EXACT: bool = P::EXACT;

            #[inline]
            fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
                self.0.write(out)
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
                P::read(input).map(Self)
            }

            fn class(&self) -> Option<&'static str> {
                self.0.class()
            }

            fn is_class(name: &str) -> bool {
                P::is_class(name)
            }

            fn classes(known: &mut Vec<&'static str>) {
                P::classes(known);
            }

            fn is_null(&self) -> bool {
                self.0.is_null()
            }

            #[inline]
            fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
                self.0.difference(&old.0, patch)
            }

            #[inline]
            fn same(&self, old: &Self) -> bool {
                self.0.same(&old.0)
            }

            #[inline]
            fn weight(&self, kept: Kept) -> usize {
                self.0.weight(kept)
            }

            fn apply(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
                self.0.apply(pointer, change)
            }

            fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
                self.0.references(visit);
            }

            fn summarize(&self, out: &mut Summary) {
                self.0.summarize(out);
            }

            fn schema(schema: &mut Schema) -> String {
                let called = P::schema(schema);
                $called(schema, called)
            }
        }
    )*};
}

written_as_held!(Phase: Schema::phase, History: |_: &mut Schema, called| called);
