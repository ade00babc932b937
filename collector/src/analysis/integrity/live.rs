//! A live process.

use hangscope_protocol::record::{DsoNowRecord, DsoRecord, dso_flags, maps_deleted};

use super::{Judgement, Reason, say};
use crate::analysis::words::Integrity;
use crate::session::Dso;

const ENOENT: u32 = 2;
const EFAULT: u32 = 14;

/// Judges a DSO of a live process by its last look. `content_same` says whether the bytes of the file at its
/// path are those of init, where somebody compared them (the collector has a copy of the allocator).
pub fn judge(dso: &Dso, content_same: Option<bool>) -> Judgement {
    let init = &dso.init;
    let at_init = dso.is(dso_flags::DELETED_AT_INIT);
    let deleted_seen = at_init || dso.now.is_some_and(|now| now.maps_deleted == maps_deleted::YES);
    let (integrity, reason) = match &dso.now {
        Some(now) if now.maps_deleted == maps_deleted::GONE => (Integrity::Unknown, Reason::Unmapped {}),
        Some(now) => memory(init, now).unwrap_or_else(|| file(dso, now, content_same)),
        None => at_start(dso).unwrap_or((Integrity::Unknown, Reason::NoLook {})),
    };
    Judgement { integrity, deleted_seen, reason }
}

/// What memory says: it is the code that runs, so it comes before anything that a file says.
fn memory(init: &DsoRecord, now: &DsoNowRecord) -> Option<(Integrity, Reason)> {
    let address = format!("{:#x}", init.got_addr);
    if init.got_addr != 0 && now.got_errno == EFAULT {
        return Some((Integrity::Overwritten, say!(Reason::WordGone { address })));
    }
    if init.got_addr != 0 && now.got_errno == 0 && now.got_value != init.got_value {
        return Some((Integrity::Overwritten, say!(Reason::WordReset { address })));
    }
    let (was, is) = (hex::encode(init.build_id_bytes()), hex::encode(now.build_id_bytes()));
    let changed = !was.is_empty() && !is.is_empty() && was != is;
    changed.then(|| (Integrity::Overwritten, say!(Reason::BuildId { was, is })))
}

/// What was wrong from the start.
fn at_start(dso: &Dso) -> Option<(Integrity, Reason)> {
    let deleted = dso.is(dso_flags::DELETED_AT_INIT);
    match dso.init.errno {
        0 if dso.is(dso_flags::SAME_FILE_AT_INIT) => None,
        0 => Some((Integrity::Replaced, Reason::OtherFileAtInit {})),
        _ if deleted => Some((Integrity::Deleted, Reason::RemovedBeforeInit {})),
        errno => Some((Integrity::Unknown, say!(Reason::NoSnapshot { errno }))),
    }
}

/// What the path and the descriptor say.
fn file(dso: &Dso, now: &DsoNowRecord, content_same: Option<bool>) -> (Integrity, Reason) {
    // Later looks compare stat with stat of init, never with the numbers of maps: on overlayfs and btrfs
    // those are others from the start.
    if let Some(wrong) = at_start(dso) {
        return match wrong {
            // Deleted before init, and meanwhile there is a new file.
            (Integrity::Deleted, _) if now.path_errno == 0 => {
                (Integrity::Replaced, say!(Reason::OtherFile { was: dso.init.map_ino, is: now.path_ino }))
            }
            wrong => wrong,
        };
    }
    let init = &dso.init;
    match now.path_errno {
        0 if (now.path_dev, now.path_ino) == (init.dev, init.ino) => same_inode(init, now, content_same),
        // The descriptor of init holds the inode, so its number cannot have been given to a new file.
        0 => (Integrity::Replaced, say!(Reason::OtherFile { was: init.ino, is: now.path_ino })),
        ENOENT => path_gone(init, now),
        errno => mapped_file(init, now, say!(Reason::PathHidden { errno })),
    }
}

/// The path is gone: removed, or renamed away.
fn path_gone(init: &DsoRecord, now: &DsoNowRecord) -> (Integrity, Reason) {
    let removed = (Integrity::Deleted, Reason::Removed {});
    match (now.fd_errno, now.maps_deleted) {
        (0, _) if now.fd_nlink == 0 => removed,
        // One name of several was removed: the kernel marks the name that was mapped.
        (_, maps_deleted::YES) => removed,
        (0, maps_deleted::NOT_SEEN) if now.fd_nlink < init.nlink => removed,
        (0, _) if now.fd_size != init.size => {
            (Integrity::Overwritten, say!(Reason::SizeMoved { was: init.size, is: now.fd_size }))
        }
        (0, _) => (Integrity::Intact, Reason::RenamedAway {}),
        (_, maps_deleted::NO) => (Integrity::Intact, Reason::RenamedAway {}),
        _ => (Integrity::Unknown, Reason::PathGoneUnsure {}),
    }
}

/// Only the descriptor can be asked.
fn mapped_file(init: &DsoRecord, now: &DsoNowRecord, as_at_init: Reason) -> (Integrity, Reason) {
    if now.fd_errno != 0 {
        return (Integrity::Unknown, Reason::PathGoneUnsure {});
    }
    if now.fd_nlink == 0 {
        return (Integrity::Deleted, Reason::Removed {});
    }
    if now.fd_size != init.size {
        return (Integrity::Overwritten, say!(Reason::SizeMoved { was: init.size, is: now.fd_size }));
    }
    if now.fd_ctime_ns != init.ctime_ns {
        return (Integrity::Unknown, Reason::TimesMoved {});
    }
    (Integrity::Intact, as_at_init)
}

/// The path still names the mapped file.
fn same_inode(init: &DsoRecord, now: &DsoNowRecord, content_same: Option<bool>) -> (Integrity, Reason) {
    if now.path_size != init.size {
        return (Integrity::Overwritten, say!(Reason::SizeMoved { was: init.size, is: now.path_size }));
    }
    if content_same == Some(false) {
        return (Integrity::Overwritten, Reason::OtherBytes {});
    }
    // A word that was looked at and kept its value: the file was not truncated.
    let word_kept = init.got_addr != 0 && now.got_errno == 0;
    let moved = (now.path_mtime_ns != init.mtime_ns, now.path_ctime_ns != init.ctime_ns);
    if moved == (false, false) {
        let reason = if word_kept { Reason::Untouched {} } else { Reason::UntouchedNoWord {} };
        return (Integrity::Intact, reason);
    }
    // ctime moves on rm of a link, chmod, chown and link as well; mtime only when it is written or touched.
    let attributes = attributes(init, now.path_nlink, now.path_mode, now.path_uid);
    match (moved, attributes, content_same) {
        ((false, true), Some(what), _) => (Integrity::Intact, say!(Reason::Attributes { what })),
        (_, _, Some(true)) if word_kept => (Integrity::Intact, Reason::SameBytes {}),
        (_, _, Some(true)) => (Integrity::Unknown, Reason::MaybeTruncated {}),
        _ => (Integrity::Unknown, Reason::TimesMoved {}),
    }
}

/// Which attributes moved that explain a new ctime: `mode`, `owner`, `links`.
pub(super) fn attributes(init: &DsoRecord, nlink: u32, mode: u32, uid: u32) -> Option<String> {
    let moved = [(nlink != init.nlink, "nlink"), (mode != init.mode, "mode"), (uid != init.uid, "uid")];
    let names: Vec<&str> = moved.iter().filter(|(moved, _)| *moved).map(|(_, name)| *name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
