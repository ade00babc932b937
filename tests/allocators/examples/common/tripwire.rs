//! The functions that the host calls, in an allocator that the shim must not call. Each function first checks
//! its caller. It aborts the process if the caller is the shim.
//!
//! The shim is the caller in two cases: the return address lies in the code
//! of `libhangscope.so`, or the thread is named `hangscope`. In the second
//! case, other libraries may lie between the shim and the allocator.
//!
//! The shim may also call through another library on a thread of the host. Only the stack shows such a call.
//! With `FAULT_SCAN_WORDS=N`, the check searches the first N words of the stack for an address in the shim's
//! code that follows a call instruction. The unwinder then tells whether a frame returns there, or an earlier
//! call left the word behind. This setting is for constructors and forks.
//!
//! With `FAULT_EXPECT_SHIM=1`, the process aborts if `libhangscope.so` is not loaded. A test can then not
//! pass because the shim is missing.

use std::arch::naked_asm;
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use hangscope_test_allocators::raw;

use crate::common::front;

const SHIM: &[u8] = b"/libhangscope.so";
const THREAD: &[u8] = b"hangscope\0";

/// Address of the shim's first mapping, and start and end of its code. All are 0 if there is no shim.
static SHIM_BASE: AtomicUsize = AtomicUsize::new(0);
static SHIM_START: AtomicUsize = AtomicUsize::new(0);
static SHIM_END: AtomicUsize = AtomicUsize::new(0);
static SCAN_WORDS: AtomicUsize = AtomicUsize::new(0);

struct Maps(UnsafeCell<[u8; 1 << 20]>);

// SAFETY: only the constructor uses the buffer, while no other thread runs.
unsafe impl Sync for Maps {}

static MAPS: Maps = Maps(UnsafeCell::new([0; 1 << 20]));

/// Finds the shim's mappings. The constructor calls this: ld.so
/// maps all preloaded libraries before it runs their constructors.
pub(crate) fn arm() {
    // SAFETY: no other thread runs during the constructors.
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
    // SAFETY: the path is a C string.
    let fd = unsafe { libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    let mut length = 0;
    loop {
        let rest = &mut buffer[length..];
        // SAFETY: the kernel writes only into the unused rest of the buffer.
        let got = unsafe { libc::read(fd, rest.as_mut_ptr().cast(), rest.len()) };
        match usize::try_from(got) {
            Ok(0) if !rest.is_empty() => break,
            Ok(got @ 1..) => length += got,
            _ => raw::die(format_args!("tripwire: /proc/self/maps cannot be read whole")),
        }
    }
    // SAFETY: this function opened the descriptor and closes it once.
    unsafe { libc::close(fd) };
    length
}

fn hex(digits: &[u8]) -> Option<usize> {
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Aborts the process if the shim is the caller. `stack` points to the return address.
#[inline(always)]
fn check(function: &str, stack: *const usize) {
    // SAFETY: the entries below pass the stack pointer at the call, which points to the return address.
    let caller = unsafe { stack.read() };
    if is_shim(caller) {
        trip(function, "its code", caller);
    }
    let mut name = [0_u8; 16];
    // No thread-local storage is used here, because the shim's thread has little of it.
    // SAFETY: the kernel writes at most 16 bytes.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    if name.starts_with(THREAD) {
        trip(function, "its thread", caller);
    }
    for word in 1..SCAN_WORDS.load(Ordering::Relaxed) {
        // SAFETY: a test that sets FAULT_SCAN_WORDS has that many words of stack above every call: the frames
        // of main, the arguments and the environment are there.
        let (at, address) = unsafe { (stack.add(word), stack.add(word).read()) };
        if is_shim(address) && follows_a_call(address) && is_live(at, address) {
            trip(function, "its code, by way of another library", address);
        }
    }
}

fn is_shim(address: usize) -> bool {
    (SHIM_START.load(Ordering::Relaxed)..SHIM_END.load(Ordering::Relaxed)).contains(&address)
}

/// Whether a call instruction ends just before `address`, which lies in the shim's code. The instruction is a
/// relative call (e8, five bytes), or a call through a register or memory (ff /2, two to seven bytes).
fn follows_a_call(address: usize) -> bool {
    let before = |distance: usize| {
        let at = address - distance;
        // SAFETY: `at` lies in the shim's code, which stays mapped until the process ends.
        if is_shim(at) { unsafe { (at as *const u8).read() } } else { 0 }
    };
    let through = |length| before(length) == 0xff && before(length - 1) >> 3 & 7 == 2;
    before(5) == 0xe8 || (2..=7).any(through)
}

/// A return address that [`is_live`] looks for, and what the unwinder has shown of it.
struct Search {
    at: usize,
    address: usize,
    /// The unwinder passed the place of the word, and no frame returns there.
    is_stale: bool,
}

unsafe extern "C" {
    // The unwinder of libgcc, which std links.
    fn _Unwind_Backtrace(
        each: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
    fn _Unwind_GetCFA(context: *mut c_void) -> usize;
}

/// Whether a frame of this thread returns to `address`, which stands on the stack at `at`. A frame does not
/// write all of its words, so a return address of an earlier call may still stand there. False only if the
/// unwinder has passed the word and no frame returns there.
#[cold]
#[inline(never)]
fn is_live(at: *const usize, address: usize) -> bool {
    let mut search = Search { at: at as usize, address, is_stale: false };
    // SAFETY: `each` takes the search that is passed here, which outlives the call.
    unsafe { _Unwind_Backtrace(pass, (&raw mut search).cast()) };
    !search.is_stale
}

/// Looks at one frame. Nonzero ends the walk (`_URC_NORMAL_STOP`).
extern "C" fn pass(context: *mut c_void, search: *mut c_void) -> c_int {
    const GO_ON: c_int = 0;
    const STOP: c_int = 4;
    // SAFETY: the unwinder passes its own context, and the argument of `is_live`.
    let (search, ip, end) =
        unsafe { (&mut *search.cast::<Search>(), _Unwind_GetIP(context), _Unwind_GetCFA(context)) };
    // The return address of a frame is the last word below the end of the frame that it called.
    if end <= search.at {
        return GO_ON;
    }
    search.is_stale = ip != search.address || end - size_of::<usize>() != search.at;
    STOP
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

/// Defines one exported function. It passes the stack pointer at
/// the call to `$guarded`, as one more argument in `$register`.
macro_rules! entry {
    ($name:ident($($argument:ident: $type:ty),*) -> $result:ty, $register:literal, $guarded:ident $body:block) => {
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($(_: $type),*) -> $result {
            naked_asm!(concat!("mov ", $register, ", rsp"), "jmp {}", sym $guarded)
        }

        unsafe extern "C" fn $guarded($($argument: $type,)* stack: *const usize) -> $result {
            check(stringify!($name), stack);
            // SAFETY: the caller keeps malloc(3)'s contract.
            #[allow(unused_unsafe, clippy::allow_attributes, reason = "half of the bodies are safe")]
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
