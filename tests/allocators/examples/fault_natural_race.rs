//! A race like those in real allocators. At most two threads may be in the central part at the same time.
//! The others sleep in a queue, and each has its own seat. A thread that leaves calls the first sleeper.
//! Only one thread calls at a time. A thread that finds another thread calling waits a little, and then
//! leaves the seat on a slip for the caller.
//!
//! The bug: the caller looks for a slip one last time, and a moment later says that it has finished. A slip
//! that arrives between the two is lost, because the next caller clears the slip first. The seat of the
//! sleeper says that the sleeper may come, but no thread wakes the sleeper.
//!
//! Two threads that run side by side do not lose a slip, because the second thread waits a little before it
//! leaves one. The caller must be delayed within a few instructions, by the scheduler or by something that
//! disturbs the process. This allocator does nothing to make the race more likely.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use common::{Hooks, mutexes};
use hangscope_test_allocators::fault::due;
use hangscope_test_allocators::raw;

struct Fault;

const SEATS: usize = 64;

/// The futex word of the sleeper in this seat: [`WAIT`] or [`COME`].
#[repr(transparent)]
struct Seat(AtomicU32);

const WAIT: u32 = 0;
const COME: u32 = 1;

#[unsafe(no_mangle)]
static g_mid_seats: [Seat; SEATS] = [const { Seat(AtomicU32::new(WAIT)) }; SEATS];

/// Whether a thread is calling sleepers now.
static CALLING: AtomicBool = AtomicBool::new(false);
/// A seat that the current caller must also call; `NO_SEAT` if there is none.
static SLIP: AtomicUsize = AtomicUsize::new(NO_SEAT);
const NO_SEAT: usize = usize::MAX;
/// How often a thread checks whether the current caller has
/// finished. All checks take some tens of microseconds.
const TRIES: u32 = 500;
/// Time of the last call, in ns of CLOCK_MONOTONIC. Only a debugger reads this.
static LAST_CALL: AtomicU64 = AtomicU64::new(0);

struct Queue {
    /// How many more threads may enter.
    places: u32,
    /// One bit for each seat: 1 if a sleeper has the seat.
    taken: u64,
    /// The seats of the sleepers, in the order of their arrival.
    ring: [usize; SEATS],
    first: usize,
    length: usize,
}

struct Guarded {
    held: AtomicBool,
    queue: UnsafeCell<Queue>,
}

// SAFETY: only the thread that has set `held` uses the queue.
unsafe impl Sync for Guarded {}

static QUEUE: Guarded = Guarded {
    held: AtomicBool::new(false),
    queue: UnsafeCell::new(Queue { places: 2, taken: 0, ring: [0; SEATS], first: 0, length: 0 }),
};

impl Hooks for Fault {
    // No fork handler exists for the queue. A child could lack places that no thread gives back, so programs
    // that fork cannot use this allocator.
    const GUARDS_FORK: bool = false;

    fn acquire(lock: usize) {
        natural_race_enter();
        mutexes::mid_lock_acquire(lock);
    }

    fn release(lock: usize) {
        mutexes::mid_lock_release(lock);
        natural_race_leave();
    }
}

fn with_queue<T>(work: impl FnOnce(&mut Queue) -> T) -> T {
    while QUEUE.held.swap(true, Ordering::Acquire) {
        std::thread::yield_now();
    }
    // SAFETY: this thread has just set `held`.
    let result = work(unsafe { &mut *QUEUE.queue.get() });
    QUEUE.held.store(false, Ordering::Release);
    result
}

/// The queue's answer to a thread that wants to enter.
enum Admission {
    Enter,
    /// The thread must sleep in this seat.
    Wait(usize),
    /// All seats are taken. The thread must try again.
    Retry,
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn natural_race_enter() {
    loop {
        let admission = with_queue(|queue| {
            if queue.places > 0 {
                queue.places -= 1;
                return Admission::Enter;
            }
            let seat = queue.taken.trailing_ones() as usize;
            if seat == SEATS {
                return Admission::Retry;
            }
            queue.taken |= 1 << seat;
            queue.ring[(queue.first + queue.length) % SEATS] = seat;
            queue.length += 1;
            Admission::Wait(seat)
        });
        match admission {
            Admission::Enter => return,
            Admission::Wait(seat) => {
                let word = &g_mid_seats[seat].0;
                while word.load(Ordering::Acquire) == WAIT {
                    raw::futex_wait(word, WAIT);
                }
                word.store(WAIT, Ordering::Relaxed);
                with_queue(|queue| queue.taken &= !(1 << seat));
            }
            Admission::Retry => std::thread::yield_now(),
        }
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn natural_race_leave() {
    let first = with_queue(|queue| {
        queue.places += 1;
        (queue.length > 0).then(|| {
            let seat = queue.ring[queue.first];
            queue.first = (queue.first + 1) % SEATS;
            queue.length -= 1;
            seat
        })
    });
    if let Some(seat) = first {
        g_mid_seats[seat].0.store(COME, Ordering::Release);
        natural_race_call(seat);
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn natural_race_call(seat: usize) {
    let call = |seat: usize| raw::futex_wake_one(&g_mid_seats[seat].0);
    if !due() {
        return call(seat);
    }
    let mut tries = 0;
    while CALLING.swap(true, Ordering::SeqCst) {
        tries += 1;
        if tries == TRIES {
            let other = SLIP.swap(seat, Ordering::SeqCst);
            if other != NO_SEAT {
                call(other);
            }
            return;
        }
        spin_loop();
    }
    SLIP.store(NO_SEAT, Ordering::SeqCst);
    call(seat);
    loop {
        match SLIP.swap(NO_SEAT, Ordering::SeqCst) {
            NO_SEAT => break,
            seat => call(seat),
        }
    }
    // The bug: a slip that arrives from here on is lost.
    LAST_CALL.store(now(), Ordering::Relaxed);
    CALLING.store(false, Ordering::SeqCst);
}

fn now() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes only into `now`.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    // The casts lose nothing: the time since boot is not negative.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
