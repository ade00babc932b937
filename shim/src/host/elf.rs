//! The images of this process, as the loader left them: read by system calls, so nothing is dereferenced.

use hangscope_reader::{Memory, link_map};

use crate::sys;

unsafe extern "C" {
    /// The loader's list for debuggers. Only its address is used.
    static _r_debug: u8;
}

/// Address of the first definition of a function in the order of symbol search, for a name without a NUL.
pub(crate) fn find_function(memory: &impl Memory, name: &[u8]) -> Option<u64> {
    link_map::find_function(memory, &raw const _r_debug as u64, name)
}

/// An address in the program's image. `/proc/self/exe` is the loader where the program was started through it.
pub(crate) fn in_program(memory: &impl Memory) -> Option<u64> {
    link_map::List::new(memory, &raw const _r_debug as u64).next().map(|program| program.dynamic)
}

/// Address of the definition of a function that comes after the one at `before` in that order.
pub(crate) fn find_next_function(name: &[u8], before: u64) -> Option<u64> {
    link_map::find_next_function(&sys::Own, &raw const _r_debug as u64, name, before)
}
