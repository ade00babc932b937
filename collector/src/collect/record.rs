//! The files of a session: `session.json`, and the lines of `heartbeats.jsonl`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hangscope_protocol::record::{HeartbeatThread, SYSCALL_RUNNING};
use hangscope_reader::task::Stat;
use serde::{Deserialize, Serialize};

use crate::analysis::signature::Signature;
use crate::analysis::{Class, Integrity, Stir, ThreadCounts};
use crate::session::syscalls::Syscalls;
use crate::session::{Heartbeat, Identity};
use crate::text::message::Text;

pub(crate) const SCHEMA: &str = "hangscope/session/1";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum End {
    /// The process exited, or another program was started in it (exec); `why` says the latter.
    Exit,
    Signal,
    /// The connection ended, and how the process ended is not known. `why` says more.
    Lost,
    /// The process was there when the collector ended.
    Open,
}

/// `session.json`, and a line of `sessions.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    pub(crate) schema: String,
    /// Relative to OUT.
    pub(crate) folder: String,
    pub(crate) pid: u32,
    pub(crate) ppid: u32,
    pub(crate) uid: u32,
    pub(crate) command: Vec<String>,
    pub(crate) exe: String,
    /// HANGSCOPE_LABEL.
    pub(crate) label: String,
    /// Whether it was forked from a watched process without an exec.
    pub(crate) forked: bool,
    /// Start of the process in clock ticks since boot, as `/proc/PID/stat` has it.
    #[serde(default)]
    pub(crate) start_ticks: u64,
    /// Path of the allocator's DSO; null if it is not known.
    pub(crate) allocator: Option<String>,
    /// The allocator's build-id in memory at the start, hex.
    pub(crate) build_id: Option<String>,
    /// SHA-1 of the allocator's bytes at the start; null if no copy of them came.
    pub(crate) sha1: Option<String>,
    /// Start of the process image (RFC 3339, UTC).
    pub(crate) started: String,
    /// The same for the end; null while the session is open.
    pub(crate) ended: Option<String>,
    /// From start to end, or until the file was written.
    pub(crate) seconds: f64,
    pub(crate) end: End,
    /// Exit status, 128+n for a signal n; null if not known.
    pub(crate) rc: Option<i32>,
    /// The signal that killed it.
    pub(crate) signal: Option<i32>,
    /// What else is known about the end.
    pub(crate) why: Option<String>,
    /// `stuck when it was stopped`, where a signal from outside ended it (TERM, INT, HUP, KILL), or its
    /// connection was lost, while nothing moved in it. Only likely: heartbeats show no timeouts. Null:
    /// nothing says so.
    #[serde(default)]
    pub(crate) stopped: Option<String>,
    /// For how long nothing had moved then, seconds.
    #[serde(default)]
    pub(crate) still_s: Option<f64>,
    /// How scheduling was disturbed; null if it was not.
    #[serde(default)]
    pub(crate) stir: Option<Stir>,
    /// The worst DSO integrity that was seen.
    pub(crate) integrity: Integrity,
    /// Whether `(deleted)` was seen on a DSO.
    pub(crate) deleted_seen: bool,
    pub(crate) heartbeats: u64,
    /// Largest resident set in a heartbeat.
    pub(crate) max_rss_kib: u64,
    pub(crate) dumps: u32,
    /// Folders of the dumps that were kept, in order.
    pub(crate) dump_folders: Vec<String>,
    /// Whether a dump came because a deadline passed or nothing moved, and the process was not only slow.
    pub(crate) hung: bool,
    /// The class of the last dump that was analysed; null without one.
    pub(crate) class: Option<Class>,
    /// Whether a dump that came unasked showed a process that was only slow. Null: an older version, which
    /// did not write it.
    #[serde(default)]
    pub(crate) slow: Option<bool>,
    /// The signature of the hang: sessions with the same one are counted as one bug. Null: it did not hang,
    /// or an older version wrote it.
    #[serde(default)]
    pub(crate) signature: Option<String>,
    /// What `signature` is made of.
    #[serde(default)]
    pub(crate) signature_of: Option<Signature>,
    /// What waits for what, in one sentence.
    #[serde(default)]
    pub(crate) headline: Option<Text>,
    /// Number of connections: more than one if one was lost.
    pub(crate) connections: u32,
    /// Whether the folder was removed with the end: nothing had happened (`--keep`).
    #[serde(default)]
    pub(crate) folded: bool,
    /// Files that could not be written, relative to the folder or, for those that sessions share, to OUT.
    #[serde(default)]
    pub(crate) not_written: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// Most notes that a session keeps, and most names of files that could not be written.
const MOST_NOTES: usize = 100;

impl SessionRecord {
    /// Whether the process still runs. A record of an older version has no start.
    pub(crate) fn lives(&self) -> bool {
        let stat = std::fs::read(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let stat = Stat::parse(&stat).filter(|stat| !stat.has_ended());
        stat.is_some_and(|stat| stat.start_ticks == self.start_ticks)
    }

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
            start_ticks: identity.fixed.start_ticks,
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
            stopped: None,
            still_s: None,
            stir: Stir::of(identity),
            integrity: Integrity::Intact,
            deleted_seen: false,
            heartbeats: 0,
            max_rss_kib: 0,
            dumps: 0,
            dump_folders: vec![],
            hung: false,
            class: None,
            slow: Some(false),
            signature: None,
            signature_of: None,
            headline: None,
            connections: 1,
            folded: false,
            not_written: vec![],
            notes: vec![],
        }
    }

    pub(crate) fn note(&mut self, text: String) {
        if self.notes.len() < MOST_NOTES && !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Adds a file that could not be written.
    pub(crate) fn lacks(&mut self, file: &str) {
        if self.not_written.len() < MOST_NOTES && !self.not_written.iter().any(|known| known == file) {
            self.not_written.push(file.to_owned());
        }
    }

    /// Whether nothing in the folder says more than the session's line.
    pub(crate) fn is_healthy(&self) -> bool {
        !self.hung
            && self.stopped.is_none()
            && self.end != End::Open
            && self.dump_folders.is_empty()
            && self.integrity <= Integrity::Unknown
            && !self.signal.is_some_and(is_of_a_crash)
    }
}

/// Signals of a process that did something wrong.
fn is_of_a_crash(signal: i32) -> bool {
    use libc::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
    [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP].contains(&signal)
}

/// Signals by which somebody else ends a process.
pub(crate) fn is_of_a_stop(signal: i32) -> bool {
    [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGKILL].contains(&signal)
}

/// When the process image started.
pub(crate) fn started(identity: &Identity) -> SystemTime {
    // A hello may hold any number. RFC 3339 has four digits for the year.
    let since = Duration::from_nanos(identity.fixed.wall_ns).min(Duration::from_secs(8_000_000_000));
    UNIX_EPOCH + since
}

/// The time of a [`stamp`], seconds since the epoch. None: it is none.
pub(super) fn seconds(stamp: &str) -> Option<f64> {
    let time = humantime::parse_rfc3339_weak(stamp).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
}

/// RFC 3339 with milliseconds, UTC.
pub(crate) fn stamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// Name of a session's folder: `20251123T082211.123Z_4711`. Such names sort by time. They have no colon:
/// LD_PRELOAD cannot hold a path with one.
pub(crate) fn folder_name(identity: &Identity, pid: u32) -> String {
    format!("{}_{pid}", stamp(started(identity)).replace(['-', ':'], ""))
}

/// Most threads that a heartbeat's line lists. With more threads it has only the counts.
pub(crate) const MOST_THREADS: usize = 256;

/// A line of `heartbeats.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HeartbeatLine {
    /// Seconds since the start of the process image.
    pub(crate) t: f64,
    pub(crate) tick: u32,
    pub(crate) rss_kib: u64,
    /// CPU time of the process.
    pub(crate) cpu_s: f64,
    /// CPU time of the shim's own thread.
    pub(crate) watchdog_cpu_s: f64,
    /// Pause until the next look.
    pub(crate) interval_s: f64,
    /// Number of looks in a row that saw no progress.
    pub(crate) still: u32,
    pub(crate) dumps: u32,
    /// Integrity at the last look.
    pub(crate) integrity: Integrity,
    /// Counts without stacks: a futex wait counts whatever it is for.
    pub(crate) threads: ThreadCounts,
    /// The threads; empty if there are more than [`MOST_THREADS`].
    pub(crate) by_thread: Vec<ThreadLine>,
}

/// A thread of a [`HeartbeatLine`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ThreadLine {
    pub(crate) tid: u32,
    /// State letter, `?` if it could not be read.
    pub(crate) state: char,
    /// Processor that it last ran on.
    pub(crate) cpu: u16,
    pub(crate) cpu_s: f64,
    /// Name or number of the system call that it is blocked in; null if it runs.
    pub(crate) call: Option<String>,
    /// First argument of the call (a futex word's address), hex; null if it runs.
    pub(crate) arg: Option<String>,
}

impl HeartbeatLine {
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
