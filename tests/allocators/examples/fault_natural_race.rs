//! A race as they are found in real allocators. At most two threads are let into the central part at a time;
//! the others sleep in a queue, each in a seat of its own. Whoever comes out calls the first of them, one
//! thread at a time: who finds another at it waits a little, and then leaves it a slip with the seat. When two
//! releases meet so that the slip comes after the other has looked for one, and before it says that it is
//! done, nobody makes that call: the next one starts with an empty slip, and the sleeper, though its seat says
//! that it may come, sleeps on.
//!
//! Since who comes second waits a little, two threads that run side by side do not lose it; it takes a thread
//! that is held up, by the scheduler or by whoever disturbs it, within those few instructions. Nothing is
//! arranged here.

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

/// What the sleeper in a seat waits on.
#[repr(transparent)]
struct Seat(AtomicU32);

const WAIT: u32 = 0;
const COME: u32 = 1;

#[unsafe(no_mangle)]
static g_mid_seats: [Seat; SEATS] = [const { Seat(AtomicU32::new(WAIT)) }; SEATS];

/// Whether a thread is just calling.
static CALLING: AtomicBool = AtomicBool::new(false);
/// A seat that another is to call; `NOBODY` if there is none.
static SLIP: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;
/// How often a thread looks whether another is done calling: some tens of microseconds.
const TRIES: u32 = 500;
/// For whoever looks at it with a debugger: CLOCK_MONOTONIC, ns.
static LAST_CALL: AtomicU64 = AtomicU64::new(0);

/// Who may come in, and who waits.
struct Queue {
    places: u32,
    /// Seats that are taken, a bit each.
    taken: u64,
    /// Seats in the order of their arrival.
    ring: [usize; SEATS],
    first: usize,
    length: usize,
}

struct Guarded {
    held: AtomicBool,
    queue: UnsafeCell<Queue>,
}

// SAFETY: the queue is touched only by whoever has set `held`.
unsafe impl Sync for Guarded {}

static QUEUE: Guarded = Guarded {
    held: AtomicBool::new(false),
    queue: UnsafeCell::new(Queue { places: 2, taken: 0, ring: [0; SEATS], first: 0, length: 0 }),
};

impl Hooks for Fault {
    // A child would have places that nobody gives back; this allocator is not made for forks.
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
        // SAFETY: always.
        unsafe { libc::sched_yield() };
    }
    // SAFETY: this thread has just set `held`.
    let result = work(unsafe { &mut *QUEUE.queue.get() });
    QUEUE.held.store(false, Ordering::Release);
    result
}

/// What a thread that wants to come in is told.
enum Told {
    ComeIn,
    Wait(usize),
    /// All seats are taken.
    AskAgain,
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn natural_race_enter() {
    loop {
        let told = with_queue(|queue| {
            if queue.places > 0 {
                queue.places -= 1;
                return Told::ComeIn;
            }
            let seat = queue.taken.trailing_ones() as usize;
            if seat == SEATS {
                return Told::AskAgain;
            }
            queue.taken |= 1 << seat;
            queue.ring[(queue.first + queue.length) % SEATS] = seat;
            queue.length += 1;
            Told::Wait(seat)
        });
        match told {
            Told::ComeIn => return,
            Told::Wait(seat) => {
                let word = &g_mid_seats[seat].0;
                while word.load(Ordering::Acquire) == WAIT {
                    raw::futex_wait(word, WAIT);
                }
                word.store(WAIT, Ordering::Relaxed);
                with_queue(|queue| queue.taken &= !(1 << seat));
            }
            Told::AskAgain => {
                // SAFETY: always.
                unsafe { libc::sched_yield() };
            }
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
            if other != NOBODY {
                call(other);
            }
            return;
        }
        spin_loop();
    }
    SLIP.store(NOBODY, Ordering::SeqCst);
    call(seat);
    loop {
        match SLIP.swap(NOBODY, Ordering::SeqCst) {
            NOBODY => break,
            seat => call(seat),
        }
    }
    // A slip that is left from here on is forgotten.
    LAST_CALL.store(now(), Ordering::Relaxed);
    CALLING.store(false, Ordering::SeqCst);
}

fn now() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a timespec that is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    // The time since boot is not negative.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
