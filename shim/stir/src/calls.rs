//! Calls of synchronisation functions: each is made as it is, and threads are held around it.
//!
//! The places are told apart by where the call returns to and by who called that function: an allocator often
//! takes all its locks in one function. A place that threads come by rarely is not lost among the others: it
//! stays chosen until a thread comes.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use hangscope_protocol::random::Random;
use hangscope_protocol::stir::{count, hold_at};

use crate::arch::{self, entry, syscall6};
use crate::live::Live;
use crate::next::{self, Next};
use crate::plan::SETTINGS;
use crate::{hold, image, threads};

const PLACES: usize = 1024;
/// Places in the table that are tried for one call.
const TRIES: usize = 8;
/// Words of the stack in which the caller's caller is looked for.
const WORDS: u64 = 24;
const PAGE: u64 = 4096;

/// What a place is known by; 0: nothing.
static KEYS: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];
/// 1: the next thread is held there.
static ARMED: [AtomicU8; PLACES] = [const { AtomicU8::new(0) }; PLACES];
static LIVE: Live<PLACES> = Live::none();

/// Chooses a place at which the next thread is held.
pub(crate) fn choose(random: &mut Random) {
    if let Some(armed) = LIVE.draw(random).and_then(|place| ARMED.get(place as usize)) {
        armed.store(1, Ordering::Relaxed);
    }
}

/// Where a call came from: where it returns to, and the stack above that.
#[derive(Clone, Copy)]
struct From {
    address: u64,
    stack: u64,
}

/// Perhaps holds the thread.
#[inline]
fn at(at: u16, from: From) {
    if hold::is_on() && image::is_allocators(from.address) {
        decide(at, from);
    }
}

fn decide(at: u16, from: From) {
    let mut random = threads::draw();
    let one_in = SETTINGS.one_in.load(Ordering::Relaxed);
    let by_chance = one_in != 0 && random.one_in(one_in.into());
    if by_chance || SETTINGS.call_sites.load(Ordering::Relaxed) != 0 && is_chosen(at, from, &mut random) {
        hold::hold(&mut random, from.address, at, count::AT_CALLS);
    }
}

/// Whether a thread is to be held at this place; then no other thread is.
fn is_chosen(at: u16, from: From, random: &mut Random) -> bool {
    let key = Random::from(from.address ^ caller(from).rotate_left(32) ^ u64::from(at)).draw().max(1);
    for offset in 0..TRIES {
        let place = (key as usize).wrapping_add(offset) % PLACES;
        let (Some(known), Some(armed)) = (KEYS.get(place), ARMED.get(place)) else { return false };
        match known.compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed) {
            // The first time may be the only one of this run.
            Ok(_) => {
                LIVE.add(place as u32);
                return random.one_in(2);
            }
            Err(is) if is == key => {
                return armed.load(Ordering::Relaxed) != 0 && armed.swap(0, Ordering::Relaxed) != 0;
            }
            Err(_) => {}
        }
    }
    false
}

/// A return address of the allocator on the stack above the call: mostly that of the function that made it. It
/// may be a stale one; then the same place is taken for two.
fn caller(from: From) -> u64 {
    if image::allocator().is_none() {
        return 0;
    }
    // The rest of the page only: it is mapped, since the stack pointer is in it.
    let end = (from.stack | (PAGE - 1)) - 7;
    let words = (0..WORDS).map(|i| from.stack + 8 * i).take_while(|at| *at <= end);
    // SAFETY: the thread's own stack, aligned, in a page that is mapped. Nobody else writes there.
    let mut values = words.map(|at| unsafe { (at as *const u64).read_volatile() });
    values.find(|value| *value != from.address && image::is_allocators(*value)).unwrap_or(0)
}

/// Makes a call, and notes how long it waited.
///
/// # Safety
/// As [`Next::call`].
#[inline(always)]
unsafe fn waits(next: &Next, arguments: [usize; 4]) -> c_int {
    if !hold::is_on() {
        // SAFETY: the caller's promise.
        return unsafe { next.call(arguments) };
    }
    let began = arch::ticks();
    // SAFETY: as above.
    let done = unsafe { next.call(arguments) };
    hold::waited(arch::ticks().wrapping_sub(began));
    done
}

/// A function that is taken over: what is done before it, and behind it where it succeeded.
macro_rules! around {
    ($($name:ident: $before:expr, $behind:expr;)*) => {$(
        mod $name {
            use super::*;

            entry! {
                /// # Safety
                /// As the function's man page says.
                $name calls inner
            }

            unsafe extern "C" fn inner(
                a: usize,
                b: usize,
                c: usize,
                d: usize,
                address: u64,
                stack: u64,
            ) -> c_int {
                let from = From { address, stack };
                let (before, behind): (Option<u16>, Option<u16>) = ($before, $behind);
                if let Some(before) = before {
                    at(before, from);
                }
                // SAFETY: the caller's own arguments.
                let done = unsafe { waits(&next::$name, [a, b, c, d]) };
                if done == 0 && let Some(behind) = behind {
                    at(behind, from);
                }
                done
            }
        }
    )*};
}

around! {
    pthread_mutex_lock: None, Some(hold_at::LOCKED);
    pthread_mutex_trylock: None, Some(hold_at::LOCKED);
    pthread_mutex_timedlock: None, Some(hold_at::LOCKED);
    pthread_mutex_clocklock: None, Some(hold_at::LOCKED);
    pthread_mutex_unlock: Some(hold_at::UNLOCKS), Some(hold_at::UNLOCKED);
    pthread_rwlock_rdlock: None, Some(hold_at::LOCKED);
    pthread_rwlock_tryrdlock: None, Some(hold_at::LOCKED);
    pthread_rwlock_timedrdlock: None, Some(hold_at::LOCKED);
    pthread_rwlock_wrlock: None, Some(hold_at::LOCKED);
    pthread_rwlock_trywrlock: None, Some(hold_at::LOCKED);
    pthread_rwlock_timedwrlock: None, Some(hold_at::LOCKED);
    pthread_rwlock_unlock: Some(hold_at::UNLOCKS), Some(hold_at::UNLOCKED);
    pthread_spin_lock: None, Some(hold_at::LOCKED);
    pthread_spin_trylock: None, Some(hold_at::LOCKED);
    pthread_spin_unlock: Some(hold_at::UNLOCKS), Some(hold_at::UNLOCKED);
    pthread_cond_wait: Some(hold_at::SLEEPS), Some(hold_at::LOCKED);
    pthread_cond_timedwait: Some(hold_at::SLEEPS), Some(hold_at::LOCKED);
    pthread_cond_clockwait: Some(hold_at::SLEEPS), Some(hold_at::LOCKED);
    pthread_cond_signal: Some(hold_at::WAKES), None;
    pthread_cond_broadcast: Some(hold_at::WAKES), None;
    sem_wait: Some(hold_at::SLEEPS), Some(hold_at::LOCKED);
    sem_trywait: None, Some(hold_at::LOCKED);
    sem_timedwait: Some(hold_at::SLEEPS), Some(hold_at::LOCKED);
    sem_clockwait: Some(hold_at::SLEEPS), Some(hold_at::LOCKED);
    sem_post: Some(hold_at::UNLOCKS), Some(hold_at::UNLOCKED);
    sched_yield: Some(hold_at::YIELDS), None;
}

/// A futex call: its arguments, where it returns to, and the stack above. Gives what the kernel gave.
///
/// # Safety
/// As futex(2); `arguments` are six words.
pub(crate) unsafe extern "C" fn futex(arguments: *const [usize; 6], address: u64, stack: u64) -> isize {
    /// Waits, wakes, and those that do not wait.
    const WAITS: [i32; 4] =
        [libc::FUTEX_WAIT, libc::FUTEX_WAIT_BITSET, libc::FUTEX_LOCK_PI, libc::FUTEX_WAIT_REQUEUE_PI];
    let from = From { address, stack };
    // SAFETY: the caller's promise.
    let arguments = unsafe { *arguments };
    let [_, operation, ..] = arguments;
    let operation = operation as i32 & libc::FUTEX_CMD_MASK;
    let sleeps = WAITS.contains(&operation);
    at(if sleeps { hold_at::SLEEPS } else { hold_at::WAKES }, from);
    let began = arch::ticks();
    // SAFETY: as above.
    let done = unsafe { syscall6(libc::SYS_futex, arguments) };
    if sleeps && hold::is_on() {
        hold::waited(arch::ticks().wrapping_sub(began));
    }
    at(if sleeps { hold_at::WOKEN } else { hold_at::WOKE }, from);
    done
}
