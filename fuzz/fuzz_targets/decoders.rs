//! libFuzzer's entry to [`oddwire_fuzz::decoders`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oddwire_fuzz::decoders::run(data));
