//! A mutex and a condition of the C library.

use std::cell::UnsafeCell;

use hangscope_test_allocators::raw;

#[repr(transparent)]
pub(crate) struct Mutex(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: several threads may use a pthread mutex at the same time.
unsafe impl Sync for Mutex {}

impl Mutex {
    pub(crate) const fn new() -> Self {
        Mutex(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER))
    }

    pub(crate) fn lock(&self) {
        // SAFETY: the mutex is initialised. It is in a static and never destroyed.
        check("pthread_mutex_lock", unsafe { libc::pthread_mutex_lock(self.0.get()) });
    }

    /// The calling thread holds the mutex.
    pub(crate) fn unlock(&self) {
        // SAFETY: as in `lock`. A normal mutex does not check its owner, so another thread's call is no
        // fault.
        check("pthread_mutex_unlock", unsafe { libc::pthread_mutex_unlock(self.0.get()) });
    }
}

#[repr(transparent)]
pub(crate) struct Condition(UnsafeCell<libc::pthread_cond_t>);

// SAFETY: several threads may use a pthread condition at the same time.
unsafe impl Sync for Condition {}

impl Condition {
    pub(crate) const fn new() -> Self {
        Condition(UnsafeCell::new(libc::PTHREAD_COND_INITIALIZER))
    }

    /// Waits for a signal. The calling thread holds the mutex, and holds it again when the call returns. The
    /// call may return without a signal.
    pub(crate) fn wait(&self, mutex: &Mutex) {
        // SAFETY: both are initialised. They are in statics and never destroyed.
        check("pthread_cond_wait", unsafe { libc::pthread_cond_wait(self.0.get(), mutex.0.get()) });
    }

    pub(crate) fn signal(&self) {
        // SAFETY: as in `wait`.
        check("pthread_cond_signal", unsafe { libc::pthread_cond_signal(self.0.get()) });
    }
}

fn check(what: &str, error: i32) {
    if error != 0 {
        raw::die(format_args!("{what}: errno {error}"));
    }
}
