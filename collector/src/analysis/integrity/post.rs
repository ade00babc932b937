//! The check after the end of a process: a copy in place kills it before the next tick, or
//! it ends between two looks.

use super::judgement::Judgement;
use super::live::{attributes, judge};
use super::reason::Reason;
use crate::analysis::words::Integrity;
use crate::files::facts::FileFacts;
use crate::session::Dso;
use crate::text::message::say;

/// Compares a DSO's snapshot from init with the file after the run. `file_now` is `None` if there is no
/// file, and an errno if stat failed.
///
/// Where the last look saw the times that the file has now, and a relocated word in its place, the file was not
/// truncated since: nobody wrote to it after that.
///
/// If the last look already found a problem, that is the answer. Else the times decide. The same inode with
/// another ctime, mtime or size was written in place. Identical bytes are no excuse if the run died by a
/// signal that a lost mapping causes: `cp -f` of the same file kills too. After the death of the process a new file may get the same
/// inode number: that reads as `overwritten` too.
pub(crate) fn post_mortem(
    dso: &Dso,
    file_now: Result<Option<FileFacts>, i32>,
    died_by_signal: bool,
) -> Judgement {
    let last = judge(dso, None);
    let deleted_seen = last.deleted_seen;
    if last.integrity > Integrity::Unknown {
        return last;
    }
    let init = &dso.init;
    let (integrity, reason) = match file_now {
        // There is no snapshot to compare with.
        _ if init.errno != 0 => (last.integrity, last.reason),
        Err(errno) => (Integrity::Unknown, say!(Reason::NotLookedAt { errno })),
        // The process still had the file, under another name, when its path was empty already.
        Ok(None) if matches!(last.reason, Reason::RenamedAway {}) => (last.integrity, last.reason),
        Ok(None) => (Integrity::Deleted, Reason::GoneAfterwards {}),
        Ok(Some(now)) if (now.dev, now.ino) != (init.dev, init.ino) => {
            (Integrity::Replaced, say!(Reason::OtherFile { was: init.ino, is: now.ino }))
        }
        Ok(Some(now)) => same_inode(dso, &now, died_by_signal),
    };
    Judgement { integrity, deleted_seen, reason }
}

/// Whether the process still had its relocated word after the times of the file had moved.
fn seen_in_place(dso: &Dso, file: &FileFacts) -> bool {
    let init = &dso.init;
    dso.now.is_some_and(|now| {
        let times = (now.path_mtime_ns, now.path_ctime_ns) == (file.mtime_ns, file.ctime_ns);
        times && init.got_addr != 0 && now.got_errno == 0 && now.got_value == init.got_value
    })
}

fn same_inode(dso: &Dso, now: &FileFacts, died_by_signal: bool) -> (Integrity, Reason) {
    let init = &dso.init;
    if now.size != init.size {
        return (Integrity::Overwritten, say!(Reason::SizeMoved { was: init.size, is: now.size }));
    }
    if now.content_same == Some(false) {
        return (Integrity::Overwritten, Reason::OtherBytes {});
    }
    let (mtime, ctime) = (now.mtime_ns != init.mtime_ns, now.ctime_ns != init.ctime_ns);
    let explained = attributes(init, now.nlink, now.mode, now.uid);
    match (mtime, ctime, explained) {
        (false, false, _) => (Integrity::Intact, Reason::UntouchedNoWord {}),
        (false, true, Some(what)) => (Integrity::Intact, say!(Reason::Attributes { what })),
        _ if now.content_same == Some(true) && seen_in_place(dso, now) => {
            (Integrity::Intact, Reason::SameBytes {})
        }
        // A copy in place moves mtime, unless it keeps the time. Then the bytes alone tell.
        (false, true, None) if died_by_signal && now.content_same == Some(true) => {
            (Integrity::Unknown, Reason::TouchedThenDied {})
        }
        _ if died_by_signal => {
            let what = if mtime { "mtime" } else { "ctime" };
            (Integrity::Overwritten, say!(Reason::CrashTimesMoved { what }))
        }
        // After a copy in place no run ends by itself.
        _ if now.content_same == Some(true) => (Integrity::Intact, Reason::EndedByItself {}),
        _ => (Integrity::Unknown, Reason::TimesMoved {}),
    }
}
