//! libFuzzer's entry to [`oddwire_fuzz::transport`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oddwire_fuzz::transport::run(data));
