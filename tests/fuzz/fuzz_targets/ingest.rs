#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(
    // The hook of libFuzzer ends the process at any panic, also at those of the libraries of binary formats, which their reader catches. One that
    // nobody catches still does.
    init: std::panic::set_hook(Box::new(|_| ())),
    |data: &[u8]| targets::ingest(data)
);
