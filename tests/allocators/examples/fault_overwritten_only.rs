//! Behaves, for as long as its file is left alone. Once the file was removed, replaced or written to, it does
//! what a mixture of two builds does: a thread that has a central lock reads a table by another layout and
//! finds no end to it. A copy in place, which also takes the pages away under the code that runs, makes every
//! thread fault that comes near; those faults are caught by a handler that waits for a debugger.
//!
//! Looks every 64 operations on one of the central locks.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Hooks, Shelf, mutexes};
use hangscope_test_allocators::fault::{FAULTY_LOCK, due};
use hangscope_test_allocators::raw;

struct Fault;

/// What is remembered of the file, from the constructor on.
struct Remembered {
    path: [libc::c_char; libc::PATH_MAX as usize],
    file: MaybeUninit<libc::stat>,
}

struct Own(UnsafeCell<Remembered>);

// SAFETY: written in the constructor, when no other thread runs, and only read from then on.
unsafe impl Sync for Own {}

static OWN: Own =
    Own(UnsafeCell::new(Remembered { path: [0; libc::PATH_MAX as usize], file: MaybeUninit::uninit() }));

static LOOKED: AtomicUsize = AtomicUsize::new(0);
static TABLE: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];

impl Hooks for Fault {
    fn start() {
        remember();
        catch_faults();
    }

    fn under_lock(lock: usize, _shelf: &mut Shelf) {
        if lock == FAULTY_LOCK
            && due()
            && LOOKED.fetch_add(1, Ordering::Relaxed).is_multiple_of(64)
            && !is_as_remembered()
        {
            raw::tell_truth("owner", mutexes::mutex(lock) as usize);
            overwritten_only_read_table(1);
        }
    }
}

fn remember() {
    let mut about = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: the address is one of this DSO's, so dladdr fills in the file's name; the remembered things are
    // ours, and no other thread runs.
    unsafe {
        let own = &mut *OWN.0.get();
        let known = libc::dladdr((&raw const OWN).cast(), about.as_mut_ptr()) != 0
            && !libc::realpath((*about.as_ptr()).dli_fname, own.path.as_mut_ptr()).is_null()
            && libc::stat(own.path.as_ptr(), own.file.as_mut_ptr()) == 0;
        if !known {
            raw::die(format_args!("overwritten_only: its own file cannot be found"));
        }
    }
}

/// Whether the file has not been touched. The time of change also tells of a removed name, and of a copy that
/// kept the time of modification.
fn is_as_remembered() -> bool {
    let mut now = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: remembered in the constructor, only read since; `now` is read only where stat filled it in.
    unsafe {
        let own = &*OWN.0.get();
        let then = own.file.assume_init_ref();
        if libc::stat(own.path.as_ptr(), now.as_mut_ptr()) != 0 {
            return false;
        }
        let now = now.assume_init_ref();
        (now.st_dev, now.st_ino, now.st_size, now.st_ctime, now.st_ctime_nsec)
            == (then.st_dev, then.st_ino, then.st_size, then.st_ctime, then.st_ctime_nsec)
    }
}

/// After a copy in place nothing of this DSO can be run, so the handler is libc's own `pause`: a thread that
/// faults stays there.
fn catch_faults() {
    for signal in [libc::SIGBUS, libc::SIGSEGV, libc::SIGILL] {
        // SAFETY: pause takes no argument and touches nothing, so it may be called with one.
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
