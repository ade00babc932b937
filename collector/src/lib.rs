//! hangscope's collector: listens to the shims, captures hangs, analyses them, hunts, reports.
//!
//! Data flows one way: `listen` (frames from the shims) -> `session` (a dump put together) -> `symbolize`
//! (names for addresses) -> `analysis` (pure: a dump in, findings out) -> verdict -> `report`.

pub mod analysis;
pub mod capture;
pub mod cli;
pub mod collect;
pub mod console;
pub mod evidence;
pub mod files;
pub mod hunt;
pub mod launch;
pub mod listen;
pub mod proc;
pub mod profile;
pub mod report;
pub mod session;
pub mod shrink;
pub mod snap;
pub mod symbolize;
#[macro_use]
pub mod text;
pub mod verify;

#[cfg(test)]
mod testkit;
