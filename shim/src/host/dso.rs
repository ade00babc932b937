//! The DSOs: a snapshot at init, and later looks at the same ones.
//!
//! Maps alone does not show the danger. A file that is copied over in place keeps its name and its inode
//! and is not `(deleted)`, but its private pages fall back to the new bytes. So a look reads a relocated
//! word and the build-id in memory, and calls stat on the path and on a descriptor of the mapped file. The
//! open descriptor also keeps the inode number from being used again.

use core::ops::Range;

use hangscope_protocol::record::{DsoNowRecord, DsoRecord, dso_flags, maps_deleted};
use hangscope_reader::Memory as _;
use hangscope_reader::elf::{self, BuildId};
use hangscope_reader::maps::Mapping;
use hangscope_reader::text::base_name;

use super::maps::for_each_at_start;
use crate::limits::MOST_DSOS;
use crate::sys::{self, Own, OwnedFd, Pages, Stat};
use crate::text::Text;

/// Its file name is what the collector looks for, too.
const FOLLOW: &[u8] = b"libhangscope_follow.so";

pub(crate) struct Dso {
    pub(crate) record: DsoRecord,
    pub(crate) path: Text<512>,
    executable: bool,
}

/// The DSOs of the process, as they were at init.
///
/// What is always needed comes first: of `dsos` only the first pages are touched.
#[repr(C)]
pub(crate) struct Table {
    pub(crate) len: usize,
    /// DSOs that were found but have no room in `dsos`.
    pub(crate) left_out: usize,
    /// Where the code of `libhangscope_follow.so` is mapped; empty without it.
    follow_code: Range<u64>,
    pub(crate) dsos: [Dso; MOST_DSOS],
}

impl Table {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Dso> {
        self.dsos.iter().take(self.len)
    }

    /// Fills the (zeroed) table from maps. `text` is lent for reading them.
    pub(crate) fn list(&mut self, text: &mut [u8]) -> bool {
        if !for_each_at_start(text, &mut |m| self.add(m)) {
            return false;
        }
        // Only what code is loaded from is a DSO: locale archives and data files are mapped, too.
        let mut kept = 0;
        for i in 0..self.len {
            if self.dsos.get(i).is_some_and(|d| d.executable) {
                self.dsos.swap(kept, i);
                kept += 1;
            }
        }
        self.len = kept;
        true
    }

    /// Fills in what memory and the file system say of the DSOs that are listed.
    pub(crate) fn snapshot(&mut self, memory: &Pages<'_>, exe: &[u8], own_code: u64) {
        let program = super::elf::in_program(memory).and_then(|address| self.at(address));
        for (id, dso) in self.dsos.iter_mut().take(self.len).enumerate() {
            if program == Some(id) || program.is_none() && dso.path.as_bytes() == exe {
                dso.record.flags |= dso_flags::EXECUTABLE;
            }
            dso.look(memory, id as u32, own_code);
        }
    }

    /// A file can be removed or replaced between the reading of maps and its `stat`, which then finds none,
    /// or another inode: maps, read anew, says what became of the mapped one. `text` is lent for reading it.
    pub(crate) fn see_removed(&mut self, text: &mut [u8]) {
        let is_unsure = |d: &Dso| match d.record.errno {
            0 => (d.record.dev, d.record.ino) != (d.record.map_dev, d.record.map_ino),
            errno => errno == libc::ENOENT as u32,
        };
        if !self.iter().any(|dso| dso.record.flags & dso_flags::DELETED_AT_INIT == 0 && is_unsure(dso)) {
            return;
        }
        for_each_at_start(text, &mut |m| {
            if m.deleted
                && let Some(at) = self.at(m.start)
                && let Some(dso) = self.dsos.get_mut(at)
            {
                dso.record.flags |= dso_flags::DELETED_AT_INIT;
                dso.record.flags &= !dso_flags::SAME_FILE_AT_INIT;
            }
        });
    }

    fn add(&mut self, m: &Mapping<'_>) {
        if !m.may_be_dso() {
            return;
        }
        if m.execute && !m.write && base_name(m.path) == FOLLOW {
            self.follow_code = m.start..m.end;
        }
        let same = |d: &&mut Dso| d.record.map_ino == m.ino && d.path.as_bytes() == m.path;
        if let Some(dso) = self.dsos.iter_mut().take(self.len).rev().find(same) {
            dso.record.end = dso.record.end.max(m.end);
            dso.executable |= m.execute;
            return;
        }
        let Some(dso) = self.dsos.get_mut(self.len) else {
            self.left_out += usize::from(m.execute);
            return;
        };
        // A path that does not fit cannot be looked at again. The DSO is left out.
        dso.path.clear();
        if m.offset != 0 || !dso.path.push(m.path) {
            return;
        }
        dso.executable = m.execute;
        dso.record.start = m.start;
        dso.record.end = m.end;
        dso.record.map_dev = m.dev;
        dso.record.map_ino = m.ino;
        dso.record.flags = if m.deleted { dso_flags::DELETED_AT_INIT } else { 0 };
        self.len += 1;
    }

    /// Takes the code of `libhangscope_follow.so` out of this process's memory, until the process executes
    /// another program: only its constructor has run, and that is over.
    pub(crate) fn unload_follow(&self) {
        // SAFETY: a mapping that may not be written to, of a DSO that has no relocations in its code.
        unsafe { sys::unload_code(&self.follow_code) }
    }

    /// The DSO that an address lies in.
    pub(crate) fn at(&self, address: u64) -> Option<usize> {
        self.iter().position(|d| (d.record.start..d.record.end).contains(&address))
    }

    /// The DSO that HANGSCOPE_TARGET names: by path, or by file name.
    pub(crate) fn named(&self, target: &[u8]) -> Option<usize> {
        self.iter()
            .position(|d| d.path.as_bytes() == target)
            .or_else(|| self.iter().position(|d| base_name(d.path.as_bytes()) == base_name(target)))
    }
}

/// `major << 32 | minor` of a `st_dev` (makedev(3)), as maps has it.
fn device(dev: u64) -> u64 {
    let major = (dev >> 8 & 0xfff) | (dev >> 32 & !0xfff);
    let minor = (dev & 0xff) | (dev >> 12 & 0xffff_ff00);
    major << 32 | (minor & 0xffff_ffff)
}

fn change_time(s: &Stat) -> i64 {
    s.st_ctime.wrapping_mul(1_000_000_000).wrapping_add(s.st_ctime_nsec as i64)
}

fn modification_time(s: &Stat) -> i64 {
    s.st_mtime.wrapping_mul(1_000_000_000).wrapping_add(s.st_mtime_nsec as i64)
}

impl Dso {
    fn look(&mut self, memory: &Pages<'_>, id: u32, own_code: u64) {
        let r = &mut self.record;
        r.id = id;
        if (r.start..r.end).contains(&own_code) {
            r.flags |= dso_flags::SHIM;
        }
        if let Some(image) = elf::image(memory, r.start) {
            r.bias = image.bias;
            r.build_id = image.build_id.bytes;
            r.build_id_len = image.build_id.len;
            r.got_addr = image.got_addr;
            r.got_value = memory.word(image.got_addr).unwrap_or(0);
        }
        let Some(path) = self.path.as_cstr() else { return };
        match sys::stat(path) {
            Ok(s) => {
                r.dev = device(s.st_dev);
                r.ino = s.st_ino;
                r.size = s.st_size as u64;
                r.mtime_ns = modification_time(&s);
                r.ctime_ns = change_time(&s);
                r.nlink = s.st_nlink as u32;
                r.mode = s.st_mode;
                r.uid = s.st_uid;
                let deleted = r.flags & dso_flags::DELETED_AT_INIT != 0;
                let same = (r.dev, r.ino) == (r.map_dev, r.map_ino) || same_first_page(path, r.start);
                if !deleted && same {
                    r.flags |= dso_flags::SAME_FILE_AT_INIT;
                }
            }
            Err(e) => r.errno = e.raw_os_error() as u32,
        }
    }

    pub(crate) fn is_program(&self) -> bool {
        self.record.flags & dso_flags::EXECUTABLE != 0
    }

    /// Opens the mapped file, if the file at the path still is the mapped one.
    pub(crate) fn open(&self) -> Result<OwnedFd, sys::Errno> {
        let mut path = self.path;
        let file = sys::open_regular(path.as_cstr().ok_or(sys::Errno::INVAL)?)?;
        let s = sys::fstat(&file)?;
        let r = &self.record;
        if r.flags & dso_flags::SAME_FILE_AT_INIT == 0 || (device(s.st_dev), s.st_ino) != (r.dev, r.ino) {
            return Err(sys::Errno::STALE);
        }
        Ok(file)
    }

    /// As [`Dso::open`]; TXTBSY if the file was written to since the snapshot.
    pub(crate) fn open_unchanged(&self) -> Result<OwnedFd, sys::Errno> {
        let file = self.open()?;
        let s = sys::fstat(&file)?;
        let same = (change_time(&s), s.st_size as u64) == (self.record.ctime_ns, self.record.size);
        if same { Ok(file) } else { Err(sys::Errno::TXTBSY) }
    }

    /// A later look. `file` is what [`Dso::open`] gave. maps is not read here ([`mark_deleted`]).
    pub(crate) fn now(&self, file: Result<&OwnedFd, sys::Errno>) -> DsoNowRecord {
        let mut now = DsoNowRecord { id: self.record.id, ..EMPTY_NOW };
        let mut path = self.path;
        let at_path = path.as_cstr().ok_or(sys::Errno::INVAL).and_then(sys::stat);
        now.path_errno = sys::errno(&at_path);
        if let Ok(s) = at_path {
            now.path_dev = device(s.st_dev);
            now.path_ino = s.st_ino;
            now.path_size = s.st_size as u64;
            now.path_mtime_ns = modification_time(&s);
            now.path_ctime_ns = change_time(&s);
            now.path_nlink = s.st_nlink as u32;
            now.path_mode = s.st_mode;
            now.path_uid = s.st_uid;
        }
        let of_file = file.and_then(sys::fstat);
        now.fd_errno = sys::errno(&of_file);
        if let Ok(s) = of_file {
            now.fd_nlink = s.st_nlink as u32;
            now.fd_ctime_ns = change_time(&s);
            now.fd_size = s.st_size as u64;
        }
        if self.record.got_addr != 0 {
            let word = sys::peek_word(self.record.got_addr);
            now.got_errno = sys::errno(&word);
            now.got_value = word.unwrap_or(0);
        }
        let build_id = BuildId::at(&Own, self.record.start);
        (now.build_id, now.build_id_len) = (build_id.bytes, build_id.len);
        now
    }
}

const EMPTY_NOW: DsoNowRecord = DsoNowRecord {
    id: 0,
    maps_deleted: maps_deleted::NOT_SEEN,
    path_errno: 0,
    fd_errno: 0,
    path_dev: 0,
    path_ino: 0,
    path_size: 0,
    path_mtime_ns: 0,
    path_ctime_ns: 0,
    path_nlink: 0,
    path_mode: 0,
    fd_nlink: 0,
    path_uid: 0,
    fd_ctime_ns: 0,
    got_value: 0,
    got_errno: 0,
    build_id_len: 0,
    build_id: [0; 32],
    fd_size: 0,
    reserved: 0,
};

/// Sets `maps_deleted` of the DSO that is mapped at `m`.
pub(crate) fn mark_deleted(table: &Table, nows: &mut [DsoNowRecord], m: &Mapping<'_>) {
    if m.may_be_dso()
        && let Some(i) = table.at(m.start)
        && let Some(now) = nows.get_mut(i)
        && (m.deleted || now.maps_deleted != maps_deleted::YES)
    {
        now.maps_deleted = if m.deleted { maps_deleted::YES } else { maps_deleted::NO };
    }
}

/// Whether the first page of the file is the mapped one. This is for file systems (overlayfs, btrfs) for
/// which maps shows other device and inode numbers than stat.
fn same_first_page(path: &core::ffi::CStr, start: u64) -> bool {
    let Ok(file) = sys::open_regular(path) else { return false };
    // Pieces: the watchdog's stack is not to grow for this.
    let (mut in_file, mut in_memory) = ([0; 512], [0; 512]);
    for at in (0..4096).step_by(in_file.len()) {
        let Ok(n) = sys::read_at(&file, &mut in_file, at) else { return false };
        let mapped = sys::peek(start + at, &mut in_memory) == Ok(in_memory.len());
        if !mapped || in_file.get(..n) != in_memory.get(..n) {
            return false;
        }
        if n < in_file.len() {
            return at as usize + n >= 64;
        }
    }
    true
}

/// The name of a copy in memory: `hangscope:` and the file's name.
pub(crate) fn copy_name(path: &[u8]) -> Text<64> {
    let mut name = Text::EMPTY;
    name.push(b"hangscope:");
    let file = base_name(path);
    name.push(file.get(..file.len().min(48)).unwrap_or(file));
    name
}

#[cfg(test)]
mod tests {
    use std::boxed::Box;

    use hangscope_reader::maps::mappings;

    use super::*;

    #[test]
    fn only_code_of_the_follow_dso_is_unloaded() {
        // SAFETY: zero is a valid value of numbers and of bytes.
        let mut table: Box<Table> = unsafe { Box::new_zeroed().assume_init() };
        let maps = b"1000-4000 r--p 00000000 fd:01 7 /x/libhangscope_follow.so
4000-a000 r-xp 00002000 fd:01 7 /x/libhangscope_follow.so
a000-b000 r--p 00007000 fd:01 7 /x/libhangscope_follow.so
b000-c000 rw-p 00007000 fd:01 7 /x/libhangscope_follow.so
c000-d000 r--p 00000000 fd:01 8 /x/libother.so
d000-e000 r-xp 00001000 fd:01 8 /x/libother.so
";
        mappings(maps).for_each(|m| table.add(&m));
        assert_eq!(table.follow_code, 0x4000..0xa000);
    }
}
