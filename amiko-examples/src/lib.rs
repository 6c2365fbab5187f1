//! The payment node: the machines of [`payment`], which the binary `amiko-node` runs; and in `examples/` the smallest
//! programs.

pub mod payment;
