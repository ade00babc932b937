//! hangscope's collector: listens to the shims, captures hangs, analyses them, hunts, reports.
//!
//! Data flows one way: `listen` (frames from the shims) -> `session` (a dump put together) -> `symbolize`
//! (names for addresses) -> `analysis` (pure: a dump in, findings out) -> verdict -> `report`.

pub mod analysis;
pub mod cancel;
pub mod capture;
pub mod cli;
pub mod collect;
pub mod cut;
pub mod descriptors;
pub mod elf;
pub mod ending;
pub mod examine;
pub mod exit;
pub mod file_facts;
pub mod hunt;
pub mod listen;
pub mod note;
pub mod pin;
pub mod preload;
pub mod profile;
pub mod recorded;
pub mod recording;
pub mod report;
pub mod session;
pub mod shim_path;
pub mod shrink;
pub mod snap;
pub mod standstill;
pub mod store;
pub mod symbolize;
pub mod task;
pub mod verify;

#[cfg(test)]
mod fake_shim;
