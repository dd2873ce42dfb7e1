#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| supervisor::http::fuzzing::http_target(bytes));
