//! The payment node: the machines of [`payment`], which the binary `amiko-node` runs. [`running`] is twelve of them in
//! one process, [`printable`] says what of a text may be shown, and `examples/` has the smallest programs.

#[cfg(doctest)]
mod book;
pub mod payment;
pub mod printable;
pub mod running;
