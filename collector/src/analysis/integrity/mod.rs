//! Whether a DSO is still the file that was loaded, from the snapshot of init and a later look.
//!
//! `(deleted)` in maps is not the danger: a process whose file was removed, or replaced by `mv`, runs on with
//! the old pages. A copy in place (`cp -f`) is: it truncates the file, the private pages go with it, relocated
//! words revert, and the process dies or runs other code, while maps shows nothing. After it the build-id in
//! memory and that of the file are the same new one, so only the snapshot from init tells.
//!
//! - [`judge`]: a live process: memory, descriptor and path against init
//! - [`post_mortem`]: a process that is gone: the file against init

mod live;
mod post;
#[cfg(test)]
mod tests;

pub use live::judge;
pub(crate) use post::post_mortem;

use super::words::Integrity;
use crate::session::Dso;
use crate::text::message::{Lang, messages, say};

/// What is said about a DSO, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The word.
    pub integrity: Integrity,
    /// `(deleted)` stands, or stood at init, on its lines in maps.
    pub(crate) deleted_seen: bool,
    /// Why.
    pub(crate) reason: Reason,
}

impl Judgement {
    /// The reason as a sentence.
    pub fn sentence(&self, lang: Lang) -> String {
        self.reason.text(lang)
    }
}

messages! {
    /// Why a DSO is said to be intact or not.
    Reason {
        /// Nothing moved.
        Untouched {} => "same file, size and times as at init, and its relocated word is in place",
            "ファイル・大きさ・時刻とも起動時のままで、再配置済みの語も保たれている";
        /// Nothing moved, no word to look at.
        UntouchedNoWord {} => "same file, size and times as at init",
            "ファイル・大きさ・時刻とも起動時のまま";
        /// ctime moved for a harmless reason.
        Attributes { what } => "same file and bytes: its change time moved with its {what} only",
            "同じファイル・同じ内容: 変更時刻は {what} の変更だけで動いた";
        /// Times moved, bytes are the same.
        SameBytes {} => "its times moved, but its bytes are those of init and its relocated word is in place",
            "時刻は動いたが、内容は起動時のままで、再配置済みの語も保たれている";
        /// mv away.
        RenamedAway {} => "nothing is at its path any more, but the mapped file lives on under another name",
            "元のパスには何もないが、マップ中のファイルは別名で残っている";
        /// Path cannot be looked at.
        PathHidden { errno } => "its path cannot be looked at (errno {errno}), but the mapped file is as at init",
            "パスは参照できない (errno {errno}) が、マップ中のファイルは起動時のまま";
        /// No look.
        NoLook {} => "it was not looked at again after init",
            "起動時より後に確認されていない";
        /// stat failed at init.
        NoSnapshot { errno } => "its file could not be looked at when the process started (errno {errno})",
            "起動時にファイルを確認できなかった (errno {errno})";
        /// dlclose.
        Unmapped {} => "it is not mapped any more",
            "すでにマップされていない";
        /// Times moved, bytes unknown.
        TimesMoved {} => "the same file was written or touched since init, and its bytes were not compared",
            "起動後に同じファイルが書き込まれたか touch されたが、内容は比較されていない";
        /// Times moved, same bytes, no word.
        MaybeTruncated {} => "its times moved and its bytes are those of init, but no relocated word tells \
            whether it was truncated in between",
            "時刻は動き、内容は起動時と同じだが、途中で切り詰められたかを示す再配置済みの語がない";
        /// Path gone, no descriptor.
        PathGoneUnsure {} => "nothing is at its path any more, and the mapped file could not be asked",
            "元のパスには何もなく、マップ中のファイルも確認できない";
        /// rm.
        Removed {} => "the file was removed while it was mapped",
            "マップされたままファイルが削除された";
        /// rm before init.
        RemovedBeforeInit {} => "the file had already been removed when the process started",
            "プロセス開始時点ですでにファイルが削除されていた";
        /// mv over, or rm and new.
        OtherFile { was, is } => "its path now names another file (inode {is}, was {was})",
            "パスは別のファイルを指している (inode {is}、起動時は {was})";
        /// Other file at init.
        OtherFileAtInit {} => "the file at its path was not the mapped one when the process started",
            "プロセス開始時点で、パスのファイルはマップ中のファイルではなかった";
        /// GOT word reset.
        WordReset { address } => "the word at {address} that the loader had relocated was reset: the file was \
            truncated and written in place",
            "ローダーが再配置した語 ({address}) が元に戻っている: ファイルがその場で切り詰められ書き直された";
        /// EFAULT.
        WordGone { address } => "the page at {address} is gone (EFAULT): the file got shorter under its mapping",
            "{address} のページが失われた (EFAULT): マップ中にファイルが短くなった";
        /// Build-id.
        BuildId { was, is } => "the build-id in memory is {is}, was {was}: other code is mapped than was loaded",
            "メモリ上の build-id が {was} から {is} に変わった: ロード時と異なるコードがマップされている";
        /// Size.
        SizeMoved { was, is } => "the same file has {is} bytes, had {was}: it was written in place",
            "同じファイルの大きさが {was} から {is} バイトに変わった: その場で書き換えられた";
        /// Bytes differ.
        OtherBytes {} => "the same file holds other bytes than at init: it was written in place",
            "同じファイルの内容が起動時と異なる: その場で書き換えられた";
        /// Crash and times moved.
        CrashTimesMoved { what } => "the run died by a signal, and the {what} of the same file moved while it \
            ran: a copy in place ends like this",
            "実行はシグナルで異常終了し、その間に同じファイルの {what} が動いた: その場での上書きコピーはこのように終わる";
        /// Post-mortem: touched, same bytes, the run ended well.
        EndedByItself {} => "its times moved, but its bytes are those of init and the run ended by itself",
            "時刻は動いたが、内容は起動時のままで、実行は自然に終了した";
        /// Post-mortem: stat failed.
        NotLookedAt { errno } => "its file could not be looked at after the run (errno {errno})",
            "実行後にファイルを確認できなかった (errno {errno})";
        /// Post-mortem: path gone.
        GoneAfterwards {} => "nothing is at its path after the run",
            "実行後、元のパスには何もない";
    }
}

/// Whether it is a DSO at all: a file that was mapped from a path. Anonymous memory with a name (memfd, SysV
/// segments, `/dev/zero`, `[vdso]`) is not, though maps prints `(deleted)` behind some of it.
pub(crate) fn is_file(path: &str) -> bool {
    let anonymous = ["/memfd:", "/SYSV", "/dev/zero", "/anon_hugepage", "/drm "];
    path.starts_with('/') && !anonymous.iter().any(|p| path.starts_with(p))
}

/// The worst of all DSOs that are files (the shim is left out: it is ours), with `(deleted)` seen on any.
/// Intact where there is none.
pub(crate) fn worst<'a>(dsos: impl IntoIterator<Item = &'a Dso>) -> (Integrity, bool) {
    let judged = dsos
        .into_iter()
        .filter(|d| is_file(&d.path) && !d.is(hangscope_protocol::record::dso_flags::SHIM))
        .map(|d| judge(d, None));
    judged.fold((Integrity::Intact, false), |(worst, deleted), j| {
        (worst.max(j.integrity), deleted || j.deleted_seen)
    })
}
