//! Where a system call keeps its timeout. The numbers of arguments are those of the kernel's calls.

use hangscope_protocol::record::ThreadRecord;

use super::record_text;
use super::syscalls::{Syscall, Syscalls};

/// Bytes of a `struct timespec` or `struct timeval` on a 64-bit machine.
pub(crate) const TIME_BYTES: usize = 16;

/// The timeout of a blocked call, as its arguments have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    /// The call has none, or its timeout is infinite.
    None,
    Millis(u64),
    /// In memory.
    At(TimeAt),
    /// The call ends by itself. Its timeout cannot be found any more.
    Somewhere,
}

/// A timeout in the memory of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeAt {
    pub(crate) address: u64,
    /// A `struct timeval`: microseconds in place of nanoseconds.
    pub(crate) micros: bool,
    pub(crate) until: Until,
}

/// From when on a time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// From the begin of the call.
    Span,
    Monotonic,
    Realtime,
    /// The time of another clock.
    OtherClock,
}

/// The timeout of the call in which a thread is blocked.
pub(crate) fn timeout_of(arch: Syscalls, thread: &ThreadRecord) -> Timeout {
    let Some(call) = arch.call(thread.syscall) else { return Timeout::None };
    // A call with a timeout that a signal interrupted goes on under this name, with its old arguments.
    if call.name == "restart_syscall" {
        return restarted(thread);
    }
    of_call(call, &thread.args)
}

fn of_call(call: &Syscall, args: &[u64; 6]) -> Timeout {
    let span = |at: usize| at_address(args[at], false, Until::Span);
    match call.name {
        "nanosleep" => span(0),
        "clock_nanosleep" => {
            let until = match (args[1] & TIMER_ABSTIME != 0, args[0]) {
                (false, _) => Until::Span,
                (true, CLOCK_REALTIME) => Until::Realtime,
                (true, CLOCK_MONOTONIC) => Until::Monotonic,
                (true, _) => Until::OtherClock,
            };
            at_address(args[2], false, until)
        }
        "poll" => millis(args[2]),
        "epoll_wait" | "epoll_pwait" => millis(args[3]),
        "ppoll" | "rt_sigtimedwait" => span(2),
        "pselect6" | "recvmmsg" | "io_getevents" => span(4),
        "select" => at_address(args[4], true, Until::Span),
        "epoll_pwait2" | "semtimedop" => span(3),
        "futex_waitv" => at_address(args[3], false, Until::OtherClock),
        "futex" => futex(args),
        _ => Timeout::None,
    }
}

/// A plain wait has a span of time. The other operations have a point in time.
fn futex(args: &[u64; 6]) -> Timeout {
    const WAIT: u64 = 0;
    const LOCK_PI: u64 = 6;
    const CLOCK_REALTIME_FLAG: u64 = 0x100;
    let until = match args[1] & 0x7f {
        WAIT => Until::Span,
        LOCK_PI => Until::Realtime,
        _ if args[1] & CLOCK_REALTIME_FLAG != 0 => Until::Realtime,
        _ => Until::Monotonic,
    };
    at_address(args[3], false, until)
}

fn restarted(thread: &ThreadRecord) -> Timeout {
    let wchan = record_text::padded(&thread.wchan);
    if wchan.contains("futex") {
        // The kernel keeps the end of the wait itself.
        return Timeout::Somewhere;
    }
    match wchan.as_str() {
        // `poll` without a timeout restarts in this way too.
        wchan if wchan.contains("poll") => match millis(thread.args[2]) {
            Timeout::Millis(_) => Timeout::Somewhere,
            other => other,
        },
        wchan if wchan.contains("sleep") => Timeout::Somewhere,
        _ => Timeout::None,
    }
}

const TIMER_ABSTIME: u64 = 1;
const CLOCK_REALTIME: u64 = 0;
const CLOCK_MONOTONIC: u64 = 1;

fn at_address(address: u64, micros: bool, until: Until) -> Timeout {
    if address == 0 { Timeout::None } else { Timeout::At(TimeAt { address, micros, until }) }
}

/// An `int` of milliseconds: a negative one is infinite.
fn millis(argument: u64) -> Timeout {
    u64::try_from(argument as i32).map_or(Timeout::None, Timeout::Millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::fake_shim::zero;

    #[test]
    fn a_timeout_is_where_the_kernel_takes_it_from() {
        let of = |number: i64, args: [u64; 6]| {
            let thread = ThreadRecord { syscall: number as i32, args, ..zero() };
            timeout_of(Syscalls::X86_64, &thread)
        };
        let at = |until| Timeout::At(TimeAt { address: 0x70, micros: false, until });
        assert_eq!(of(230, [0, 0, 0x70, 0, 0, 0]), at(Until::Span), "sleep");
        assert_eq!(
            of(230, [1, 1, 0x70, 0, 0, 0]),
            at(Until::Monotonic),
            "clock_nanosleep to a point in time"
        );
        assert_eq!(of(35, [0x70, 0, 0, 0, 0, 0]), at(Until::Span), "nanosleep");
        assert_eq!(of(7, [0x70, 1, 1000, 0, 0, 0]), Timeout::Millis(1000), "poll");
        assert_eq!(of(7, [0x70, 1, 0xffff_ffff, 0, 0, 0]), Timeout::None, "poll without a timeout");
        assert_eq!(of(232, [3, 0x70, 1, 1000, 0, 0]), Timeout::Millis(1000), "epoll_wait");
        assert_eq!(of(232, [3, 0x70, 1, u64::MAX, 0, 0]), Timeout::None);
        assert_eq!(of(202, [8, 0x80, 2, 0x70, 0, 0]), at(Until::Span), "FUTEX_WAIT");
        assert_eq!(of(202, [8, 0x189, 2, 0x70, 0, 0]), at(Until::Realtime), "FUTEX_WAIT_BITSET");
        assert_eq!(of(202, [8, 0x89, 2, 0x70, 0, 0]), at(Until::Monotonic));
        assert_eq!(of(202, [8, 0x80, 2, 0, 0, 0]), Timeout::None);
        assert_eq!(of(0, [3, 0x70, 1, 0, 0, 0]), Timeout::None, "read");
        let select = Timeout::At(TimeAt { address: 0x70, micros: true, until: Until::Span });
        assert_eq!(of(23, [0, 0, 0, 0, 0x70, 0]), select);
    }

    #[test]
    fn a_restarted_call_is_known_by_where_it_waits_in_the_kernel() {
        let of = |wchan: &str, third: u64| {
            let mut thread = ThreadRecord { syscall: 219, args: [0, 0, third, 0, 0, 0], ..zero() };
            thread.wchan[..wchan.len()].copy_from_slice(wchan.as_bytes());
            timeout_of(Syscalls::X86_64, &thread)
        };
        assert_eq!(of("hrtimer_nanosleep", 0x70), Timeout::Somewhere);
        assert_eq!(of("do_poll", 1000), Timeout::Somewhere);
        assert_eq!(of("do_poll", 0xffff_ffff), Timeout::None);
        assert_eq!(of("futex_do_wait", 0), Timeout::Somewhere);
    }
}
