//! The small files of `/proc/PID/task/TID`: `stat`, `syscall`, `wchan`, `schedstat`; and `statm`.

use crate::text::{decimal, fields, hex};

/// What `stat` says (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat<'a> {
    pub tid: u32,
    /// Name, at most 15 bytes, raw: it may hold parentheses, newlines, and half of a character.
    pub comm: &'a [u8],
    /// State letter, such as `R` or `S`.
    pub state: u8,
    pub ppid: u32,
    pub pgrp: u32,
    /// The kernel's flags of the thread (PF_* of linux/sched.h).
    pub flags: u32,
    /// CPU time in user mode, clock ticks.
    pub utime: u64,
    /// CPU time in kernel mode, clock ticks.
    pub stime: u64,
    /// Number of threads of the process.
    pub threads: u32,
    /// Start, clock ticks since boot.
    pub start_ticks: u64,
    /// Processor that the thread last ran on.
    pub processor: u16,
}

impl<'a> Stat<'a> {
    /// Parses `tid (name) state ppid ...`. `None` if the text ends before the field of the processor (39).
    pub fn parse(text: &'a [u8]) -> Option<Stat<'a>> {
        let open = text.iter().position(|b| *b == b'(')?;
        // The name may hold `)`. No later field does.
        let close = text.iter().rposition(|b| *b == b')')?;
        let mut stat = Stat { comm: text.get(open + 1..close)?, ..Stat::default() };
        stat.tid = decimal(text.get(..open)?.trim_ascii())? as u32;
        for (i, field) in fields(text.get(close + 1..)?).enumerate() {
            // The numbers are those of proc_pid_stat(5).
            match i + 3 {
                3 => stat.state = *field.first()?,
                4 => stat.ppid = decimal(field)? as u32,
                5 => stat.pgrp = decimal(field)? as u32,
                9 => stat.flags = decimal(field)? as u32,
                14 => stat.utime = decimal(field)?,
                15 => stat.stime = decimal(field)?,
                20 => stat.threads = decimal(field)? as u32,
                22 => stat.start_ticks = decimal(field)?,
                39 => {
                    stat.processor = decimal(field)? as u16;
                    return Some(stat);
                }
                _ => {}
            }
        }
        None
    }

    /// CPU time in user and kernel mode, clock ticks.
    pub fn cpu_ticks(&self) -> u64 {
        self.utime.saturating_add(self.stime)
    }

    /// Whether the process was forked and has started no program since.
    pub fn is_forked(&self) -> bool {
        const PF_FORKNOEXEC: u32 = 0x40;
        self.flags & PF_FORKNOEXEC != 0
    }

    /// Whether it is a thread of the kernel, which has no memory of its own.
    pub fn is_kernels(&self) -> bool {
        const PF_KTHREAD: u32 = 0x20_0000;
        self.flags & PF_KTHREAD != 0
    }

    /// Whether it is on its way to its end, and may have no memory any more.
    pub fn is_exiting(&self) -> bool {
        const PF_EXITING: u32 = 0x4;
        self.flags & PF_EXITING != 0
    }

    /// Whether the thread has ended: it has neither memory nor files any more.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// The wait status of a thread that has ended, from the bytes of `stat` (field 52). The kernel shows 0 to
/// those who may not trace the process.
pub fn exit_code(text: &[u8]) -> Option<i32> {
    let close = text.iter().rposition(|b| *b == b')')?;
    let field = fields(text.get(close + 1..)?).nth(52 - 3)?;
    i32::try_from(decimal(field)?).ok()
}

/// Where the strings of argv (first, end) and of the environment (first, end) are, from the bytes of `stat`
/// (fields 48 to 51). The kernel shows 0 to those who may not trace the process.
pub fn start_strings(text: &[u8]) -> Option<[u64; 4]> {
    let close = text.iter().rposition(|b| *b == b')')?;
    let mut last = fields(text.get(close + 1..)?).skip(48 - 3);
    let mut next = || decimal(last.next()?);
    Some([next()?, next()?, next()?, next()?])
}

/// What `syscall` says (proc_pid_syscall(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syscall {
    /// The thread runs, or is ready to run. Its registers are not known.
    Running,
    /// The thread is blocked in the kernel.
    Blocked(Blocked),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    /// Number of the system call; -1 for a thread that is blocked outside a system call (a page fault).
    pub number: i32,
    /// Arguments of the call; 0 where `number` is -1.
    pub args: [u64; 6],
    pub sp: u64,
    /// Program counter in user mode.
    pub pc: u64,
}

impl Syscall {
    /// Parses one of `running`, `NUMBER ARG*6 SP PC`, `-1 SP PC`.
    pub fn parse(text: &[u8]) -> Option<Syscall> {
        if text.starts_with(b"running") {
            return Some(Syscall::Running);
        }
        let mut f = fields(text);
        let mut blocked = Blocked::default();
        let number = f.next()?;
        if number == b"-1" {
            blocked.number = -1;
        } else {
            blocked.number = i32::try_from(decimal(number)?).ok()?;
            for arg in &mut blocked.args {
                *arg = hex(f.next()?)?;
            }
        }
        blocked.sp = hex(f.next()?)?;
        blocked.pc = hex(f.next()?)?;
        Some(Syscall::Blocked(blocked))
    }

    /// The place of a blocked thread.
    pub fn blocked(self) -> Option<Blocked> {
        match self {
            Syscall::Running => None,
            Syscall::Blocked(blocked) => Some(blocked),
        }
    }
}

/// The wait channel from the bytes of `wchan`. `None` for a thread that is not blocked (the kernel prints
/// `0`).
pub fn wchan(text: &[u8]) -> Option<&[u8]> {
    let name = text.trim_ascii_end();
    (!matches!(name, b"" | b"0")).then_some(name)
}

/// What `schedstat` says (Documentation/scheduler/sched-stats.rst).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedstat {
    /// Time spent on a processor, ns.
    pub cpu_ns: u64,
    /// Time spent ready but without a processor, ns.
    pub runqueue_ns: u64,
}

impl Schedstat {
    /// Parses the first two of its three numbers.
    pub fn parse(text: &[u8]) -> Option<Schedstat> {
        let mut f = fields(text);
        Some(Schedstat { cpu_ns: decimal(f.next()?)?, runqueue_ns: decimal(f.next()?)? })
    }
}

/// The resident set in pages, from the bytes of `statm` (proc_pid_statm(5)).
pub fn resident_pages(statm: &[u8]) -> Option<u64> {
    fields(statm).nth(1).and_then(decimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = " S 1 8170 8181 0 -1 4194368 5 0 0 0 250 50 0 0 20 0 17 0 776655 1000 200 \
        18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 3 0 0 0 0 0\n";

    #[test]
    fn stat_of_threads_with_unfriendly_names() {
        for name in ["bench", "a) R (b c", ")", "", "(((", "x\ny) Z 1", "a b"] {
            let line = format!("8181 ({name}){REST}");
            let stat = Stat::parse(line.as_bytes()).unwrap();
            assert_eq!((stat.tid, stat.comm), (8181, name.as_bytes()));
            assert_eq!((stat.state, stat.ppid, stat.pgrp), (b'S', 1, 8170));
            assert_eq!((stat.utime, stat.stime, stat.cpu_ticks()), (250, 50, 300));
            assert_eq!((stat.threads, stat.start_ticks, stat.processor), (17, 776_655, 3));
            assert!(!stat.has_ended());
        }
        let ended = format!("8181 (a) b){REST}")
            .replace("17 3 0 0 0 0 0", &["17 3", &" 0".repeat(51 - 39), " 256"].concat());
        assert_eq!(exit_code(ended.as_bytes()), Some(256));
        assert_eq!(exit_code(format!("8181 (a) b){REST}").as_bytes()), None, "there is no such field");
        let raw = [b"1 (\xe3\x81)".as_slice(), REST.as_bytes()].concat();
        assert_eq!(Stat::parse(&raw).unwrap().comm, b"\xe3\x81");
    }

    #[test]
    fn a_stat_that_is_cut_off_is_none() {
        let line = format!("8181 (x){REST}");
        let whole = line.rfind(" 0 0 0 0 0").unwrap();
        for end in 0..whole - 2 {
            // Until the last digit of field 39 something is missing.
            assert_eq!(Stat::parse(&line.as_bytes()[..end]), None, "{end}");
        }
        assert!(Stat::parse(&line.as_bytes()[..whole]).is_some());
        for bad in ["", "()", ")(", "x (y) S", "1 (x) S a b c"] {
            assert_eq!(Stat::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn syscall_in_its_three_forms() {
        let call = Syscall::parse(b"202 0x7f0010 0x80 0x2 0x0 0x0 0x0 0x7ffc00 0x7f1234\n").unwrap();
        let args = [0x7f_0010, 0x80, 2, 0, 0, 0];
        assert_eq!(call, Syscall::Blocked(Blocked { number: 202, args, sp: 0x7f_fc00, pc: 0x7f_1234 }));
        assert_eq!(Syscall::parse(b"running\n"), Some(Syscall::Running));
        let fault = Syscall::parse(b"-1 0x7ffc00 0x7f1234\n").unwrap().blocked().unwrap();
        assert_eq!((fault.number, fault.args, fault.sp), (-1, [0; 6], 0x7f_fc00));
        for bad in ["", "202 0x1", "-1 0x1", "99999999999 0 0 0 0 0 0 0 0", "202 0 0 0 0 0 0 0", "x"] {
            assert_eq!(Syscall::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn small_files() {
        assert_eq!(wchan(b"futex_wait_queue"), Some(&b"futex_wait_queue"[..]));
        assert_eq!(wchan(b"do_wait\n"), Some(&b"do_wait"[..]));
        assert_eq!((wchan(b"0"), wchan(b"0\n"), wchan(b"")), (None, None, None));
        assert_eq!(Schedstat::parse(b"12 34 5\n"), Some(Schedstat { cpu_ns: 12, runqueue_ns: 34 }));
        assert_eq!((Schedstat::parse(b"12"), Schedstat::parse(b"")), (None, None));
        assert_eq!((resident_pages(b"100 20 3 0 0 0 0\n"), resident_pages(b"100")), (Some(20), None));
    }

    #[test]
    fn this_very_thread() {
        let read = |file: &str| std::fs::read(format!("/proc/thread-self/{file}")).unwrap();
        let (stat, schedstat, statm) = (read("stat"), read("schedstat"), read("statm"));
        let stat = Stat::parse(&stat).unwrap();
        assert_eq!((stat.state, stat.has_ended()), (b'R', false));
        assert!(stat.threads >= 1 && stat.start_ticks > 0);
        assert!(Schedstat::parse(&schedstat).is_some() && resident_pages(&statm).unwrap() > 0);
        // The thread is in its own read of the file.
        let call = Syscall::parse(&read("syscall")).unwrap().blocked().unwrap();
        assert!(i64::from(call.number) == libc::SYS_read && call.sp != 0);
    }
}
