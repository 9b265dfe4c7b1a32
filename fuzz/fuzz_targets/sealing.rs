//! libFuzzer's entry to [`oddwire_fuzz::sealing`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oddwire_fuzz::sealing::run(data));
