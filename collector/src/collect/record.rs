//! What is written about a session: `session.json`, and the lines of `heartbeats.jsonl`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hangscope_protocol::record::{HeartbeatThread, SYSCALL_RUNNING};
use serde::{Deserialize, Serialize};

use crate::analysis::{Class, Integrity, Stir, ThreadCounts};
use crate::session::syscalls::Syscalls;
use crate::session::{Heartbeat, Identity};

/// Version of `session.json`.
pub(crate) const SCHEMA: &str = "hangscope/session/1";

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum End {
    /// The process exited, or another program was started in it (exec); `why` says the latter.
    Exit,
    /// It died by a signal.
    Signal,
    /// It was lost sight of: `why` says how.
    Lost,
    /// It was there when the collector ended.
    Open,
}

/// `session.json`, and a line of `sessions.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// Folder, relative to OUT.
    pub(crate) folder: String,
    /// Process.
    pub(crate) pid: u32,
    /// Its parent.
    pub(crate) ppid: u32,
    /// Its user.
    pub(crate) uid: u32,
    /// Command line.
    pub(crate) command: Vec<String>,
    /// Program.
    pub(crate) exe: String,
    /// HANGSCOPE_LABEL.
    pub(crate) label: String,
    /// It was forked from a watched process without an exec.
    pub(crate) forked: bool,
    /// Path of the allocator's DSO; null if it is not known.
    pub(crate) allocator: Option<String>,
    /// Its build-id in memory at the start, hex.
    pub(crate) build_id: Option<String>,
    /// SHA-1 of its bytes at the start; null if no copy of them came.
    pub(crate) sha1: Option<String>,
    /// Start of the process image (RFC 3339, UTC).
    pub(crate) started: String,
    /// End; null while it is open.
    pub(crate) ended: Option<String>,
    /// From start to end, or so far.
    pub(crate) seconds: f64,
    /// How it ended.
    pub(crate) end: End,
    /// Exit status, 128+n for a signal n; null if it is not known.
    pub(crate) rc: Option<i32>,
    /// Signal that it died by.
    pub(crate) signal: Option<i32>,
    /// What there is to say about the end.
    pub(crate) why: Option<String>,
    /// How scheduling was disturbed; null: not at all.
    #[serde(default)]
    pub(crate) stir: Option<Stir>,
    /// DSO integrity: the worst that was seen.
    pub(crate) integrity: Integrity,
    /// `(deleted)` was seen on a DSO.
    pub(crate) deleted_seen: bool,
    /// Looks of the watchdog that came.
    pub(crate) heartbeats: u64,
    /// Largest resident set that a look saw, KiB.
    pub(crate) max_rss_kib: u64,
    /// Dumps that came.
    pub(crate) dumps: u32,
    /// Folders of those that were kept, in order.
    pub(crate) dump_folders: Vec<String>,
    /// A dump came because a deadline passed or nothing moved, and it was not of a process that is only slow.
    pub(crate) hung: bool,
    /// What kind of hang the last dump that was kept shows; null without one.
    pub(crate) class: Option<Class>,
    /// Connections: more than one if it was interrupted.
    pub(crate) connections: u32,
    /// What the shim noted.
    pub(crate) notes: Vec<String>,
}

impl SessionRecord {
    /// Of a process that has just said hello.
    pub(crate) fn new(identity: &Identity, pid: u32, folder: String) -> SessionRecord {
        use hangscope_protocol::record::hello_flags;
        SessionRecord {
            schema: SCHEMA.to_owned(),
            folder,
            pid,
            ppid: identity.fixed.ppid,
            uid: identity.fixed.uid,
            command: identity.command.clone(),
            exe: identity.exe.clone(),
            label: identity.label.clone(),
            forked: identity.fixed.flags & hello_flags::FORKED != 0,
            allocator: None,
            build_id: None,
            sha1: None,
            started: stamp(started(identity)),
            ended: None,
            seconds: 0.0,
            end: End::Open,
            rc: None,
            signal: None,
            why: None,
            stir: Stir::of(identity),
            integrity: Integrity::Intact,
            deleted_seen: false,
            heartbeats: 0,
            max_rss_kib: 0,
            dumps: 0,
            dump_folders: vec![],
            hung: false,
            class: None,
            connections: 1,
            notes: vec![],
        }
    }
}

/// When the process image started.
pub(crate) fn started(identity: &Identity) -> SystemTime {
    // A hello may say anything; a time that cannot be written is none.
    let since = Duration::from_nanos(identity.fixed.wall_ns).min(Duration::from_secs(8_000_000_000));
    UNIX_EPOCH + since
}

/// RFC 3339 with milliseconds, UTC.
pub(crate) fn stamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// Name of a session's folder: `20251123T082211.123Z_4711`. It sorts by time and has no colon, which
/// LD_PRELOAD could not hold.
pub(crate) fn folder_name(identity: &Identity, pid: u32) -> String {
    format!("{}_{pid}", stamp(started(identity)).replace(['-', ':'], ""))
}

/// Threads that a heartbeat's line lists; with more of them only the counts.
pub(crate) const MOST_THREADS: usize = 256;

/// A line of `heartbeats.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HeartbeatLine {
    /// Seconds since the start of the process image.
    pub(crate) t: f64,
    /// Counts the looks.
    pub(crate) tick: u32,
    /// Resident set, KiB.
    pub(crate) rss_kib: u64,
    /// CPU of the process so far, seconds.
    pub(crate) cpu_s: f64,
    /// CPU of the watchdog so far, seconds.
    pub(crate) watchdog_cpu_s: f64,
    /// Pause until the next look, seconds.
    pub(crate) interval_s: f64,
    /// Looks in a row that saw no progress.
    pub(crate) still: u32,
    /// Dumps so far.
    pub(crate) dumps: u32,
    /// Integrity as last seen.
    pub(crate) integrity: Integrity,
    /// Counts of threads; stacks are not looked at here.
    pub(crate) threads: ThreadCounts,
    /// Threads, up to [`MOST_THREADS`] of them; empty if there are more.
    pub(crate) by_thread: Vec<ThreadLine>,
}

/// A thread of a [`HeartbeatLine`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ThreadLine {
    /// Thread.
    pub(crate) tid: u32,
    /// State letter, `?` if it could not be read.
    pub(crate) state: char,
    /// Processor it last ran on.
    pub(crate) cpu: u16,
    /// CPU time, seconds.
    pub(crate) cpu_s: f64,
    /// System call that it is blocked in, by name if it is known; null if it runs.
    pub(crate) call: Option<String>,
    /// First argument of the call (a futex word's address), hex; null if it runs.
    pub(crate) arg: Option<String>,
}

impl HeartbeatLine {
    /// Of a look.
    pub(crate) fn new(beat: &Heartbeat, machine: u16, integrity: Integrity) -> HeartbeatLine {
        let r = &beat.record;
        let arch = Syscalls::from_elf(machine);
        let s = |ns: u64| (ns / 1000) as f64 / 1e6;
        let mut counts = ThreadCounts { all: beat.threads.len() as u32, ..ThreadCounts::default() };
        for thread in &beat.threads {
            if thread.syscall == SYSCALL_RUNNING || thread.state == b'R' {
                counts.running += 1;
            } else if arch.is_some_and(|arch| arch.futex() == thread.syscall) {
                counts.futex_wait += 1;
            } else {
                counts.other += 1;
            }
        }
        let listed = if beat.threads.len() > MOST_THREADS { &[] } else { beat.threads.as_slice() };
        HeartbeatLine {
            t: s(r.since_init_ns),
            tick: r.tick,
            rss_kib: r.rss_kib,
            cpu_s: s(r.process_cpu_ns),
            watchdog_cpu_s: s(r.watchdog_cpu_ns),
            interval_s: s(r.interval_ns),
            still: r.still,
            dumps: r.dumps,
            integrity,
            threads: counts,
            by_thread: listed.iter().map(|thread| thread_line(thread, arch)).collect(),
        }
    }
}

fn thread_line(thread: &HeartbeatThread, arch: Option<Syscalls>) -> ThreadLine {
    let blocked = thread.syscall >= 0;
    let known = arch.and_then(|arch| arch.call(thread.syscall));
    let name = || known.map_or(thread.syscall.to_string(), |call| call.name.into());
    ThreadLine {
        tid: thread.tid,
        state: if thread.state.is_ascii_alphabetic() { thread.state.into() } else { '?' },
        cpu: thread.cpu,
        cpu_s: thread.cpu_ns as f64 / 1e9,
        call: blocked.then(name),
        arg: blocked.then(|| format!("{:#x}", thread.arg0)),
    }
}
