//! What neighbours say to a payment node with payments under way.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| amiko_fuzz::message::message(bytes));
