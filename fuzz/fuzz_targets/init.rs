//! libFuzzer's entry to [`oddwire_fuzz::init`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oddwire_fuzz::init::run(data));
