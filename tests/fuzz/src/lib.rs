//! What reads bytes that somebody else wrote, one function for each kind. Any bytes may come: a function
//! must return, and what it checks must hold.
//!
//! `targets/` has a cargo-fuzz target for each, which only calls it; `corpus/` has the inputs that fuzzing
//! kept. `cargo test -p hangscope-test-fuzz` goes through these inputs without a fuzzer.
#![expect(missing_docs, reason = "the comment of each module says what its function reads")]

pub mod elf;
pub mod frames;
pub mod maps;
pub mod perf;
pub mod profile;
pub mod recording;

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// The targets by name: the folder of the inputs, and the function.
pub const TARGETS: [(&str, Target); 6] = [
    ("elf", elf::any),
    ("frames", frames::any),
    ("maps", maps::any),
    ("perf", perf::any),
    ("profile", profile::any),
    ("recording", recording::any),
];
