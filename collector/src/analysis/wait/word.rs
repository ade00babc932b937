//! The operation of a futex call, and the memory around its word.

use hangscope_protocol::record::{NEAR_BEFORE, ThreadRecord};

pub(super) const PRIVATE: u32 = 0x80;
pub(super) const CLOCK_REALTIME: u32 = 0x100;
pub(super) const WAIT: u32 = 0;
pub(super) const LOCK_PI: u32 = 6;
pub(super) const WAIT_BITSET: u32 = 9;
pub(super) const WAIT_REQUEUE_PI: u32 = 11;
pub(super) const LOCK_PI2: u32 = 13;

/// FUTEX_WAITERS of a priority-inheriting or robust mutex.
pub(super) const WAITERS: u32 = 0x8000_0000;
/// FUTEX_TID_MASK: bits of the owner's tid in such a word.
pub(super) const TID_MASK: u32 = 0x3fff_ffff;

/// The tid of the owner, if the thread waits for a pthread mutex. Only what else is known of the wait tells
/// whether it does.
pub(crate) fn claimed_owner(thread: &ThreadRecord) -> Option<u32> {
    let op = thread.args[1] as u32;
    let (command, expected) = (op & !(PRIVATE | CLOCK_REALTIME), thread.args[2] as u32);
    let owner = match command {
        LOCK_PI | LOCK_PI2 => near(thread, 0)? & TID_MASK,
        WAIT | WAIT_BITSET if expected & WAITERS != 0 => expected & TID_MASK,
        WAIT | WAIT_BITSET if expected == 2 => near(thread, 8)?,
        _ => 0,
    };
    (owner != 0).then_some(owner)
}

/// The 32-bit number at an offset from the futex word, in bytes; none if that memory was not read.
pub(super) fn near(thread: &ThreadRecord, offset: i64) -> Option<u32> {
    let from = usize::try_from(NEAR_BEFORE as i64 + offset).ok()?;
    let valid = usize::from(thread.near_from)..usize::from(thread.near_to);
    if from < valid.start || from + 4 > valid.end {
        return None;
    }
    let bytes = thread.near.get(from..from + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}
