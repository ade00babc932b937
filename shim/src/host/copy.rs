//! The allocator's bytes, for the collector: the file itself, which costs the host nothing. Where there is no
//! file any more, a memfd with what is in memory.

use hangscope_protocol::record::{CopyRecord, copy_source};

use super::dso::{self, Dso};
use super::maps;
use crate::sys::{self, Errno, OwnedFd};

/// Most bytes of mappings that are copied into a memfd: it is memory of the host's.
const MOST_IN_MEMORY: u64 = 32 << 20;

/// The mapped file. Without the file, a copy from memory.
pub(crate) fn make(dso: &Dso, buffer: &mut [u8]) -> Result<(OwnedFd, CopyRecord), Errno> {
    let record =
        CopyRecord { id: dso.record.id, source: copy_source::FILE_ITSELF, size: dso.record.size, took_ns: 0 };
    match dso.open_unchanged() {
        Ok(file) => return Ok((file, record)),
        // It is there, with other bytes: so are the pages that nobody has written to.
        Err(Errno::TXTBSY) => return Err(Errno::TXTBSY),
        Err(_) if dso.record.end - dso.record.start > MOST_IN_MEMORY => return Err(Errno::FBIG),
        Err(_) => {}
    }
    let began = sys::now();
    let mut name = dso::copy_name(dso.path.as_bytes());
    let copy = sys::memfd(name.as_cstr().ok_or(Errno::INVAL)?)?;
    let size = copy_memory(&copy, dso, buffer)?;
    let record = CopyRecord { source: copy_source::MEMORY, size, took_ns: sys::now() - began, ..record };
    Ok((copy, record))
}

/// Writes the mapped parts of the DSO at their offsets in the file. Most processes never come here: its frame
/// is not to be part of another's.
#[inline(never)]
fn copy_memory(copy: &OwnedFd, dso: &Dso, buffer: &mut [u8]) -> Result<u64, Errno> {
    let mut size = 0;
    let mut lines = [0; 4096];
    let mut outcome = Ok(());
    maps::for_each(&mut lines, &mut |m| {
        if m.path != dso.path.as_bytes() || m.ino != dso.record.map_ino {
            return;
        }
        let mut at = m.start;
        while at < m.end && outcome.is_ok() {
            let part = buffer.len().min((m.end - at) as usize);
            // A page that cannot be read (a guard, beyond the end of the file) stays a hole.
            let n = buffer.get_mut(..part).map_or(0, |b| sys::peek(at, b).unwrap_or(0));
            if n == 0 {
                at += 4096;
                continue;
            }
            let to = m.offset + (at - m.start);
            outcome = sys::write_at(copy, buffer.get(..n).unwrap_or(&[]), to).map(|_| ());
            size = size.max(to + n as u64);
            at += n as u64;
        }
    });
    outcome.map(|()| size)
}
