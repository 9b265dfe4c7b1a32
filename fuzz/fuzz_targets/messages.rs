//! libFuzzer's entry to [`oddwire_fuzz::messages`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oddwire_fuzz::messages::run(data));
