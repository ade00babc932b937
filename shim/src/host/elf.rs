//! The images of this process, as the loader left them: read by system calls, so nothing is dereferenced.

use core::ffi::{CStr, c_char, c_int};

use hangscope_reader::text::base_name;
use hangscope_reader::{Memory, carrier, link_map};

use crate::sys;

unsafe extern "C" {
    /// The loader's list for debuggers.
    static _r_debug: RDebug;
    /// The dynamic section of this image. Only its address is used.
    static _DYNAMIC: u8;
}

/// `struct r_debug` of <link.h>, as far as it is read.
#[repr(C)]
struct RDebug {
    version: c_int,
    map: *const LinkMap,
}

/// `struct link_map`. The path of the program is empty.
#[repr(C)]
struct LinkMap {
    bias: u64,
    path: *const c_char,
    /// Pairs of a tag and a value.
    dynamic: *const u64,
    next: *const LinkMap,
}

/// Images that are looked at: a bound for a list that runs in a ring.
const MOST: usize = 4096;
/// The file name of the shim.
const SHIM: &[u8] = b"libhangscope.so";

/// The loader's list as it is, without a system call.
///
/// # Safety
/// Only for a constructor: the loader holds its lock meanwhile, so the list stays as it is.
unsafe fn images() -> impl Iterator<Item = &'static LinkMap> {
    // SAFETY: the loader's own variable, and the caller's promise.
    let mut next = unsafe { _r_debug.map };
    core::iter::from_fn(move || {
        // SAFETY: null, or an entry of the list.
        let image = unsafe { next.as_ref() }?;
        next = image.next;
        Some(image)
    })
    .take(MOST)
}

/// Where the file of the first carrier among the images begins. Makes no system call: where there is no
/// carrier, this costs a word or two of each image.
///
/// # Safety
/// Only for a constructor.
pub(crate) unsafe fn carrier() -> Option<u64> {
    // SAFETY: the caller's promise.
    let mut images = unsafe { images() };
    let found = images.find(|image| {
        // SAFETY: the dynamic section of an image that the loader has just read, which ends with an entry of
        // tag 0. `may_be` asks for the second entry only if the first is not that one.
        !image.dynamic.is_null() && carrier::may_be(|i| unsafe { *image.dynamic.add(i * 2) })
    });
    found.map(|image| image.bias)
}

/// Whether another file with the shim's name comes before this one in the order of symbol search: that one
/// watches. A carrier may bring a copy of the shim to a program that has the shim in LD_PRELOAD.
///
/// # Safety
/// Only for a constructor.
pub(crate) unsafe fn is_second_shim() -> bool {
    // SAFETY: the caller's promise.
    let images = unsafe { images() };
    let own = &raw const _DYNAMIC;
    for image in images {
        if image.dynamic.cast() == own {
            return false;
        }
        // SAFETY: the loader's path of the image is a C string.
        if !image.path.is_null() && base_name(unsafe { CStr::from_ptr(image.path) }.to_bytes()) == SHIM {
            return true;
        }
    }
    false
}

/// Address of the first definition of a function in the order of symbol search, for a name without a NUL.
pub(crate) fn find_function(memory: &impl Memory, name: &[u8]) -> Option<u64> {
    link_map::find_function(memory, &raw const _r_debug as u64, name)
}

/// An address in the program's image. `/proc/self/exe` is the loader where the program was started through
/// it.
pub(crate) fn in_program(memory: &impl Memory) -> Option<u64> {
    link_map::List::new(memory, &raw const _r_debug as u64).next().map(|program| program.dynamic)
}

/// Address of the definition of a function that comes after the one at `before` in that order.
pub(crate) fn find_next_function(name: &[u8], before: u64) -> Option<u64> {
    link_map::find_next_function(&sys::Own, &raw const _r_debug as u64, name, before)
}

/// Address of the first variable of this name, without a NUL, in the order of symbol search.
pub(crate) fn find_variable(name: &[u8]) -> Option<u64> {
    link_map::find_variable(&sys::Own, &raw const _r_debug as u64, name)
}
