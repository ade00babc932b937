//! Follows the host's credentials. glibc changes the credentials of the threads that it knows, and the
//! watchdog is not one of them. A thread that keeps root after the host gave it up is a security hole. So
//! the watchdog compares each tick, and takes on the host's credentials or leaves.

use super::filters;
use super::task::Tasks;
use crate::sys::{self, MOST_GROUPS};

/// What [`follow`] found and did.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Followed {
    /// The credentials are the same as the host's.
    Same,
    /// The watchdog has taken on the host's credentials; the effective user.
    Yes(u32),
    /// The watchdog could not take them on, and must leave.
    No,
}

/// What is compared, as `status` prints it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Credentials {
    /// Real, effective, saved, file system.
    uid: [u32; 4],
    gid: [u32; 4],
    /// FNV-1a hash of the supplementary groups, in their order: a thousand of them would need a stack of
    /// their own.
    groups: u64,
    inheritable: u64,
    permitted: u64,
    effective: u64,
    bounding: u64,
    no_new_privileges: u64,
}

fn read(tasks: &Tasks, tid: u32, text: &mut [u8]) -> Option<Credentials> {
    let status = tasks.status(tid, text).ok()?;
    if tid == tasks.pid {
        filters::look(status);
    }
    let mut groups = 0xcbf2_9ce4_8422_2325u64;
    for group in status.supplementary_groups()? {
        groups = (groups ^ u64::from(group?)).wrapping_mul(0x0100_0000_01b3);
    }
    Some(Credentials {
        uid: status.users()?,
        gid: status.groups()?,
        groups,
        inheritable: status.set(b"CapInh:")?,
        permitted: status.set(b"CapPrm:")?,
        effective: status.set(b"CapEff:")?,
        bounding: status.set(b"CapBnd:")?,
        // Not printed before Linux 4.10.
        no_new_privileges: status.number(b"NoNewPrivs:").unwrap_or(0),
    })
}

/// Takes on the supplementary groups of the process's first thread. If there are more than can be set, none
/// are.
#[inline(never)]
fn take_groups(tasks: &Tasks, text: &mut [u8]) {
    let mut groups = [0; MOST_GROUPS];
    let Some(theirs) = tasks.status(tasks.pid, text).ok().and_then(|status| status.supplementary_groups())
    else {
        return;
    };
    let mut count = 0;
    for group in theirs {
        let (Some(to), Some(group)) = (groups.get_mut(count), group) else { return };
        *to = group;
        count += 1;
    }
    let _ = sys::set_groups(groups.get(..count).unwrap_or(&[]));
}

/// Compares this thread's credentials with those of the process's first thread, and takes them on if they
/// differ. A `status` that cannot be read (the process is ending) changes nothing.
pub(crate) fn follow(tasks: &Tasks, text: &mut [u8]) -> Followed {
    let (pid, own) = (tasks.pid, tasks.own);
    let (Some(host), Some(mine)) = (read(tasks, pid, text), read(tasks, own, text)) else {
        return Followed::Same;
    };
    if host == mine {
        return Followed::Same;
    }
    // A change of user makes the process not dumpable (prctl(2)). The host's own change did so already. If
    // the host has set the flag again since, our change must not clear it.
    let dumpable = sys::dumpable();
    if host.no_new_privileges == 1 && mine.no_new_privileges == 0 {
        sys::set_no_new_privileges();
    }
    for bit in 0..64 {
        if mine.bounding & !host.bounding & 1 << bit != 0 {
            sys::drop_bounding(bit);
        }
    }
    if host.groups != mine.groups {
        take_groups(tasks, text);
    }
    if host.gid != mine.gid {
        let _ = sys::set_gids(host.gid);
    }
    if host.uid != mine.uid {
        let _ = sys::set_uids(host.uid);
    }
    let _ = sys::set_capabilities(host.effective, host.permitted, host.inheritable);
    if let Some(before) = dumpable.filter(|_| sys::dumpable() != dumpable) {
        sys::set_dumpable(before);
    }
    match read(tasks, own, text) {
        Some(now) if now == host => Followed::Yes(host.uid[1]),
        _ => Followed::No,
    }
}
