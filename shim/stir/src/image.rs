//! The image of the allocator: what provides `malloc`.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hangscope_reader::elf::Headers;
use hangscope_reader::link_map;
use object::elf::PT_LOAD;

use crate::arch;
use crate::sys::Own;

unsafe extern "C" {
    /// The loader's list for debuggers. Only its address is used.
    static _r_debug: u8;
}

/// Load bias of the allocator, and where it is mapped; 0: not known, or it is libc. Written by the
/// constructor only, before threads are held.
static BIAS: AtomicU64 = AtomicU64::new(0);
static START: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);
/// Whether that segment can be read and executed, and not written. Written as those.
static IS_CODE: AtomicBool = AtomicBool::new(false);

/// The segment of an image in which an address is, of all whose headers are read; whether it is only code.
fn segment(bias: u64, address: u64) -> Option<(Range<u64>, bool)> {
    let headers = Headers::read(&Own, bias)?;
    let mut all = headers.segments(PT_LOAD);
    let offset = address.checked_sub(bias)?;
    let found = all.find(|s| (s.vaddr..s.vaddr.saturating_add(s.size)).contains(&offset))?;
    Some((bias + found.vaddr..bias + found.vaddr + found.size, found.is_code))
}

/// Looks for the allocator; does nothing where malloc is that of libc.
pub(crate) fn find_allocator() {
    let malloc = arch::malloc_address();
    let list = || link_map::List::new(&Own, &raw const _r_debug as u64);
    let libc = list().find_map(|linked| {
        let exit = linked.function(&Own, b"__libc_start_main")?;
        segment(linked.bias, exit)
    });
    let Some((linked, found)) = list().find_map(|linked| Some((linked, segment(linked.bias, malloc)?)))
    else {
        return;
    };
    if libc.as_ref() == Some(&found) {
        return;
    }
    let (code, is_code) = found;
    IS_CODE.store(is_code, Ordering::Relaxed);
    BIAS.store(linked.bias, Ordering::Relaxed);
    START.store(code.start, Ordering::Relaxed);
    END.store(code.end, Ordering::Relaxed);
}

/// Load bias of the allocator, and the segment that has its code.
pub(crate) fn allocator() -> Option<(u64, Range<u64>)> {
    let code = START.load(Ordering::Relaxed)..END.load(Ordering::Relaxed);
    (!code.is_empty()).then(|| (BIAS.load(Ordering::Relaxed), code))
}

/// Whether the allocator's segment can be written only after [`crate::sys::make_code`], and is as before
/// after it.
pub(crate) fn is_only_code() -> bool {
    IS_CODE.load(Ordering::Relaxed)
}

/// Whether an address is in the allocator's code. Where the allocator is libc's, every address is.
#[inline]
pub(crate) fn is_allocators(address: u64) -> bool {
    let end = END.load(Ordering::Relaxed);
    end == 0 || (START.load(Ordering::Relaxed)..end).contains(&address)
}
