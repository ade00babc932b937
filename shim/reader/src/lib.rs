//! Reads what the kernel and the loader say about a process: text files of `/proc`, and ELF images in memory.
//!
//! The shim uses it inside the process. The collector uses it from outside (`snap`, `capture`). Both sides
//! parse the same bytes with the same code, so a dump from inside and a dump from outside cannot differ in
//! how they were read.
//!
//! The crate opens nothing and calls no system call. The caller brings the bytes of a file, or a [`Memory`].
//!
//! Guarantees, for any input (the process may be corrupted, the file may be cut off):
//!
//! - No allocation. Results borrow from the caller's bytes, or are small values. `no_std`, without `alloc`.
//! - No panic, and no unsafe code. What makes no sense is `None` or is passed over.
//! - Every loop is bounded: by the length of the lent bytes, or by a constant where a list is followed in
//!   memory.
//! - At most 4 KiB of stack for one call.
//!
//! - [`text`]: numbers, fields and lines
//! - [`task`], [`status`]: the files of a thread
//! - [`thread`]: all files of a thread together, as a record of a dump
//! - [`owner`]: owners that futex words name
//! - [`maps`]: the lines of `maps`
//! - [`memory`]: the [`Memory`] trait
//! - [`perf`]: samples in a ring of `perf_event_open`
//! - [`elf`]: an image in memory: headers, dynamic section, notes, build-id, symbols, relocations
//! - [`carrier`]: the settings that a carrier brings
//! - [`link_map`]: the loader's list of images, in the order of symbol search
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![expect(
    missing_docs,
    reason = "a name such as `start` says it; what needs a unit or a source has a comment"
)]

pub mod carrier;
pub mod elf;
pub mod link_map;
pub mod maps;
pub mod memory;
pub mod owner;
pub mod perf;
pub mod status;
pub mod task;
pub mod text;
pub mod thread;

pub use memory::Memory;
