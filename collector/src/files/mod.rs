//! What a file is, a pinned copy of it, and how files are written.
//!
//! - [`elf`]: what kind of ELF file it is
//! - [`facts`]: the file at a path, with the fields that a shim reports
//! - [`links`]: what it tells the loader
//! - `companions`: the DSOs that it finds beside itself
//! - [`pin`]: a read-only copy of a DSO, with its SHA-1
//! - [`carrier`]: a small DSO that brings the shim and an allocator
//! - [`stamp`]: a date as part of a file name
//! - [`private`]: for the user alone; [`folder`]: nothing is followed that somebody else put there
//! - [`bounded`]: files of somebody else are read within limits
//! - [`journal`]: files that grow by a line for each run; [`lines`]: such files of any length are read
//! - [`settings`]: the settings of a job, kept in its folder
//! - [`atomic`]: files are written whole or not at all; [`free`]: large ones leave room for small ones

pub(crate) mod atomic;
pub(crate) mod bounded;
pub(crate) mod carrier;
mod companions;
pub(crate) mod elf;
pub(crate) mod facts;
pub(crate) mod folder;
pub(crate) mod free;
pub(crate) mod journal;
pub(crate) mod lines;
pub(crate) mod links;
pub(crate) mod pin;
pub(crate) mod private;
pub(crate) mod settings;
pub(crate) mod stamp;
