//! From a dump to the folder of its evidence.

pub mod cut;
pub(crate) mod dump_files;
pub(crate) mod examine;
pub(crate) mod folded;
pub(crate) mod group;
pub mod recorded;
pub mod recording;
pub(crate) mod stacks;
pub(crate) mod standstill;
pub(crate) mod threads_file;
