//! Calls of synchronisation functions: each is made as it is, and threads are held around it.
//!
//! The places are told apart by where the call returns to and by who called that function: an allocator often
//! takes all its locks in one function. A place that threads come by rarely is not lost among the others: it
//! stays chosen until a thread comes.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use hangscope_protocol::random::Random;
use hangscope_protocol::stir::{count, hold_at};

use crate::arch::{self, entry, syscall6};
use crate::hold::Place;
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
/// When it was set to 1, as [`hold::since_begin_us`].
static ARMED_US: [AtomicU32; PLACES] = [const { AtomicU32::new(0) }; PLACES];
static LIVE: Live<PLACES> = Live::none();

/// Chooses a place at which the next thread is held.
pub(crate) fn choose(random: &mut Random) {
    let Some(place) = LIVE.draw(random).map(|place| place as usize) else { return };
    if let (Some(armed), Some(armed_us)) = (ARMED.get(place), ARMED_US.get(place))
        && armed.load(Ordering::Relaxed) == 0
    {
        armed_us.store(hold::since_begin_us(), Ordering::Relaxed);
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
    let chooses = SETTINGS.call_sites.load(Ordering::Relaxed) != 0;
    let waited = if by_chance {
        Some(0)
    } else if chooses {
        chosen(at, from, &mut random)
    } else {
        None
    };
    if let Some(waited_us) = waited {
        let place = Place { address: from.address, stack: from.stack, waited_us, at };
        hold::hold(&mut random, place, count::AT_CALLS);
    }
}

/// How long this place has been chosen, us; none if no thread is to be held there. No other thread is held
/// for it.
fn chosen(at: u16, from: From, random: &mut Random) -> Option<u32> {
    let key = Random::from(from.address ^ caller(from).rotate_left(32) ^ u64::from(at)).draw().max(1);
    for offset in 0..TRIES {
        let place = (key as usize).wrapping_add(offset) % PLACES;
        let (known, armed) = (KEYS.get(place)?, ARMED.get(place)?);
        match known.compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed) {
            // The first time may be the only one of this run.
            Ok(_) => {
                LIVE.add(place as u32);
                return random.one_in(2).then(hold::since_begin_us);
            }
            Err(is) if is == key => {
                let is_chosen = armed.load(Ordering::Relaxed) != 0 && armed.swap(0, Ordering::Relaxed) != 0;
                let since = ARMED_US.get(place)?.load(Ordering::Relaxed);
                return is_chosen.then(|| hold::since_begin_us().wrapping_sub(since));
            }
            Err(_) => {}
        }
    }
    None
}

/// A return address of the allocator on the stack above the call: mostly that of the function that made it.
/// It may be a stale one; then the same place is taken for two.
fn caller(from: From) -> u64 {
    if image::allocator().is_none() {
        return 0;
    }
    // The rest of the page only in which the return address is: it is mapped.
    let end = ((from.stack - 8) | (PAGE - 1)) - 7;
    let words = (0..WORDS).map(|i| from.stack + 8 * i).take_while(|at| *at <= end);
    // SAFETY: the thread's own stack, in a page that is mapped. Nobody else writes there.
    let mut values = words.map(|at| unsafe { (at as *const u64).read_unaligned() });
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
