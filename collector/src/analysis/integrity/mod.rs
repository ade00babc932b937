//! Whether a DSO is still the file that was loaded: the snapshot from init against a later look.
//!
//! `(deleted)` in maps is not the danger. A process whose file was removed, or replaced by `mv`, runs on with
//! the old pages. A copy in place (`cp -f`) is the danger: it truncates the file, the process loses its
//! private pages, relocated words revert, and the process dies or runs other code. maps shows nothing of
//! it. Afterwards the build-id in memory and the build-id of the file are the same new one: only the
//! snapshot from init tells.
//!
//! - [`judge`]: a live process: memory, descriptor and path against the snapshot
//! - [`post_mortem`]: a process that has ended: the file against the snapshot
//! - `judgement`, `reason`: the answer, and its sentences

mod judgement;
mod live;
mod post;
mod reason;
#[cfg(test)]
mod tests;

pub use judgement::Judgement;
pub use live::judge;
pub(crate) use post::post_mortem;
pub(crate) use reason::Reason;

use super::words::Integrity;
use crate::session::Dso;

/// Whether a process whose DSO was copied over can die by this signal: its pages are gone, or hold other code.
pub(crate) fn is_of_a_lost_mapping(signal: i32) -> bool {
    matches!(signal, libc::SIGBUS | libc::SIGSEGV | libc::SIGILL | libc::SIGTRAP | libc::SIGFPE)
}

/// Whether the path is that of a file on disk. Anonymous memory with a name (memfd, SysV segments,
/// `/dev/zero`, `[vdso]`) is not, though maps prints `(deleted)` after some of these names.
pub(crate) fn is_file(path: &str) -> bool {
    let anonymous = ["/memfd:", "/SYSV", "/dev/zero", "/anon_hugepage", "/drm "];
    path.starts_with('/') && !anonymous.iter().any(|p| path.starts_with(p))
}

/// The worst integrity of all DSOs that are files, and whether `(deleted)` was seen on any. The shim itself
/// is left out. Intact where there is no DSO.
pub(crate) fn worst<'a>(dsos: impl IntoIterator<Item = &'a Dso>) -> (Integrity, bool) {
    let judged = dsos
        .into_iter()
        .filter(|d| is_file(&d.path) && !d.is(hangscope_protocol::record::dso_flags::SHIM))
        .map(|d| judge(d, None));
    judged.fold((Integrity::Intact, false), |(worst, deleted), j| {
        (worst.max(j.integrity), deleted || j.deleted_seen)
    })
}
