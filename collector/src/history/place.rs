//! Where the database is.

use std::path::{Path, PathBuf};

/// `hangscope/history.db` in XDG_DATA_HOME, else in `~/.local/share` (XDG Base Directory Specification).
/// None: no home folder is known.
pub(crate) fn default_file() -> Option<PathBuf> {
    file_in(std::env::var_os("XDG_DATA_HOME").map(PathBuf::from), std::env::var_os("HOME").map(PathBuf::from))
}

fn file_in(data: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    // The specification: a relative path is ignored.
    let given = |path: &PathBuf| path.is_absolute();
    let data = data.filter(given).or_else(|| Some(home.filter(given)?.join(".local/share")))?;
    Some(data.join("hangscope/history.db"))
}

/// Whether the folder of a file is on a network file system. SQLite's write-ahead log needs memory that all
/// writers share, which these do not have (sqlite.org/wal.html). The numbers are those of statfs(2) and of
/// the kernel's linux/magic.h; Lustre, GPFS, BeeGFS and Ceph have theirs in their own sources.
pub(super) fn is_on_network(file: &Path) -> bool {
    const NETWORK: [i64; 11] = [
        0x6969,      // nfs
        0xfe53_4d42, // smb2
        0xff53_4d42, // cifs
        0x517b,      // smb
        0x0bd0_0bd0, // lustre
        0x4750_4653, // gpfs
        0x1983_0326, // beegfs
        0x00c3_6400, // ceph
        0x6573_5546, // fuse: sshfs and others
        0x0102_1997, // 9p
        0x5346_414f, // afs
    ];
    let folder = file.parent().unwrap_or(Path::new("."));
    nix::sys::statfs::statfs(folder).is_ok_and(|stat| NETWORK.contains(&stat.filesystem_type().0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_in_the_users_data_folder() {
        let at = |data: Option<&str>, home: Option<&str>| {
            file_in(data.map(PathBuf::from), home.map(PathBuf::from))
        };
        assert_eq!(at(Some("/d"), Some("/h")), Some("/d/hangscope/history.db".into()));
        assert_eq!(at(None, Some("/h")), Some("/h/.local/share/hangscope/history.db".into()));
        assert_eq!(at(Some("relative"), Some("/h")), Some("/h/.local/share/hangscope/history.db".into()));
        assert_eq!(at(Some(""), None), None);
    }
}
