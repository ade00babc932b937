//! The table: what each allocator does, and what must be found about it.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// When a fault hangs its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangs {
    /// In every run with the arguments and environment of the table.
    Always,
    /// In some runs; the notes say in how many.
    Sometimes,
    /// When the DSO's file is removed, replaced or written to under the run; never where it is left alone.
    WhenFileChanges,
    /// Never.
    Never,
}

/// An allocator (or a fault of the benchmark's own, under the healthy allocator) and what a perfect analysis
/// says about a process that it hangs.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Name of the row.
    pub name: &'static str,
    /// File name of the DSO, in `target/PROFILE/examples`.
    pub so: &'static str,
    /// When it hangs.
    pub hangs: Hangs,
    /// Class of the hang, a word of the class table; none where it never hangs.
    pub class: Option<&'static str>,
    /// Verdict of a hunt that has seen it: for [`Hangs::WhenFileChanges`] one with enough runs of an arm in
    /// which the file changes, and of one in which it does not.
    pub verdict: &'static str,
    /// `A`, `B`, or none where the verdict is neither.
    pub letter: Option<&'static str>,
    /// The lock (or condition, or futex word) that the hang is about, as `symbol+offset`, if a lock can be
    /// named. For a condition it is where the condition begins: its futex word lies 40 or 44 bytes further.
    pub lock_symbol: Option<&'static str>,
    /// Other locks of the same hang: in a cycle any may come first.
    pub also_locks: &'static [&'static str],
    /// Whether the lock has an owner whose tid can be known, alive or gone.
    pub owner_known: bool,
    /// The allocator's (or the benchmark's) own function in which the culprit is, if it is still in one. The
    /// innermost frames may be libc's.
    pub culprit_function: Option<&'static str>,
    /// The file of that function, from the workspace's root.
    pub culprit_file: Option<&'static str>,
    /// The function in which the other threads wait, if they wait in the allocator.
    pub waiter_function: Option<&'static str>,
    /// Arguments for the benchmark: it then hangs within a second or two on two cores.
    pub workload_args: &'static [&'static str],
    /// Environment.
    pub env: &'static [(&'static str, &'static str)],
    /// What else is to be known.
    pub notes: &'static str,
}

impl Fault {
    /// The row of that name.
    ///
    /// # Panics
    /// If there is none.
    pub fn named(name: &str) -> &'static Fault {
        FAULTS.iter().find(|fault| fault.name == name).unwrap_or_else(|| panic!("no fault is named {name:?}"))
    }

    /// The built DSO. It is built first if it is not up to date.
    pub fn path(&self) -> PathBuf {
        crate::artifacts::allocator(self.so)
    }

    /// The lines (from 1) of `culprit_file` in which the culprit is to be found: those between the marks in
    /// the body of the culprit's function. A frame further in, of a function that was inlined there from
    /// another file, does not count.
    ///
    /// # Panics
    /// If the source has no marks where the table says that there is a culprit.
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

/// The workspace's root.
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

const USUAL: &[&str] = &["4", "200000", "100", "16", "4096", "50", "1024"];
/// The lock that most faults are about: the fifth of an array of mutexes of 40 bytes.
const FIFTH_MUTEX: Option<&str> = Some("g_mid_locks+160");

/// What most rows have.
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
    workload_args: USUAL,
    env: &[],
    notes: "what all the others are but for their fault",
};

const BUG: Fault = Fault { hangs: Hangs::Always, verdict: "allocator-bug", letter: Some("B"), ..HEALTHY };

/// A bug about the fifth mutex, whose owner is known.
const MUTEX: Fault =
    Fault { lock_symbol: FIFTH_MUTEX, owner_known: true, waiter_function: Some("mid_lock_acquire"), ..BUG };

/// Every row.
pub const FAULTS: &[Fault] = &[
    HEALTHY,
    Fault {
        name: "demo",
        so: "libfault_demo.so",
        hangs: Hangs::Sometimes,
        class: Some("owner-spinning"),
        culprit_function: Some("demo_shelf_last"),
        culprit_file: Some("tests/allocators/examples/fault_demo.rs"),
        notes: "the demonstration: in one process of four (FAULT_ONE_IN) a thread walks a circular list \
                while it has the lock",
        ..MUTEX
    },
    Fault {
        name: "counted",
        so: "libfault_counted.so",
        hangs: Hangs::Sometimes,
        class: Some("owner-spinning"),
        culprit_function: Some("counted_shelf_last"),
        culprit_file: Some("tests/allocators/examples/fault_counted.rs"),
        notes: "as the demonstration, and counts: lines [COUNTED] at exit with FAULT_COUNTERS=1, the variables \
                g_counted and g_counted_inside; the shelf is walked (mid_walk_steps) only by the fault",
        ..MUTEX
    },
    Fault {
        name: "owner_spinning",
        so: "libfault_owner_spinning.so",
        class: Some("owner-spinning"),
        culprit_function: Some("owner_spinning_wait_for_remote_list"),
        culprit_file: Some("tests/allocators/examples/fault_owner_spinning.rs"),
        notes: "the holder loops on a flag that nobody sets",
        ..MUTEX
    },
    Fault {
        name: "owner_blocked",
        so: "libfault_owner_blocked.so",
        class: Some("owner-blocked"),
        culprit_function: Some("owner_blocked_read_hint"),
        culprit_file: Some("tests/allocators/examples/fault_owner_blocked.rs"),
        notes: "the holder is in read() on a pipe into which nobody writes",
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
        notes: "the holder is stopped by a tracer (state t); it answers no signal. Has the tripwire too",
        ..MUTEX
    },
    Fault {
        name: "owner_gone",
        so: "libfault_owner_gone.so",
        class: Some("owner-gone"),
        notes: "a thread ended with the lock; the mutex still has its tid",
        ..MUTEX
    },
    Fault {
        name: "owner_gone_fork",
        so: "libfault_owner_gone_fork.so",
        class: Some("owner-gone"),
        workload_args: &["4", "200000", "100", "16", "4096", "50", "1024", "--fork-child"],
        notes: "the child is what hangs: the lock was held, over the fork, by a thread of the parent. The \
                parent waits for the child in wait4, in the benchmark",
        ..MUTEX
    },
    Fault {
        name: "deadlock_inversion",
        so: "libfault_deadlock_inversion.so",
        class: Some("deadlock"),
        also_locks: &["g_mid_locks+200"],
        culprit_function: Some("deadlock_inversion_move"),
        culprit_file: Some("tests/allocators/examples/fault_deadlock_inversion.rs"),
        notes: "two threads, two locks, taken in either order",
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
        notes: "a futex lock whose release forgets the wake: the word says free (0), sleepers expect 2. The \
                busiest thread is done and spins in the benchmark (bench_spin_until_all_done)",
        ..BUG
    },
    Fault {
        name: "cond_never_signalled",
        so: "libfault_cond_never_signalled.so",
        class: Some("lost-wakeup"),
        lock_symbol: Some("g_mid_refill_cond"),
        waiter_function: Some("cond_never_signalled_wait"),
        notes: "all workers wait on a condition that nobody is left to signal",
        ..BUG
    },
    Fault {
        name: "spin_wait",
        so: "libfault_spin_wait.so",
        class: Some("spin-wait"),
        culprit_function: Some("spin_wait_for_memory"),
        culprit_file: Some("tests/allocators/examples/fault_spin_wait.rs"),
        waiter_function: Some("spin_wait_acquire"),
        notes: "the lock word (g_mid_spins+256) is in no futex call; the holder sleeps in timed naps, so its \
                context switches go on rising",
        ..BUG
    },
    Fault {
        name: "livelock",
        so: "libfault_livelock.so",
        class: Some("livelock"),
        culprit_function: Some("livelock_acquire"),
        culprit_file: Some("tests/allocators/examples/fault_livelock.rs"),
        notes: "all workers run, in endless pthread_mutex_trylock",
        ..BUG
    },
    Fault {
        name: "runaway",
        so: "libfault_runaway.so",
        class: Some("runaway"),
        culprit_function: Some("runaway_find_owner"),
        culprit_file: Some("tests/allocators/examples/fault_runaway.rs"),
        notes: "one thread loops without a lock; the others end",
        ..BUG
    },
    Fault {
        name: "runaway_while_others_spin",
        so: "libfault_runaway.so",
        class: Some("runaway"),
        culprit_function: Some("runaway_find_owner"),
        culprit_file: Some("tests/allocators/examples/fault_runaway.rs"),
        workload_args: &["4", "200000", "100", "16", "4096", "50", "1024", "--spin-wait-at-end"],
        notes: "as runaway, and the others are done and spin in the benchmark, as busy as the culprit",
        ..BUG
    },
    Fault {
        name: "kernel_wait",
        so: "libfault_kernel_wait.so",
        class: Some("kernel-wait"),
        culprit_function: Some("kernel_wait_start_helper"),
        culprit_file: Some("tests/allocators/examples/fault_kernel_wait.rs"),
        notes: "a thread in state D, in clone (CLONE_VFORK), whose child never ends. No lock. A second process \
                shares the memory",
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
        notes: "every operation sleeps a millisecond under its lock: minutes, but it ends. A run that was stopped \
                for its deadline tells nothing of the rate",
        ..BUG
    },
    Fault {
        name: "tripwire",
        so: "libfault_tripwire.so",
        notes: "healthy; aborts with a line on stderr when the shim's code or thread calls it. See \
                FAULT_EXPECT_SHIM and FAULT_SCAN_WORDS in examples/common/tripwire.rs",
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
        notes: "use it on a copy of the file. After a copy in place (which truncates) the threads fault \
                and stay in pause(), called as their signal handler: the class is then not this one",
        ..MUTEX
    },
    Fault {
        name: "natural_race",
        so: "libfault_natural_race.so",
        hangs: Hangs::Sometimes,
        class: Some("lost-wakeup"),
        lock_symbol: Some("g_mid_seats"),
        waiter_function: Some("natural_race_enter"),
        notes: "measured on two cores: 0 of 300 runs with these arguments, 1 of 300 with four times as many other \
                threads at work, about one in six with --stir 3; 7 of 40 with 8 threads. Each sleeper has a seat \
                (4 bytes) of its own in the array; the forgotten one's says 1, and the sleeper expects 0. A signal \
                to the sleeper cures it",
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
        notes: "the benchmark's own barrier waits for one more than there are",
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
        notes: "a worker loops in the benchmark",
        ..HEALTHY
    },
];
