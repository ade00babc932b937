//! The code that the allocators share. Each allocator includes it by path and so has its own copy. A finding
//! then shows C names and lines as it would for a real allocator.
//!
//! - [`front`]: chooses the part that serves a size, and keeps each thread's cache, which takes no lock;
//! - [`mid`]: the central part for middle sizes: shelves of free blocks, protected by [`mutexes`];
//! - [`shelf`]: the list of free blocks of one size;
//! - [`hooks`]: where a faulty allocator differs from a healthy one;
//! - [`start`]: the constructor and its settings.
//!
//! The functions that the host calls are in `exports.rs` or `tripwire.rs`. Each allocator includes one of
//! the two in addition to this module. All memory comes from glibc's `malloc`, by its `__libc_` names.

pub(crate) mod front;
pub(crate) mod hooks;
pub(crate) mod mid;
pub(crate) mod mutexes;
pub(crate) mod shelf;
mod start;
pub(crate) mod system;

pub(crate) use hooks::Hooks;
