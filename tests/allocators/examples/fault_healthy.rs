//! The healthy allocator. Each of the others is this one plus a fault.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use common::Hooks;

struct Fault;

impl Hooks for Fault {}
