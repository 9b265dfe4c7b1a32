//! libFuzzer's entry to [`oddwire_fuzz::json_rpc`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oddwire_fuzz::json_rpc::run(data));
