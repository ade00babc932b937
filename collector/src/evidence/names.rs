//! Names of files in a bundle that are read again.

pub(crate) const DUMP: &str = "dump.bin";
/// What was added to the dump from outside, in the same form: answers of threads that took no signal,
/// samples. The file is there only if something was added.
pub(crate) const DUMP_OUTSIDE: &str = "dump_outside.bin";
