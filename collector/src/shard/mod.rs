//! A shard: the part of a hunt or a matrix that one task of a cluster makes.
//!
//! - [`part`]: which runs a shard has
//! - [`choose`]: the shard of this process, from its arguments and its environment
//! - [`machine`]: the machine that makes the runs
//! - [`record`]: `shard.json`, what a shard leaves for `merge`
//! - [`settings`]: settings by name, which all shards of one job share

pub(crate) mod choose;
pub(crate) mod machine;
pub(crate) mod part;
pub(crate) mod record;
pub(crate) mod settings;

pub(crate) use choose::{Chosen, Own};
pub(crate) use part::Shard;
pub(crate) use record::{Job, Record};
