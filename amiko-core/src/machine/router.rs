//! One event, from its first message to the last one that it caused.
//!
//! Invariant: messages are delivered in the order in which they were sent, and no event takes more than
//! [`Limits::steps`](crate::event::Limits::steps) of them.

use super::taking::Taking;
use super::{Context, Hosts, Node, StateMachine};
use crate::event::{Event, Step};
use crate::rejection::Rejection;
use crate::tree::{Id, Keeps};

/// Takes steps until none is left.
pub(crate) fn run<N: Node>(node: &mut N, event: &mut Event<N>) -> Result<(), Rejection> {
    let mut steps = 0;
    while let Some((parent, step)) = event.queue.pop_front() {
        steps += 1;
        if steps > event.limits.steps {
            let limit = event.limits.steps;
            let rejection = Rejection::new(format!("expected at most {limit} steps in one event, found more"));
            return Err(rejection.with_chain(event.chain(parent)));
        }
        match step {
            Step::Deliver(envelope) => {
                event.trace(&envelope, parent);
                let outcome = node.deliver(envelope, event);
                if let Err(rejection) = outcome.and_then(|()| event.fault.take().map_or(Ok(()), Err)) {
                    return Err(rejection.with_chain(event.last_chain()));
                }
            }
            Step::Change(change) => {
                change(node, &mut event.dispatcher).map_err(|rejection| rejection.with_chain(event.chain(parent)))?;
            }
        }
    }
    event.answer()?;
    event.fault.take().map_or(Ok(()), Err)
}

/// Delivers a message to a machine in a table: for the code that the derive writes.
///
/// The handler works on a copy, so that it can read the whole node meanwhile; the copy replaces the object when the
/// handler has returned.
///
/// # Errors
/// There is no such machine, or its handler rejects the message.
#[inline]
pub fn deliver<M: StateMachine>(
    node: &mut M::Node,
    id: &Id<M>,
    message: M::Message,
    event: &mut Event<M::Node>,
    taking: impl Taking<M>,
) -> Result<(), Rejection>
where
    M::Node: Hosts<M> + Keeps<M>,
{
    let Some(machine) = node.table().get(id) else {
        event.name(id);
        return Err(Rejection::new(format!("expected {id}, found none")));
    };
    if let Err(rejection) = taking.expect_taken(machine, &message) {
        event.name(id);
        return Err(rejection);
    }
    let mut machine = machine.clone();
    let outcome = {
        let _handling = event.watch(id);
        machine.handle(message, &mut Context::new(event, Some(&*node), id))
    };
    if outcome.is_err() || event.fault.is_some() || event.names_all {
        event.name(id);
    }
    outcome?;
    node.table_mut().replace(id, machine);
    Ok(())
}

/// Delivers a message to the node itself: for the code that the derive writes.
///
/// # Errors
/// Its handler rejects the message.
pub fn deliver_to_node<N>(
    node: &mut N,
    message: N::Message,
    event: &mut Event<N>,
    taking: impl Taking<N>,
) -> Result<(), Rejection>
where
    N: StateMachine<Node = N> + Node,
    N::Key: Default,
{
    let id = Id::new(N::Key::default());
    taking.expect_taken(node, &message)?;
    if event.own.is_none() {
        event.own = Some(node.own());
    }
    let _handling = event.watch(&id);
    node.handle(message, &mut Context::new(event, None, &id))
}
