//! One test program for the table and for the built allocators.

mod files;
mod hangs;
mod races;
mod support;
mod table;
mod tripwire;
