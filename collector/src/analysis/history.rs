//! The heartbeats before a dump: which threads existed, and since when each has not moved.

use std::collections::BTreeMap;

use hangscope_protocol::record::{HeartbeatThread, SYSCALL_RUNNING, ThreadRecord};
use serde::{Deserialize, Serialize};

use super::beats::Beats;
use crate::session::Heartbeat;

/// The past of a process, built from its heartbeats in order ([`History::push`]). Its size grows with the
/// number of threads, not with the number of heartbeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    threads: BTreeMap<u32, Past>,
    /// For people; the analysis does not use them.
    #[serde(default)]
    pub(crate) beats: Beats,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Past {
    last: Position,
    /// CLOCK_MONOTONIC, ns; `u64::MAX` if only the tid is known.
    since_ns: u64,
}

/// What stays the same while a thread stays in one system call. All running threads have the same position:
/// `/proc` shows no stack pointer of a running thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    syscall: i32,
    arg0: u64,
    sp: u64,
    pc: u64,
}

/// Bounds the memory for a process that starts new threads without end.
const MAX_THREADS: usize = 1 << 16;

impl History {
    /// A history that knows only that these threads existed.
    #[cfg(test)]
    pub(crate) fn from_tids(tids: impl IntoIterator<Item = u32>) -> Self {
        let last = Position { syscall: 0, arg0: 0, sp: 0, pc: 0 };
        let threads = tids.into_iter().map(|tid| (tid, Past { last, since_ns: u64::MAX })).collect();
        History { threads, beats: Beats::default() }
    }

    /// Adds a heartbeat. Heartbeats must come in order of time.
    pub(crate) fn push(&mut self, beat: &Heartbeat) {
        self.beats.push(beat);
        for thread in &beat.threads {
            let last = Position::of(thread);
            let same = self.threads.get(&thread.tid).filter(|past| past.last == last);
            let since_ns = same.map_or(beat.t_ns, |past| past.since_ns);
            if self.threads.len() < MAX_THREADS || self.threads.contains_key(&thread.tid) {
                self.threads.insert(thread.tid, Past { last, since_ns });
            }
        }
    }

    /// Every thread that was seen in a heartbeat.
    pub(crate) fn tids(&self) -> impl Iterator<Item = u32> + '_ {
        self.threads.keys().copied()
    }

    /// The time (CLOCK_MONOTONIC, ns) since when every heartbeat found this thread where the dump found it:
    /// in the same call at the same position, or running.
    pub(crate) fn since_ns(&self, thread: &ThreadRecord) -> Option<u64> {
        let now = Position { syscall: thread.syscall, arg0: thread.args[0], sp: thread.sp, pc: thread.pc };
        let past = self.threads.get(&thread.tid).filter(|past| past.since_ns != u64::MAX)?;
        let running = past.last.syscall == SYSCALL_RUNNING && now.syscall == SYSCALL_RUNNING;
        (running || past.last == now).then_some(past.since_ns)
    }
}

impl Position {
    fn of(thread: &HeartbeatThread) -> Self {
        let running = thread.syscall == SYSCALL_RUNNING;
        Position {
            syscall: thread.syscall,
            arg0: if running { 0 } else { thread.arg0 },
            sp: if running { 0 } else { thread.sp },
            pc: if running { 0 } else { thread.pc },
        }
    }
}
