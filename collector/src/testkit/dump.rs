//! Dumps, made up for tests: threads, waits, owners, stacks, samples.

use std::collections::{BTreeMap, BTreeSet};

use hangscope_protocol::record::{
    ARCH_X86_64, DsoRecord, DumpBeginRecord, HelloRecord, MarkRecord, NEAR_BEFORE, NEAR_LEN, NoteRecord,
    ProbeRecord, SYSCALL_RUNNING, ThreadRecord, dso_flags, mark_part, note_code, probe_outcome, probe_way,
    thread_flags,
};

use crate::analysis::{Finding, History, analyse};
use crate::evidence::threads_file::ThreadsFile;
use crate::session::trace::{Frame, ThreadTrace, TraceSource, Traces};
use crate::session::{Dso, Dump, Identity, Note, Probe};
use crate::testkit::fake_shim::identity;
pub(crate) use crate::testkit::fake_shim::zero;
use crate::text::message::Say as _;

/// The id of the process and of its first thread.
pub(crate) const MAIN: u32 = 100;
pub(crate) const SHIM: u32 = 999;
/// A mutex of the allocator, with a symbol.
pub(crate) const LOCK: u64 = 0x7f00_0000_00a0;
/// A mutex without a symbol.
pub(crate) const LOCK2: u64 = 0x7f00_0000_00e0;

/// What the samples of a running thread show.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sampled {
    Never,
    /// This many, all in one call: the stack of the caller has the same bytes in all.
    OneCall(usize),
    /// This many, all from one place. The bytes of the stack are not known.
    OnePlace(usize),
    /// This many, each in a new call from the same place.
    ManyCalls(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Futex {
    pub(crate) op: u64,
    pub(crate) address: u64,
    pub(crate) expected: u32,
    /// 32-bit numbers around the futex word, by offset from it. The word itself is at 0.
    pub(crate) near: Vec<(i64, u32)>,
    pub(crate) timed: bool,
}

/// A held pthread mutex of a type. Its word is 2.
pub(crate) fn mutex(address: u64, owner: u32, kind: u32) -> Futex {
    let near = vec![(0, 2), (4, u32::from(kind == 1)), (8, owner), (12, 1), (16, kind)];
    Futex { op: 0x80, address, expected: 2, near, timed: false }
}

/// A lock that does not record its owner: the allocator's own, or one inside glibc.
pub(crate) fn bare(address: u64, value: u32) -> Futex {
    Futex { op: 0x80, address, expected: 2, near: vec![(0, value)], timed: false }
}

/// A condition variable at an address. The futex word of its first group is at +0x28.
pub(crate) fn condition(address: u64, waiters: u32) -> Futex {
    let near =
        vec![(-0x28, 9), (-0x24, 0), (-0x18, waiters * 2), (-0x08, 0), (-0x04, waiters * 8), (0, 0), (4, 0)];
    Futex { op: 0x189, address: address + 0x28, expected: 0, near, timed: false }
}

/// A barrier at an address. One thread is missing.
pub(crate) fn barrier(address: u64, inside: u32, count: u32) -> Futex {
    let near = vec![(-4, inside), (0, 0), (4, count), (8, 0), (12, 0)];
    Futex { op: 0x80, address: address + 4, expected: 0, near, timed: false }
}

/// A pthread_join of a thread.
pub(crate) fn join(tid: u32) -> Futex {
    let address = 0x7f11_0000_0000 + u64::from(tid) * 0x100;
    Futex { op: 0x109, address, expected: tid, near: vec![(0, tid)], timed: false }
}

pub(crate) struct Make {
    pub(crate) dump: Dump,
    pub(crate) traces: Traces,
    gone: BTreeSet<u32>,
    /// Threads that are changed in the second look; none: not there any more.
    later: BTreeMap<u32, Option<ThreadRecord>>,
    second: bool,
}

impl Make {
    /// A program under an allocator. The first thread waits to join another. Nothing else yet.
    pub(crate) fn new() -> Self {
        let fixed = HelloRecord { arch: ARCH_X86_64, pid: MAIN, watchdog_tid: SHIM, ..zero() };
        let identity = Identity {
            exe: "/opt/bench".to_owned(),
            command: vec!["./bench".to_owned()],
            shim: "0.1.0".to_owned(),
            ..identity(fixed)
        };
        let flags = dso_flags::ALLOCATOR | dso_flags::SAME_FILE_AT_INIT;
        let allocator = Dso {
            init: DsoRecord { flags, dev: 1, ino: 2, size: 3, nlink: 1, ..zero() },
            path: "/opt/libfoo.so".to_owned(),
            now: Some(hangscope_protocol::record::DsoNowRecord {
                maps_deleted: 1,
                path_dev: 1,
                path_ino: 2,
                path_size: 3,
                path_nlink: 1,
                fd_nlink: 1,
                fd_size: 3,
                ..zero()
            }),
        };
        let begin = DumpBeginRecord {
            number: 1,
            reason: 1,
            trigger_ns: 16_000_000_000,
            since_init_ns: 15_000_000_000,
            second_look_after_ns: 2_000_000_000,
            ..zero()
        };
        let dump = Dump { dsos: vec![allocator], ..Dump::begun(identity, begin) };
        let mut traces = Traces::default();
        traces.addresses.insert(LOCK, "g_foo_locks+160".to_owned());
        let mut make = Make { dump, traces, gone: BTreeSet::new(), later: BTreeMap::new(), second: true };
        make.futex(MAIN, &join(101), &["__pthread_clockjoin_ex@libc", "main@bench:bench.c:200"]);
        make.futex(SHIM, &bare(0x10, 0), &[]);
        make
    }

    /// A thread in a futex wait.
    pub(crate) fn futex(&mut self, tid: u32, futex: &Futex, stack: &[&str]) -> &mut Self {
        let mut near = [0; NEAR_LEN];
        for (offset, number) in &futex.near {
            let at = (NEAR_BEFORE as i64 + offset) as usize;
            near[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        let timeout = if futex.timed { 0x7ffe_0000 } else { 0 };
        let mut wchan = [0; 32];
        wchan[..16].copy_from_slice(b"futex_wait_queue");
        let record = ThreadRecord {
            syscall: 202,
            args: [futex.address, futex.op, u64::from(futex.expected), timeout, 0, 0],
            near,
            near_from: 0,
            near_to: NEAR_LEN as u16,
            wchan,
            ..blocked(tid)
        };
        self.add(record, stack)
    }

    /// A thread in another system call.
    pub(crate) fn call(&mut self, tid: u32, number: i32, arg0: u64, stack: &[&str]) -> &mut Self {
        let record = ThreadRecord { syscall: number, args: [arg0, 0, 0, 0, 0, 0], ..blocked(tid) };
        self.add(record, stack)
    }

    /// A thread that runs in both looks, with its share of a core.
    pub(crate) fn runs(&mut self, tid: u32, share: f64, stack: &[&str], sampled: Sampled) -> &mut Self {
        let record = ThreadRecord { state: b'R', syscall: SYSCALL_RUNNING, sp: 0, pc: 0, ..blocked(tid) };
        self.add(record, stack);
        let cpu_ns = record.cpu_ns + (share * 2e9) as u64;
        self.later.insert(tid, Some(ThreadRecord { cpu_ns, ..record }));
        self.sampled(tid, stack, sampled)
    }

    /// Samples of a known thread. The first sample is also its stack.
    pub(crate) fn sampled(&mut self, tid: u32, stack: &[&str], sampled: Sampled) -> &mut Self {
        let n = match sampled {
            Sampled::Never => 0,
            Sampled::OneCall(n) | Sampled::OnePlace(n) | Sampled::ManyCalls(n) => n,
        };
        let sample = |i: usize| {
            let mut trace = trace(tid, stack, TraceSource::Signal);
            for (depth, frame) in trace.frames.iter_mut().enumerate() {
                // The innermost frame moves in its loop. The bytes of the caller's stack distinguish
                // calls.
                if depth == 0 {
                    frame.pc += i as u64 % 2;
                }
                frame.kept = match sampled {
                    Sampled::OneCall(_) => Some(7),
                    Sampled::ManyCalls(_) => Some(i as u64),
                    _ => None,
                };
            }
            trace
        };
        if n > 0 {
            let first = sample(0);
            self.traces.threads.insert(tid, first);
            self.traces.samples.insert(tid, (0..n).map(sample).collect());
            self.times(tid, 100_000_000);
        }
        self
    }

    /// The samples of a thread were taken from so long after the first look on, ns, one each millisecond.
    pub(crate) fn times(&mut self, tid: u32, after: u64) -> &mut Self {
        let count = self.traces.samples.get(&tid).map_or(0, Vec::len) as u64;
        let begin = self.dump.begin.trigger_ns + after;
        let sample = |i: u64| ProbeRecord {
            tid,
            sample: i as u32 + 1,
            outcome: probe_outcome::ANSWERED,
            way: probe_way::PERF,
            answered_ns: begin + i * 1_000_000,
            ..zero()
        };
        self.dump.samples.retain(|probe| probe.record.tid != tid);
        self.dump.samples.extend((0..count).map(|i| Probe { record: sample(i), stack: vec![] }));
        self
    }

    /// In the second look the thread is in the same wait, and was woken this many times more.
    pub(crate) fn woken(&mut self, tid: u32, times: u64) -> &mut Self {
        self.change(tid, |r| r.nvcsw += times)
    }

    /// In the second look the thread is at another place.
    pub(crate) fn moves(&mut self, tid: u32) -> &mut Self {
        self.change(tid, |r| {
            r.args[0] += 0x1000;
            r.nvcsw += 10;
        })
    }

    /// In the second look the thread is not there.
    pub(crate) fn leaves(&mut self, tid: u32) -> &mut Self {
        self.later.insert(tid, None);
        self
    }

    /// The thread has this state in both looks.
    pub(crate) fn state(&mut self, tid: u32, state: u8) -> &mut Self {
        for record in self.dump.threads.iter_mut().filter(|r| r.tid == tid) {
            record.state = state;
        }
        self
    }

    /// Changes a thread in the second look.
    pub(crate) fn change(&mut self, tid: u32, how: impl FnOnce(&mut ThreadRecord)) -> &mut Self {
        let first = *self.dump.thread(tid).expect("the thread is there");
        let mut record = self.later.get(&tid).copied().flatten().unwrap_or(first);
        how(&mut record);
        self.later.insert(tid, Some(record));
        self
    }

    /// A thread that existed before the dump.
    pub(crate) fn gone(&mut self, tid: u32) -> &mut Self {
        self.gone.insert(tid);
        self
    }

    /// The owner that this futex word names was asked for by its id, and was not there.
    pub(crate) fn ended(&mut self, owner: u32, word: u64) -> &mut Self {
        let record = NoteRecord { code: note_code::OWNER_ENDED, reserved: 1, tid: owner, value: word };
        self.dump.notes.push(Note { record, text: String::new() });
        self
    }

    /// The dump has no second look.
    pub(crate) fn one_look(&mut self) -> &mut Self {
        self.second = false;
        self
    }

    /// The traces have no stacks.
    pub(crate) fn no_stacks(&mut self) -> &mut Self {
        self.traces = Traces { addresses: std::mem::take(&mut self.traces.addresses), ..Traces::default() };
        self
    }

    /// The dump, with its second look.
    pub(crate) fn finish(&mut self) -> Dump {
        let mut dump = self.dump.clone();
        let records = dump.threads.len() as u32;
        dump.marks.insert(0, MarkRecord { part: mark_part::THREADS, records, ..zero() });
        if self.second {
            let later = |r: &ThreadRecord| self.later.get(&r.tid).copied().unwrap_or(Some(*r));
            dump.second =
                dump.threads.iter().filter_map(later).map(|r| ThreadRecord { look: 2, ..r }).collect();
            dump.marks.push(MarkRecord { part: mark_part::SECOND_LOOK, ..zero() });
        }
        dump.threads.sort_by_key(|r| r.tid);
        dump
    }

    /// `threads.json`, without heartbeats.
    pub(crate) fn file(&mut self) -> ThreadsFile {
        let finding = self.analyse();
        let dump = self.finish();
        ThreadsFile::of(&dump, &self.traces, &finding).with_history(&dump, &History::default())
    }

    /// What analysis says of it.
    pub(crate) fn analyse(&mut self) -> Finding {
        let dump = self.finish();
        let tids = dump.threads.iter().map(|r| r.tid).chain(self.gone.iter().copied());
        analyse(&dump, &self.traces, &History::from_tids(tids))
    }

    fn add(&mut self, record: ThreadRecord, stack: &[&str]) -> &mut Self {
        let source = if record.state == b'R' { TraceSource::Signal } else { TraceSource::Blocked };
        self.traces.threads.insert(record.tid, trace(record.tid, stack, source));
        self.dump.threads.push(record);
        self
    }
}

fn blocked(tid: u32) -> ThreadRecord {
    let mut comm = [0; 16];
    comm[..5].copy_from_slice(b"bench");
    ThreadRecord {
        tid,
        look: 1,
        state: b'S',
        flags: if tid == MAIN { thread_flags::MAIN } else { 0 },
        comm,
        cpu_ns: 1_000_000_000,
        nvcsw: 50,
        sp: 0x7fff_0000 + u64::from(tid) * 0x1000,
        pc: 0x7f22_0000,
        ..zero()
    }
}

/// A stack from texts `function@dso:file:line`. `dso` is `libc`, `foo` (the allocator) or `bench`. The
/// functions that start a thread are added at the end.
fn trace(tid: u32, stack: &[&str], source: TraceSource) -> ThreadTrace {
    if stack.is_empty() {
        let problem = Some("blocks signal 62".said());
        return ThreadTrace { tid, source: TraceSource::None, frames: vec![], truncated: false, problem };
    }
    let starts: &[&str] = if tid == MAIN { &["_start@bench"] } else { &["start_thread@libc", "clone3@libc"] };
    let frames = stack.iter().chain(starts).enumerate().map(|(depth, text)| frame(tid, depth as u64, text));
    ThreadTrace { tid, source, frames: frames.collect(), truncated: false, problem: None }
}

fn frame(tid: u32, depth: u64, text: &str) -> Frame {
    let (function, place) = text.split_once('@').expect("function@dso");
    let mut place = place.split(':');
    let dso = match place.next() {
        Some("libc") => "/lib/x86_64-linux-gnu/libc.so.6",
        Some("foo") => "/opt/libfoo.so",
        Some("bench") => "/opt/bench",
        other => panic!("no such DSO: {other:?}"),
    };
    Frame {
        // A function always has the same address.
        pc: 0x40_0000 + function.bytes().fold(0, |h, b| (h * 31 + u64::from(b)) % 0xffff) * 0x10,
        function: (function != "?").then(|| function.to_owned()),
        file: place.next().map(|f| format!("/src/{f}")),
        line: place.next().and_then(|l| l.parse().ok()),
        dso: Some(dso.to_owned()),
        in_allocator: dso == "/opt/libfoo.so",
        cfa: Some(0x7fff_0000 + u64::from(tid) * 0x1000 + depth * 0x40),
        ..Frame::default()
    }
}
