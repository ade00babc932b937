//! Two threads move blocks between two shelves, in opposite directions. Each thread first takes the lock of
//! the shelf that it moves blocks from. Each then waits until the other thread has its first lock, so that
//! the deadlock happens in every run.
//!
//! | step | thread 1 | thread 2 |
//! |---|---|---|
//! | 1 | joins the pair | joins the pair |
//! | 2 | takes lock A | takes lock B |
//! | 3 | sees that B is taken | sees that A is taken |
//! | 4 | waits for lock B | waits for lock A |
//! | 5 | never gets it | never gets it |
//!
//! Both threads wait for ever. Other threads that need one of the two locks wait behind them.

#[path = "common/mod.rs"]
mod common;
#[path = "common/exports.rs"]
mod exports;

use common::{Hooks, mutexes};
use hangscope_test_allocators::fault::Pair;
use hangscope_test_allocators::raw;

struct Fault;

static MOVERS: Pair = Pair::new();

impl Hooks for Fault {
    fn before_lock(_lock: usize) {
        if let Some((from, to)) = MOVERS.join() {
            deadlock_inversion_move(from, to);
        }
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn deadlock_inversion_move(from: usize, to: usize) {
    MOVERS.wait_for_members();
    mutexes::mid_lock_acquire(from);
    MOVERS.wait_for_first_locks();
    raw::tell_truth("owner", mutexes::mutex(from) as usize);
    // culprit: begin
    mutexes::mid_lock_acquire(to);
    // culprit: end
    mutexes::mid_lock_release(to);
    mutexes::mid_lock_release(from);
}
