//! All end-to-end tests in one program. Most tests only wait, so the program runs several of them at a time.

mod arms;
mod bad_input;
mod class_variants;
mod classes;
mod collect;
mod confusion;
mod counters;
mod crash;
mod cut;
mod host_unchanged;
mod hunt;
mod hunt_ends;
mod hunts;
mod integrity;
mod kinds;
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
mod wanted;
