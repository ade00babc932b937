//! DSO integrity over a session's life: the worst that was seen, and the look after the end.

use hangscope_protocol::record::dso_flags;

use crate::analysis::Integrity;
use crate::analysis::integrity::{self, is_file, post_mortem};
use crate::file_facts;
use crate::session::Dso;

/// What was seen so far.
#[derive(Debug)]
pub(super) struct Judge {
    /// Worst that was wrong; what could not be told yet is not in it.
    worst: Integrity,
    last: Integrity,
    pub(super) deleted_seen: bool,
    /// The process sees the same files as the collector.
    same_files: bool,
}

impl Judge {
    /// For a process that has just said hello.
    pub(super) fn new(pid: u32) -> Judge {
        Judge {
            worst: Integrity::Intact,
            last: Integrity::Intact,
            deleted_seen: false,
            same_files: sees_our_files(pid),
        }
    }

    /// A look at all DSOs.
    pub(super) fn look(&mut self, dsos: &[Dso]) {
        let looked = dsos.iter().any(|dso| dso.now.is_some());
        let (integrity, deleted) = integrity::worst(dsos);
        self.deleted_seen |= deleted;
        if integrity > Integrity::Unknown {
            self.worst = self.worst.max(integrity);
        }
        // Before the first look nothing can be told, which is no finding.
        if looked || integrity > Integrity::Unknown {
            self.last = integrity;
        }
    }

    /// The look after the process's end. `sha1` is that of the allocator's bytes at init.
    pub(super) fn after(&mut self, dsos: &[Dso], allocator: u32, sha1: Option<&str>, died_by_signal: bool) {
        if !self.same_files {
            return;
        }
        let files = dsos.iter().filter(|dso| is_file(&dso.path) && !dso.is(dso_flags::SHIM));
        for dso in files {
            let sha1 = sha1.filter(|_| dso.init.id == allocator);
            let judged = post_mortem(dso, file_facts::now(dso.path.as_ref(), sha1), died_by_signal);
            self.deleted_seen |= judged.deleted_seen;
            if judged.integrity > Integrity::Unknown {
                self.worst = self.worst.max(judged.integrity);
            } else {
                self.last = self.last.max(judged.integrity);
            }
        }
    }

    /// The word for the session: the worst that was seen, else what the last look said.
    pub(super) fn integrity(&self) -> Integrity {
        self.worst.max(self.last)
    }

    /// What the last look said.
    pub(super) fn last(&self) -> Integrity {
        self.last
    }
}

/// Whether a path means the same file to a process and to us. In a container or a chroot it does not, and a look
/// at our file would say nothing about its.
fn sees_our_files(pid: u32) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let mounts = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let root = |pid: &str| std::fs::metadata(format!("/proc/{pid}/root/")).ok().map(|m| (m.dev(), m.ino()));
    let theirs = pid.to_string();
    // One that is gone already was here, as far as anybody knows.
    mounts(&theirs).is_none_or(|m| Some(m) == mounts("self"))
        && root(&theirs).is_none_or(|r| Some(r) == root("self"))
}
