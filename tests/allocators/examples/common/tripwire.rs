//! What the host calls, in an allocator that the shim must not call: each entry looks at who calls first, and
//! ends the process if it is the shim.
//!
//! A call is the shim's if it comes from its code (the return address lies in the code of `libhangscope.so`),
//! or from its thread (which is named `hangscope`), whatever library lies between. Calls that the shim makes
//! on a thread of the host's by way of another library show only on the stack: `FAULT_SCAN_WORDS=N` has the
//! first N words of the stack searched for an address in the shim's code right after a call instruction. That
//! is for constructors and forks; with deep stacks, words that an earlier call left behind could be taken for
//! a caller.
//!
//! `FAULT_EXPECT_SHIM=1` ends the process if there is no `libhangscope.so`: nothing can pass for want of a shim.

use std::arch::naked_asm;
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use hangscope_test_allocators::raw;

use crate::common::front;

const SHIM: &[u8] = b"/libhangscope.so";
const THREAD: &[u8] = b"hangscope\0";

/// Where the shim's file begins, and where its code begins and ends; all 0 until they are known.
static SHIM_BASE: AtomicUsize = AtomicUsize::new(0);
static SHIM_START: AtomicUsize = AtomicUsize::new(0);
static SHIM_END: AtomicUsize = AtomicUsize::new(0);
static SCAN_WORDS: AtomicUsize = AtomicUsize::new(0);

struct Maps(UnsafeCell<[u8; 1 << 20]>);

// SAFETY: only the constructor uses it.
unsafe impl Sync for Maps {}

static MAPS: Maps = Maps(UnsafeCell::new([0; 1 << 20]));

/// Finds the shim. For the constructor: libraries that are preloaded are mapped before any of them starts.
pub(crate) fn arm() {
    // SAFETY: no other thread runs while constructors do.
    let maps = unsafe { &mut *MAPS.0.get() };
    let length = read_maps(maps);
    let (mut base, mut start, mut end) = (usize::MAX, usize::MAX, 0);
    for line in maps[..length].split(|byte| *byte == b'\n').filter(|line| line.ends_with(SHIM)) {
        let mut fields = line.split(|byte| *byte == b' ');
        let mut bounds = fields.next().unwrap_or_default().split(|byte| *byte == b'-');
        if let (Some(from), Some(to)) = (bounds.next().and_then(hex), bounds.next().and_then(hex)) {
            base = base.min(from);
            if fields.next().is_some_and(|rights| rights.contains(&b'x')) {
                start = start.min(from);
                end = end.max(to);
            }
        }
    }
    if end != 0 {
        SHIM_BASE.store(base, Ordering::Relaxed);
        SHIM_START.store(start, Ordering::Relaxed);
        SHIM_END.store(end, Ordering::Relaxed);
    } else if raw::number_from_env(c"FAULT_EXPECT_SHIM", 0) != 0 {
        raw::die(format_args!("tripwire: no libhangscope.so in this process"));
    }
    let words = raw::number_from_env(c"FAULT_SCAN_WORDS", 0);
    SCAN_WORDS.store(usize::try_from(words).unwrap_or(usize::MAX), Ordering::Relaxed);
}

fn read_maps(buffer: &mut [u8]) -> usize {
    // SAFETY: a C string.
    let fd = unsafe { libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    let mut length = 0;
    loop {
        let rest = &mut buffer[length..];
        // SAFETY: the rest of the buffer.
        let got = unsafe { libc::read(fd, rest.as_mut_ptr().cast(), rest.len()) };
        match usize::try_from(got) {
            Ok(0) if !rest.is_empty() => break,
            Ok(got @ 1..) => length += got,
            _ => raw::die(format_args!("tripwire: /proc/self/maps cannot be read whole")),
        }
    }
    // SAFETY: the descriptor is ours.
    unsafe { libc::close(fd) };
    length
}

fn hex(digits: &[u8]) -> Option<usize> {
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Ends the process if the shim calls. `stack` is where the return address is.
#[inline(always)]
fn check(function: &str, stack: *const usize) {
    // SAFETY: the entries below pass the stack pointer as it was at the call.
    let caller = unsafe { stack.read() };
    if is_shim(caller) {
        trip(function, "its code", caller);
    }
    let mut name = [0_u8; 16];
    // SAFETY: the kernel writes 16 bytes. No thread-local storage is touched: the shim's thread has little.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    if name.starts_with(THREAD) {
        trip(function, "its thread", caller);
    }
    for word in 1..SCAN_WORDS.load(Ordering::Relaxed) {
        // SAFETY: whoever asks for a search has as much stack above every call; main's frames and the
        // process's arguments and environment lie there.
        let address = unsafe { stack.add(word).read() };
        if is_shim(address) && follows_a_call(address) {
            trip(function, "its code, by way of another library", address);
        }
    }
}

fn is_shim(address: usize) -> bool {
    (SHIM_START.load(Ordering::Relaxed)..SHIM_END.load(Ordering::Relaxed)).contains(&address)
}

/// Whether a call instruction ends where `address`, in the shim's code, begins: with its distance in itself
/// (e8), or through a register or memory (ff /2), which may have two to seven bytes.
fn follows_a_call(address: usize) -> bool {
    let before = |distance: usize| {
        let at = address - distance;
        // SAFETY: the shim's code is mapped for as long as the process, and the address is in it.
        if is_shim(at) { unsafe { (at as *const u8).read() } } else { 0 }
    };
    let through = |length| before(length) == 0xff && before(length - 1) >> 3 & 7 == 2;
    before(5) == 0xe8 || (2..=7).any(through)
}

#[cold]
#[inline(never)]
fn trip(function: &str, from: &str, address: usize) -> ! {
    let offset = address.wrapping_sub(SHIM_BASE.load(Ordering::Relaxed));
    raw::die(format_args!(
        "tripwire: the shim called {function} from {from}: tid {}, return address {address:#x}, \
         libhangscope.so+{offset:#x}",
        raw::gettid()
    ))
}

/// An entry: hands the stack pointer as it was at the call to `$guarded` as one argument more, in `$register`.
macro_rules! entry {
    ($name:ident($($argument:ident: $type:ty),*) -> $result:ty, $register:literal, $guarded:ident $body:block) => {
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($(_: $type),*) -> $result {
            naked_asm!(concat!("mov ", $register, ", rsp"), "jmp {}", sym $guarded)
        }

        unsafe extern "C" fn $guarded($($argument: $type,)* stack: *const usize) -> $result {
            check(stringify!($name), stack);
            // SAFETY: as the caller promised.
            #[allow(unused_unsafe, clippy::allow_attributes, reason = "half of the bodies have no contract")]
            unsafe { $body }
        }
    };
}

entry!(malloc(size: usize) -> *mut c_void, "rsi", guarded_malloc { front::allocate(size) });
entry!(calloc(count: usize, size: usize) -> *mut c_void, "rdx", guarded_calloc {
    front::allocate_zeroed(count, size)
});
entry!(realloc(block: *mut c_void, size: usize) -> *mut c_void, "rdx", guarded_realloc {
    front::reallocate(block, size)
});
entry!(reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void, "rcx", guarded_reallocarray {
    front::reallocate_array(block, count, size)
});
entry!(free(block: *mut c_void) -> (), "rsi", guarded_free { front::release(block) });
entry!(posix_memalign(out: *mut *mut c_void, alignment: usize, size: usize) -> c_int, "rcx", guarded_posix_memalign {
    front::allocate_posix(out, alignment, size)
});
entry!(aligned_alloc(alignment: usize, size: usize) -> *mut c_void, "rdx", guarded_aligned_alloc {
    front::allocate_aligned(alignment, size)
});
entry!(memalign(alignment: usize, size: usize) -> *mut c_void, "rdx", guarded_memalign {
    front::allocate_aligned(alignment, size)
});
entry!(valloc(size: usize) -> *mut c_void, "rsi", guarded_valloc { front::allocate_pages(size, false) });
entry!(pvalloc(size: usize) -> *mut c_void, "rsi", guarded_pvalloc { front::allocate_pages(size, true) });
entry!(malloc_usable_size(block: *mut c_void) -> usize, "rsi", guarded_malloc_usable_size { front::usable(block) });
