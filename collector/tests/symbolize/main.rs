//! Stacks and names of real processes.
//!
//! - `against_gdb`: names and addresses of all frames are those of gdb
//! - `names`: names come only from the code that ran; broken files do no harm
//! - `main_left`: a process without its main thread
//! - `parts`: the DSOs that make up an allocator
//! - `support`: programs that stand still, and dumps of them

mod against_gdb;
mod main_left;
mod names;
mod parts;
mod support;
