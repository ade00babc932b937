//! Memory that the collector asked for (counters of the allocator, by address): read in every dump, and once more when
//! the process exits.
//!
//! At the exit the watchdog has no time left to send anything, and the host's thread, which runs the destructor, has no
//! socket. So the watchdog shares a page with the collector beforehand, and the destructor leaves there what it reads:
//! a few copies by the kernel ([`sys::peek`]), which wait for nobody and cannot fault.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use hangscope_protocol::record::{
    LastMemoryRecord, MOST_RANGE_BYTES, MOST_RANGES, MemoryRecord, RangeRecord,
};
use hangscope_protocol::{Reader, Record, Writer};

use crate::sys::{self, Errno, OwnedFd};

/// A record with the length of its bytes.
const HEAD: usize = MemoryRecord::SIZE + 4;

/// What is wanted. All zero is: nothing.
pub(crate) struct Wanted {
    /// How many there are; 0 until they are all written, and then the same to the end of the process.
    kept: AtomicU32,
    ranges: UnsafeCell<[RangeRecord; MOST_RANGES]>,
    /// The shared page (or pages), null until there is one.
    page: AtomicPtr<u8>,
    page_len: AtomicUsize,
}

// SAFETY: `ranges` are written only while `kept` is 0 and only by the one watchdog of the process; everybody else reads
// them only after seeing (acquire) that `kept` is not 0, and then they are not written again: `forget` runs in a forked
// child while it has no other thread, and its watchdog begins after that.
unsafe impl Sync for Wanted {}

impl Wanted {
    /// In a forked child: its own collector asks anew, and the page is the parent's.
    pub(crate) fn forget(&self) {
        self.page.store(core::ptr::null_mut(), Ordering::Release);
        self.kept.store(0, Ordering::Release);
    }

    fn ranges(&self) -> &[RangeRecord] {
        let kept = self.kept.load(Ordering::Acquire) as usize;
        if kept == 0 {
            return &[];
        }
        // SAFETY: written before `kept` was, and not again (see the `Sync` above).
        let ranges = unsafe { &*self.ranges.get() };
        ranges.get(..kept).unwrap_or(&[])
    }

    /// Keeps what a request asks for, as much as there is room for, if nothing is kept yet. For the watchdog only.
    pub(crate) fn keep(&self, request: &mut Reader<'_>) {
        if self.kept.load(Ordering::Relaxed) != 0 {
            return;
        }
        // SAFETY: nothing is kept, so nobody reads, and only the watchdog writes (see the `Sync` above).
        let ranges = unsafe { &mut *self.ranges.get() };
        let (mut kept, mut bytes) = (0, 0);
        while let Ok(range) = request.record::<RangeRecord>() {
            bytes += range.len as usize;
            match ranges.get_mut(kept) {
                Some(to) if bytes <= MOST_RANGE_BYTES => *to = range,
                _ => break,
            }
            kept += 1;
        }
        self.kept.store(kept as u32, Ordering::Release);
    }

    /// Reads every range into `to`, as records with their bytes; gives the bytes written. What does not fit is left out.
    pub(crate) fn read(&self, to: &mut [u8]) -> usize {
        let mut at = 0;
        for range in self.ranges() {
            match to.get_mut(at..).and_then(|room| read(range, room)) {
                Some(n) => at += n,
                None => break,
            }
        }
        at
    }

    /// Makes the page in which the destructor leaves them. For the watchdog, once something is kept.
    pub(crate) fn share(&self) -> Result<(OwnedFd, LastMemoryRecord), Errno> {
        let ranges = self.ranges();
        let size = 4 + ranges.iter().map(|r| HEAD + r.len as usize).sum::<usize>();
        let size = size.next_multiple_of(4096);
        let file = sys::sealed_memfd(c"hangscope-memory", size)?;
        let page = sys::map_shared(&file, size)?;
        self.page_len.store(size, Ordering::Relaxed);
        self.page.store(page, Ordering::Release);
        Ok((file, LastMemoryRecord { size: size as u32, ranges: ranges.len() as u32 }))
    }

    /// Whether there is a page to leave anything in.
    pub(crate) fn is_shared(&self) -> bool {
        !self.page.load(Ordering::Acquire).is_null()
    }

    /// At the exit, on a thread of the host's: leaves what is in them now.
    pub(crate) fn leave(&self) {
        let page = self.page.load(Ordering::Acquire);
        // A child that was made without fork's handlers is not the process that was asked.
        if page.is_null() || !sys::is_the_same_process() {
            return;
        }
        let len = self.page_len.load(Ordering::Relaxed);
        // SAFETY: `share` mapped so many bytes there, whose file cannot shrink, and they stay mapped; in this process only
        // this function touches them, and it runs once, in the destructor. The collector reads its descriptor after
        // the process has ended.
        let page = unsafe { core::slice::from_raw_parts_mut(page, len) };
        if let Some((size, room)) = page.split_first_chunk_mut::<4>() {
            *size = (self.read(room) as u32).to_le_bytes();
        }
    }
}

/// Reads one range; the bytes written. None if there is no room for it.
fn read(range: &RangeRecord, to: &mut [u8]) -> Option<usize> {
    let (head, bytes) = to.split_at_mut_checked(HEAD)?;
    let read = sys::peek(range.address, bytes.get_mut(..range.len as usize)?);
    let record = MemoryRecord { address: range.address, wanted: range.len, errno: sys::errno(&read) };
    let len = read.unwrap_or(0);
    let mut w = Writer::new(head);
    w.record(&record).and_then(|()| w.record(&(len as u32))).ok()?;
    Some(HEAD + len)
}
