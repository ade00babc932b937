//! Limits that several rooms share.

/// Threads that a dump can name. More are counted and left out, and the dump says so.
pub(crate) const MOST_THREADS: usize = 32 * 1024;
/// DSOs that are followed. More are counted, and a note says so.
pub(crate) const MOST_DSOS: usize = 256;
