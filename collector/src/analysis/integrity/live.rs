//! The check of a live process.

use hangscope_protocol::record::{DsoNowRecord, DsoRecord, dso_flags, maps_deleted};

use super::judgement::Judgement;
use super::reason::Reason;
use crate::analysis::words::Integrity;
use crate::session::Dso;
use crate::text::message::say;

const ENOENT: u32 = 2;
const EFAULT: u32 = 14;
/// In `errno` of the snapshot: nobody looked when the process started.
const ENODATA: u32 = 61;

/// Judges a DSO of a live process by its last look. `content_same`: whether the file at its path
/// has the bytes of init; none if nobody compared them. The collector can compare the allocator:
/// it has a copy from init.
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

/// The evidence of memory. Memory holds the code that runs, so it comes before the evidence of files.
fn memory(init: &DsoRecord, now: &DsoNowRecord) -> Option<(Integrity, Reason)> {
    let address = format!("{:#x}", init.got_addr);
    if init.got_addr != 0 && now.got_errno == EFAULT {
        return Some((Integrity::Overwritten, say!(Reason::WordGone { address })));
    }
    if init.got_addr != 0 && now.got_errno == 0 && now.got_value != init.got_value && !is_patched(init, now) {
        return Some((Integrity::Overwritten, say!(Reason::WordReset { address })));
    }
    let (was, is) = (hex::encode(init.build_id_bytes()), hex::encode(now.build_id_bytes()));
    let changed = !was.is_empty() && !is.is_empty() && was != is;
    changed.then(|| (Integrity::Overwritten, say!(Reason::BuildId { was, is })))
}

/// Whether somebody wrote another pointer into the relocated word: a profiler, or a hook. The word of a file is
/// an offset in it, or 0.
fn is_patched(init: &DsoRecord, now: &DsoNowRecord) -> bool {
    now.got_value != init.got_value && now.got_value > u64::from(u32::MAX)
}

/// A DSO of a process that ran without the shim, if its file is not older than the process. There is no
/// snapshot from the start: what maps says of the file is a fact, and its bytes prove nothing.
fn without_snapshot(init: &DsoRecord, now: &DsoNowRecord) -> (Integrity, Reason) {
    match (now.maps_deleted, now.path_errno) {
        (maps_deleted::YES, 0) => {
            (Integrity::Replaced, say!(Reason::OtherFile { was: init.map_ino, is: now.path_ino }))
        }
        (maps_deleted::YES, _) => (Integrity::Deleted, Reason::Removed {}),
        (_, ENOENT) => (Integrity::Intact, Reason::RenamedAway {}),
        (_, 0) if init.got_addr != 0 && now.got_errno == 0 => {
            (Integrity::Unknown, Reason::YoungNotTruncated {})
        }
        (_, 0) => (Integrity::Unknown, Reason::Young {}),
        (_, errno) => (Integrity::Unknown, say!(Reason::NoSnapshot { errno })),
    }
}

/// A problem that the snapshot from init already shows.
fn at_start(dso: &Dso) -> Option<(Integrity, Reason)> {
    let deleted = dso.is(dso_flags::DELETED_AT_INIT);
    match dso.init.errno {
        0 if dso.is(dso_flags::SAME_FILE_AT_INIT) => None,
        0 => Some((Integrity::Replaced, Reason::OtherFileAtInit {})),
        _ if deleted => Some((Integrity::Deleted, Reason::RemovedBeforeInit {})),
        errno => Some((Integrity::Unknown, say!(Reason::NoSnapshot { errno }))),
    }
}

/// The evidence of the path and the descriptor.
fn file(dso: &Dso, now: &DsoNowRecord, content_same: Option<bool>) -> (Integrity, Reason) {
    if dso.init.errno == ENODATA {
        return without_snapshot(&dso.init, now);
    }
    // Compare stat with stat of init, never with the device and inode in maps: on overlayfs and btrfs those
    // differ from stat from the start.
    if let Some(wrong) = at_start(dso) {
        return match wrong {
            // The file was deleted before init, and now there is a new one.
            (Integrity::Deleted, _) if now.path_errno == 0 => {
                (Integrity::Replaced, say!(Reason::OtherFile { was: dso.init.map_ino, is: now.path_ino }))
            }
            wrong => wrong,
        };
    }
    let init = &dso.init;
    match now.path_errno {
        0 if (now.path_dev, now.path_ino) == (init.dev, init.ino) => same_inode(init, now, content_same),
        // The descriptor from init keeps the inode in use: a new file cannot have its number.
        0 => (Integrity::Replaced, say!(Reason::OtherFile { was: init.ino, is: now.path_ino })),
        ENOENT => path_gone(init, now),
        errno => mapped_file(init, now, say!(Reason::PathHidden { errno })),
    }
}

/// The path does not exist any more: the file was removed or renamed.
fn path_gone(init: &DsoRecord, now: &DsoNowRecord) -> (Integrity, Reason) {
    let removed = (Integrity::Deleted, Reason::Removed {});
    match (now.fd_errno, now.maps_deleted) {
        (0, _) if now.fd_nlink == 0 => removed,
        // One of several links was removed: the kernel marks the one that was mapped.
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

/// The path cannot be read: only the descriptor tells.
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
    // A relocated word that kept its value proves that the file was not truncated.
    let word_kept = init.got_addr != 0 && now.got_errno == 0 && !is_patched(init, now);
    let moved = (now.path_mtime_ns != init.mtime_ns, now.path_ctime_ns != init.ctime_ns);
    if moved == (false, false) {
        let reason = if word_kept { Reason::Untouched {} } else { Reason::UntouchedNoWord {} };
        return (Integrity::Intact, reason);
    }
    // ctime also changes on chmod, chown, link, and rm of a link. mtime changes only on a write or touch.
    let attributes = attributes(init, now.path_nlink, now.path_mode, now.path_uid);
    match (moved, attributes, content_same) {
        ((false, true), Some(what), _) => (Integrity::Intact, say!(Reason::Attributes { what })),
        (_, _, Some(true)) if word_kept => (Integrity::Intact, Reason::SameBytes {}),
        (_, _, Some(true)) => (Integrity::Unknown, Reason::MaybeTruncated {}),
        _ => (Integrity::Unknown, Reason::TimesMoved {}),
    }
}

/// The changed attributes that explain a new ctime: `nlink`, `mode`, `uid`; none if there are none.
pub(super) fn attributes(init: &DsoRecord, nlink: u32, mode: u32, uid: u32) -> Option<String> {
    let moved = [(nlink != init.nlink, "nlink"), (mode != init.mode, "mode"), (uid != init.uid, "uid")];
    let names: Vec<&str> = moved.iter().filter(|(moved, _)| *moved).map(|(_, name)| *name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
