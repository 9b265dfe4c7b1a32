//! libFuzzer's entry to [`oddwire_fuzz::connection`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oddwire_fuzz::connection::run(data));
