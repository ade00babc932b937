//! `/proc/self/task`: the threads, and what the kernel says of each.

use core::mem::MaybeUninit;

use hangscope_protocol::record::{
    HeartbeatThread, SYSCALL_RUNNING, SYSCALL_UNREADABLE, ThreadRecord, thread_flags,
};

use crate::sys::{self, Errno, OwnedFd};
use crate::text::{Text, decimal, fields, hex, line_after, padded};

/// The directory of the process's threads, kept open.
pub(crate) struct Tasks {
    dir: OwnedFd,
    pid: u32,
    own: u32,
    ns_per_tick: u64,
}

/// From `stat` (proc_pid_stat(5)).
#[derive(Clone, Copy, Default)]
pub(crate) struct TaskStat {
    pub(crate) state: u8,
    pub(crate) comm: [u8; 16],
    pub(crate) cpu_ns: u64,
    pub(crate) cpu: u16,
    pub(crate) start_ticks: u64,
}

/// From `syscall` (proc_pid_syscall(5)).
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) number: i32,
    pub(crate) args: [u64; 6],
    pub(crate) sp: u64,
    pub(crate) pc: u64,
}

impl Tasks {
    /// Opens it; `own` is the watchdog, which is left out of every list.
    pub(crate) fn open(pid: u32, own: u32, clk_tck: u32) -> Result<Tasks, Errno> {
        let dir = sys::open_dir(c"/proc/self/task")?;
        Ok(Tasks { dir, pid, own, ns_per_tick: 1_000_000_000 / u64::from(clk_tck.max(1)) })
    }

    /// Lists the threads into `tids`. Gives how many there are, which may be more than fit.
    pub(crate) fn list(&self, entries: &mut [MaybeUninit<u8>], tids: &mut [u32]) -> Result<usize, Errno> {
        let mut count = 0;
        sys::entries(&self.dir, entries, |name| {
            if let Some(tid) = decimal(name).map(|t| t as u32).filter(|t| *t != self.own) {
                if let Some(slot) = tids.get_mut(count) {
                    *slot = tid;
                }
                count += 1;
            }
        })?;
        Ok(count)
    }

    /// Reads a file of a thread into `text`.
    pub(crate) fn read<'a>(&self, tid: u32, file: &[u8], text: &'a mut [u8]) -> Result<&'a [u8], Errno> {
        let mut path = Text::<32>::EMPTY;
        path.push_number(u64::from(tid));
        path.push(b"/");
        path.push(file);
        let file = sys::open_at(&self.dir, path.as_cstr().ok_or(Errno::INVAL)?)?;
        let n = sys::read(&file, text)?;
        Ok(text.get(..n).unwrap_or(&[]))
    }

    pub(crate) fn stat(&self, tid: u32, text: &mut [u8]) -> Result<TaskStat, Errno> {
        parse_stat(self.read(tid, b"stat", text)?, self.ns_per_tick).ok_or(Errno::INVAL)
    }

    pub(crate) fn call(&self, tid: u32, text: &mut [u8]) -> Result<Call, Errno> {
        parse_call(self.read(tid, b"syscall", text)?).ok_or(Errno::INVAL)
    }

    /// What a heartbeat says of a thread; none if it is gone.
    pub(crate) fn heartbeat(&self, tid: u32, text: &mut [u8]) -> Option<HeartbeatThread> {
        let stat = self.stat(tid, text).ok()?;
        let call = self.call(tid, text).unwrap_or(Call { number: SYSCALL_UNREADABLE, ..RUNNING });
        Some(HeartbeatThread {
            tid,
            state: stat.state,
            reserved: 0,
            cpu: stat.cpu,
            syscall: call.number,
            arg1: call.args[1] as u32,
            arg0: call.args[0],
            sp: call.sp,
            pc: call.pc,
            cpu_ns: stat.cpu_ns,
            comm: stat.comm,
        })
    }

    /// What a dump says of a thread. What cannot be read leaves its errno; a thread that is gone has state 0.
    pub(crate) fn thread(&self, tid: u32, look: u8, text: &mut [u8]) -> ThreadRecord {
        let mut t = ThreadRecord { tid, look, ..EMPTY_THREAD };
        if tid == self.pid {
            t.flags |= thread_flags::MAIN;
        }
        match self.stat(tid, text) {
            Ok(stat) => {
                t.state = stat.state;
                t.comm = stat.comm;
                t.cpu = stat.cpu;
                t.tick_cpu_ns = stat.cpu_ns;
            }
            Err(e) => t.err_stat = e.raw_os_error() as u8,
        }
        match self.call(tid, text) {
            Ok(call) => {
                t.syscall = call.number;
                t.args = call.args;
                t.sp = call.sp;
                t.pc = call.pc;
            }
            Err(e) => {
                t.syscall = SYSCALL_UNREADABLE;
                t.err_syscall = e.raw_os_error() as u8;
            }
        }
        match self.read(tid, b"wchan", text) {
            Ok(wchan) if wchan != b"0" => t.wchan = padded(wchan),
            Ok(_) => {}
            Err(e) => t.err_wchan = e.raw_os_error() as u8,
        }
        match self.read(tid, b"status", text) {
            Ok(status) => {
                let number =
                    |name| line_after(status, name).and_then(|r| decimal(r.trim_ascii())).unwrap_or(0);
                let set = |name| line_after(status, name).and_then(|r| hex(r.trim_ascii())).unwrap_or(0);
                t.nvcsw = number(b"voluntary_ctxt_switches:");
                t.nivcsw = number(b"nonvoluntary_ctxt_switches:");
                t.sigblk = set(b"SigBlk:");
                t.sigpnd = set(b"SigPnd:");
            }
            Err(e) => t.err_status = e.raw_os_error() as u8,
        }
        match self.read(tid, b"schedstat", text) {
            Ok(schedstat) => {
                let mut f = fields(schedstat);
                t.cpu_ns = f.next().and_then(decimal).unwrap_or(0);
                t.runqueue_ns = f.next().and_then(decimal).unwrap_or(0);
            }
            Err(e) => t.err_schedstat = e.raw_os_error() as u8,
        }
        if crate::futex::is_wait(t.syscall) {
            crate::futex::read_near(&mut t);
        }
        t
    }

    /// Resident set of the process, KiB.
    pub(crate) fn rss_kib(&self, page_size: u32, text: &mut [u8]) -> u64 {
        let Ok(file) = sys::open_read(c"/proc/thread-self/statm") else { return 0 };
        let n = sys::read(&file, text).unwrap_or(0);
        let pages = fields(text.get(..n).unwrap_or(&[])).nth(1).and_then(decimal).unwrap_or(0);
        pages * u64::from(page_size) / 1024
    }

    /// Start of the process in clock ticks since boot.
    pub(crate) fn start_ticks(&self, text: &mut [u8]) -> u64 {
        self.stat(self.pid, text).map_or(0, |s| s.start_ticks)
    }
}

const RUNNING: Call = Call { number: SYSCALL_RUNNING, args: [0; 6], sp: 0, pc: 0 };

const EMPTY_THREAD: ThreadRecord = ThreadRecord {
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
    near: [0; 96],
};

/// `tid (name) state ppid ...`; the name may hold spaces and parentheses, so it ends at the last one.
fn parse_stat(text: &[u8], ns_per_tick: u64) -> Option<TaskStat> {
    let open = text.iter().position(|b| *b == b'(')?;
    let close = text.iter().rposition(|b| *b == b')')?;
    let mut stat = TaskStat { comm: padded(text.get(open + 1..close)?), ..TaskStat::default() };
    let mut ticks = 0;
    for (i, field) in fields(text.get(close + 1..)?).enumerate() {
        match i + 3 {
            3 => stat.state = *field.first()?,
            14 | 15 => ticks += decimal(field)?,
            22 => stat.start_ticks = decimal(field)?,
            39 => {
                stat.cpu = decimal(field)? as u16;
                stat.cpu_ns = ticks * ns_per_tick;
                return Some(stat);
            }
            _ => {}
        }
    }
    None
}

/// `running`, or `number args... sp pc`, or `-1 sp pc` for a thread that is blocked outside a system call.
fn parse_call(text: &[u8]) -> Option<Call> {
    if text.starts_with(b"running") {
        return Some(RUNNING);
    }
    let mut f = fields(text);
    let mut call = RUNNING;
    let number = f.next()?;
    if number == b"-1" {
        call.number = -1;
    } else {
        call.number = decimal(number)? as i32;
        for arg in &mut call.args {
            *arg = hex(f.next()?)?;
        }
    }
    call.sp = hex(f.next()?)?;
    call.pc = hex(f.next()?)?;
    Some(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_of_a_thread_with_an_unfriendly_name() {
        let line =
            b"8181 (a) R (b c) S 1 8181 8181 0 -1 4194368 5 0 0 0 250 50 0 0 20 0 17 0 776655 1000 200 \
            18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 3 0 0 0 0 0\n";
        let stat = parse_stat(line, 10_000_000).unwrap();
        assert_eq!((stat.state, stat.cpu, stat.start_ticks), (b'S', 3, 776_655));
        assert_eq!(stat.cpu_ns, 3_000_000_000);
        assert_eq!(&stat.comm[..10], b"a) R (b c\0");
        assert!(parse_stat(b"8181 (x", 1).is_none() && parse_stat(b"8181 (x) S 1", 1).is_none());
    }

    #[test]
    fn syscall_in_its_three_forms() {
        let call = parse_call(b"202 0x7f0010 0x80 0x2 0x0 0x0 0x0 0x7ffc00 0x7f1234\n").unwrap();
        assert_eq!((call.number, call.args[0], call.args[1], call.args[2]), (202, 0x7f_0010, 0x80, 2));
        assert_eq!((call.sp, call.pc), (0x7f_fc00, 0x7f_1234));
        assert_eq!(parse_call(b"running\n").unwrap().number, SYSCALL_RUNNING);
        let fault = parse_call(b"-1 0x7ffc00 0x7f1234\n").unwrap();
        assert_eq!((fault.number, fault.sp), (-1, 0x7f_fc00));
        assert!(parse_call(b"").is_none() && parse_call(b"202 0x1").is_none());
    }
}
