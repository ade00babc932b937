//! What is said of a collection without a session.

use crate::text::message::messages;

messages! {
    /// Why a collection saw no session.
    pub(crate) Unseen {
        NoSession {} => "no session: nothing was watched", "セッションなし: 何も監視されなかった";
        NotReached { program, pid, why } => "not reached: {program} (pid {pid}), nor what it started: {why}",
            "監視できなかったプログラム: {program} (pid {pid}) と、そこから起動されたもの: {why}";
        NothingPreloaded {} => "no program preloaded an allocator; programs with libc's own malloc are watched with --only NAME",
            "アロケータをプリロードしたプログラムがない。libc の malloc のプログラムは --only NAME で監視できる";
        NotTheName { only } => "no program is named as --only says ({only})", "--only の名前 ({only}) のプログラムがない";
        NotLibcs {} => "programs preloaded something, but their malloc was libc's own; they are watched with --only NAME",
            "プリロードはあったが malloc は libc のものだった。--only NAME で監視できる";
        Last { programs } => "the last programs: {programs}", "最後のプログラム: {programs}";
        Refused { connections: "connection" } => "{connections} had no valid hello, see above", "シムの有効な応答がない接続 {connections} 件 (上記)";
        NobodyConnected {} => "no process connected. A runner that sets LD_PRELOAD itself loses what is in front of it: hangscope collect --out DIR -- RUNNER keeps it",
            "接続したプロセスはない。LD_PRELOAD を自分で設定するスクリプトでは前に置いたシムが失われる: hangscope collect --out DIR -- RUNNER を使うこと";
    }
}
