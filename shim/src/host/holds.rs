//! What `libhangscope_stir.so` offers, where it is preloaded. That DSO is this project's own, of the same
//! version: its functions keep what [`hangscope_protocol::stir::Api`] promises.

use core::sync::atomic::{AtomicPtr, Ordering};

use hangscope_protocol::Record;
use hangscope_protocol::stir::{API, Api, HOLD_STACK, HoldRecord, MAGIC, PatchedRecord, VERSION};

use super::elf;
use crate::arch;
use crate::sys;

/// What the DSO offers; null: it is not there. Written once, by the first watchdog.
static OFFERED: AtomicPtr<Api> = AtomicPtr::new(core::ptr::null_mut());

fn offered() -> Option<&'static Api> {
    // SAFETY: null, or found by `find`: a static of a DSO that was preloaded, and is never unloaded.
    unsafe { OFFERED.load(Ordering::Acquire).as_ref() }
}

/// Looks for the DSO.
pub(crate) fn find() -> Option<&'static Api> {
    let known = offered();
    if known.is_some() {
        return known;
    }
    let address = elf::find_variable(API)?;
    let mut head = [0; 12];
    let is_read = sys::peek(address, &mut head) == Ok(head.len());
    let (magic, version) = (u64::get(&head)?, u32::get(head.get(8..)?)?);
    if !is_read || (magic, version) != (MAGIC, VERSION) {
        return None;
    }
    OFFERED.store(address as *mut Api, Ordering::Release);
    let api = offered()?;
    arch::FUTEX.store(api.futex as *const () as usize, Ordering::Release);
    Some(api)
}

/// Where a thread with this instruction pointer would be if no instruction of the allocator had been
/// replaced. Adds to `sp` what that has taken from the stack. For a signal handler.
pub(crate) fn original(pc: u64, sp: &mut u64) -> u64 {
    // SAFETY: `sp` is a number that nobody else uses.
    offered().map_or(pc, |api| unsafe { (api.original)(pc, sp) })
}

/// The holds of this process that were last, the oldest first, each with the top of its stack.
pub(crate) fn each_hold(mut each: impl FnMut(&HoldRecord, &[u8])) {
    let Some(api) = offered() else { return };
    let mut bytes = [0; HoldRecord::SIZE + HOLD_STACK];
    for index in 0.. {
        // SAFETY: `bytes` has room for one and its stack.
        let len = unsafe { (api.hold)(index, bytes.as_mut_ptr()) };
        if len == 0 {
            return;
        }
        if let Some((record, stack)) = bytes.get(..len).and_then(|b| b.split_at_checked(HoldRecord::SIZE))
            && let Some(hold) = HoldRecord::get(record).filter(|hold| hold.at != 0)
        {
            each(&hold, stack);
        }
    }
}

/// The replaced instructions that threads came by.
pub(crate) fn each_patched(mut each: impl FnMut(&PatchedRecord)) {
    let Some(api) = offered() else { return };
    let mut bytes = [0; PatchedRecord::SIZE];
    for index in 0.. {
        // SAFETY: `bytes` has room for one.
        if !unsafe { (api.patched)(index, bytes.as_mut_ptr()) } {
            return;
        }
        if let Some(patched) = PatchedRecord::get(&bytes) {
            each(&patched);
        }
    }
}
