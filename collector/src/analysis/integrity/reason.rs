//! Why a DSO is intact or not: one sentence for each reason.

use crate::text::message::messages;

messages! {
    /// Why a DSO is said to be intact or not.
    pub(crate) Reason {
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
        Young {} => "it ran without the shim, and its file was made or changed at about its start or later: the times do not tell \
            whether it was overwritten",
            "シムなしで実行され、ファイルの作成または変更はプロセス開始と同じ頃か後である。上書きされたかどうかは時刻からは分からない";
        YoungNotTruncated {} => "it ran without the shim, and its file was made or changed at about its start or later; a relocated \
            word is in place, so it was not truncated and written anew (cp)",
            "シムなしで実行され、ファイルの作成または変更はプロセス開始と同じ頃か後である。再配置済みワードは保たれており、切り詰めて\
            書き直されては (cp) いない";
        TouchedThenDied {} => "its change time moved, its bytes are those of init, and the run died by a signal: nothing shows that it \
            was written",
            "変更時刻が動いたが内容は起動時のままで、実行はシグナルで終了した。書き込まれた形跡はない";
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
