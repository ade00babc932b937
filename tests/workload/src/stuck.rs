//! The benchmark's own bugs and habits, each in a function of its own name, so that a stack tells which.

use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Spins until `done` has reached `all`: what many benchmarks do instead of a join.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn bench_spin_until_all_done(done: &AtomicUsize, all: usize) {
    while done.load(Ordering::Acquire) < all {
        spin_loop();
    }
}

/// Loops, and never comes out. The word is read anew each time so that the loop has something to do.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn bench_stuck_loop() {
    static NEVER: AtomicUsize = AtomicUsize::new(0);
    // culprit: begin
    while NEVER.load(Ordering::Relaxed) == 0 {
        spin_loop();
    }
    // culprit: end
}

/// The barrier of `--barrier-short`: it waits for one thread more than there are.
pub(crate) struct ShortBarrier(UnsafeCell<MaybeUninit<libc::pthread_barrier_t>>);

// SAFETY: a pthread barrier is made to be used by several threads at once.
unsafe impl Sync for ShortBarrier {}

impl ShortBarrier {
    /// A barrier that `threads` threads alone will never pass. It must not move once a thread waits on it;
    /// callers keep it borrowed.
    pub(crate) fn new(threads: usize) -> Self {
        let barrier = ShortBarrier(UnsafeCell::new(MaybeUninit::uninit()));
        // The bug, on purpose: nobody counts the main thread, which never comes.
        let parties = threads as u32 + 1;
        // SAFETY: the memory is ours and nobody waits on it yet.
        unsafe { libc::pthread_barrier_init(barrier.0.get().cast(), std::ptr::null(), parties) };
        barrier
    }

    /// Waits for all parties.
    pub(crate) fn wait(&self) {
        bench_wait_at_barrier(self.0.get().cast());
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn bench_wait_at_barrier(barrier: *mut libc::pthread_barrier_t) {
    // culprit: begin
    // SAFETY: the only caller passes an initialised barrier that outlives the call.
    let result = unsafe { libc::pthread_barrier_wait(barrier) };
    // culprit: end
    // Also keeps this frame on the stack: a call in the last place would leave none.
    assert!(result == 0 || result == libc::PTHREAD_BARRIER_SERIAL_THREAD, "pthread_barrier_wait: {result}");
}

/// Blocks every signal that can be blocked, for the calling thread.
pub(crate) fn block_all_signals() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set that the second call reads.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
    }
}
