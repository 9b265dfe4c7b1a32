//! libFuzzer's entry to [`oddwire_fuzz::parameters`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oddwire_fuzz::parameters::run(data));
