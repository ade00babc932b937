//! The fixed words of `verdict.json` that other programs read.

use serde::{Deserialize, Serialize};

use crate::text::message::{Say as _, Text};
use crate::text::words::Word;

macro_rules! words {
    // `listed`: with a constant that holds all words.
    (listed $(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)* }) => {
        words! { $(#[$meta])* $name { $($(#[$vmeta])* $variant = $text,)* } }

        impl $name {
            pub(crate) const ALL: &[$name] = &[$($name::$variant,)*];
        }
    };
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// The word in `verdict.json`.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    listed
    Class {
        /// A cycle in the wait-for graph.
        Deadlock = "deadlock",
        /// The owner of the lock runs and does not release it.
        OwnerSpinning = "owner-spinning",
        /// The owner of the lock is blocked on something else.
        OwnerBlocked = "owner-blocked",
        /// The owner returned from the allocator with the lock and goes on: a forgotten unlock.
        OwnerLeft = "owner-left",
        /// The owner of the lock is not a thread of this process any more.
        OwnerGone = "owner-gone",
        /// Threads sleep although the futex word is free, or no thread is left to signal them.
        LostWakeup = "lost-wakeup",
        /// Threads spin on a lock word and do not wait in the kernel.
        SpinWait = "spin-wait",
        /// Several threads retry, and none leaves the allocator.
        Livelock = "livelock",
        /// One thread never leaves the allocator, and no thread waits for a lock that it holds.
        Runaway = "runaway",
        /// A thread waits for a lock that it took further out on its own stack. A signal handler or a callback of
        /// the program came between.
        Reentry = "reentry",
        KernelWait = "kernel-wait",
        /// The stuck threads have no allocator frame.
        OutsideAllocator = "outside-allocator",
        /// Past the deadline, but threads still make progress.
        Slow = "slow",
        /// No other class is proven.
        Unknown = "unknown",
    }
}

words! {
    Verdict {
        AllocatorBug = "allocator-bug",
        DsoMixup = "dso-mixup",
        HarnessBug = "harness-bug",
        /// Memory, swap, stopped, disk.
        Environment = "environment",
        NotReproduced = "not-reproduced",
        /// What the threads wait for will come, or nothing but idling was seen.
        NotHung = "not-hung",
        Inconclusive = "inconclusive",
    }
}

impl Verdict {
    /// `A` or `B`; none for the other verdicts.
    pub(crate) fn letter(self) -> Option<&'static str> {
        match self {
            Verdict::DsoMixup => Some("A"),
            Verdict::AllocatorBug => Some("B"),
            _ => None,
        }
    }
}

words! {
    listed
    /// Whether a DSO is still the file that was loaded. Ordered from best to worst.
    Integrity {
        Intact = "intact",
        /// The evidence does not tell.
        Unknown = "unknown",
        Deleted = "deleted",
        /// The path now names another file.
        Replaced = "replaced",
        /// Same file, but other bytes, or its private pages were reset.
        Overwritten = "overwritten",
    }
}

impl Integrity {
    /// Known to have changed; `unknown` is not.
    pub(crate) fn is_changed(self) -> bool {
        !matches!(self, Integrity::Intact | Integrity::Unknown)
    }
}

words! {
    /// What made the hang possible, beside its class.
    Cause {
        /// The loop walks a list that leads back into itself.
        ListRing = "list-ring",
        /// A signal handler used the allocator while the thread that it interrupted was in the allocator.
        SignalReentry = "signal-reentry",
        /// The allocator called a function of the program, and that function does not return.
        Callback = "callback",
        /// A lock was held, or a list was being changed, when the process was forked.
        ForkInherited = "fork-inherited",
        /// The lock is shared between processes, and another process holds it.
        ProcessShared = "process-shared",
        /// A request for memory that fails each time is retried, by the program or by the allocator itself.
        EnomemRetry = "enomem-retry",
    }
}

words! {
    /// Whose mistake a hang is.
    Blame {
        Allocator = "allocator",
        /// The program, or code that it interposes.
        Program = "program",
        /// The kernel, the machine, or a process outside.
        Environment = "environment",
        /// The allocator's or the program's: what was seen fits both.
        Either = "either",
        /// Nothing hangs.
        Nobody = "nobody",
    }
}

words! {
    /// How certain a finding is.
    Confidence {
        /// Follows from the evidence.
        Proven = "proven",
        /// The best fit to the evidence.
        Likely = "likely",
    }
}

words! {
    /// What the user should do next.
    NextAction {
        FixCode = "fix-code",
        /// Fix the handling of DSOs.
        FixProcedure = "fix-procedure",
        FixBenchmark = "fix-benchmark",
        MoreRuns = "more-runs",
        None = "none",
    }
}

impl Confidence {
    pub(crate) fn said(&self) -> Text {
        match self {
            Confidence::Proven => Word::Proven {}.said(),
            Confidence::Likely => Word::Likely {}.said(),
        }
    }
}

impl Integrity {
    pub(crate) fn said(&self) -> Text {
        match self {
            Integrity::Intact => Word::Intact {}.said(),
            Integrity::Unknown => Word::Unknown {}.said(),
            Integrity::Deleted => Word::Deleted {}.said(),
            Integrity::Replaced => Word::Replaced {}.said(),
            Integrity::Overwritten => Word::Overwritten {}.said(),
        }
    }
}
