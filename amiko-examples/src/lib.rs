//! The payment node: the machines of [`payment`], which the binary `amiko-node` runs. [`running`] is twelve of them in
//! one process, [`printable`] says what of a text may be shown, and `examples/` has the smallest programs.

pub mod payment;
pub mod printable;
pub mod running;

/// The examples of `docs/testing.md`.
#[cfg(doctest)]
#[doc = include_str!("../../docs/testing.md")]
struct Testing;
