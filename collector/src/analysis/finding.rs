//! The result of the analysis of one dump.

use serde::{Deserialize, Serialize};

use super::hot_loop::HotLoop;
use super::list_ring::ListRing;
use super::why::Why;
use super::words::{Blame, Cause, Class, Confidence, Integrity};
use crate::session::trace::Frame;
use crate::text::message::{Text, say};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub class: Class,
    pub confidence: Confidence,
    #[serde(default)]
    pub cause: Option<Cause>,
    /// Whose mistake it is, where the stacks and the lock tell. None: the class and `in_allocator` decide.
    #[serde(default)]
    pub(crate) blame: Option<Blame>,
    /// The evidence: sentences in English, each with the file of the bundle that shows it in parentheses.
    pub why: Vec<String>,
    /// The missing evidence, where the class is `unknown` or only likely: sentences in English.
    pub(crate) missing: Vec<String>,
    /// `why` as values, for other languages.
    #[serde(default)]
    pub said: Vec<Why>,
    /// `missing` as values, for other languages.
    #[serde(default)]
    pub said_missing: Vec<Why>,
    /// Whether the stuck threads are inside the allocator; none where no stack tells.
    #[serde(default)]
    pub(crate) in_allocator: Option<bool>,
    pub lock: Option<Lock>,
    /// The ring of waits; empty where there is none.
    #[serde(default)]
    pub(crate) ring: Vec<RingEdge>,
    /// The thread that runs or holds the lock; else the busiest thread, if one is busy.
    pub hot: Option<Hot>,
    pub(crate) threads: ThreadCounts,
    /// Threads that spin in the allocator together; 0 where the class is another one.
    #[serde(default)]
    pub(crate) spinning: u32,
    /// One for each thread that waits, ascending by tid.
    pub(crate) waits: Vec<ThreadWait>,
    /// The worst integrity of all DSOs of the dump.
    pub(crate) integrity: Integrity,
    /// `(deleted)` was seen on a DSO.
    pub(crate) deleted_seen: bool,
    /// The last times that a thread was held before the hang (`--stir`), the last first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) holds: Vec<HoldPlace>,
    /// The loop in which the hot thread runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hot_loop: Option<HotLoop>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) no_loop: Option<Text>,
    /// The list that leads back into itself, where a thread walks one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) list_ring: Option<ListRing>,
}

/// Where a thread was held, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HoldPlace {
    pub(crate) tid: u32,
    pub(crate) held_ms: f64,
    /// Time from its end to the dump, seconds.
    pub(crate) before_s: f64,
    /// A value of [`hangscope_protocol::stir::hold_at`].
    pub(crate) at: u16,
    pub(crate) function: Option<String>,
    /// Offset in the function.
    pub(crate) offset: Option<u64>,
    /// `file:line`, the file without its folders.
    pub(crate) source: Option<String>,
    /// The source file as in the debug information.
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    /// The function of the allocator that called that one, and where.
    #[serde(default)]
    pub(crate) caller: Option<String>,
    #[serde(default)]
    pub(crate) caller_source: Option<String>,
}

impl HoldPlace {
    /// `` `span_unlock+0x1a` (races.c:52) ``.
    pub(crate) fn place(&self) -> String {
        let function = self.function.as_deref().unwrap_or("?");
        let offset = self.offset.map_or_else(String::new, |offset| format!("+{offset:#x}"));
        format!("`{function}{offset}`{}", in_source(self.source.as_deref()))
    }

    /// `` `span_put` (races.c:80) ``.
    pub(crate) fn called_from(&self) -> Option<String> {
        let caller = self.caller.as_ref()?;
        Some(format!("`{caller}`{}", in_source(self.caller_source.as_deref())))
    }
}

fn in_source(source: Option<&str>) -> String {
    source.map_or_else(String::new, |source| format!(" ({source})"))
}

impl Finding {
    /// The finding of a dump whose process then ended by itself with exit status 0, after so many seconds: no
    /// class of a hang. What its threads waited for stays.
    pub(crate) fn ended_well(&mut self, seconds: f64) {
        let why = say!(Why::EndedWell { seconds: format!("{seconds:.1}") });
        (self.class, self.confidence) = (Class::Slow, Confidence::Proven);
        (self.cause, self.blame) = (None, Some(Blame::Nobody));
        self.ring.clear();
        (self.why, self.said) = (vec![why.en()], vec![why]);
        self.missing.clear();
        self.said_missing.clear();
    }

    /// Threads still make progress, or what they wait for will come.
    pub(crate) fn is_no_hang(&self) -> bool {
        self.class == Class::Slow || self.blame == Some(Blame::Nobody)
    }

    /// A signal may end the wait: a timer of the process may send it.
    pub(crate) fn may_end(&self) -> bool {
        let signal = |why: &Why| matches!(why, Why::SignalMayCome { .. });
        self.class == Class::OutsideAllocator && self.said_missing.iter().any(signal)
    }

    /// Every thread has a whole stack, and there were two looks.
    pub(crate) fn is_whole(&self) -> bool {
        let looks =
            |why: &Why| matches!(why, Why::NoSecondLook {} | Why::ThreadsMissing {} | Why::NoStackOf { .. });
        self.threads.truncated_stacks == 0 && !self.said_missing.iter().any(looks)
    }
}

/// A lock that threads wait for. The keys are those of `verdict.json` (EVIDENCE).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// Address as a hex string.
    pub address: String,
    /// Symbol at the address, if there is one.
    pub symbol: Option<String>,
    /// `pthread-mutex`, `futex`, `spin-lock`, ...: a word of `WaitKind`.
    pub kind: String,
    /// The holder, if it is known.
    pub owner_tid: Option<u32>,
    /// Tids of the threads that wait.
    pub waiters: Vec<u32>,
    /// The frame of the allocator in which most of the waiters wait.
    pub(crate) at: Option<Frame>,
}

/// One thread of a ring, and the lock that it waits for. The next thread of the ring holds that lock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RingEdge {
    pub(crate) tid: u32,
    /// A word of `WaitKind`; `join` is no lock.
    pub(crate) kind: String,
    /// Symbol, else the address.
    pub(crate) name: String,
    pub(crate) owner: Option<u32>,
    /// Where the thread waits.
    pub(crate) at: Option<Frame>,
}

/// The thread to look at first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hot {
    pub tid: u32,
    /// Share of a core between the two looks, 0 to 1.
    pub(crate) cpu_share: f64,
    /// Whether the thread is inside the allocator; none where there is no stack.
    pub in_allocator: Option<bool>,
    /// The function in which it loops or waits.
    pub function: Option<String>,
    /// `file:line`, the file without its folders.
    pub source: Option<String>,
    /// The source file as in the debug information, with its folders.
    #[serde(default)]
    pub(crate) file: Option<String>,
    /// Number of samples with a stack.
    pub(crate) samples: u32,
    /// Number of distinct program counters in these samples.
    pub(crate) distinct_pcs: u32,
    /// How long the thread has been observed in this state, seconds.
    pub(crate) for_s: Option<f64>,
}

/// Number of threads by state in the first look, without the shim's own thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadCounts {
    pub(crate) all: u32,
    /// In a futex wait, by the number of the system call.
    pub(crate) futex_wait: u32,
    /// Running or runnable.
    pub(crate) running: u32,
    pub(crate) other: u32,
    /// Threads whose stack does not reach the start of the thread.
    pub(crate) truncated_stacks: u32,
}

/// What a thread waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadWait {
    pub(crate) tid: u32,
    /// a word of `WaitKind`: `pthread-mutex`, `join`, `condition`, `barrier`, `semaphore`, `rwlock`, `once`,
    /// `rust-lock`, `low-level-lock`, `futex`, `read`, `epoll`, `nanosleep`, `wait4`, ...
    pub(crate) kind: String,
    /// Address of the object (the mutex, not its word), if there is one.
    pub(crate) address: Option<u64>,
    pub(crate) symbol: Option<String>,
    /// The owner, where the object keeps one and it is plausible.
    pub(crate) owner: Option<u32>,
    /// A phrase in English: `read of fd 3 (pipe:[123])`, `pthread mutex (recursive)`.
    pub(crate) detail: String,
    /// `detail` in both languages.
    #[serde(default)]
    pub(crate) said: Text,
}
