//! The table: what each allocator does, and what an analysis must find about it.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::artifacts::{self, workspace};

/// When a fault hangs its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangs {
    /// In every run with the arguments and environment of the table.
    Always,
    /// In some runs. The notes of the row say in how many.
    Sometimes,
    /// When the DSO's file is removed, replaced or written to during the run, and never otherwise.
    WhenFileChanges,
    Never,
}

/// One row: an allocator, and what a perfect analysis says about a process that the allocator hangs. Some
/// rows have a fault of the benchmark itself. Those use the healthy allocator.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub name: &'static str,
    /// File name of the DSO in `target/PROFILE/examples`.
    pub so: &'static str,
    pub hangs: Hangs,
    /// Class of the hang, as a word of the class table. None if the process never hangs.
    pub class: Option<&'static str>,
    /// Verdict of a hunt that saw the hang. For [`Hangs::WhenFileChanges`], the hunt needs enough runs in an
    /// arm that changes the file, and in an arm that does not.
    pub verdict: &'static str,
    /// Letter of the verdict, `A` or `B`. None if the verdict has no letter.
    pub letter: Option<&'static str>,
    /// The lock, condition or futex word of the hang as `symbol+offset`, if one can be named. For a
    /// condition, this is its start address. The futex word is 40 or 44 bytes after the start.
    pub lock_symbol: Option<&'static str>,
    /// Other locks of the same hang. In a cycle, a finding may name any of the locks first.
    pub also_locks: &'static [&'static str],
    /// Whether the tid of the lock's owner can be known. The owner may be alive or gone.
    pub owner_known: bool,
    /// The function of the allocator or the benchmark in which the
    /// culprit is, if it is in one. Frames of libc may lie below it.
    pub culprit_function: Option<&'static str>,
    /// The file of `culprit_function`, relative to the workspace's root.
    pub culprit_file: Option<&'static str>,
    /// The function in which the other threads wait, if they wait in the allocator.
    pub waiter_function: Option<&'static str>,
    /// Arguments for the benchmark. With them, it hangs within about two seconds on two cores.
    pub workload_args: &'static [&'static str],
    pub env: &'static [(&'static str, &'static str)],
    /// Facts for the reader of the table. Tests do not read them.
    pub notes: &'static str,
}

impl Fault {
    /// Returns the row with this name.
    pub fn named(name: &str) -> &'static Fault {
        FAULTS.iter().find(|fault| fault.name == name).unwrap_or_else(|| panic!("no fault is named {name:?}"))
    }

    /// Builds the DSO if it is out of date, and returns its path.
    pub fn path(&self) -> PathBuf {
        artifacts::allocator(self.so)
    }

    /// The lines of `culprit_file`, counted from 1, where the culprit must be
    /// found. They lie between the two marks in the body of `culprit_function`. A
    /// frame of a function that was inlined there from another file does not count.
    pub fn culprit_lines(&self) -> Option<RangeInclusive<u32>> {
        let (function, file) = (self.culprit_function?, self.culprit_file?);
        let path = workspace().join(file);
        let source = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut lines = (1..).zip(source.lines());
        let mut next = |what: &str| {
            let found = lines.find(|(_, line)| line.contains(what)).map(|(number, _)| number);
            found.unwrap_or_else(|| panic!("{file}: no {what:?} for {function}"))
        };
        next(&format!("fn {function}("));
        let (first, last): (u32, u32) = (next("// culprit: begin"), next("// culprit: end"));
        Some(first + 1..=last - 1)
    }
}

const USUAL_ARGS: &[&str] = &["4", "200000", "100", "16", "4096", "50", "1024"];
/// The lock of most faults: the fifth in an array of mutexes of 40 bytes each.
const FIFTH_MUTEX: Option<&str> = Some("g_mid_locks+160");

/// The healthy allocator. The other rows start from this one.
const HEALTHY: Fault = Fault {
    name: "healthy",
    so: "libfault_healthy.so",
    hangs: Hangs::Never,
    class: None,
    verdict: "not-reproduced",
    letter: None,
    lock_symbol: None,
    also_locks: &[],
    owner_known: false,
    culprit_function: None,
    culprit_file: None,
    waiter_function: None,
    workload_args: USUAL_ARGS,
    env: &[],
    notes: "the other allocators are this one plus a fault",
};

const BUG: Fault = Fault { hangs: Hangs::Always, verdict: "allocator-bug", letter: Some("B"), ..HEALTHY };

/// A fault of the fifth mutex. Its owner is known.
const MUTEX: Fault =
    Fault { lock_symbol: FIFTH_MUTEX, owner_known: true, waiter_function: Some("mid_lock_acquire"), ..BUG };

pub const FAULTS: &[Fault] = &[
    HEALTHY,
    Fault {
        name: "demo",
        so: "libfault_demo.so",
        hangs: Hangs::Sometimes,
        class: Some("owner-spinning"),
        culprit_function: Some("demo_shelf_last"),
        culprit_file: Some("tests/allocators/examples/fault_demo.rs"),
        notes: "the demonstration: in one of four processes (FAULT_ONE_IN), a thread walks a circular list \
                while it holds the lock",
        ..MUTEX
    },
    Fault {
        name: "counted",
        so: "libfault_counted.so",
        hangs: Hangs::Sometimes,
        class: Some("owner-spinning"),
        culprit_function: Some("counted_shelf_last"),
        culprit_file: Some("tests/allocators/examples/fault_counted.rs"),
        notes: "like the demonstration, with counters: it prints lines with [COUNTED] at exit if \
                FAULT_COUNTERS=1, and has the variables g_counted and g_counted_inside. Only the fault walks \
                the shelf (mid_walk_steps)",
        ..MUTEX
    },
    Fault {
        name: "owner_spinning",
        so: "libfault_owner_spinning.so",
        class: Some("owner-spinning"),
        culprit_function: Some("owner_spinning_wait_for_remote_list"),
        culprit_file: Some("tests/allocators/examples/fault_owner_spinning.rs"),
        notes: "the owner loops on a flag that no thread sets",
        ..MUTEX
    },
    Fault {
        name: "owner_blocked",
        so: "libfault_owner_blocked.so",
        class: Some("owner-blocked"),
        culprit_function: Some("owner_blocked_read_hint"),
        culprit_file: Some("tests/allocators/examples/fault_owner_blocked.rs"),
        notes: "the owner is in read() on a pipe that nothing writes to",
        ..MUTEX
    },
    Fault {
        name: "owner_stopped",
        so: "libfault_owner_stopped.so",
        class: Some("owner-blocked"),
        verdict: "environment",
        letter: None,
        culprit_function: Some("owner_stopped_be_stopped"),
        culprit_file: Some("tests/allocators/examples/fault_owner_stopped.rs"),
        notes: "a tracer has stopped the owner (state t). The owner handles no signals. This DSO also has \
                the tripwire",
        ..MUTEX
    },
    Fault {
        name: "owner_gone",
        so: "libfault_owner_gone.so",
        class: Some("owner-gone"),
        notes: "a thread ended while it held the lock. The mutex still has its tid",
        ..MUTEX
    },
    Fault {
        name: "owner_gone_fork",
        so: "libfault_owner_gone_fork.so",
        class: Some("owner-gone"),
        workload_args: &["4", "200000", "100", "16", "4096", "50", "1024", "--fork-child"],
        notes: "the child hangs: a thread of the parent held the lock during the fork. The parent waits for \
                the child in wait4, in the benchmark",
        ..MUTEX
    },
    Fault {
        name: "deadlock_inversion",
        so: "libfault_deadlock_inversion.so",
        class: Some("deadlock"),
        also_locks: &["g_mid_locks+200"],
        culprit_function: Some("deadlock_inversion_move"),
        culprit_file: Some("tests/allocators/examples/fault_deadlock_inversion.rs"),
        notes: "two threads take the same two locks in opposite orders",
        ..MUTEX
    },
    Fault {
        name: "deadlock_self",
        so: "libfault_deadlock_self.so",
        class: Some("deadlock"),
        culprit_function: Some("deadlock_self_refill"),
        culprit_file: Some("tests/allocators/examples/fault_deadlock_self.rs"),
        notes: "a thread takes a normal mutex twice",
        ..MUTEX
    },
    Fault {
        name: "lost_wakeup",
        so: "libfault_lost_wakeup.so",
        class: Some("lost-wakeup"),
        lock_symbol: Some("g_mid_words+256"),
        waiter_function: Some("lost_wakeup_acquire"),
        workload_args: &["4", "200000", "100", "16", "4096", "50", "1024", "--spin-wait-at-end"],
        notes: "the release of a futex lock forgets the wake: the word says free (0), and the sleepers \
                expect 2. The busiest thread has finished and spins in the benchmark \
                (bench_spin_until_all_done)",
        ..BUG
    },
    Fault {
        name: "cond_never_signalled",
        so: "libfault_cond_never_signalled.so",
        class: Some("lost-wakeup"),
        lock_symbol: Some("g_mid_refill_cond"),
        waiter_function: Some("cond_never_signalled_wait"),
        notes: "all workers wait on a condition, and no thread is left to signal it",
        ..BUG
    },
    Fault {
        name: "spin_wait",
        so: "libfault_spin_wait.so",
        class: Some("spin-wait"),
        culprit_function: Some("spin_wait_for_memory"),
        culprit_file: Some("tests/allocators/examples/fault_spin_wait.rs"),
        waiter_function: Some("spin_wait_acquire"),
        notes: "the lock word (g_mid_spins+256) is in no futex call. The owner makes timed sleeps, so the \
                number of its context switches keeps rising",
        ..BUG
    },
    Fault {
        name: "livelock",
        so: "libfault_livelock.so",
        class: Some("livelock"),
        culprit_function: Some("livelock_acquire"),
        culprit_file: Some("tests/allocators/examples/fault_livelock.rs"),
        notes: "all workers run and call pthread_mutex_trylock for ever",
        ..BUG
    },
    Fault {
        name: "runaway",
        so: "libfault_runaway.so",
        class: Some("runaway"),
        culprit_function: Some("runaway_find_owner"),
        culprit_file: Some("tests/allocators/examples/fault_runaway.rs"),
        notes: "one thread loops without a lock, and the others end",
        ..BUG
    },
    Fault {
        name: "runaway_while_others_spin",
        so: "libfault_runaway.so",
        class: Some("runaway"),
        culprit_function: Some("runaway_find_owner"),
        culprit_file: Some("tests/allocators/examples/fault_runaway.rs"),
        workload_args: &["4", "200000", "100", "16", "4096", "50", "1024", "--spin-wait-at-end"],
        notes: "like runaway, but the others have finished and spin in the benchmark, as busy as the culprit",
        ..BUG
    },
    Fault {
        name: "kernel_wait",
        so: "libfault_kernel_wait.so",
        class: Some("kernel-wait"),
        culprit_function: Some("kernel_wait_start_helper"),
        culprit_file: Some("tests/allocators/examples/fault_kernel_wait.rs"),
        notes: "a thread is in state D in clone (CLONE_VFORK), and its child never ends. There is no lock. A \
                second process shares the memory",
        ..BUG
    },
    Fault {
        name: "slow",
        so: "libfault_slow.so",
        hangs: Hangs::Never,
        class: Some("slow"),
        verdict: "inconclusive",
        letter: None,
        culprit_function: None,
        notes: "every operation sleeps a millisecond under its lock. The run takes minutes, but it ends. A \
                run that the deadline stopped says nothing about the rate of hangs",
        ..BUG
    },
    Fault {
        name: "tripwire",
        so: "libfault_tripwire.so",
        notes: "healthy, but aborts with a line on stderr if the shim's code or the shim's thread calls it. \
                FAULT_EXPECT_SHIM and FAULT_SCAN_WORDS are described in examples/common/tripwire.rs",
        ..HEALTHY
    },
    Fault {
        name: "overwritten_only",
        so: "libfault_overwritten_only.so",
        hangs: Hangs::WhenFileChanges,
        class: Some("owner-spinning"),
        verdict: "dso-mixup",
        letter: Some("A"),
        culprit_function: Some("overwritten_only_read_table"),
        culprit_file: Some("tests/allocators/examples/fault_overwritten_only.rs"),
        notes: "use a copy of the file. A copy in place truncates the file: the threads then fault and stay \
                in pause(), which is their signal handler, and the class is a different one",
        ..MUTEX
    },
    Fault {
        name: "natural_race",
        so: "libfault_natural_race.so",
        hangs: Hangs::Sometimes,
        class: Some("lost-wakeup"),
        lock_symbol: Some("g_mid_seats"),
        waiter_function: Some("natural_race_enter"),
        notes: "hangs measured on two cores: 0 of 300 runs with these arguments, 1 of 300 with four times as \
                many other busy threads, about one in six with --stir 3, and 7 of 40 with 8 threads. Each \
                sleeper has its own seat (4 bytes) in the array. The seat of the forgotten sleeper is 1, and \
                the sleeper expects 0. A signal to the sleeper ends the hang",
        ..BUG
    },
    Fault {
        name: "barrier_short",
        hangs: Hangs::Always,
        class: Some("outside-allocator"),
        verdict: "harness-bug",
        culprit_function: Some("bench_wait_at_barrier"),
        culprit_file: Some("tests/workload/src/stuck.rs"),
        workload_args: &["4", "50000", "100", "16", "4096", "50", "1024", "--barrier-short"],
        notes: "the benchmark's own barrier waits for one thread more than exist",
        ..HEALTHY
    },
    Fault {
        name: "stuck_loop",
        hangs: Hangs::Always,
        class: Some("outside-allocator"),
        verdict: "harness-bug",
        culprit_function: Some("bench_stuck_loop"),
        culprit_file: Some("tests/workload/src/stuck.rs"),
        workload_args: &["4", "50000", "100", "16", "4096", "50", "1024", "--stuck-loop-outside"],
        notes: "a worker loops for ever in the benchmark",
        ..HEALTHY
    },
];
