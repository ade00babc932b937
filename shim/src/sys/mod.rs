//! Every system call of the shim. rustix makes them where it has them: its Linux backend makes them raw,
//! without libc, without errno and without an allocator. The others are made by `raw`.
//!
//! Errors are the kernel's numbers ([`Errno`]). Nothing blocks but what is in `wait`, and that has a timeout.
//! Memory of the host is read by `resident`, which does not wait for a page.

mod clock;
mod credentials;
mod file;
mod grown;
mod memory;
mod pages;
mod perf;
mod process;
mod raw;
mod resident;
mod sched;
mod signals;
mod socket;
mod thread;
mod timer;
mod wait;

pub(crate) use clock::{now, process_cpu, thread_cpu, wall_clock};
pub(crate) use credentials::{
    MOST_GROUPS, drop_bounding, dumpable, set_capabilities, set_dumpable, set_gids, set_groups,
    set_no_new_privileges, set_uids,
};
pub(crate) use file::{
    OwnedFd, Stat, debug_line, entries, fstat, memfd, open_at, open_dir, open_read, open_regular, read,
    read_at, read_link, sealed_memfd, stat, write_at,
};
pub(crate) use grown::Grown;
pub(crate) use memory::{
    Own, before_strings, give_back, guard, know_strings, map, map_shared, peek, peek_word, publish,
    unload_code, unmap,
};
pub(crate) use pages::Pages;
pub(crate) use perf::{MOST as MOST_EVENTS, Plan, ROOM, Rings, are_lent};
pub(crate) use process::{
    effective_user, getpid, getppid, gettid, is_the_same_process, know_pid, leave_directory,
    most_resident_kib, set_name, set_tracer, users,
};
pub(crate) use raw::{Errno, errno};
pub(crate) use resident::{Copied, Resident, know_page_size};
pub(crate) use sched::{CpuSet, Schedule, affinity, schedule, set_affinity, set_schedule, set_timer_slack};
pub(crate) use signals::{
    KernelAction, SIGINFO_WORDS, action, end_by_signal, queue_signal, send_again, set_signal_mask,
};
pub(crate) use socket::{connect, peer_process, peer_user, receive, send, send_with_fd};
pub(crate) use thread::{exit_thread, own_descriptors, robust_list, start_thread};
pub(crate) use timer::{SI_TIMER, Timer, cpu_timer};
pub(crate) use wait::{For, futex_wait, futex_wake, wait, yield_now};
