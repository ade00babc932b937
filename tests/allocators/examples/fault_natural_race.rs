//! A race as they are found in real allocators. At most two threads are let into one part of it at a time;
//! the others sleep in a queue, each in a seat of its own. Whoever comes out calls the first of them. As a call
//! of the kernel is dear, and one thread that is at it may as well make two, a thread that comes out while
//! another is just calling leaves it a slip with the seat. When two releases meet so that the slip comes after
//! the other has looked for one, and before it says that it is done, nobody makes that call: the next one starts
//! with an empty slip, and the sleeper, though its seat says that it may come, sleeps on.
//!
//! Nothing is arranged here: it happens when the scheduler has it so.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

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
        if is_crowded(lock) {
            natural_race_enter();
        }
        mutexes::mid_lock_acquire(lock);
    }

    fn release(lock: usize) {
        mutexes::mid_lock_release(lock);
        if is_crowded(lock) {
            natural_race_leave();
        }
    }
}

/// The queue is for every other lock; with all of them the race is lost in more than one run of a hundred.
fn is_crowded(lock: usize) -> bool {
    lock.is_multiple_of(2)
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
    if CALLING.swap(true, Ordering::SeqCst) {
        let other = SLIP.swap(seat, Ordering::SeqCst);
        if other != NOBODY {
            call(other);
        }
        return;
    }
    SLIP.store(NOBODY, Ordering::SeqCst);
    call(seat);
    loop {
        match SLIP.swap(NOBODY, Ordering::SeqCst) {
            NOBODY => break,
            seat => call(seat),
        }
    }
    CALLING.store(false, Ordering::SeqCst);
}
