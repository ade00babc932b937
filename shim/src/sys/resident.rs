//! Memory of the host that is there, read without a wait.
//!
//! A page that is not in memory may be served by userfaultfd, or by a file system whose server is gone. A
//! read of it by `process_vm_readv` then waits for ever, and only SIGKILL ends that wait. So the page table
//! is asked first: `/proc/thread-self/pagemap`, or mincore(2) where that cannot be opened.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::file::{OwnedFd, open_read, read_at};
use super::memory::peek;
use super::raw::{Errno, raw};

/// Pages of which one question tells.
const MOST: usize = 16;
/// Bits of an entry of pagemap (Documentation/admin-guide/mm/pagemap.rst).
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
/// With SWAPPED: a mark of userfaultfd for a page that is in neither place.
const WRITE_PROTECTED: u64 = 1 << 57;
/// What mincore does not write: the page is not mapped.
const NO_ANSWER: u8 = 2;

/// Bytes.
static PAGE_SIZE: AtomicUsize = AtomicUsize::new(4096);

/// For the constructor, which reads it from the auxiliary vector.
pub(crate) fn know_page_size(bytes: u32) {
    PAGE_SIZE.store(bytes as usize, Ordering::Relaxed);
}

/// Tells which pages are in memory, and reads those. A page that is not there is `NODATA`.
pub(crate) struct Resident {
    pagemap: Option<OwnedFd>,
}

/// What [`Resident::stack`] read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Copied {
    /// Bytes up to the end of the last page that is there.
    pub(crate) len: usize,
    /// Pages in between were not there: they are zeros.
    pub(crate) holes: bool,
}

impl Resident {
    /// For a thread of the host, whose table must not get a descriptor. A page that was swapped out counts
    /// as not there, and a file's page counts as there where the kernel does not tell (mincore(2)).
    pub(crate) const BY_MINCORE: Resident = Resident { pagemap: None };

    /// For the watchdog, which keeps the descriptor in its own table.
    pub(crate) fn open() -> Resident {
        Resident { pagemap: open_read(c"/proc/thread-self/pagemap").ok() }
    }

    /// Bit n is set if page n after that of `address` is there; for at most [`MOST`] pages.
    fn there(&self, address: u64, pages: usize) -> u32 {
        let pages = pages.min(MOST);
        let page_size = PAGE_SIZE.load(Ordering::Relaxed);
        let index = address / page_size as u64;
        let mut bits = 0;
        let mut entries = [0; 8 * MOST];
        if let Some(file) = &self.pagemap
            && let Some(room) = entries.get_mut(..8 * pages)
            && let Ok(n) = read_at(file, room, index * 8)
        {
            let (entries, _) = room.get(..n).unwrap_or(&[]).as_chunks::<8>();
            for (i, entry) in entries.iter().enumerate() {
                let entry = u64::from_ne_bytes(*entry);
                let swapped = entry & (SWAPPED | WRITE_PROTECTED) == SWAPPED;
                bits |= u32::from(entry & PRESENT != 0 || swapped) << i;
            }
            return bits;
        }
        let mut there = [NO_ANSWER; MOST];
        let first = index as usize * page_size;
        let args = [first, pages * page_size, there.as_mut_ptr() as usize, 0, 0, 0];
        // SAFETY: mincore writes a byte for each of at most MOST pages. An address that is not mapped is an
        // error, after the bytes of the mappings before it.
        let _ = unsafe { raw(libc::SYS_mincore, args) };
        for (i, there) in there.iter().enumerate() {
            bits |= u32::from(*there == 1) << i;
        }
        bits
    }

    /// As [`peek`], up to the first page that is not there.
    pub(crate) fn peek(&self, address: u64, to: &mut [u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while done < to.len() {
            let at = address.checked_add(done as u64).ok_or(Errno::FAULT)?;
            let (len, is_there) = self.run(at, to.len() - done);
            let room = to.get_mut(done..done + len).unwrap_or(&mut []);
            let read = if is_there { peek(at, room) } else { Err(Errno::NODATA) };
            match read {
                Ok(n) => done += n,
                Err(e) if done == 0 => return Err(e),
                Err(_) => break,
            }
            if read != Ok(len) {
                break;
            }
        }
        Ok(done)
    }

    /// Copies a stack: also what lies behind pages that are not there, such as those of a large array that
    /// nobody has written to. Nothing if the first page is not there.
    pub(crate) fn stack(&self, sp: u64, to: &mut [u8]) -> Copied {
        let (mut copied, mut done) = (Copied::default(), 0);
        while done < to.len() {
            let Some(at) = sp.checked_add(done as u64) else { break };
            let (len, is_there) = self.run(at, to.len() - done);
            let Some(room) = to.get_mut(done..done + len) else { break };
            if is_there {
                match peek(at, room) {
                    Ok(n) => {
                        copied.holes |= copied.len < done;
                        copied.len = done + n;
                        if n < len {
                            break;
                        }
                    }
                    Err(_) => break,
                }
            } else if done == 0 {
                break;
            } else {
                room.fill(0);
            }
            done += len;
        }
        copied
    }

    /// From `address` on, how many of `most` bytes are in pages that all are there, or all are not.
    fn run(&self, address: u64, most: usize) -> (usize, bool) {
        let page_size = PAGE_SIZE.load(Ordering::Relaxed);
        let before = address as usize % page_size;
        let bits = self.there(address, (before + most).div_ceil(page_size));
        let is_there = bits & 1 == 1;
        let same = if is_there { bits.trailing_ones() } else { bits.trailing_zeros() };
        let pages = (same as usize).clamp(1, MOST);
        (most.min(pages * page_size - before), is_there)
    }
}

impl hangscope_reader::Memory for Resident {
    type Error = Errno;

    fn read(&self, at: u64, to: &mut [u8]) -> Result<usize, Errno> {
        self.peek(at, to)
    }
}
