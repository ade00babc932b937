//! System call numbers, by the ELF machine number of the hello.
//!
//! Numbers: Linux `arch/x86/entry/syscalls/syscall_64.tbl` and `include/uapi/asm-generic/unistd.h` (aarch64).

use hangscope_protocol::record::{ARCH_AARCH64, ARCH_X86_64};

/// The first argument of a call, where it tells what the thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstArgument {
    Fd,
    Other,
}

/// A system call in which threads are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syscall {
    /// The name in the kernel's table.
    pub(crate) name: &'static str,
    /// The kind of wait. Variants of a call share it: `epoll_wait` and `epoll_pwait` are `epoll`.
    pub(crate) kind: &'static str,
    pub(crate) first: FirstArgument,
    x86_64: i32,
    aarch64: i32,
}

/// The machine has no such call.
const NONE: i32 = -1;

const fn call(
    name: &'static str,
    kind: &'static str,
    first: FirstArgument,
    x86_64: i32,
    aarch64: i32,
) -> Syscall {
    Syscall { name, kind, first, x86_64, aarch64 }
}

use FirstArgument::{Fd, Other};

const CALLS: &[Syscall] = &[
    call("read", "read", Fd, 0, 63),
    call("write", "write", Fd, 1, 64),
    call("open", "open", Other, 2, NONE),
    call("close", "close", Fd, 3, 57),
    call("poll", "poll", Other, 7, NONE),
    call("mmap", "mmap", Other, 9, 222),
    call("mprotect", "mprotect", Other, 10, 226),
    call("munmap", "munmap", Other, 11, 215),
    call("brk", "brk", Other, 12, 214),
    call("rt_sigreturn", "rt_sigreturn", Other, 15, 139),
    call("ioctl", "ioctl", Fd, 16, 29),
    call("pread64", "read", Fd, 17, 67),
    call("pwrite64", "write", Fd, 18, 68),
    call("readv", "read", Fd, 19, 65),
    call("writev", "write", Fd, 20, 66),
    call("select", "select", Other, 23, NONE),
    call("sched_yield", "sched_yield", Other, 24, 124),
    call("mremap", "mremap", Other, 25, 216),
    call("msync", "msync", Other, 26, 227),
    call("madvise", "madvise", Other, 28, 233),
    call("pause", "pause", Other, 34, NONE),
    call("nanosleep", "nanosleep", Other, 35, 101),
    call("sendfile", "sendfile", Fd, 40, 71),
    call("connect", "connect", Fd, 42, 203),
    call("accept", "accept", Fd, 43, 202),
    call("sendto", "send", Fd, 44, 206),
    call("recvfrom", "recv", Fd, 45, 207),
    call("sendmsg", "send", Fd, 46, 211),
    call("recvmsg", "recv", Fd, 47, 212),
    call("clone", "clone", Other, 56, 220),
    call("fork", "fork", Other, 57, NONE),
    call("vfork", "fork", Other, 58, NONE),
    call("execve", "execve", Other, 59, 221),
    call("exit", "exit", Other, 60, 93),
    call("wait4", "wait4", Other, 61, 260),
    call("semop", "semop", Other, 65, 193),
    call("msgsnd", "msgsnd", Other, 69, 189),
    call("msgrcv", "msgrcv", Other, 70, 188),
    call("fcntl", "fcntl", Fd, 72, 25),
    call("flock", "flock", Fd, 73, 32),
    call("fsync", "fsync", Fd, 74, 82),
    call("fdatasync", "fsync", Fd, 75, 83),
    call("rt_sigtimedwait", "sigwait", Other, 128, 137),
    call("rt_sigsuspend", "sigsuspend", Other, 130, 133),
    call("futex", "futex", Other, 202, 98),
    call("io_getevents", "io_getevents", Other, 208, 4),
    call("restart_syscall", "restart_syscall", Other, 219, 128),
    call("semtimedop", "semop", Other, 220, 192),
    call("clock_nanosleep", "nanosleep", Other, 230, 115),
    call("exit_group", "exit", Other, 231, 94),
    call("epoll_wait", "epoll", Fd, 232, NONE),
    call("mq_timedsend", "mq", Fd, 242, 182),
    call("mq_timedreceive", "mq", Fd, 243, 183),
    call("waitid", "waitid", Other, 247, 95),
    call("openat", "open", Other, 257, 56),
    call("pselect6", "select", Other, 270, 72),
    call("ppoll", "poll", Other, 271, 73),
    call("io_pgetevents", "io_getevents", Other, 333, 292),
    call("splice", "splice", Fd, 275, 76),
    call("tee", "splice", Fd, 276, 77),
    call("epoll_pwait", "epoll", Fd, 281, 22),
    call("accept4", "accept", Fd, 288, 242),
    call("recvmmsg", "recv", Fd, 299, 243),
    call("sendmmsg", "send", Fd, 307, 269),
    call("getrandom", "getrandom", Other, 318, 278),
    call("membarrier", "membarrier", Other, 324, 283),
    call("io_uring_enter", "io_uring_enter", Fd, 426, 426),
    call("clone3", "clone", Other, 435, 435),
    call("epoll_pwait2", "epoll", Fd, 441, 441),
    call("futex_waitv", "futex-waitv", Other, 449, 449),
];

/// The system call numbers of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syscalls {
    X86_64,
    Aarch64,
}

impl Syscalls {
    /// By ELF machine number; none for an unknown machine.
    pub(crate) fn from_elf(machine: u16) -> Option<Self> {
        match machine {
            ARCH_X86_64 => Some(Syscalls::X86_64),
            ARCH_AARCH64 => Some(Syscalls::Aarch64),
            _ => None,
        }
    }

    /// The call with this number, if it is in the table.
    pub(crate) fn call(self, number: i32) -> Option<&'static Syscall> {
        CALLS.iter().find(|c| number >= 0 && self.number(c) == number)
    }

    pub(crate) fn futex(self) -> i32 {
        match self {
            Syscalls::X86_64 => 202,
            Syscalls::Aarch64 => 98,
        }
    }

    fn number(self, call: &Syscall) -> i32 {
        match self {
            Syscalls::X86_64 => call.x86_64,
            Syscalls::Aarch64 => call.aarch64,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::session::syscalls::*;

    #[test]
    fn numbers_are_unique_and_futex_is_futex() {
        for arch in [Syscalls::X86_64, Syscalls::Aarch64] {
            let mut seen = std::collections::BTreeMap::new();
            for call in CALLS.iter().filter(|c| arch.number(c) != NONE) {
                let before = seen.insert(arch.number(call), call.name);
                assert_eq!(before, None, "{} has the number of another call on {arch:?}", call.name);
            }
            assert_eq!(arch.call(arch.futex()).map(|c| c.name), Some("futex"));
            assert_eq!(arch.call(NONE), None);
        }
    }

    /// The table against the constants of the C library, for the machine that runs the test.
    #[test]
    fn numbers_are_those_of_the_c_library() {
        let here = if cfg!(target_arch = "aarch64") { Syscalls::Aarch64 } else { Syscalls::X86_64 };
        for (name, number) in [
            ("read", libc::SYS_read),
            ("ioctl", libc::SYS_ioctl),
            ("munmap", libc::SYS_munmap),
            ("sched_yield", libc::SYS_sched_yield),
            ("nanosleep", libc::SYS_nanosleep),
            ("recvfrom", libc::SYS_recvfrom),
            ("wait4", libc::SYS_wait4),
            ("flock", libc::SYS_flock),
            ("rt_sigtimedwait", libc::SYS_rt_sigtimedwait),
            ("restart_syscall", libc::SYS_restart_syscall),
            ("semtimedop", libc::SYS_semtimedop),
            ("clock_nanosleep", libc::SYS_clock_nanosleep),
            ("waitid", libc::SYS_waitid),
            ("openat", libc::SYS_openat),
            ("pselect6", libc::SYS_pselect6),
            ("ppoll", libc::SYS_ppoll),
            ("splice", libc::SYS_splice),
            ("epoll_pwait", libc::SYS_epoll_pwait),
            ("accept4", libc::SYS_accept4),
            ("recvmmsg", libc::SYS_recvmmsg),
            ("sendmmsg", libc::SYS_sendmmsg),
            ("getrandom", libc::SYS_getrandom),
            ("membarrier", libc::SYS_membarrier),
            ("io_uring_enter", libc::SYS_io_uring_enter),
            ("clone3", libc::SYS_clone3),
            ("futex_waitv", libc::SYS_futex_waitv),
        ] {
            assert_eq!(here.call(number as i32).map(|c| c.name), Some(name));
        }
    }
}
