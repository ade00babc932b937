//! The benchmark's own bugs and habits. Each has its own function, so that a stack shows which one runs.

use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Spins until `done` reaches `all`. Many benchmarks do this instead of a join.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn bench_spin_until_all_done(done: &AtomicUsize, all: usize) {
    while done.load(Ordering::Acquire) < all {
        spin_loop();
    }
}

/// Loops for ever. The loop reads a word each time, so that the compiler keeps the loop.
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

/// The barrier of `--barrier-short`. It waits for one thread more than exist.
pub(crate) struct ShortBarrier(UnsafeCell<MaybeUninit<libc::pthread_barrier_t>>);

// SAFETY: a pthread barrier is made to be used by several threads at once.
unsafe impl Sync for ShortBarrier {}

impl ShortBarrier {
    /// Creates a barrier that `threads` threads alone never pass. The barrier must not move while a thread
    /// waits on it. Callers keep it borrowed for that time.
    pub(crate) fn new(threads: usize) -> Self {
        let barrier = ShortBarrier(UnsafeCell::new(MaybeUninit::uninit()));
        // The deliberate bug: the count includes the main thread, which never comes to the barrier.
        let parties = threads as u32 + 1;
        // SAFETY: the memory is ours, and no thread waits on it yet.
        unsafe { libc::pthread_barrier_init(barrier.0.get().cast(), std::ptr::null(), parties) };
        barrier
    }

    /// Waits at the barrier, for ever.
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
    // This check also keeps the frame on the stack. A tail call would remove the frame.
    assert!(result == 0 || result == libc::PTHREAD_BARRIER_SERIAL_THREAD, "pthread_barrier_wait: {result}");
}

/// Blocks every signal that can be blocked, in the calling thread only.
pub(crate) fn block_all_signals() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set that the second call reads.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
    }
}
