//! One allocator with eight races, each a bug of a kind that real allocators had. The environment variable
//! `RACE` names the race of a process. Without it, or with a name that is not here, the allocator is healthy.
//!
//! Each race is in a slow path: a thread takes it once in some hundred to some thousand operations. That is
//! the policy of the allocator, like a refill or a purge, and by itself never hangs. A hang needs two or more
//! threads that meet in the few instructions between `race: begin` and `race: end`. Nothing here waits for
//! such a meeting, counts up to it or makes it more likely.
//!
//! The slow paths keep account of spans in side tables, by index. Memory for the program comes from the
//! healthy part. A span that is handed out twice therefore never corrupts a block of the program.

mod aba_list;
#[path = "../common/mod.rs"]
mod common;
mod cond_signalled_early;
mod double_checked_init;
#[path = "../common/exports.rs"]
mod exports;
mod lock_inversion;
mod mark_after_release;
mod pace;
mod pthread;
mod refcount_twice;
mod spans;
mod stale_queue_entry;
mod wake_lost;

use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::Hooks;
use common::shelf::Shelf;

struct Fault;

/// Where a race takes part in the work of the allocator.
struct Race {
    name: &'static CStr,
    /// Called before an operation on the central part. The thread holds no central lock.
    operation: fn(usize),
    /// Called with the central lock held.
    under_lock: fn(),
    thread_exit: fn(),
}

const NOTHING: Race = Race { name: c"", operation: |_| (), under_lock: || (), thread_exit: || () };

static RACES: [Race; 8] = [
    Race {
        name: c"lock_inversion",
        operation: lock_inversion::operation,
        under_lock: lock_inversion::under_lock,
        ..NOTHING
    },
    Race { name: c"wake_lost", operation: wake_lost::operation, ..NOTHING },
    Race { name: c"mark_after_release", operation: mark_after_release::operation, ..NOTHING },
    Race { name: c"aba_list", operation: aba_list::operation, thread_exit: aba_list::thread_exit, ..NOTHING },
    Race { name: c"double_checked_init", operation: double_checked_init::operation, ..NOTHING },
    Race {
        name: c"refcount_twice",
        operation: refcount_twice::operation,
        thread_exit: refcount_twice::thread_exit,
        ..NOTHING
    },
    Race { name: c"stale_queue_entry", operation: stale_queue_entry::operation, ..NOTHING },
    Race { name: c"cond_signalled_early", operation: cond_signalled_early::operation, ..NOTHING },
];

/// Index of the chosen race. The constructor writes it once, before there are threads.
static CHOSEN: AtomicUsize = AtomicUsize::new(usize::MAX);

fn chosen() -> Option<&'static Race> {
    RACES.get(CHOSEN.load(Ordering::Relaxed))
}

impl Hooks for Fault {
    // No fork handler exists for the locks of the races, so programs that fork cannot use this allocator.
    const GUARDS_FORK: bool = false;

    fn start() {
        // SAFETY: the name is a C string, and no other thread runs during the constructors.
        let value = unsafe { libc::getenv(c"RACE".as_ptr()) };
        if value.is_null() {
            return;
        }
        // SAFETY: getenv returns a C string. It is read before anything can change the environment.
        let name = unsafe { CStr::from_ptr(value) };
        if let Some(index) = RACES.iter().position(|race| race.name == name) {
            CHOSEN.store(index, Ordering::Relaxed);
        }
    }

    fn before_lock(lock: usize) {
        if let Some(race) = chosen() {
            (race.operation)(lock);
        }
    }

    fn under_lock(_lock: usize, _shelf: &mut Shelf) {
        if let Some(race) = chosen() {
            (race.under_lock)();
        }
    }

    fn thread_exit() {
        if let Some(race) = chosen() {
            (race.thread_exit)();
        }
    }
}
