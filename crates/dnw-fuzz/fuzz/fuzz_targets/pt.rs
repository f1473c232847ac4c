#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dnw_fuzz::attempt("pt", bytes));
