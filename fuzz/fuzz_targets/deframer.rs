//! libFuzzer's entry to [`oddwire_fuzz::deframer`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oddwire_fuzz::deframer::run(data));
