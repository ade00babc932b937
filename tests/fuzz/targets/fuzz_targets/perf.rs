#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hangscope_test_fuzz::perf::any(bytes));
