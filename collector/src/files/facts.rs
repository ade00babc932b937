//! The file at a path, with the fields that a shim reports.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::files::pin;

/// The file at the path of a DSO, after the run. Times are in ns since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileFacts {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
    pub(crate) ctime_ns: i64,
    pub(crate) nlink: u32,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    /// Whether the bytes are those from init. None if nobody compared them.
    pub(crate) content_same: Option<bool>,
}

/// A device number in the form of the shim and of maps: `major << 32 | minor`. `st_dev` of the kernel
/// packs the two in another way.
pub(crate) fn device(st_dev: u64) -> u64 {
    nix::sys::stat::major(st_dev) << 32 | nix::sys::stat::minor(st_dev)
}

/// How much earlier than a change the kernel's time of it may be, ns: its clock for files moves once in a
/// timer tick, whose rate is 100 Hz or more (`ktime_get_coarse_real_ts64`, kernel/time/timekeeping.c).
const GRAIN: u64 = 10_000_000;

/// Whether the last change of a file (`st_ctim`, ns since the epoch) came before a time of the wall clock.
/// False where the two are too close to tell.
pub(crate) fn is_older(ctime_ns: i64, wall_ns: u64) -> bool {
    u64::try_from(ctime_ns).is_ok_and(|ctime| ctime.saturating_add(GRAIN) < wall_ns)
}

/// Whether a file has an extended attribute (xattr(7)). nix has no such call.
pub(crate) fn has_attribute(path: &Path, name: &str) -> bool {
    rustix::fs::getxattr(path, name, &mut [0u8; 0][..]).is_ok()
}

/// The file at a path now, to compare with a snapshot from init (`analysis::integrity::post_mortem`).
/// `sha1` is the SHA-1 of the bytes at init, if known. None if there is no file. After an error, the file
/// may be there.
pub(crate) fn now(path: &Path, sha1: Option<&str>) -> io::Result<Option<FileFacts>> {
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let ns = |s: i64, ns: i64| s.saturating_mul(1_000_000_000).saturating_add(ns);
    let same = |sha1: &str| std::fs::read(path).ok().map(|bytes| pin::sha1_hex(&bytes) == sha1);
    Ok(Some(FileFacts {
        dev: device(meta.dev()),
        ino: meta.ino(),
        size: meta.size(),
        mtime_ns: ns(meta.mtime(), meta.mtime_nsec()),
        ctime_ns: ns(meta.ctime(), meta.ctime_nsec()),
        nlink: meta.nlink() as u32,
        mode: meta.mode(),
        uid: meta.uid(),
        content_same: sha1.and_then(same),
    }))
}

/// The number of a system's error; 0 for one that has none.
pub(crate) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use crate::files::facts::*;

    #[test]
    fn a_device_is_written_as_maps_has_it() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let exe = std::env::current_exe().unwrap();
        let line = maps.lines().find(|l| l.ends_with(exe.to_str().unwrap())).unwrap();
        let (major, minor) = line.split_whitespace().nth(3).unwrap().split_once(':').unwrap();
        let hex = |text| u64::from_str_radix(text, 16).unwrap();
        let is = now(&exe, None).unwrap().unwrap();
        assert_eq!(is.dev, hex(major) << 32 | hex(minor));
        assert_eq!(is.content_same, None);
        let sha1 = pin::sha1_hex(&std::fs::read(&exe).unwrap());
        let same = |sha1: &str| now(&exe, Some(sha1)).unwrap().unwrap().content_same;
        assert_eq!((same(&sha1), same("0")), (Some(true), Some(false)));
    }

    #[test]
    fn only_a_file_that_is_not_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("file"), "").unwrap();
        assert_eq!(now(&path("x"), None).unwrap(), None);
        assert_eq!(now(&path("file/x"), None).unwrap(), None);
        std::os::unix::fs::symlink("loop", path("loop")).unwrap();
        assert_eq!(now(&path("loop"), None).unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }
    #[test]
    fn a_change_in_the_last_tick_before_a_start_may_have_come_after_it() {
        const START: u64 = 1_763_886_141_123_000_000;
        let older = |before: i64| is_older(START as i64 - before, START);
        assert_eq!([-1, 0, 1, 4_000_000, 10_000_000].map(older), [false; 5]);
        assert!(older(10_000_001) && is_older(0, START) && is_older(0, u64::MAX));
        assert!(!is_older(-1, START) && !is_older(i64::MAX, START));
    }
}
