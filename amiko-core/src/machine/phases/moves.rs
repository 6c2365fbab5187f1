//! The moves of a machine: what runs, and which time-outs are cancelled and armed.
//!
//! Invariant: everything here is part of the event, so whatever fails undoes all of it.

use super::{Phase, Phases, expect_initial};
use crate::Rejection;
use crate::machine::{Context, Hosts, StateMachine};
use crate::sabotage::{Sabotage, sabotaged};
use crate::time::Time;
use crate::tree::Id;

/// What runs when a phase is entered or left.
pub type Hook<M> = fn(&mut M, &mut Context<'_, M>) -> Result<(), Rejection>;

/// The phases of the machines of class `M`: implemented by the derive of `Phases` with `#[amiko(machine = M)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` aren't the phases of `{M}`",
    note = "add `#[amiko(machine = {M})]` to `{Self}`"
)]
pub trait PhasesOf<M: StateMachine>: Phases {
    /// Whether anything runs when a phase is entered or left, also of those inside.
    const HOOKS: bool;

    /// Gives the time-out of this phase, and of those inside it, each with the name of its timer.
    fn time_outs(&self, now: Time, give: &mut impl FnMut(&'static str, Time, M::Message));

    /// Gives the names of the timers that [`time_outs`](Self::time_outs) has given.
    fn timers(&self, give: &mut impl FnMut(&'static str));

    /// Adds what runs when this phase is entered, from the outside inwards.
    fn entries(&self, hooks: &mut Vec<Hook<M>>);

    /// Adds what runs when it is left, from the inside outwards.
    fn exits(&self, hooks: &mut Vec<Hook<M>>);

    /// Checks that a machine in this phase takes the message.
    ///
    /// # Errors
    /// It doesn't: the rejection says what it takes.
    fn expect_taken(&self, message: &M::Message) -> Result<(), Rejection>;
}

/// A machine that has phases of the enum `P`: implemented by the derive of `Phases` with `#[amiko(machine = …)]`.
pub trait Phased<P: PhasesOf<Self>>: StateMachine {
    #[doc(hidden)]
    fn phase_of(&self) -> Option<&Phase<P>>;

    #[doc(hidden)]
    fn phase_of_mut(&mut self) -> Option<&mut Phase<P>>;

    /// Enters another phase, or stays if that is listed as a move: runs what is to run when the old one is left, cancels its
    /// time-out, arms that of the new one, and runs what is to run when that is entered.
    ///
    /// # Errors
    /// The phase doesn't list the other one as its next; or it is a phase inside another one, in which the machine isn't; or one
    /// of the functions that ran failed. Return the rejection: the event has to be undone.
    fn enter(&mut self, next: P, cx: &mut Context<'_, Self>) -> Result<(), Rejection>
    where
        Self::Node: Hosts<Self>,
    {
        if cx.moving {
            return Err(Rejection::new(
                "a phase can't be entered while another one is being entered or left: do it in the handler, or send a message",
            ));
        }
        let Some(phase) = self.phase_of() else { return Err(not_inside::<Self, P>(cx.id(), &next)) };
        P::CHART.expect_move(phase.place(), next.place())?;
        if const { P::HOOKS } {
            let mut hooks = Vec::new();
            phase.exits(&mut hooks);
            cx.run_hooks(&hooks, self)?;
        }
        let Some(phase) = self.phase_of_mut() else { return Err(not_inside::<Self, P>(cx.id(), &next)) };
        if const { P::CHART.has_time_outs() } {
            if !sabotaged(Sabotage::TimeOutOutlivesPhase) {
                phase.0.timers(&mut |name| cx.cancel_of_phase(name));
            }
            next.time_outs(cx.now(), &mut |name, at, message| cx.timer_of_phase(name, at, message));
        }
        #[cfg(feature = "sim")]
        super::coverage::note(P::CHART, phase.place(), next.place());
        let mut hooks = Vec::new();
        if const { P::HOOKS } {
            next.entries(&mut hooks);
        }
        phase.0 = next;
        if const { P::HOOKS } { cx.run_hooks(&hooks, self) } else { Ok(()) }
    }
}

#[cold]
fn not_inside<M: StateMachine, P: Phases>(id: &Id<M>, next: &P) -> Rejection {
    let (chart, next) = (P::CHART.name, next.name());
    Rejection::new(format!("{chart}: expected {id} in a phase with {next} inside, found it in another one"))
}

/// A machine that takes some messages in some phases only: implemented by the derive of `Phases`, where an enum says so with
/// `#[amiko(on(…))]`.
pub trait Takes: StateMachine {
    /// Checks that the machine takes the message now.
    ///
    /// # Errors
    /// It doesn't: the rejection says what it takes.
    fn expect_taken(&self, message: &Self::Message) -> Result<(), Rejection>;
}

/// Checks a machine by its phase: for the code that the derive writes.
///
/// # Errors
/// It doesn't take the message now.
pub fn expect_taken<M: Phased<P>, P: PhasesOf<M>>(machine: &M, message: &M::Message) -> Result<(), Rejection> {
    machine.phase_of().map_or(Ok(()), |phase| phase.expect_taken(message))
}

/// For those who make machines with phases.
impl<M: StateMachine> Context<'_, M> {
    /// The first phase of a machine that is about to be created: arms its time-out, in order with what is created and removed. One
    /// without a time-out is made with [`Phase::new`].
    ///
    /// ```
    /// # use amiko_core::prelude::*;
    /// # #[derive(Clone, Default, Serializable, Node)]
    /// # #[amiko(machine)]
    /// # struct Shop { #[amiko(machines)] orders: Table<Order> }
    /// # #[derive(Clone, Serializable)]
    /// # struct Place {}
    /// # #[derive(Clone, Serializable)]
    /// # #[amiko(key = u64)]
    /// # struct Order { phase: Phase<OrderPhase> }
    /// # #[derive(Clone, Serializable)]
    /// # enum OrderMessage { Expire }
    /// # #[derive(Clone, Copy, PartialEq, Serializable, Phases)]
    /// # #[amiko(machine = Order)]
    /// # enum OrderPhase {
    /// #     #[amiko(next(Expired), after(minutes = 15, send = Expire))]
    /// #     Placed,
    /// #     Expired,
    /// # }
    /// # impl StateMachine for Order {
    /// #     type Node = Shop;
    /// #     type Message = OrderMessage;
    /// #     fn handle(&mut self, _: OrderMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
    /// #         self.enter(OrderPhase::Expired, cx)
    /// #     }
    /// # }
    /// # impl StateMachine for Shop {
    /// #     type Node = Self;
    /// #     type Message = Place;
    /// #     fn handle(&mut self, _: Place, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
    /// let order = Id::<Order>::new(1_u64);
    /// let phase = cx.begin_phase(&order);
    /// cx.create(&order, Order { phase });
    /// #         Ok(())
    /// #     }
    /// # }
    /// # let (mut engine, now) = (Engine::<Shop, _>::open(amiko_core::store::Memory::new(), Settings::default())?, Time::from_secs(1));
    /// # engine.send(&Id::<Shop>::new(()), Place {}, now)?;
    /// # assert_eq!(engine.next_due(), Some(now + minutes(15)));
    /// # engine.tick(now + minutes(15))?;
    /// # assert!(engine.node().orders.get(&Id::new(1_u64)).unwrap().phase == OrderPhase::Expired);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn begin_phase<T, P>(&mut self, owner: &Id<T>) -> Phase<P>
    where
        T: StateMachine<Node = M::Node>,
        P: PhasesOf<T>,
        M::Node: Hosts<T>,
    {
        // The first phase may always be begun in.
        self.begin_phase_at(owner, P::INITIAL).unwrap_or(Phase::INITIAL)
    }

    /// The same for another phase in which a machine may begin: one with `#[amiko(initial)]`.
    ///
    /// # Errors
    /// It isn't one of those.
    pub fn begin_phase_at<T, P>(&mut self, owner: &Id<T>, phase: P) -> Result<Phase<P>, Rejection>
    where
        T: StateMachine<Node = M::Node>,
        P: PhasesOf<T>,
        M::Node: Hosts<T>,
    {
        expect_initial(&phase)?;
        phase.time_outs(self.event.now, &mut |name, at, message| {
            self.event.set_timer_in_order(owner, name, at, M::Node::envelope(owner.clone(), message));
        });
        Ok(Phase(phase))
    }

    /// Runs what is to run when a phase is entered or left.
    fn run_hooks(&mut self, hooks: &[Hook<M>], machine: &mut M) -> Result<(), Rejection> {
        self.moving = true;
        let outcome = hooks.iter().try_for_each(|hook| hook(machine, self));
        self.moving = false;
        outcome
    }
}
