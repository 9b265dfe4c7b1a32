//! libFuzzer's entry to [`oddwire_fuzz::plugin`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oddwire_fuzz::plugin::run(data));
