//! What heartbeats told before a dump: which threads there were, and since when each has not moved.

use std::collections::BTreeMap;

use hangscope_protocol::record::{HeartbeatThread, SYSCALL_RUNNING, ThreadRecord};
use serde::{Deserialize, Serialize};

use crate::session::Heartbeat;

/// The past of a process, built from its heartbeats one by one ([`History::push`]); bounded by the number of
/// threads, not of heartbeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    threads: BTreeMap<u32, Past>,
}

/// One thread's past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Past {
    last: Key,
    since_ns: u64,
}

/// What stays the same as long as a thread does not come out of what it is in. A running thread has no stack
/// pointer and counts as running only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    syscall: i32,
    arg0: u64,
    sp: u64,
    pc: u64,
}

/// Most threads that are remembered: a process that starts threads without end costs no memory without end.
const MOST: usize = 1 << 16;

impl History {
    /// Threads of which it is known only that they were there.
    pub(crate) fn from_tids(tids: impl IntoIterator<Item = u32>) -> Self {
        let last = Key { syscall: 0, arg0: 0, sp: 0, pc: 0 };
        let threads = tids.into_iter().map(|tid| (tid, Past { last, since_ns: u64::MAX })).collect();
        History { threads }
    }

    /// Takes a look of the watchdog, in order of time.
    pub(crate) fn push(&mut self, beat: &Heartbeat) {
        for thread in &beat.threads {
            let last = Key::of(thread);
            let same = self.threads.get(&thread.tid).filter(|past| past.last == last);
            let since_ns = same.map_or(beat.t_ns, |past| past.since_ns);
            if self.threads.len() < MOST || self.threads.contains_key(&thread.tid) {
                self.threads.insert(thread.tid, Past { last, since_ns });
            }
        }
    }

    /// Every thread that was ever seen.
    pub(crate) fn tids(&self) -> impl Iterator<Item = u32> + '_ {
        self.threads.keys().copied()
    }

    /// Since when (CLOCK_MONOTONIC, ns) every look has found this thread where the dump finds it: in the same
    /// call from the same place, or running.
    pub(crate) fn since_ns(&self, thread: &ThreadRecord) -> Option<u64> {
        let now = Key { syscall: thread.syscall, arg0: thread.args[0], sp: thread.sp, pc: thread.pc };
        let past = self.threads.get(&thread.tid).filter(|past| past.since_ns != u64::MAX)?;
        let running = past.last.syscall == SYSCALL_RUNNING && now.syscall == SYSCALL_RUNNING;
        (running || past.last == now).then_some(past.since_ns)
    }
}

impl Key {
    fn of(thread: &HeartbeatThread) -> Self {
        let running = thread.syscall == SYSCALL_RUNNING;
        Key {
            syscall: thread.syscall,
            arg0: if running { 0 } else { thread.arg0 },
            sp: if running { 0 } else { thread.sp },
            pc: if running { 0 } else { thread.pc },
        }
    }
}
