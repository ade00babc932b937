//! The folder of a session: a new one, and what an earlier collector has left in one.

use std::path::{Path, PathBuf};

use super::desk::Desk;
use super::record::SessionRecord;

/// Makes a folder that no other session has, and gives its name. Two programs may start in one process within
/// a millisecond.
pub(super) fn new(desk: &Desk, name: &str) -> (String, PathBuf) {
    let mut names = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}_{n}")));
    let made = names.find_map(|name| {
        let dir = desk.folder(&name);
        match std::fs::create_dir(&dir) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => None,
            // If it cannot be made, the first file says so.
            _ => Some((name, dir)),
        }
    });
    made.unwrap_or_else(|| (name.to_owned(), desk.folder(name)))
}

/// Names of the dumps in a session's folder.
pub(super) fn dumps(dir: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.starts_with("dump_"))
}

/// Takes the bundles into the record that a killed collector had as good as finished, and removes those that
/// say nothing yet. Whether there was one that the record did not name: the process is to be asked again.
///
/// A collector writes the record when a bundle is finished, also where a full disk kept `dump.bin` from it. A
/// disk may have been too full for the record itself.
pub(super) fn settle(dir: &Path, record: &mut SessionRecord) -> bool {
    let mut unknown: Vec<String> = dumps(dir).filter(|name| !record.dump_folders.contains(name)).collect();
    unknown.sort();
    for name in &unknown {
        let has = |file: &str| dir.join(name).join(file).exists();
        // perf comes last on a disk with room, and before dump.bin on one without.
        if has("threads.json") && (has("perf_hot_tid.txt") || !has("dump.bin")) {
            if !has("dump.bin") {
                record.lacks(&format!("{name}/dump.bin"));
            }
            record.dump_folders.push(name.clone());
        } else {
            let _ = std::fs::remove_dir_all(dir.join(name));
        }
    }
    !unknown.is_empty() || record.hung && record.dump_folders.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Identity;
    use crate::testkit::dump::Make;

    #[test]
    fn what_a_full_disk_left_of_a_bundle_is_kept_and_what_was_cut_off_is_not() {
        let identity: Identity = Make::new().finish().identity;
        let mut record = SessionRecord::new(&identity, 1, "sessions/x".into());
        record.dump_folders = vec!["dump_1".into()];
        record.not_written = vec!["dump_1/dump.bin".into()];
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str, files: &[&str]| {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            files.iter().for_each(|file| std::fs::write(dir.path().join(name).join(file), "x").unwrap());
        };
        make("dump_1", &["threads.json", "perf_hot_tid.txt"]);
        assert!(!settle(dir.path(), &mut record), "the record names it: it was finished");
        make("dump_2", &["threads.json", "perf_hot_tid.txt"]);
        make("dump_3", &["ps_L.txt"]);
        make("dump_4", &["threads.json", "dump.bin"]);
        make("dump_5", &["threads.json", "dump.bin", "perf_hot_tid.txt"]);
        assert!(settle(dir.path(), &mut record));
        let mut left: Vec<String> = dumps(dir.path()).collect();
        left.sort();
        assert_eq!(left, ["dump_1", "dump_2", "dump_5"]);
        assert_eq!(
            (record.dump_folders, record.not_written),
            (left, vec!["dump_1/dump.bin".to_owned(), "dump_2/dump.bin".to_owned()])
        );
    }
}
