//! Healthy: what all the others are but for their fault.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use common::Hooks;

struct Fault;

impl Hooks for Fault {}
