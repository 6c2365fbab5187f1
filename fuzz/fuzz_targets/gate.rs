//! Bytes are what somebody writes who may write anything; the journal takes what can be read back.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| amiko_fuzz::gate::gate(bytes));
