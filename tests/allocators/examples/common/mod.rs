//! What the allocators share. Each of them includes this by path, and so has it in its own code, under
//! the same C names and lines that a person would see in a real allocator.
//!
//! - [`front`]: sizes, and the thread's own cache, which takes no lock;
//! - [`mid`]: the central part for middle sizes, shelves of free blocks under [`mutexes`];
//! - [`hooks`]: where an allocator differs from a healthy one;
//! - [`start`]: the constructor, and settings.
//!
//! The functions that the host calls stand in `exports.rs` (or `tripwire.rs`), which each allocator
//! includes beside this. Below all of it is glibc's `malloc` by its second names.

pub(crate) mod front;
pub(crate) mod hooks;
pub(crate) mod mid;
pub(crate) mod mutexes;
mod start;
pub(crate) mod system;

pub(crate) use hooks::Hooks;
pub(crate) use mid::Shelf;
