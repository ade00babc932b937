//! The allocator's bytes in a memfd. After a copy in place, the memfd is the only file that still is what
//! ran.

use hangscope_protocol::record::CopyRecord;

use super::dso::{self, Dso};
use super::maps;
use crate::sys::{self, Errno, OwnedFd};

/// Copies the mapped file into a memfd. Without the file, copies from memory.
pub(crate) fn make(
    dso: &Dso,
    file: Option<&OwnedFd>,
    buffer: &mut [u8],
) -> Result<(OwnedFd, CopyRecord), Errno> {
    let began = sys::now();
    let mut name = dso::copy_name(dso.path.as_bytes());
    let copy = sys::memfd(name.as_cstr().ok_or(Errno::INVAL)?)?;
    let (size, source) = match file {
        Some(file) => (sys::send_file(&copy, file, dso.record.size as usize)? as u64, 1),
        None => (copy_memory(&copy, dso, buffer)?, 2),
    };
    let record = CopyRecord { id: dso.record.id, source, size, took_ns: sys::now() - began };
    Ok((copy, record))
}

/// Writes the mapped parts of the DSO at their offsets in the file.
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
