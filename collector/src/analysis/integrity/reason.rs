//! Why a DSO is intact or not: one sentence a reason.

use crate::text::message::messages;

messages! {
    /// Why a DSO is intact or not.
    Reason {
        Untouched {} => "same file, size and times as at init, and its relocated word is in place",
            "ファイル・大きさ・時刻とも起動時のままで、再配置済みの語も保たれている";
        UntouchedNoWord {} => "same file, size and times as at init",
            "ファイル・大きさ・時刻とも起動時のまま";
        Attributes { what } => "same file and bytes: its change time moved with its {what} only",
            "同じファイル・同じ内容: 変更時刻は {what} の変更だけで動いた";
        SameBytes {} => "its times moved, but its bytes are those of init and its relocated word is in place",
            "時刻は動いたが、内容は起動時のままで、再配置済みの語も保たれている";
        RenamedAway {} => "nothing is at its path any more, but the mapped file lives on under another name",
            "元のパスには何もないが、マップ中のファイルは別名で残っている";
        PathHidden { errno } => "its path cannot be looked at (errno {errno}), but the mapped file is as at init",
            "パスは参照できない (errno {errno}) が、マップ中のファイルは起動時のまま";
        NoLook {} => "it was not looked at again after init",
            "起動時より後に確認されていない";
        NoSnapshot { errno } => "its file could not be looked at when the process started (errno {errno})",
            "起動時にファイルを確認できなかった (errno {errno})";
        Unmapped {} => "it is not mapped any more",
            "すでにマップされていない";
        TimesMoved {} => "the same file was written or touched since init, and its bytes were not compared",
            "起動後に同じファイルが書き込まれたか touch されたが、内容は比較されていない";
        MaybeTruncated {} => "its times moved and its bytes are those of init, but no relocated word tells \
            whether it was truncated in between",
            "時刻は動き、内容は起動時と同じだが、途中で切り詰められたかを示す再配置済みの語がない";
        PathGoneUnsure {} => "nothing is at its path any more, and the mapped file could not be asked",
            "元のパスには何もなく、マップ中のファイルも確認できない";
        Removed {} => "the file was removed while it was mapped",
            "マップされたままファイルが削除された";
        RemovedBeforeInit {} => "the file had already been removed when the process started",
            "プロセス開始時点ですでにファイルが削除されていた";
        OtherFile { was, is } => "its path now names another file (inode {is}, was {was})",
            "パスは別のファイルを指している (inode {is}、起動時は {was})";
        OtherFileAtInit {} => "the file at its path was not the mapped one when the process started",
            "プロセス開始時点で、パスのファイルはマップ中のファイルではなかった";
        WordReset { address } => "the word at {address} that the loader had relocated was reset: the file was \
            truncated and written in place",
            "ローダーが再配置した語 ({address}) が元に戻っている: ファイルがその場で切り詰められ書き直された";
        WordGone { address } => "the page at {address} is gone (EFAULT): the file got shorter under its mapping",
            "{address} のページが失われた (EFAULT): マップ中にファイルが短くなった";
        BuildId { was, is } => "the build-id in memory is {is}, was {was}: other code is mapped than was loaded",
            "メモリ上の build-id が {was} から {is} に変わった: ロード時と異なるコードがマップされている";
        SizeMoved { was, is } => "the same file has {is} bytes, had {was}: it was written in place",
            "同じファイルの大きさが {was} から {is} バイトに変わった: その場で書き換えられた";
        OtherBytes {} => "the same file holds other bytes than at init: it was written in place",
            "同じファイルの内容が起動時と異なる: その場で書き換えられた";
        CrashTimesMoved { what } => "the run died by a signal, and the {what} of the same file moved while it \
            ran: a copy in place ends like this",
            "実行はシグナルで異常終了し、その間に同じファイルの {what} が動いた: その場での上書きコピーはこのように終わる";
        EndedByItself {} => "its times moved, but its bytes are those of init and the run ended by itself",
            "時刻は動いたが、内容は起動時のままで、実行は自然に終了した";
        NotLookedAt { errno } => "its file could not be looked at after the run (errno {errno})",
            "実行後にファイルを確認できなかった (errno {errno})";
        GoneAfterwards {} => "nothing is at its path after the run",
            "実行後、元のパスには何もない";
    }
}
