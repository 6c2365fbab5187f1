//! Bytes are a patch of a document; it is applied or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| amiko_fuzz::patch(bytes));
