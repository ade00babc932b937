//! The real thing, end to end: one binary, so that tests that mostly wait run beside each other.

mod arms;
mod bad_input;
mod class_variants;
mod classes;
mod collect;
mod confusion;
mod counters;
mod cut;
mod host_unchanged;
mod hunt;
mod hunt_ends;
mod hunts;
mod integrity;
mod link;
mod machines;
mod perf;
mod shrink;
mod snap;
mod stall;
mod stir;
mod tripwire;
mod until_decided;
mod verify;
