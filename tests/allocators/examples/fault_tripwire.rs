//! Healthy, but aborts the process if the shim calls it.

#[path = "common/mod.rs"]
mod common;
#[path = "common/tripwire.rs"]
mod exports;

use common::Hooks;

struct Fault;

impl Hooks for Fault {
    fn start() {
        exports::arm();
    }
}
