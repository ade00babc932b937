//! Memory of another process, read without stopping it (`process_vm_readv`).

use std::io::IoSliceMut;

use hangscope_protocol::record::{MemoryRecord, RangeRecord};
use hangscope_reader::Memory as _;
use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use crate::proc::task;
use crate::session;

const PAGE: u64 = 4096;
/// Most pieces of one call (IOV_MAX).
const MOST_PIECES: usize = 1024;

/// The memory of a process, read through one of its threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProcessMemory(Pid);

impl ProcessMemory {
    /// The main thread may have left: then another thread serves.
    pub(super) fn of(pid: u32) -> ProcessMemory {
        ProcessMemory(Pid::from_raw(task::sharing(pid) as i32))
    }

    /// The thread. `/proc/TID` shows what all threads of the process share.
    pub(super) fn tid(self) -> u32 {
        self.0.as_raw() as u32
    }

    /// Reads at most `len` bytes, up to the first page that cannot be read.
    ///
    /// # Errors
    /// The errno, if not even the first byte could be read.
    pub(super) fn up_to(self, address: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; len];
        let read = self.read(address, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

impl hangscope_reader::Memory for ProcessMemory {
    type Error = Errno;

    fn read(&self, at: u64, to: &mut [u8]) -> Result<usize, Errno> {
        // One piece a page: the kernel reads whole pieces, and stops at the first that fails.
        let end = at.checked_add(to.len() as u64).ok_or(Errno::EFAULT)?;
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
            match process_vm_readv(self.0, &mut [IoSliceMut::new(part)], some) {
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
