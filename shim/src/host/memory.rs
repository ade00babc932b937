//! Memory that the collector asked for: counters of the allocator, by address. It is read in every dump,
//! and once more when the process exits.
//!
//! At the exit the watchdog has no time left to send anything, and the host's thread that runs the
//! destructor has no socket. So the watchdog shares a page with the collector beforehand, and the
//! destructor writes there what it reads. These are a few copies by the kernel ([`sys::peek`]), which wait
//! for nobody and cannot fault.
//!
//! Who writes and who reads:
//!
//! - The watchdog writes the ranges, then their number (release). The destructor, on a thread of the host,
//!   reads the number (acquire), and the ranges only if it is not 0. The number goes from 0 to its value once
//!   in a process. Nobody writes the ranges after that.
//! - The watchdog writes the length of the page, then its address (release); the destructor reads the address
//!   (acquire), then the length.
//! - In the page the bytes come before the length that makes them valid (`sys::publish`). The collector reads
//!   the page after the process has ended.
//! - [`Wanted::forget`] runs where nobody can be keeping ranges at the time: in a forked child before it has
//!   a watchdog, and on a watchdog that ends. A destructor that has just seen the page writes into it all the
//!   same: it stays mapped.
//! - A fork copies whatever there is. The child's fork handler forgets it before a watchdog runs there, and
//!   [`Wanted::leave`] does nothing in a child that was made without fork handlers.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use hangscope_protocol::record::{
    LastMemoryRecord, MOST_RANGE_BYTES, MOST_RANGES, MemoryRecord, PEAK_RSS, RangeRecord,
};
use hangscope_protocol::{Reader, Record, Writer};
use hangscope_reader::status::Status;

use crate::sys::{self, Errno, OwnedFd, Resident};

/// A record with the length of its bytes.
const HEAD: usize = MemoryRecord::SIZE + 4;

/// The ranges that are wanted. All zero: none.
#[repr(C)]
pub(crate) struct Wanted {
    /// Number of ranges. 0 until all are written; then it stays the same until the process ends.
    kept: AtomicU32,
    /// The shared page (or pages), null until there is one.
    page: AtomicPtr<u8>,
    page_len: AtomicUsize,
    /// What [`sys::most_resident_kib`] has from the program before the exec, KiB. A larger figure is the
    /// process's own. Written before `kept`.
    before_exec: AtomicU64,
    /// Last: mostly there are few.
    ranges: UnsafeCell<[RangeRecord; MOST_RANGES]>,
}

// SAFETY: `ranges` are written only while `kept` is 0 and only by the one watchdog of the process;
// everybody else reads them only after seeing (acquire) that `kept` is not 0, and then they are not written
// again: after `forget` only the watchdog of a forked child keeps any, and it begins after that.
unsafe impl Sync for Wanted {}

impl Wanted {
    /// For a forked child: the page belongs to the parent, and the child's collector asks anew. Also for a
    /// watchdog that ends without a word.
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

    /// Keeps the ranges of a request that fit, if none are kept yet. For the watchdog only.
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
        if ranges.get(..kept).is_some_and(|ranges| ranges.iter().any(|range| range.address == PEAK_RSS)) {
            let (own, most) = (peak_of_status(), sys::most_resident_kib());
            self.before_exec.store(if own == Ok(most) { 0 } else { most }, Ordering::Relaxed);
        }
        self.kept.store(kept as u32, Ordering::Release);
    }

    /// Reads every range into `to`, as records with their bytes. Gives the number of bytes written. What
    /// does not fit is left out. With `resident` a page that is not in memory is not waited for.
    pub(crate) fn read(&self, resident: Option<&Resident>, to: &mut [u8]) -> usize {
        let mut at = 0;
        for range in self.ranges() {
            match to.get_mut(at..).and_then(|room| self.read_one(range, resident, room)) {
                Some(n) => at += n,
                None => break,
            }
        }
        at
    }

    /// Reads one range. Gives the number of bytes written; none if there is no room.
    fn read_one(&self, range: &RangeRecord, resident: Option<&Resident>, to: &mut [u8]) -> Option<usize> {
        let (head, bytes) = to.split_at_mut_checked(HEAD)?;
        let bytes = bytes.get_mut(..range.len as usize)?;
        let read = match resident {
            _ if range.address == PEAK_RSS => self.peak_rss(bytes),
            Some(resident) => resident.peek(range.address, bytes),
            None => sys::peek(range.address, bytes),
        };
        let record = MemoryRecord { address: range.address, wanted: range.len, errno: sys::errno(&read) };
        let len = read.unwrap_or(0);
        let mut w = Writer::new(head);
        w.record(&record).and_then(|()| w.record(&(len as u32))).ok()?;
        Some(HEAD + len)
    }

    /// The peak of the resident set, KiB. A file is opened only for a program that never became larger than
    /// the one before the exec: on a thread of the host that takes a descriptor of the host's for a moment.
    fn peak_rss(&self, to: &mut [u8]) -> Result<usize, Errno> {
        let most = sys::most_resident_kib();
        let own = most > self.before_exec.load(Ordering::Relaxed);
        let kib = if own { most } else { peak_of_status()? };
        let room = to.get_mut(..8).ok_or(Errno::NOBUFS)?;
        room.copy_from_slice(&kib.to_le_bytes());
        Ok(8)
    }

    /// Makes the page for the destructor. For the watchdog, once ranges are kept.
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

    /// Whether there is a page for the destructor.
    pub(crate) fn is_shared(&self) -> bool {
        !self.page.load(Ordering::Acquire).is_null()
    }

    /// At the exit, on a thread of the host: writes into the page what the ranges hold now.
    pub(crate) fn leave(&self) {
        let page = self.page.load(Ordering::Acquire);
        // A child that was made without fork handlers is not the process that the collector asked.
        if page.is_null() || !sys::is_the_same_process() {
            return;
        }
        let len = self.page_len.load(Ordering::Relaxed);
        // SAFETY: `share` mapped so many bytes there, whose file cannot shrink, and they stay mapped; in
        // this process only this function touches them, and it runs once, in the destructor. The collector
        // reads its descriptor after the process has ended.
        let page = unsafe { core::slice::from_raw_parts_mut(page, len) };
        if let Some(room) = page.get_mut(4..) {
            let bytes = self.read(None, room);
            sys::publish(page, bytes);
        }
    }
}

/// `VmHWM`, KiB. Opens a file for a moment: on the watchdog in its own table of descriptors.
fn peak_of_status() -> Result<u64, Errno> {
    let file = sys::open_read(c"/proc/thread-self/status")?;
    // The line is behind that of the groups, which may be long: then there is no figure.
    let mut text = [0; 2048];
    let n = sys::read(&file, &mut text)?;
    Status(text.get(..n).unwrap_or(&[])).peak_rss_kib().ok_or(Errno::NODATA)
}
