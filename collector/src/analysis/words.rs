//! The fixed words that other programs read in `verdict.json`.

use serde::{Deserialize, Serialize};

use crate::text::message::{Say as _, Text};
use crate::text::words::Word;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// All of them.
            pub(crate) const ALL: &[$name] = &[$($name::$variant,)*];

            /// The word as it stands in `verdict.json`.
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
    /// What kind of hang it is.
    Class {
        /// A cycle in the wait-for graph.
        Deadlock = "deadlock",
        /// The owner of the lock runs and does not come out.
        OwnerSpinning = "owner-spinning",
        /// The owner is blocked elsewhere.
        OwnerBlocked = "owner-blocked",
        /// The owner is no thread of this process any more.
        OwnerGone = "owner-gone",
        /// The word says free, or nobody is left to signal.
        LostWakeup = "lost-wakeup",
        /// Threads spin on a lock word with no kernel wait.
        SpinWait = "spin-wait",
        /// Several threads retry, none comes out.
        Livelock = "livelock",
        /// One thread never comes out; nobody waits for a lock of its.
        Runaway = "runaway",
        /// Uninterruptible sleep.
        KernelWait = "kernel-wait",
        /// What is stuck has no allocator frame.
        OutsideAllocator = "outside-allocator",
        /// Past the deadline, but threads still come and go.
        Slow = "slow",
        /// None of these is proven.
        Unknown = "unknown",
    }
}

words! {
    /// What the hunt says.
    Verdict {
        /// B.
        AllocatorBug = "allocator-bug",
        /// A.
        DsoMixup = "dso-mixup",
        /// The benchmark's own bug.
        HarnessBug = "harness-bug",
        /// Memory, swap, stopped, disk.
        Environment = "environment",
        /// No hang was seen.
        NotReproduced = "not-reproduced",
        /// Not enough to say.
        Inconclusive = "inconclusive",
    }
}

impl Verdict {
    /// `A`, `B` or nothing.
    pub(crate) fn letter(self) -> Option<&'static str> {
        match self {
            Verdict::DsoMixup => Some("A"),
            Verdict::AllocatorBug => Some("B"),
            _ => None,
        }
    }
}

words! {
    /// Whether a DSO is still the file that was loaded. Ordered from best to worst.
    Integrity {
        /// Same file, same bytes.
        Intact = "intact",
        /// Could not be told.
        Unknown = "unknown",
        /// The file was removed.
        Deleted = "deleted",
        /// The path now names another file.
        Replaced = "replaced",
        /// Same file, other bytes or a reset mapping.
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
    /// How sure a finding is.
    Confidence {
        /// Follows from what was seen.
        Proven = "proven",
        /// Fits best with what was seen.
        Likely = "likely",
    }
}

words! {
    /// What the user should do.
    NextAction {
        /// Fix the allocator.
        FixCode = "fix-code",
        /// Fix how DSOs are handled.
        FixProcedure = "fix-procedure",
        /// Fix the benchmark.
        FixBenchmark = "fix-benchmark",
        /// Make more runs.
        MoreRuns = "more-runs",
        /// Nothing.
        None = "none",
    }
}

impl Confidence {
    /// For a sentence.
    pub(crate) fn said(self) -> Text {
        match self {
            Confidence::Proven => Word::Proven {}.said(),
            Confidence::Likely => Word::Likely {}.said(),
        }
    }
}

impl Integrity {
    /// For a sentence.
    pub(crate) fn said(self) -> Text {
        match self {
            Integrity::Intact => Word::Intact {}.said(),
            Integrity::Unknown => Word::Unknown {}.said(),
            Integrity::Deleted => Word::Deleted {}.said(),
            Integrity::Replaced => Word::Replaced {}.said(),
            Integrity::Overwritten => Word::Overwritten {}.said(),
        }
    }
}
