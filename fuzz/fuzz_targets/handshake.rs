//! A stranger's bytes: nobody gets in, and nothing is answered.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| amiko_fuzz::net::handshake(bytes));
