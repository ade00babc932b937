//! A process that is gone: a copy in place killed it before the next tick, or it ended between two looks.

use super::live::attributes;
use super::{Judgement, Reason, judge, say};
use crate::analysis::words::Integrity;
use crate::files::facts::FileFacts;
use crate::session::Dso;

/// Holds a DSO's snapshot from init against the file after the run (`None`: there is none; an errno: nobody knows).
///
/// A last look that had already found something wrong stands. Else the times decide: an inode that is the
/// same and whose ctime, mtime or size moved was written in place; identical bytes are no excuse for a run
/// that died by a signal, since `cp -f` of the same file kills as well. Nobody held the inode since the
/// process died, so its number may belong to a new file: that reads as `overwritten` too.
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
        // There is nothing to hold the file against.
        _ if init.errno != 0 => (last.integrity, last.reason),
        Err(errno) => (Integrity::Unknown, say!(Reason::NotLookedAt { errno })),
        Ok(None) => (Integrity::Deleted, Reason::GoneAfterwards {}),
        Ok(Some(now)) if (now.dev, now.ino) != (init.dev, init.ino) => {
            (Integrity::Replaced, say!(Reason::OtherFile { was: init.ino, is: now.ino }))
        }
        Ok(Some(now)) => same_inode(dso, &now, died_by_signal),
    };
    Judgement { integrity, deleted_seen, reason }
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
        _ if died_by_signal => {
            let what = if mtime { "mtime" } else { "ctime" };
            (Integrity::Overwritten, say!(Reason::CrashTimesMoved { what }))
        }
        // A copy in place does not let a run end by itself.
        _ if now.content_same == Some(true) => (Integrity::Intact, Reason::EndedByItself {}),
        _ => (Integrity::Unknown, Reason::TimesMoved {}),
    }
}
