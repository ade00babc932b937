//! Stacks and names of real processes.
//!
//! - `against_gdb`: function names and addresses of every frame are gdb's
//! - `names`: names come from the code that ran, or from nowhere; garbage is survived
//! - `main_left`: a process without its main thread
//! - `support`: programs that stand still, and dumps of them

mod against_gdb;
mod main_left;
mod names;
mod support;
