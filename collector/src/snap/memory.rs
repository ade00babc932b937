//! Memory of another process, read without stopping it (`process_vm_readv`).

use std::fs::File;
use std::io::IoSliceMut;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError};

use hangscope_protocol::record::{MemoryRecord, RangeRecord};
use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use crate::proc::pages::PageReader;
use crate::proc::{sysconf, task};
use crate::session;

/// The kernel reads a piece whole or not at all: no piece is longer than the smallest page.
const PAGE: u64 = 4096;
/// Most pieces of one call (IOV_MAX).
const MOST_PIECES: usize = 1024;
/// Bits of an entry of pagemap: the page is in memory, was swapped out, or is marked by userfaultfd.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const WRITE_PROTECTED: u64 = 1 << 57;

/// The memory of a process, read through one of its threads. A page that is not in memory may never come
/// (userfaultfd, a dead file server): it is read with a time limit.
#[derive(Debug)]
pub(super) struct ProcessMemory {
    tid: Pid,
    /// Tells which pages are in memory. None if it cannot be opened: every page is read with a time limit.
    pagemap: Option<File>,
    page_size: u64,
    absent: Mutex<PageReader>,
    /// The strings of argv and of the environment. No copy of memory has them: the environment holds
    /// passwords.
    strings: Vec<Range<u64>>,
}

impl ProcessMemory {
    /// The main thread may have left: then another thread serves.
    pub(super) fn of(pid: u32) -> ProcessMemory {
        let tid = task::sharing(pid);
        ProcessMemory {
            tid: Pid::from_raw(tid as i32),
            pagemap: File::open(format!("/proc/{tid}/pagemap")).ok(),
            page_size: sysconf::page_size(),
            absent: Mutex::default(),
            strings: strings(tid),
        }
    }

    /// The thread. `/proc/TID` shows what all threads of the process share.
    pub(super) fn tid(&self) -> u32 {
        self.tid.as_raw() as u32
    }

    /// Reads at most `len` bytes, up to the first page that cannot be read.
    ///
    /// # Errors
    /// The errno, if not even the first byte could be read; ETIMEDOUT for a page that does not come.
    pub(super) fn up_to(&self, address: u64, len: usize) -> Result<Vec<u8>, Errno> {
        up_to(self, address, len)
    }

    /// How many of `len` bytes from `at` on come before strings of argv and of the environment.
    fn before_strings(&self, at: u64, len: usize) -> usize {
        let before =
            |strings: &Range<u64>| if at < strings.end { strings.start.saturating_sub(at) } else { u64::MAX };
        let before = self.strings.iter().map(before).min().unwrap_or(u64::MAX);
        len.min(usize::try_from(before).unwrap_or(usize::MAX))
    }

    /// As [`ProcessMemory::up_to`], up to the first page that is not in memory: it waits for none. Where that
    /// is not known, all pages are read. None if nothing could be read.
    pub(super) fn there(&self, address: u64, len: usize) -> Option<Vec<u8>> {
        let mut there = 0;
        while self.pagemap.is_some() && there < len {
            match self.present(address.checked_add(there as u64)?, len - there) {
                0 => break,
                more => there += more,
            }
        }
        self.up_to(address, if self.pagemap.is_some() { there } else { len })
            .ok()
            .filter(|bytes| !bytes.is_empty())
    }

    /// Bytes from `at` on, at most `most`, that are in memory. 0 if the page of `at` is not, or if it is not
    /// known.
    fn present(&self, at: u64, most: usize) -> usize {
        let Some(pagemap) = &self.pagemap else { return 0 };
        let before = at % self.page_size;
        let pages = (before + most as u64).div_ceil(self.page_size).min(512);
        let mut entries = vec![0; pages as usize * 8];
        let n = pagemap.read_at(&mut entries, at / self.page_size * 8).unwrap_or(0);
        let (entries, _) = entries.get(..n).unwrap_or(&[]).as_chunks::<8>();
        let there = entries.iter().take_while(|entry| is_there(entry)).count() as u64 * self.page_size;
        (there.saturating_sub(before) as usize).min(most)
    }

    /// Bytes from `at` on that belong to strings which are not read; none if `at` is in no such string.
    pub(super) fn hidden(&self, at: u64) -> Option<u64> {
        self.strings.iter().find(|strings| strings.contains(&at)).map(|strings| strings.end - at)
    }

    /// How many bytes from `at` on, at most `most`, are in memory (true), or are not (false). None where the
    /// kernel does not tell.
    pub(super) fn run(&self, at: u64, most: u64) -> Option<(bool, u64)> {
        let pagemap = self.pagemap.as_ref()?;
        let before = at % self.page_size;
        let pages = (before + most).div_ceil(self.page_size).min(512);
        let mut entries = vec![0; pages as usize * 8];
        let n = pagemap.read_at(&mut entries, at / self.page_size * 8).ok()?;
        let (entries, _) = entries.get(..n)?.as_chunks::<8>();
        let there = is_there(entries.first()?);
        let same = entries.iter().take_while(|entry| is_there(entry) == there).count() as u64;
        Some((there, (same * self.page_size - before).min(most)))
    }

    /// Reads memory that is there.
    fn at_once(&self, at: u64, to: &mut [u8]) -> Result<usize, Errno> {
        // One piece a page: the kernel reads whole pieces, and stops at the first that fails.
        let end = at + to.len() as u64;
        let mut pieces = vec![];
        let mut from = at;
        while from < end {
            let next = (from / PAGE + 1).saturating_mul(PAGE).min(end);
            pieces.push(RemoteIoVec { base: from as usize, len: (next - from) as usize });
            from = next;
        }
        let mut read = 0;
        for some in pieces.chunks(MOST_PIECES) {
            let wanted: usize = some.iter().map(|p| p.len).sum();
            let Some(part) = to.get_mut(read..read + wanted) else { break };
            match process_vm_readv(self.tid, &mut [IoSliceMut::new(part)], some) {
                Ok(n) => {
                    read += n;
                    if n < wanted {
                        break;
                    }
                }
                Err(e) if read == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok(read)
    }
}

/// Whether an entry of pagemap is of a page in memory.
fn is_there(entry: &[u8; 8]) -> bool {
    let entry = u64::from_ne_bytes(*entry);
    entry & PRESENT != 0 || entry & (SWAPPED | WRITE_PROTECTED) == SWAPPED
}

/// The strings that a process was started with. The kernel tells those who may trace it, and nobody else
/// reads its memory.
fn strings(tid: u32) -> Vec<Range<u64>> {
    let stat = std::fs::read(format!("/proc/{tid}/stat")).unwrap_or_default();
    let Some([args, args_end, environ, environ_end]) = hangscope_reader::task::start_strings(&stat) else {
        return vec![];
    };
    [args..args_end, environ..environ_end].into_iter().filter(|strings| strings.start < strings.end).collect()
}

impl hangscope_reader::Memory for ProcessMemory {
    type Error = Errno;

    fn read(&self, at: u64, to: &mut [u8]) -> Result<usize, Errno> {
        at.checked_add(to.len() as u64).ok_or(Errno::EFAULT)?;
        let allowed = self.before_strings(at, to.len());
        let to = to.get_mut(..allowed).filter(|to| !to.is_empty()).ok_or(Errno::EFAULT)?;
        let mut done = 0;
        while done < to.len() {
            let from = at + done as u64;
            let present = self.present(from, to.len() - done);
            let wanted = if present > 0 { present } else { (PAGE - from % PAGE) as usize };
            let wanted = wanted.min(to.len() - done);
            let Some(part) = to.get_mut(done..done + wanted) else { break };
            let read = if present > 0 {
                self.at_once(from, part)
            } else {
                self.absent.lock().unwrap_or_else(PoisonError::into_inner).read(self.tid, from, part)
            };
            match read {
                Ok(n) => done += n,
                Err(e) if done == 0 => return Err(e),
                Err(_) => break,
            }
            if read != Ok(wanted) {
                break;
            }
        }
        Ok(done)
    }
}

/// Reads at most `len` bytes of any memory, up to the first byte that cannot be read.
///
/// # Errors
/// The errno, if not even the first byte could be read.
pub(super) fn up_to(
    memory: &impl hangscope_reader::Memory<Error = Errno>,
    address: u64,
    len: usize,
) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; len];
    let read = memory.read(address, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Reads ranges of a process's memory, as its shim would.
pub fn read(pid: u32, ranges: &[RangeRecord]) -> Vec<session::Memory> {
    let memory = ProcessMemory::of(pid);
    let one = |range: &RangeRecord| {
        let read = memory.up_to(range.address, range.len as usize);
        let errno = read.as_ref().err().map_or(0, |e| *e as u32);
        let record = MemoryRecord { address: range.address, wanted: range.len, errno };
        session::Memory { record, bytes: read.unwrap_or_default() }
    };
    ranges.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strings_of_the_environment_are_not_read() {
        let pid = std::process::id();
        let memory = ProcessMemory::of(pid);
        let [args, environ] = &memory.strings[..] else { panic!("{:?}", memory.strings) };
        assert!(args.end <= environ.start && environ.end - environ.start > 16, "{:?}", memory.strings);
        for at in [args.start, args.end - 1, environ.start, environ.start + 8, environ.end - 1] {
            assert_eq!(memory.up_to(at, 4), Err(Errno::EFAULT));
        }
        assert_eq!(memory.up_to(args.start - 64, 4096).unwrap().len(), 64);
        assert_eq!(memory.up_to(environ.end, 1).unwrap().len(), 1);
        // The kernel itself would give them.
        let mut bytes = [0; 4];
        assert_eq!(memory.at_once(environ.start, &mut bytes), Ok(4));
    }

    #[test]
    fn memory_that_is_there_that_is_not_yet_there_and_that_is_not_mapped() {
        let memory = ProcessMemory::of(std::process::id());
        // Large enough for a mapping of its own, whose pages come into being one by one.
        let mut bytes = vec![0u8; 1 << 20];
        let at = (bytes.as_ptr() as u64).next_multiple_of(PAGE);
        let first = (at - bytes.as_ptr() as u64) as usize;
        bytes[first] = 7;
        bytes[first + 3 * 4096] = 9;
        let without = ProcessMemory { pagemap: None, ..ProcessMemory::of(std::process::id()) };
        for memory in [&memory, &without] {
            let read = memory.up_to(at, 5 * 4096).unwrap();
            assert_eq!(read.len(), 5 * 4096);
            assert_eq!((read[0], read[4096], read[3 * 4096]), (7, 0, 9));
            assert_eq!(memory.up_to(0, 8), Err(Errno::EFAULT));
            assert_eq!(memory.up_to(u64::MAX - 3, 8), Err(Errno::EFAULT));
        }
    }
}
