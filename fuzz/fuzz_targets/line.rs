//! What a peer says to a node, in any pieces.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| amiko_fuzz::line::line(bytes));
