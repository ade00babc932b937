//! The central locks: an array of eight pthread mutexes. The allocator hz4 has such an array.

use std::cell::UnsafeCell;

use hangscope_test_allocators::raw;

pub(crate) const LOCKS: usize = 8;

/// The type of `g_mid_locks`, the symbol that a finding must name.
#[repr(transparent)]
pub(crate) struct Mutexes(UnsafeCell<[libc::pthread_mutex_t; LOCKS]>);

// SAFETY: several threads may use a pthread mutex at the same time.
unsafe impl Sync for Mutexes {}

#[unsafe(no_mangle)]
pub(crate) static g_mid_locks: Mutexes = Mutexes(UnsafeCell::new([libc::PTHREAD_MUTEX_INITIALIZER; LOCKS]));

/// Returns a central lock as a pointer for the pthread functions.
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
    // This check also keeps the frame on the stack. A tail call would remove the frame.
    if error != 0 {
        raw::die(format_args!("mid_lock_acquire({lock}): errno {error}"));
    }
}

/// Releases a central lock.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn mid_lock_release(lock: usize) {
    // SAFETY: the mutex is initialised, and the caller holds it.
    let error = unsafe { libc::pthread_mutex_unlock(mutex(lock)) };
    if error != 0 {
        raw::die(format_args!("mid_lock_release({lock}): errno {error}"));
    }
}

/// Makes every fork take the locks, and release them in the parent and in the child. Otherwise a thread that
/// does not exist in the child could hold a lock there.
pub(crate) fn guard_fork() {
    // SAFETY: the handlers stay mapped until the process ends.
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
