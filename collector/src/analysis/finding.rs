//! What the analysis says about one dump.

use serde::{Deserialize, Serialize};

use super::class::Why;
use super::words::{Class, Confidence, Integrity};
use crate::session::trace::Frame;
use crate::text::message::Text;

/// What one hang is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Class of the hang.
    pub class: Class,
    /// How sure that is.
    pub confidence: Confidence,
    /// Why, a sentence each, with the file of the bundle that shows it in parentheses.
    pub why: Vec<String>,
    /// What was missing, where the class is `unknown` or only likely.
    pub(crate) missing: Vec<String>,
    /// `why` with its values, for other languages.
    #[serde(default)]
    pub said: Vec<Why>,
    /// `missing` with its values.
    #[serde(default)]
    pub said_missing: Vec<Why>,
    /// Whether what is stuck is inside the allocator; none where no stack tells.
    #[serde(default)]
    pub(crate) in_allocator: Option<bool>,
    /// The lock, if there is one.
    pub lock: Option<Lock>,
    /// The thread that runs (or holds), if there is one.
    pub hot: Option<Hot>,
    /// Counts.
    pub(crate) threads: ThreadCounts,
    /// What each thread waits for, by tid.
    pub(crate) waits: Vec<ThreadWait>,
    /// Worst integrity over all DSOs of the dump.
    pub(crate) integrity: Integrity,
    /// Whether `(deleted)` was seen on a DSO.
    pub(crate) deleted_seen: bool,
}

/// A lock that threads wait for. Keys as in EVIDENCE's `verdict.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// Address as a hex string.
    pub address: String,
    /// Name of the address, if it has one.
    pub symbol: Option<String>,
    /// `pthread-mutex`, `futex`, `spin-lock` ...: a word of `WaitKind`.
    pub kind: String,
    /// Its holder, if it is known.
    pub owner_tid: Option<u32>,
    /// Who waits, by tid.
    pub waiters: Vec<u32>,
    /// Where the waiters wait: the allocator's function, file and line that most of them share.
    pub(crate) at: Option<Frame>,
}

/// The culprit's thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hot {
    /// Thread.
    pub tid: u32,
    /// Share of a core between the two looks, 0 to 1.
    pub(crate) cpu_share: f64,
    /// Whether its innermost named frames are inside the allocator; none where no stack was had.
    pub in_allocator: Option<bool>,
    /// Function that it loops or stands in.
    pub function: Option<String>,
    /// `file:line`, file without its folders.
    pub source: Option<String>,
    /// The file with its folders, as the debug information has it.
    #[serde(default)]
    pub(crate) file: Option<String>,
    /// Samples that were taken of it.
    pub(crate) samples: u32,
    /// Distinct program counters among them.
    pub(crate) distinct_pcs: u32,
    /// For how long it has been like this, seconds, as far as it was seen.
    pub(crate) for_s: Option<f64>,
}

/// Threads by what they do in the first look; the shim's own is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadCounts {
    /// All of them.
    pub(crate) all: u32,
    /// In a futex wait (by call number).
    pub(crate) futex_wait: u32,
    /// Running or runnable.
    pub(crate) running: u32,
    /// The rest.
    pub(crate) other: u32,
    /// Stacks that do not reach the thread's start.
    pub(crate) truncated_stacks: u32,
}

/// What a thread waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadWait {
    /// Thread.
    pub(crate) tid: u32,
    /// Kind, as a word: `pthread-mutex`, `join`, `condition`, `barrier`, `semaphore`, `rwlock`, `once`,
    /// `rust-lock`, `low-level-lock`, `futex`, `read`, `epoll`, `nanosleep`, `wait4`, ...
    pub(crate) kind: String,
    /// Address of the object (the mutex, not its word), if there is one.
    pub(crate) address: Option<u64>,
    /// Its name.
    pub(crate) symbol: Option<String>,
    /// Owner, where the object keeps one and it could be believed.
    pub(crate) owner: Option<u32>,
    /// For a person: `read of fd 3 (pipe:[123])`, `pthread mutex (recursive)`.
    pub(crate) detail: String,
    /// The same in both languages.
    #[serde(default)]
    pub(crate) said: Text,
}
