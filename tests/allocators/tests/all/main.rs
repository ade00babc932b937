//! The table, the built allocators and what they do, in one test program: see its modules.

mod files;
mod hangs;
mod support;
mod table;
mod tripwire;
