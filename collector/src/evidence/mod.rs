//! From a dump to the folder of its evidence.

pub mod cut;
pub mod dump_files;
pub mod examine;
pub mod folded;
pub mod group;
pub mod recorded;
pub mod recording;
pub mod stacks;
pub mod standstill;
pub mod threads_file;
