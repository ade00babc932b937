//! From a dump to a bundle, and back.
//!
//! - [`bundle`]: writes the folder of a dump; `contents`: what it is
//!   made from; `large`: its large files; [`missing`]: what could not be written
//! - [`finding_files`]: `threads.json`, `stacks.txt`, `samples.folded`; each in a file of its own:
//!   [`threads_file`], [`stacks`] with [`group`], [`folded`], `holds_file`
//! - [`recording`]: `recording.json.gz`, all that a finding was made from
//! - [`saved`]: reads a `dump.bin` or a recording again
//! - [`truncated_stacks`]: asks threads whose stack is cut short, during their dump
//! - [`stall`]: whether a process that has not moved is stuck

pub mod bundle;
mod contents;
pub(crate) mod excerpts;
pub(crate) mod finding_files;
pub(crate) mod folded;
pub(crate) mod group;
mod holds_file;
mod large;
pub(crate) mod loop_file;
pub(crate) mod missing;
mod names;
pub mod recording;
pub mod saved;
pub(crate) mod stacks;
pub(crate) mod stall;
pub(crate) mod threads_file;
pub mod truncated_stacks;
