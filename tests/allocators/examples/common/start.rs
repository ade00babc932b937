//! The constructor and the settings that it reads from the environment.
//!
//! - `FAULT_AFTER`: number of operations on the central part before the fault; 20000 by default.
//! - `FAULT_ONE_IN`: the fault happens in one of this many processes; 1 is always, 0 is never.
//! - `FAULT_TRUTH`: path of the truth file; see `truth` in the crate.

use hangscope_test_allocators::{fault, raw};

use super::hooks::Hooks;
use super::{front, mutexes};
use crate::Fault;

extern "C" fn start() {
    raw::open_truth();
    front::start();
    if Fault::GUARDS_FORK {
        mutexes::guard_fork();
    }
    let one_in = raw::number_from_env(c"FAULT_ONE_IN", Fault::ONE_IN);
    let after = raw::number_from_env(c"FAULT_AFTER", 20_000);
    Fault::start();
    if raw::one_in(one_in) {
        fault::arm(after);
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;
