//! The central locks: an array of eight pthread mutexes, as hz4 has them.

use std::cell::UnsafeCell;

use hangscope_test_allocators::raw;

/// Number of central locks.
pub(crate) const LOCKS: usize = 8;

/// The locks, under the name that a finding must have for them.
#[repr(transparent)]
pub(crate) struct Mutexes(UnsafeCell<[libc::pthread_mutex_t; LOCKS]>);

// SAFETY: a pthread mutex is made to be used by several threads at once.
unsafe impl Sync for Mutexes {}

#[unsafe(no_mangle)]
pub(crate) static g_mid_locks: Mutexes = Mutexes(UnsafeCell::new([libc::PTHREAD_MUTEX_INITIALIZER; LOCKS]));

/// A central lock, for calls of pthread.
pub(crate) fn mutex(lock: usize) -> *mut libc::pthread_mutex_t {
    assert!(lock < LOCKS);
    // SAFETY: the index is within the array.
    unsafe { g_mid_locks.0.get().cast::<libc::pthread_mutex_t>().add(lock) }
}

/// Waits for a central lock and takes it.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn mid_lock_acquire(lock: usize) {
    // SAFETY: the mutex is initialised and never destroyed.
    let error = unsafe { libc::pthread_mutex_lock(mutex(lock)) };
    // Also keeps this frame on the stack: a call in the last place would leave none.
    if error != 0 {
        raw::die(format_args!("mid_lock_acquire({lock}): errno {error}"));
    }
}

/// Lets go of it.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn mid_lock_release(lock: usize) {
    // SAFETY: the mutex is initialised, and the caller has it.
    let error = unsafe { libc::pthread_mutex_unlock(mutex(lock)) };
    if error != 0 {
        raw::die(format_args!("mid_lock_release({lock}): errno {error}"));
    }
}

/// Has the locks taken before a fork and let go of after it, on both sides: a child whose locks are held by
/// threads that it does not have is stuck.
pub(crate) fn guard_fork() {
    // SAFETY: the handlers stay for as long as the process.
    let error = unsafe { libc::pthread_atfork(Some(acquire_all), Some(release_all), Some(release_all)) };
    if error != 0 {
        raw::die(format_args!("pthread_atfork: errno {error}"));
    }
}

extern "C" fn acquire_all() {
    (0..LOCKS).for_each(|lock| mid_lock_acquire(lock));
}

extern "C" fn release_all() {
    (0..LOCKS).rev().for_each(|lock| mid_lock_release(lock));
}
