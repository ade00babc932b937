//! When a thread takes a slow path. Each thread counts its own operations down from a random number, as
//! allocators do that sample, so that threads do not take the slow path in step.

use std::cell::Cell;

use hangscope_test_allocators::raw;

/// Number of slow paths that one race can pace.
const PATHS: usize = 2;

thread_local! {
    // The values are constant and have no destructors, so std allocates and registers nothing for them.
    static LEFT: [Cell<u32>; PATHS] = const { [const { Cell::new(0) }; PATHS] };
    static RANDOM: Cell<u32> = const { Cell::new(0) };
}

/// Whether the slow path number `path` is due in this thread. It is due once in `mean` calls on average.
#[inline(always)]
pub(crate) fn due(path: usize, mean: u32) -> bool {
    LEFT.with(|left| {
        let count = left[path].get();
        if count > 1 {
            left[path].set(count - 1);
            return false;
        }
        left[path].set(1 + random() % (2 * mean));
        // The first call of a thread only starts the count.
        count == 1
    })
}

/// A random number of this thread. Source: Marsaglia, "Xorshift RNGs" (2003), 32 bits.
pub(crate) fn random() -> u32 {
    RANDOM.with(|state| {
        let mut x = state.get();
        if x == 0 {
            // The odd factor keeps the number of a thread different from zero.
            x = raw::gettid().wrapping_mul(0x9e37_79b1);
        }
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        state.set(x);
        x
    })
}
