//! All files of a thread together, as a [`ThreadRecord`] of a dump.

use hangscope_protocol::record::{
    NEAR_BEFORE, NEAR_LEN, SYSCALL_RUNNING, SYSCALL_UNREADABLE, ThreadRecord, thread_flags,
};

use crate::memory::Memory;
use crate::status::Status;
use crate::task::{Schedstat, Stat, Syscall, wchan};
use crate::text::padded;

/// EINVAL: a file that could be read makes no sense.
const NONSENSE: u8 = 22;
const PAGE: u64 = 4096;

/// Number of `futex_wait` of the futex2 interface (Linux 6.7), the same on all processors.
pub const SYS_FUTEX_WAIT: i32 = 455;

/// The files of one thread, in `/proc/PID/task/TID`.
pub trait Files {
    /// Reads a file, such as `stat`. The bytes are lent until the next call.
    ///
    /// # Errors
    /// The errno.
    fn read(&mut self, name: &str) -> Result<&[u8], u8>;
}

/// Looks at a thread. A file that cannot be read leaves its errno in the record; `state` is 0 without `stat`.
///
/// `near` is not filled: see [`read_near`].
pub fn look(tid: u32, look: u8, ns_per_tick: u64, files: &mut impl Files) -> ThreadRecord {
    let mut t = ThreadRecord { tid, look, ..EMPTY };
    match parsed(files, "stat", |text| {
        Stat::parse(text).map(|s| (s.state, padded::<16>(s.comm), s.processor, s.cpu_ticks()))
    }) {
        Ok((state, comm, cpu, ticks)) => {
            (t.state, t.comm, t.cpu) = (state, comm, cpu);
            t.tick_cpu_ns = ticks.saturating_mul(ns_per_tick);
        }
        Err(e) => t.err_stat = e,
    }
    match parsed(files, "syscall", Syscall::parse) {
        Ok(Syscall::Running) => {}
        Ok(Syscall::Blocked(blocked)) => {
            t.syscall = blocked.number;
            t.args = blocked.args;
            t.sp = blocked.sp;
            t.pc = blocked.pc;
        }
        Err(e) => {
            t.syscall = SYSCALL_UNREADABLE;
            t.err_syscall = e;
        }
    }
    match files.read("wchan") {
        Ok(text) => t.wchan = wchan(text).map_or([0; 32], padded),
        Err(e) => t.err_wchan = e,
    }
    match files.read("status").map(Status) {
        Ok(status) => {
            (t.nvcsw, t.nivcsw) = status.switches().unwrap_or((0, 0));
            t.sigblk = status.blocked_signals().unwrap_or(0);
            t.sigpnd = status.pending_signals().unwrap_or(0);
        }
        Err(e) => t.err_status = e,
    }
    match parsed(files, "schedstat", Schedstat::parse) {
        Ok(schedstat) => {
            t.cpu_ns = schedstat.cpu_ns;
            t.runqueue_ns = schedstat.runqueue_ns;
        }
        Err(e) => t.err_schedstat = e,
    }
    t
}

fn parsed<T>(files: &mut impl Files, name: &str, parse: impl Fn(&[u8]) -> Option<T>) -> Result<T, u8> {
    parse(files.read(name)?).ok_or(NONSENSE)
}

/// Number of `futex_waitv` (Linux 5.16), the same on all processors.
pub const SYS_FUTEX_WAITV: i32 = 449;

/// Whether a thread in this system call waits on the futex word that its first argument points to. `futex`
/// is the number of `futex` on the processor.
pub fn is_futex_wait(syscall: i32, futex: i32) -> bool {
    syscall == futex || syscall == SYS_FUTEX_WAIT || syscall == SYS_FUTEX_WAITV
}

/// For a wait on several words: puts the first of them into `args`: its expected value at 4, its address at 5. The call has
/// five arguments, and the fifth is a clock. False if the vector cannot be read.
fn first_of_vector<M: Memory>(t: &mut ThreadRecord, memory: &M, errno: impl Fn(M::Error) -> u8) -> bool {
    // struct futex_waitv: `val`, `uaddr`, each 8 bytes, then `flags` (linux/futex.h).
    let mut entry = [0; 16];
    match memory.read(t.args[0], &mut entry) {
        Ok(16) => {
            let (value, address) = entry.split_at(8);
            t.args[4] = value.try_into().map_or(0, u64::from_le_bytes);
            t.args[5] = address.try_into().map_or(0, u64::from_le_bytes);
            true
        }
        Ok(_) => false,
        Err(e) => {
            t.err_near = errno(e);
            false
        }
    }
}

/// For a futex wait: reads the memory around the futex word into `near`, as far as it can be read.
pub fn read_near<M: Memory>(t: &mut ThreadRecord, memory: &M, errno: impl Fn(M::Error) -> u8) {
    let vector = t.syscall == SYS_FUTEX_WAITV;
    if vector && !first_of_vector(t, memory, &errno) {
        return;
    }
    let word = t.args[if vector { 5 } else { 0 }];
    let Some(start) = word.checked_sub(NEAR_BEFORE as u64) else { return };
    // The page before the word may be missing. The page of the word is there while somebody waits on it.
    for from in [start, start.max(word - word % PAGE)] {
        let skipped = (from - start) as usize;
        match memory.read(from, t.near.get_mut(skipped..).unwrap_or(&mut [])) {
            Ok(n) if skipped + n > NEAR_BEFORE => {
                t.near_from = skipped as u16;
                t.near_to = (skipped + n).min(NEAR_LEN) as u16;
                t.err_near = 0;
                t.flags |= thread_flags::NEAR;
                return;
            }
            Ok(_) => {}
            Err(e) => t.err_near = errno(e),
        }
    }
}

/// A record of a thread of which nothing is known.
pub const EMPTY: ThreadRecord = ThreadRecord {
    tid: 0,
    look: 0,
    state: 0,
    flags: 0,
    comm: [0; 16],
    cpu: 0,
    err_stat: 0,
    err_status: 0,
    err_syscall: 0,
    err_wchan: 0,
    err_schedstat: 0,
    err_near: 0,
    wchan: [0; 32],
    cpu_ns: 0,
    runqueue_ns: 0,
    tick_cpu_ns: 0,
    nvcsw: 0,
    nivcsw: 0,
    sigblk: 0,
    sigpnd: 0,
    syscall: SYSCALL_RUNNING,
    near_from: 0,
    near_to: 0,
    args: [0; 6],
    sp: 0,
    pc: 0,
    near: [0; NEAR_LEN],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::pieces::Pieces;

    /// Files by name; a missing one is ENOENT.
    struct Texts(&'static [(&'static str, &'static [u8])]);

    impl Files for Texts {
        fn read(&mut self, name: &str) -> Result<&[u8], u8> {
            self.0.iter().find(|(n, _)| *n == name).map(|(_, text)| *text).ok_or(2)
        }
    }

    const STAT: &[u8] =
        b"7 (w) D 1 1 1 0 -1 0 0 0 0 0 3 4 0 0 20 0 9 0 5 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 6 0\n";

    #[test]
    fn a_thread_whose_files_all_can_be_read() {
        let mut files = Texts(&[
            ("stat", STAT),
            ("syscall", b"202 0x1030 0x80 2 0 0 0 0x9000 0x55\n"),
            ("wchan", b"futex_wait_queue"),
            (
                "status",
                b"SigPnd:\t4\nSigBlk:\t8\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t6\n",
            ),
            ("schedstat", b"70 80 9\n"),
        ]);
        let t = look(7, 2, 10, &mut files);
        assert_eq!((t.tid, t.look, t.state, t.cpu, t.tick_cpu_ns), (7, 2, b'D', 6, 70));
        assert_eq!((t.syscall, t.args[0], t.sp, t.pc), (202, 0x1030, 0x9000, 0x55));
        assert_eq!((t.nvcsw, t.nivcsw, t.sigpnd, t.sigblk), (5, 6, 4, 8));
        assert_eq!((t.cpu_ns, t.runqueue_ns, &t.wchan[..17]), (70, 80, &b"futex_wait_queue\0"[..]));
        assert_eq!([t.err_stat, t.err_status, t.err_syscall, t.err_wchan, t.err_schedstat], [0; 5]);
    }

    #[test]
    fn what_cannot_be_read_leaves_its_errno() {
        let t = look(7, 1, 10, &mut Texts(&[("stat", b"7 (w"), ("wchan", b"0")]));
        assert_eq!((t.state, t.syscall, t.wchan), (0, SYSCALL_UNREADABLE, [0; 32]));
        assert_eq!([t.err_stat, t.err_status, t.err_syscall, t.err_wchan, t.err_schedstat], [22, 2, 2, 0, 2]);
        let t = look(7, 1, 10, &mut Texts(&[("stat", STAT), ("syscall", b"running\n")]));
        assert_eq!((t.syscall, t.sp, t.err_syscall), (SYSCALL_RUNNING, 0, 0));
    }

    #[test]
    fn memory_around_the_word() {
        let near = |pieces: &[(u64, usize)], word: u64| {
            let memory = Pieces(pieces.iter().map(|(at, len)| (*at, vec![7; *len])).collect());
            let mut t = ThreadRecord { args: [word, 0, 0, 0, 0, 0], ..EMPTY };
            read_near(&mut t, &memory, |()| 14);
            assert!(t.near[usize::from(t.near_from)..usize::from(t.near_to)].iter().all(|b| *b == 7));
            (t.near_from, t.near_to, t.flags & thread_flags::NEAR != 0, t.err_near)
        };
        assert_eq!(near(&[(0x1000, 0x1000)], 0x1100), (0, 96, true, 0));
        // The page before is missing; the page after is missing.
        assert_eq!(near(&[(0x1000, 0x1000)], 0x1008), (40, 96, true, 0));
        assert_eq!(near(&[(0x1000, 0x1000)], 0x1ff8), (0, 56, true, 0));
        // The page of the word is missing; all is missing; a word too near to address 0.
        assert_eq!(near(&[(0x1000, 0x1000)], 0x2000), (0, 0, false, 14));
        assert_eq!(near(&[], 0x2000), (0, 0, false, 14));
        assert_eq!(near(&[], 8), (0, 0, false, 0));
        // futex_waitv: the vector at 0x1000 names a word at 0x1008.
        let bytes = [2u64.to_le_bytes(), 0x1008u64.to_le_bytes()].concat();
        let memory = Pieces(vec![(0x1000, [bytes, vec![0; 0x100]].concat())]);
        let mut t = ThreadRecord { syscall: SYS_FUTEX_WAITV, args: [0x1000, 1, 0, 0, 0, 0], ..EMPTY };
        read_near(&mut t, &memory, |()| 14);
        assert_eq!((t.args[4], t.args[5], t.flags & thread_flags::NEAR), (2, 0x1008, thread_flags::NEAR));
        let mut t = ThreadRecord { args: [0x5000, 1, 0, 0, 0, 0], ..t };
        t.flags = 0;
        read_near(&mut t, &memory, |()| 14);
        assert_eq!((t.err_near, t.flags), (14, 0));
        assert!(is_futex_wait(202, 202) && is_futex_wait(455, 98) && !is_futex_wait(202, 98));
    }
}
