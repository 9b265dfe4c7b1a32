//! libFuzzer's entry to [`oddwire_fuzz::tlv`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oddwire_fuzz::tlv::run(data));
