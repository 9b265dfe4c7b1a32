//! libFuzzer's entry to [`oddwire_fuzz::onion`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oddwire_fuzz::onion::run(data));
