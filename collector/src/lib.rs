//! hangscope's collector: listens to the shims, captures hangs, analyses them, hunts, reports.
//!
//! Data flows one way: `listen` (frames from the shims) -> `session` (a dump put together) -> `symbolize`
//! (names for addresses) -> `analysis` (pure: a dump in, findings out) -> verdict -> `report`.

pub mod analysis;
pub(crate) mod bisect;
pub mod capture;
pub mod cli;
pub mod collect;
pub mod console;
pub mod evidence;
pub(crate) mod files;
pub(crate) mod history;
pub(crate) mod hunt;
pub(crate) mod launch;
pub mod listen;
pub(crate) mod live;
pub(crate) mod matrix;
pub(crate) mod merge;
pub(crate) mod night;
pub(crate) mod proc;
pub mod profile;
pub(crate) mod report;
pub mod session;
pub(crate) mod shard;
pub(crate) mod shrink;
pub mod snap;
pub(crate) mod stir;
pub mod symbolize;
#[macro_use]
pub mod text;
pub(crate) mod timeout;
pub(crate) mod top;
pub(crate) mod verify;

#[cfg(test)]
mod testkit;
