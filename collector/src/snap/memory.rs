//! Memory of another process, read without stopping it (`process_vm_readv`).

use std::io::IoSliceMut;

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use crate::proc::task;

const PAGE: u64 = 4096;

/// The memory of a process, by a thread that has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory(Pid);

impl Memory {
    /// Of a process, whether its main thread is still there or not.
    pub(super) fn of(pid: u32) -> Memory {
        Memory(Pid::from_raw(task::sharing(pid) as i32))
    }

    /// The thread: what else the process's threads share is in its `/proc/TID`.
    pub(super) fn tid(self) -> u32 {
        self.0.as_raw() as u32
    }

    /// Reads up to `len` bytes, up to the first page that cannot be read.
    ///
    /// # Errors
    /// The errno, if not even the first byte could be read.
    pub(super) fn up_to(self, address: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; len];
        // One piece a page: the kernel reports whole pieces, and stops at the first that fails.
        let mut pieces = vec![];
        let mut at = address;
        let end = address.checked_add(len as u64).ok_or(Errno::EFAULT)?;
        while at < end {
            let next = (at / PAGE + 1).saturating_mul(PAGE).min(end);
            pieces.push(RemoteIoVec { base: at as usize, len: (next - at) as usize });
            at = next;
        }
        let mut read = 0;
        // At most IOV_MAX (1024) pieces a call.
        for some in pieces.chunks(1024) {
            let wanted: usize = some.iter().map(|p| p.len).sum();
            let Some(to) = bytes.get_mut(read..read + wanted) else { break };
            match process_vm_readv(self.0, &mut [IoSliceMut::new(to)], some) {
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
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Reads exactly `len` bytes.
    ///
    /// # Errors
    /// The errno; EFAULT if only some of them are there.
    pub(super) fn exactly(self, address: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let bytes = self.up_to(address, len)?;
        if bytes.len() == len { Ok(bytes) } else { Err(Errno::EFAULT) }
    }

    /// A word.
    ///
    /// # Errors
    /// The errno.
    pub(super) fn word(self, address: u64) -> Result<u64, Errno> {
        let bytes = self.exactly(address, 8)?;
        Ok(u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
    }

    /// Text up to its NUL, at most 4096 bytes.
    ///
    /// # Errors
    /// The errno.
    pub(super) fn text(self, address: u64) -> Result<String, Errno> {
        let bytes = self.up_to(address, 4096)?;
        let text = bytes.split(|b| *b == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }
}
