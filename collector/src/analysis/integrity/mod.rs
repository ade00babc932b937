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
        // Intact.
        Untouched {} => "file, size and times are as at init, and its relocated word is in place",
            "ファイル、サイズ、時刻は起動時のままで、再配置済みワードも保たれている";
        UntouchedNoWord {} => "file, size and times are as at init",
            "ファイル、サイズ、時刻は起動時のまま";
        Attributes { what } => "same file and bytes: its change time moved only with its {what}",
            "ファイルも内容も同じ。変更時刻が動いたのは {what} の変更だけによる";
        SameBytes {} => "its times moved, but its bytes are those of init and its relocated word is in place",
            "時刻は動いたが、内容は起動時のままで、再配置済みワードも保たれている";
        RenamedAway {} => "its path is empty now, but the mapped file still exists under another name",
            "元のパスにファイルはないが、マップ中のファイルは別名で残っている";
        PathHidden { errno } => "its path cannot be read (errno {errno}), but the mapped file is as at init",
            "パスは参照できない (errno {errno}) が、マップ中のファイルは起動時のまま";
        EndedByItself {} => "its times moved, but its bytes are those of init and the run ended by itself",
            "時刻は動いたが、内容は起動時のままで、実行は自然に終了した";
        // Unknown.
        NoLook {} => "it was not examined again after init",
            "起動時より後には確認されていない";
        NoSnapshot { errno } => "its file could not be examined when the process started (errno {errno})",
            "起動時にファイルを確認できなかった (errno {errno})";
        Unmapped {} => "it is no longer mapped",
            "すでにマップされていない";
        TimesMoved {} => "the same file was written or touched since init, and its bytes were not compared",
            "起動後に同じファイルが書き込まれたか touch されたが、内容は比較していない";
        MaybeTruncated {} => "its times moved and its bytes are those of init, but no relocated word shows \
            whether it was truncated in between",
            "時刻は動いたが内容は起動時と同じ。途中で切り詰められたかを示す再配置済みワードがない";
        PathGoneUnsure {} => "its path is empty now, and the mapped file could not be examined",
            "元のパスにファイルはなく、マップ中のファイルも確認できない";
        NotLookedAt { errno } => "its file could not be examined after the run (errno {errno})",
            "実行後にファイルを確認できなかった (errno {errno})";
        GoneAfterwards {} => "its path is empty after the run",
            "実行後、元のパスにファイルがない";
        // Deleted or replaced.
        Removed {} => "the file was removed while it was mapped",
            "マップされている間にファイルが削除された";
        RemovedBeforeInit {} => "the file had already been removed when the process started",
            "プロセス開始時点ですでにファイルが削除されていた";
        OtherFile { was, is } => "its path now names another file (inode {is}, was {was})",
            "パスは別のファイルを指している (inode {is}、起動時は {was})";
        OtherFileAtInit {} => "the file at its path was not the mapped one when the process started",
            "プロセス開始時点で、パスのファイルはマップ中のファイルではなかった";
        // Overwritten.
        WordReset { address } => "the word at {address}, which the loader had relocated, was reset: the file was \
            truncated and written in place",
            "ローダーが再配置したワード ({address}) が元に戻っている。ファイルが切り詰められ、その場で書き直された";
        WordGone { address } => "the page at {address} is gone (EFAULT): the file got shorter under its mapping",
            "{address} のページが失われた (EFAULT)。マップ中にファイルが短くなった";
        BuildId { was, is } => "the build-id in memory is {is}, was {was}: the mapped code is not the code that was loaded",
            "メモリ上の build-id が {was} から {is} に変わった。ロード時と異なるコードがマップされている";
        SizeMoved { was, is } => "the same file has {is} bytes, had {was}: it was written in place",
            "同じファイルのサイズが {was} から {is} バイトに変わった。その場で書き換えられた";
        OtherBytes {} => "the same file holds other bytes than at init: it was written in place",
            "同じファイルの内容が起動時と異なる。その場で書き換えられた";
        CrashTimesMoved { what } => "the run died by a signal, and the {what} of the same file moved during the run: \
            this is how a copy in place ends",
            "実行はシグナルで異常終了し、その間に同じファイルの {what} が動いた。その場での上書きコピーで起こる終わり方である";
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
