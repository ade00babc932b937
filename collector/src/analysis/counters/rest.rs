//! Whether a hung process rests, so that one of its threads can call a function that prints counters: nothing moves, and
//! nobody is inside the allocator or at a place of the C library or the loader where locks are held. Pure.
//!
//! What a look cannot see stays open (a lock that is held with no frame on any stack: `flockfile`, a fork handler). The
//! function may then wait for ever: so it is called only when the evidence is complete, in a process that is killed after it.
//! That everybody is still there when it comes to that is looked at anew ([`crate::snap::moved`]).

use hangscope_protocol::record::{SYSCALL_RUNNING, ThreadRecord, dump_flags};

use crate::analysis::stack;
use crate::session::Dump;
use crate::session::maps;
use crate::session::maps::Mapping;
use crate::session::syscalls::Syscalls;
use crate::session::trace::{Frame, Traces};
use crate::text::message::{messages, say};

messages! {
    /// Why it does not.
    Restless {
        NoDump {} => "there is no dump of it", "ダンプがない";
        Short {} => "its dump is not complete", "ダンプが完全でない";
        OneLook {} => "there is no second look", "2 回目の観測がない";
        Machine {} => "its machine is not known", "機種が不明";
        Runs { tid } => "tid {tid} runs", "tid {tid} が実行中";
        Moved { tid } => "tid {tid} moved between the looks", "tid {tid} が 2 回の観測の間に動いた";
        Unread { tid } => "what tid {tid} does could not be read", "tid {tid} の状態を読み取れなかった";
        NotWhole { tid } => "the stack of tid {tid} is not whole", "tid {tid} のスタックが最後まで得られていない";
        InAllocator { tid } => "tid {tid} is inside the allocator", "tid {tid} がアロケータの中にいる";
        InLibrary { tid, function } => "tid {tid} is in {function}, where locks may be held",
            "tid {tid} が {function} の中にいて、ロックを保持している可能性がある";
        NobodyWaits {} => "no thread waits on a futex without a time limit, takes the signal, and has room on a stack of its own",
            "時間制限なしに futex を待ち、シグナルを受け取り、自分のスタックに余裕のあるスレッドがない";
    }
}

/// Functions of the C library in whose waits it holds no lock of its own: what they are called begins so.
const WAITS: [&str; 23] = [
    "internal_syscall_cancel",
    "futex_",
    "pthread_",
    "sem_",
    "new_sem_",
    "lll_futex",
    "syscall",
    "nanosleep",
    "clock_nanosleep",
    "usleep",
    "sleep",
    "poll",
    "ppoll",
    "select",
    "pselect",
    "epoll_",
    "read",
    "libc_read",
    "recv",
    "accept",
    "wait4",
    "waitpid",
    "sigwait",
];
/// The wait of an ordinary mutex; that of the library's own locks is called `_private`.
const MUTEX_WAIT: &str = "lll_lock_wait";
/// Where threads and programs start.
const STARTS: [&str; 6] =
    ["start_thread", "clone", "clone3", "libc_start_", "thread_start", "libc_start_call_main"];
/// FUTEX_WAIT and FUTEX_WAIT_BITSET (futex(2)), the operation without its flags.
const FUTEX_WAITS: [u64; 2] = [0, 9];
const FUTEX_COMMAND: u64 = 0x7f;
/// Bytes of stack that must be there below SP: what the shim asks for, and the kernel's frame.
const ROOM: u64 = 80 << 10;

/// The thread that may call it: it waits on a futex, for which the kernel restarts its call after the handler (a wait with
/// a time limit would end early).
///
/// # Errors
/// [`Restless`]: why none may.
pub(crate) fn caller(dump: &Dump, traces: &Traces) -> Result<u32, Restless> {
    let arch = Syscalls::from_elf(dump.identity.fixed.arch).ok_or(Restless::Machine {})?;
    if dump.second.is_empty() {
        return Err(Restless::OneLook {});
    }
    let lacks = dump_flags::SHORT | dump_flags::THREADS_LEFT_OUT;
    if dump.gaps > 0 || dump.end.is_none_or(|end| end.flags & lacks != 0) {
        return Err(Restless::Short {});
    }
    let threads = || dump.second.iter().filter(|t| t.tid != dump.identity.fixed.watchdog_tid);
    if let Some(left) = dump.threads.iter().find(|t| dump.second_look(t.tid).is_none()) {
        return Err(say!(Restless::Moved { tid: left.tid }));
    }
    for thread in threads() {
        let tid = thread.tid;
        if thread.syscall == SYSCALL_RUNNING || thread.sp == 0 {
            return Err(say!(Restless::Runs { tid }));
        }
        // What could not be read is zero, and would be the same in both.
        if [dump.thread(tid), Some(thread)].into_iter().flatten().any(|t| !is_read(t)) {
            return Err(say!(Restless::Unread { tid }));
        }
        if dump.thread(tid).is_none_or(|first| !stands(first, thread)) {
            return Err(say!(Restless::Moved { tid }));
        }
        let trace = traces.threads.get(&tid).filter(|trace| !trace.truncated);
        let trace = trace.ok_or_else(|| say!(Restless::NotWhole { tid }))?;
        if trace.frames.iter().any(|frame| frame.in_allocator && !stack::is_libc(frame)) {
            return Err(say!(Restless::InAllocator { tid }));
        }
        if let Some(at) = (0..trace.frames.len()).find(|at| may_hold_locks(&trace.frames[*at..])) {
            let function = trace.frames[at].function.as_deref().unwrap_or("?");
            return Err(say!(Restless::InLibrary { tid, function }));
        }
    }
    let signal = dump.identity.fixed.probe_signal;
    let takes_it = |t: &&ThreadRecord| (1..=64).contains(&signal) && t.sigblk & 1 << (signal - 1) == 0;
    let waits = |t: &&ThreadRecord| {
        t.syscall == arch.futex() && FUTEX_WAITS.contains(&(t.args[1] & FUTEX_COMMAND)) && t.args[3] == 0
    };
    let mappings = maps::parse(&dump.maps);
    let has_room = |t: &&ThreadRecord| {
        let in_handler = |frame: &Frame| frame.function.as_deref() == Some("<signal handler called>");
        let trace = traces.threads.get(&t.tid);
        has_room(&mappings, t.sp) && trace.is_some_and(|trace| !trace.frames.iter().any(in_handler))
    };
    threads().filter(takes_it).filter(has_room).find(waits).map(|t| t.tid).ok_or(Restless::NobodyWaits {})
}

/// Whether a thread is in both where it was, and has not gone to sleep again in between.
pub(crate) fn stands(first: &ThreadRecord, second: &ThreadRecord) -> bool {
    let place = |t: &ThreadRecord| (t.syscall, t.args, t.sp, t.pc, t.nvcsw);
    is_read(first) && is_read(second) && place(first) == place(second)
}

fn is_read(t: &ThreadRecord) -> bool {
    t.err_status == 0 && t.err_syscall == 0
}

/// Whether SP is in a stack that was mapped to be one (the first thread's, or one with a guard below it), not in memory of
/// another kind that serves as one, and there is room.
fn has_room(mappings: &[Mapping], sp: u64) -> bool {
    let Some(at) = mappings.iter().position(|m| m.contains(sp) && m.read && m.write) else { return false };
    let stack = &mappings[at];
    let guard = at.checked_sub(1).map(|below| &mappings[below]);
    let guarded = guard.is_some_and(|below| below.end == stack.start && !below.read && !below.write);
    (guarded || stack.path == "[stack]") && sp - stack.start >= ROOM
}

/// Whether the first of these frames is one of the loader, or of the C library and no wait and no start.
fn may_hold_locks(frames: &[Frame]) -> bool {
    let Some((frame, outer)) = frames.split_first() else { return false };
    let file = frame.dso.as_deref().map(stack::file_name).unwrap_or_default();
    if file.starts_with("ld-linux") || file.starts_with("ld.so") {
        return true;
    }
    if !stack::is_libc(frame) {
        return false;
    }
    match frame.function.as_deref() {
        Some(function) => {
            let plain = stack::plain_name(function);
            plain != MUTEX_WAIT && !WAITS.iter().chain(&STARTS).any(|known| plain.starts_with(known))
        }
        // Without a debug file glibc's innermost functions have no names: what called them does.
        None => {
            let named = outer.iter().find(|frame| frame.function.is_some() || !stack::is_libc(frame));
            let caller = named.filter(|frame| stack::is_libc(frame)).and_then(|f| f.function.as_deref());
            !caller
                .map(stack::plain_name)
                .is_some_and(|plain| WAITS.iter().any(|known| plain.starts_with(known)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::dump::{LOCK, MAIN, Make, Sampled, bare, barrier, zero};

    const WAIT: &[&str] =
        &["__futex_abstimed_wait_common64@libc", "pthread_barrier_wait@libc", "worker@bench:bench.c:9"];

    fn said(change: impl FnOnce(&mut Make)) -> Result<u32, String> {
        let mut make = Make::new();
        make.futex(101, &barrier(LOCK, 1, 3), WAIT).futex(102, &barrier(LOCK, 1, 3), WAIT);
        make.dump.identity.fixed.probe_signal = 62;
        make.dump.end = Some(zero());
        // Each has a stack with a guard below it.
        let line = |t: &ThreadRecord| {
            let (guard, start, end) = (t.sp - (1 << 20) - 4096, t.sp - (1 << 20), t.sp + 256);
            format!("{guard:x}-{start:x} ---p 00000000 00:00 0\n{start:x}-{end:x} rw-p 00000000 00:00 0\n")
        };
        for (at, thread) in make.dump.threads.iter_mut().enumerate() {
            thread.sp = 0x7f00_0000_0000 + at as u64 * (4 << 20);
        }
        make.dump.maps = make.dump.threads.iter().map(line).collect::<String>().into_bytes();
        change(&mut make);
        let dump = make.finish();
        caller(&dump, &make.traces).map_err(|why| why.en())
    }

    #[test]
    fn the_first_thread_that_waits_may_call_it() {
        assert_eq!(said(|_| {}), Ok(MAIN));
        // One that blocks the signal is not asked, nor one whose wait has a limit.
        let deaf = |make: &mut Make, tid| _ = make.change(tid, |t| t.sigblk = 1 << 61);
        assert_eq!(said(|make| deaf(make, MAIN)), Ok(101));
        let timed = |make: &mut Make| {
            let first = make.dump.threads.iter_mut().find(|t| t.tid == 101).unwrap();
            first.args[3] = 0x7ffe_0000;
            deaf(make, MAIN);
        };
        assert_eq!(said(timed), Ok(102));
        assert_eq!(
            said(|make| [MAIN, 101, 102].into_iter().for_each(|tid| deaf(make, tid))).unwrap_err(),
            "no thread waits on a futex without a time limit, takes the signal, and has room on a stack of its own"
        );
        // A stack in memory that was not mapped to be one, or without room.
        let unguarded = |make: &mut Make| {
            let text = String::from_utf8(make.dump.maps.clone()).unwrap();
            let kept = text.split_inclusive('\n').skip(1);
            make.dump.maps = kept.collect::<String>().into_bytes();
        };
        assert_eq!(said(unguarded), Ok(101));
        let unread = |make: &mut Make| _ = make.change(101, |t| t.err_status = 22);
        assert_eq!(said(unread).unwrap_err(), "what tid 101 does could not be read");
        let deep = |make: &mut Make| {
            make.dump.threads.iter_mut().find(|t| t.tid == MAIN).unwrap().sp -= (1 << 20) - (64 << 10);
        };
        assert_eq!(said(deep), Ok(101));
    }

    #[test]
    fn waits_of_a_c_library_without_a_debug_file_are_waits() {
        let bare_names = |make: &mut Make, stack: &[&str]| {
            make.futex(103, &bare(LOCK, 2), stack);
            make.traces.threads.get_mut(&103).unwrap().frames[0].function = None;
        };
        let wait = &["?@libc", "pthread_cond_wait@libc", "worker@bench:bench.c:9"];
        assert_eq!(said(|make| bare_names(make, wait)), Ok(MAIN));
        let in_puts = &["?@libc", "puts@libc", "worker@bench:bench.c:9"];
        let why = said(|make| bare_names(make, in_puts)).unwrap_err();
        assert_eq!(why, "tid 103 is in ?, where locks may be held");
        let mutex = &["__lll_lock_wait@libc", "pthread_mutex_lock@libc", "worker@bench:bench.c:9"];
        assert_eq!(said(|make| _ = make.futex(103, &bare(LOCK, 2), mutex)), Ok(MAIN));
    }

    #[test]
    fn whoever_moves_or_may_hold_a_lock_forbids_it() {
        let why = |change: &dyn Fn(&mut Make)| said(|make| change(make)).unwrap_err();
        let in_printf: &[&str] = &["__lll_lock_wait_private@libc", "_IO_puts@libc", "worker@bench:bench.c:9"];
        let in_foo: &[&str] = &["futex_wait@libc", "foo_refill@foo:foo.c:9", "worker@bench:bench.c:9"];
        let in_loader = |make: &mut Make| {
            make.futex(103, &bare(LOCK, 2), &["futex_wait@libc", "_dl_open@libc", "worker@bench:bench.c:9"]);
            let frames = &mut make.traces.threads.get_mut(&103).unwrap().frames;
            frames[1].dso = Some("/lib64/ld-linux-x86-64.so.2".into());
        };
        let all = [
            why(&|make| _ = make.one_look()),
            why(&|make| make.dump.gaps = 1),
            why(&|make| _ = make.runs(103, 1.0, &["worker@bench:bench.c:7"], Sampled::Never)),
            why(&|make| _ = make.moves(102)),
            why(&|make| _ = make.leaves(102)),
            why(&|make| _ = make.no_stacks()),
            why(&|make| _ = make.futex(103, &bare(LOCK, 2), in_printf)),
            why(&|make| _ = make.futex(103, &bare(LOCK, 2), in_foo)),
            why(&in_loader),
            why(&|make| _ = make.call(103, 61, 0, &["__libc_fork@libc", "worker@bench:bench.c:9"])),
        ];
        insta::assert_snapshot!(all.join("\n"), @"
        there is no second look
        its dump is not complete
        tid 103 runs
        tid 102 moved between the looks
        tid 102 moved between the looks
        the stack of tid 100 is not whole
        tid 103 is in __lll_lock_wait_private, where locks may be held
        tid 103 is inside the allocator
        tid 103 is in _dl_open, where locks may be held
        tid 103 is in __libc_fork, where locks may be held
        ");
    }
}
