//! DSO integrity over a session's life: the worst of all looks, and a look after the end.

use std::collections::BTreeSet;

use hangscope_protocol::record::dso_flags;

use crate::analysis::Integrity;
use crate::analysis::integrity::{self, Reason, is_file, post_mortem};
use crate::files::facts::{self, errno};
use crate::session::Dso;
use crate::text::message::Lang;

/// The result of the looks so far.
#[derive(Debug)]
pub(super) struct Judge {
    /// The worst that was seen, without `unknown`.
    worst: Integrity,
    last: Integrity,
    pub(super) deleted_seen: bool,
    /// The allocator's file at these times (mtime, ctime), and whether it has the bytes of init.
    compared: Option<((i64, i64), bool)>,
    files: Files,
}

/// Whether a path means the same file to the process and to the collector.
#[derive(Debug)]
enum Files {
    Ours,
    Others,
    /// The process has ended or may not be looked at. The DSOs with these ids were the files at their paths
    /// here.
    Unsure(BTreeSet<u32>),
}

impl Judge {
    /// For a process whose hello has just come.
    pub(super) fn new(pid: u32) -> Judge {
        Judge {
            worst: Integrity::Intact,
            last: Integrity::Intact,
            deleted_seen: false,
            compared: None,
            files: match sees_our_files(pid) {
                Some(true) => Files::Ours,
                Some(false) => Files::Others,
                None => Files::Unsure(BTreeSet::new()),
            },
        }
    }

    /// Goes on from what an earlier collector has seen.
    pub(super) fn recall(&mut self, worst: Integrity, deleted_seen: bool) {
        if worst > Integrity::Unknown {
            self.worst = worst;
        }
        self.deleted_seen = deleted_seen;
    }

    /// `allocator` is its DSO's number, and the SHA-1 of its bytes at init.
    pub(super) fn look(&mut self, dsos: &[Dso], allocator: (u32, Option<&str>)) {
        if let Files::Unsure(ours) = &mut self.files {
            ours.extend(dsos.iter().filter(|dso| is_ours(dso)).map(|dso| dso.init.id));
        }
        let looked = dsos.iter().any(|dso| dso.now.is_some());
        let (others, own): (Vec<&Dso>, Vec<&Dso>) = dsos.iter().partition(|dso| dso.init.id != allocator.0);
        let (mut integrity, mut deleted) = integrity::worst(others);
        for dso in own.into_iter().filter(|dso| is_file(&dso.path)) {
            let judged = integrity::judge(dso, self.compare(dso, allocator.1));
            integrity = integrity.max(judged.integrity);
            deleted |= judged.deleted_seen;
        }
        self.deleted_seen |= deleted;
        if integrity > Integrity::Unknown {
            self.worst = self.worst.max(integrity);
        }
        // Before the first look the integrity is not known: that is no result.
        if looked || integrity > Integrity::Unknown {
            self.last = integrity;
        }
    }

    /// Whether the allocator's file has the bytes of init, if its times have moved: it may only have been
    /// touched. None if that is not known.
    fn compare(&mut self, dso: &Dso, sha1: Option<&str>) -> Option<bool> {
        let now = dso.now.filter(|_| !matches!(self.files, Files::Others))?;
        let times = (now.path_mtime_ns, now.path_ctime_ns);
        if now.path_errno != 0 || times == (dso.init.mtime_ns, dso.init.ctime_ns) {
            return None;
        }
        if let Some((_, same)) = self.compared.filter(|(at, _)| *at == times) {
            return Some(same);
        }
        let file = facts::now(dso.path.as_ref(), Some(sha1?)).ok()??;
        let same = file.content_same.filter(|_| (file.mtime_ns, file.ctime_ns) == times)?;
        self.compared = Some((times, same));
        Some(same)
    }

    /// Looks after the process's end. `sha1` is that of the allocator's bytes at init.
    pub(super) fn after(&mut self, dsos: &[Dso], allocator: u32, sha1: Option<&str>, died_by_signal: bool) {
        if matches!(self.files, Files::Others) {
            return;
        }
        let files = dsos.iter().filter(|dso| is_file(&dso.path) && !dso.is(dso_flags::SHIM));
        for dso in files {
            if matches!(&self.files, Files::Unsure(ours) if !ours.contains(&dso.init.id)) {
                self.last = self.last.max(Integrity::Unknown);
                continue;
            }
            let sha1 = sha1.filter(|_| dso.init.id == allocator);
            let now = facts::now(dso.path.as_ref(), sha1).map_err(|e| errno(&e));
            let judged = post_mortem(dso, now, died_by_signal);
            if let Reason::NotLookedAt { .. } = judged.reason {
                tracing::warn!("{}: {}", dso.path, judged.sentence(Lang::En));
            }
            self.deleted_seen |= judged.deleted_seen;
            if judged.integrity > Integrity::Unknown {
                self.worst = self.worst.max(judged.integrity);
            } else {
                self.last = self.last.max(judged.integrity);
            }
        }
    }

    /// Integrity for the session: the worst that was seen, else the result of the last look.
    pub(super) fn integrity(&self) -> Integrity {
        self.worst.max(self.last)
    }

    /// The result of the last look.
    pub(super) fn last(&self) -> Integrity {
        self.last
    }
}

/// Whether the collector finds at the path the file that the process loaded.
fn is_ours(dso: &Dso) -> bool {
    let there = facts::now(dso.path.as_ref(), None);
    let init = (dso.init.dev, dso.init.ino);
    dso.init.errno == 0
        && is_file(&dso.path)
        && matches!(there, Ok(Some(file)) if (file.dev, file.ino) == init)
}

/// Whether a path means the same file to a process and to us; none if that is not known. In a container or a
/// chroot it does not, and our file says nothing about the file of the process.
fn sees_our_files(pid: u32) -> Option<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let mounts = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let root = |pid: &str| std::fs::metadata(format!("/proc/{pid}/root/")).ok().map(|m| (m.dev(), m.ino()));
    let theirs = pid.to_string();
    let same_mounts = mounts(&theirs).zip(mounts("self")).map(|(theirs, ours)| theirs == ours);
    let same_root = root(&theirs).zip(root("self")).map(|(theirs, ours)| theirs == ours);
    match (same_mounts, same_root) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hangscope_protocol::record::DsoRecord;

    use super::*;
    use crate::testkit::fake_shim::zero;

    fn dso(id: u32, path: &Path) -> Dso {
        let now = facts::now(path, None).unwrap().unwrap();
        let init = DsoRecord {
            id,
            flags: dso_flags::SAME_FILE_AT_INIT,
            dev: now.dev,
            ino: now.ino,
            size: now.size,
            mtime_ns: now.mtime_ns,
            ctime_ns: now.ctime_ns,
            ..zero()
        };
        Dso { init, path: path.to_str().unwrap().to_owned(), now: None }
    }

    #[test]
    fn without_access_to_the_process_only_dsos_that_were_our_files_are_judged() {
        assert_eq!(sees_our_files(std::process::id()), Some(true));
        assert_eq!(sees_our_files(u32::MAX), None);

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.so");
        std::fs::write(&path, "x").unwrap();
        let ours = dso(1, &path);
        std::fs::rename(&path, dir.path().join("aside")).unwrap();
        let theirs = Dso { init: DsoRecord { id: 2, ino: ours.init.ino + 1, ..ours.init }, ..ours.clone() };
        let after = |pid, dso: &Dso| {
            // Move the file: a new file would have another inode.
            std::fs::rename(dir.path().join("aside"), &path).unwrap();
            let mut judge = Judge::new(pid);
            judge.look(std::slice::from_ref(dso), (1, None));
            std::fs::rename(&path, dir.path().join("aside")).unwrap();
            judge.after(std::slice::from_ref(dso), 1, None, true);
            judge.integrity()
        };
        assert_eq!(after(u32::MAX, &ours), Integrity::Deleted);
        assert_eq!(after(u32::MAX, &theirs), Integrity::Unknown);
        assert_eq!(after(std::process::id(), &theirs), Integrity::Deleted);
    }

    #[test]
    fn a_file_that_cannot_be_looked_at_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.so");
        std::fs::write(&path, "x").unwrap();
        let (dso, mut judge) = (dso(1, &path), Judge::new(std::process::id()));
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("x.so", &path).unwrap();
        judge.after(&[dso], 1, None, true);
        assert_eq!(judge.integrity(), Integrity::Unknown);
    }
}
