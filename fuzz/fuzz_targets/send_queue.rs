//! libFuzzer's entry to [`oddwire_fuzz::send_queue`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oddwire_fuzz::send_queue::run(data));
