//! Credentials of this thread alone: the kernel's calls, not libc's, which speak for all threads.

use rustix::process::DumpableBehavior;
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid};

use super::raw::{Errno, raw};

/// Supplementary groups that can be set.
pub(crate) const MOST_GROUPS: usize = 1024;

/// Whether the process can be dumped, and its `/proc` files are its user's (PR_GET_DUMPABLE).
pub(crate) fn dumpable() -> Option<DumpableBehavior> {
    rustix::process::dumpable_behavior().ok()
}

pub(crate) fn set_dumpable(value: DumpableBehavior) {
    let _ = rustix::process::set_dumpable_behavior(value);
}

pub(crate) fn set_no_new_privileges() {
    let _ = rustix::thread::set_no_new_privs(true);
}

/// Drops a capability from the bounding set.
pub(crate) fn drop_bounding(capability: u32) {
    let _ = rustix::thread::remove_capability_from_bounding_set(capabilities(1 << capability));
}

/// Sets the supplementary groups, at most [`MOST_GROUPS`].
pub(crate) fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    let mut all = [Gid::ROOT; MOST_GROUPS];
    for (to, from) in all.iter_mut().zip(groups) {
        *to = Gid::from_raw_unchecked(*from);
    }
    rustix::thread::set_thread_groups(all.get(..groups.len()).ok_or(Errno::INVAL)?)
}

/// Sets the real, effective, saved and file system group.
pub(crate) fn set_gids([real, effective, saved, fs]: [u32; 4]) -> Result<(), Errno> {
    let [real, effective, saved] = [real, effective, saved].map(Gid::from_raw_unchecked);
    rustix::thread::set_thread_res_gid(real, effective, saved)?;
    // SAFETY: no pointers.
    unsafe { raw(libc::SYS_setfsgid, [fs as usize, 0, 0, 0, 0, 0]) }.map(|_| ())
}

/// Sets the real, effective, saved and file system user.
pub(crate) fn set_uids([real, effective, saved, fs]: [u32; 4]) -> Result<(), Errno> {
    let [real, effective, saved] = [real, effective, saved].map(Uid::from_raw_unchecked);
    rustix::thread::set_thread_res_uid(real, effective, saved)?;
    // SAFETY: no pointers.
    unsafe { raw(libc::SYS_setfsuid, [fs as usize, 0, 0, 0, 0, 0]) }.map(|_| ())
}

pub(crate) fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Result<(), Errno> {
    let [effective, permitted, inheritable] = [effective, permitted, inheritable].map(capabilities);
    rustix::thread::set_capabilities(None, CapabilitySets { effective, permitted, inheritable })
}

/// A set as `status` prints it. Bits that rustix has no name for are kept.
fn capabilities(set: u64) -> CapabilitySet {
    CapabilitySet::from_bits_retain(set)
}
