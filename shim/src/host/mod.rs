//! What the host is, read from `/proc` and from its memory: threads, mappings, DSOs, descriptors,
//! credentials.

pub(crate) mod copy;
pub(crate) mod creds;
pub(crate) mod dso;
pub(crate) mod elf;
pub(crate) mod fds;
pub(crate) mod filters;
pub(crate) mod futex;
pub(crate) mod holds;
pub(crate) mod maps;
pub(crate) mod memory;
pub(crate) mod peer;
pub(crate) mod stall;
pub(crate) mod task;
