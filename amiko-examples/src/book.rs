//! The listings of the book in `docs/`, as tests.

#[doc = include_str!("../../docs/testing.md")]
struct Testing;
