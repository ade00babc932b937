//! Healthy while its own file is unchanged. After the file is removed, replaced or written to, the allocator
//! behaves like a mixture of two builds: a thread that holds a central lock reads a table with a wrong layout
//! and never finds the end. A copy in place also removes the pages of the running code. Threads that run that
//! code fault, and a signal handler makes them wait for a debugger.
//!
//! The allocator checks its file at every 64th operation on one of the central locks.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::shelf::Shelf;
use common::{Hooks, mutexes};
use hangscope_test_allocators::fault::{FAULTY_LOCK, due};
use hangscope_test_allocators::raw;

struct Fault;

/// The DSO's own file at the time of the constructor.
struct OwnFile {
    path: [libc::c_char; libc::PATH_MAX as usize],
    stat: MaybeUninit<libc::stat>,
}

struct OwnFileCell(UnsafeCell<OwnFile>);

// SAFETY: the constructor writes the value while no other thread runs. Later code only reads it.
unsafe impl Sync for OwnFileCell {}

static OWN_FILE: OwnFileCell =
    OwnFileCell(UnsafeCell::new(OwnFile { path: [0; libc::PATH_MAX as usize], stat: MaybeUninit::uninit() }));

/// Number of operations since the fault was due.
static OPERATIONS: AtomicUsize = AtomicUsize::new(0);
static TABLE: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];

impl Hooks for Fault {
    fn start() {
        record_own_file();
        catch_faults();
    }

    fn under_lock(lock: usize, _shelf: &mut Shelf) {
        if lock == FAULTY_LOCK
            && due()
            && OPERATIONS.fetch_add(1, Ordering::Relaxed).is_multiple_of(64)
            && !own_file_is_unchanged()
        {
            raw::tell_truth("owner", mutexes::mutex(lock) as usize);
            overwritten_only_read_table(1);
        }
    }
}

fn record_own_file() {
    let mut about = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: the address lies in this DSO, so dladdr fills in the file's name. The constructor calls this
    // function, so no other thread uses OWN_FILE.
    unsafe {
        let own = &mut *OWN_FILE.0.get();
        let known = libc::dladdr((&raw const OWN_FILE).cast(), about.as_mut_ptr()) != 0
            && !libc::realpath((*about.as_ptr()).dli_fname, own.path.as_mut_ptr()).is_null()
            && libc::stat(own.path.as_ptr(), own.stat.as_mut_ptr()) == 0;
        if !known {
            raw::die(format_args!("overwritten_only: cannot find its own file"));
        }
    }
}

/// Whether the DSO's file is still the same and unchanged. The time of change (ctime) also shows a removed
/// name, and a copy that preserved the time of modification.
fn own_file_is_unchanged() -> bool {
    let mut now = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the constructor initialised OWN_FILE, and later code
    // only reads it. `now` is read only after stat filled it in.
    unsafe {
        let own = &*OWN_FILE.0.get();
        let then = own.stat.assume_init_ref();
        if libc::stat(own.path.as_ptr(), now.as_mut_ptr()) != 0 {
            return false;
        }
        let now = now.assume_init_ref();
        (now.st_dev, now.st_ino, now.st_size, now.st_ctime, now.st_ctime_nsec)
            == (then.st_dev, then.st_ino, then.st_size, then.st_ctime, then.st_ctime_nsec)
    }
}

/// Makes a thread that faults stay in `pause`. The handler is libc's own function, because after a copy in
/// place no code of this DSO can run.
fn catch_faults() {
    for signal in [libc::SIGBUS, libc::SIGSEGV, libc::SIGILL] {
        // SAFETY: all zeros is a valid sigaction. pause ignores the argument that a handler gets.
        unsafe {
            let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
            action.sa_sigaction = libc::pause as *const () as usize;
            libc::sigaction(signal, &raw const action, ptr::null_mut());
        }
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn overwritten_only_read_table(end: usize) -> usize {
    let mut slot = 0;
    // culprit: begin
    while TABLE[slot].load(Ordering::Relaxed) != end {
        slot = (slot + 1) % TABLE.len();
    }
    // culprit: end
    slot
}
