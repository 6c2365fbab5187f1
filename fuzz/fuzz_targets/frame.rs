//! Encrypted bytes that were changed: nothing false is heard.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| amiko_fuzz::net::frame(bytes));
