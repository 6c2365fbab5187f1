//! Each machine of the payment node, one event at a time: an input, and exactly what comes of it.

#![allow(clippy::unwrap_used)]

mod bitcoin;
mod channel;
mod clocks;
mod deposits;
mod invitations;
mod limits;
mod link;
mod machine;
mod meeting_point;
mod messages;
mod names;
mod node;
mod payee;
mod payer;
mod prototype3;
mod prototype_iou;
mod rollbacks;
mod transaction;
mod wire;
