//! Bytes are read; what is read comes back.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| amiko_fuzz::reader(bytes));
