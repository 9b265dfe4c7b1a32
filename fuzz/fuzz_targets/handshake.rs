//! libFuzzer's entry to [`oddwire_fuzz::handshake`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oddwire_fuzz::handshake::run(data));
