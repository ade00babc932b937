//! The lines of `/proc/self/maps`, read with a lent buffer.

use crate::sys;
use crate::text::{fields, hex};

/// One line.
#[derive(Clone, Copy)]
pub(crate) struct Mapping<'a> {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) executable: bool,
    pub(crate) offset: u64,
    /// `major << 32 | minor`.
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    /// Path without ` (deleted)`; empty for anonymous memory.
    pub(crate) path: &'a [u8],
    pub(crate) deleted: bool,
}

impl Mapping<'_> {
    /// Whether it is a file that code is loaded from. memfd, System V shared memory and `/dev/zero` always
    /// say `(deleted)` and are no DSOs.
    pub(crate) fn is_file(&self) -> bool {
        self.path.first() == Some(&b'/')
            && ![&b"/memfd:"[..], b"/SYSV", b"/dev/zero", b"/dev/shm/", b"/anon_hugepage", b"/[aio]"]
                .iter()
                .any(|no| self.path.starts_with(no))
    }
}

/// Parses one line of maps (proc_pid_maps(5)).
pub(crate) fn parse(line: &[u8]) -> Option<Mapping<'_>> {
    let mut f = fields(line);
    let mut range = f.next()?.splitn(2, |b| *b == b'-');
    let (start, end) = (hex(range.next()?)?, hex(range.next()?)?);
    let executable = f.next()?.get(2) == Some(&b'x');
    let offset = hex(f.next()?)?;
    let mut dev = f.next()?.splitn(2, |b| *b == b':');
    let dev = hex(dev.next()?)? << 32 | hex(dev.next()?)?;
    let ino_field = f.next()?;
    let ino = crate::text::decimal(ino_field)?;
    // The path begins after the inode's spaces and may hold spaces itself: it is the rest of the line.
    let path_at = ino_field.as_ptr() as usize - line.as_ptr() as usize + ino_field.len();
    let path = line.get(path_at..)?.trim_ascii();
    let kept = path.strip_suffix(b" (deleted)");
    Some(Mapping {
        start,
        end,
        executable,
        offset,
        dev,
        ino,
        path: kept.unwrap_or(path),
        deleted: kept.is_some(),
    })
}

/// Calls `each` for every line. Gives false if maps could not be read.
///
/// The path is that of this thread, not `/proc/self/maps`: after the main thread has ended with
/// `pthread_exit`, the process's own file is empty, while the threads' files are not.
pub(crate) fn for_each(buffer: &mut [u8], mut each: impl FnMut(Mapping<'_>)) -> bool {
    let Ok(file) = sys::open_read(c"/proc/thread-self/maps") else { return false };
    let mut kept = 0;
    loop {
        let Some(room) = buffer.get_mut(kept..).filter(|r| !r.is_empty()) else { return true };
        let n = match sys::read(&file, room) {
            Ok(0) => return true,
            Ok(n) => n,
            Err(_) => return false,
        };
        let filled = kept + n;
        let text = buffer.get(..filled).unwrap_or(&[]);
        let whole = text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        for line in text.get(..whole).unwrap_or(&[]).split(|b| *b == b'\n') {
            if let Some(mapping) = parse(line) {
                each(mapping);
            }
        }
        buffer.copy_within(whole..filled, 0);
        kept = filled - whole;
    }
}
