//! What a standing collector says about itself: what it could not do, and what it did about that.

use crate::text::message::messages;

messages! {
    /// A line of a standing collector about its socket, its disk and its memory.
    pub(crate) CollectLine {
        ListensAgain { path } => "the socket {path} was gone; it is made again", "ソケット {path} が消えていたため作り直した";
        SocketLost { error } => "no process can connect now: {error}", "現在どのプロセスも接続できない: {error}";
        NoConnection { error, open } => "a connection has to wait ({open} are open): {error}; raise the limit (ulimit -n)",
            "接続を待たせている (接続中 {open} 件): {error}。上限を上げること (ulimit -n)";
        OutAgain { out } => "{out} was gone; it is made again", "{out} が消えていたため作り直した";
        OutGone { error } => "the sessions' lines are lost for now: {error}", "現在セッションの行を書き込めない: {error}";
        NoRoom { what, error } => "no room for {what} ({error}): make room, or give another --out. What a session lacks is in its line",
            "{what} を書き込めなかった ({error})。空きを作るか、別の --out を指定すること。欠けたものは各セッションの行に記す";
        LinesWait { error } => "the lines of sessions wait in memory: {error}", "セッションの行はメモリで待たせている: {error}";
        LinesWritten { lines: "line" } => "{lines} of sessions had to wait and are written now", "待たせていたセッションの行 {lines} 行を書き込んだ";
        LinesElsewhere { lines: "line", path } => "{lines} of sessions could not be written to OUT; they are in {path}",
            "セッションの行 {lines} 行を OUT に書き込めず、{path} に保存した";
        LinesLost { lines: "line" } => "{lines} of sessions could not be written and are lost", "セッションの行 {lines} 行を書き込めず、失った";
        NoPidfd { open } => "{open} connections are open, near the limit of descriptors: how the processes of new ones end is not \
            known; raise the limit (ulimit -n)",
            "接続中 {open} 件でファイル記述子の上限に近いため、新しい接続のプロセスの終わり方は記録できない。上限を上げること (ulimit -n)";
        DumpWaits { most } => "a dump waits until others are analysed: --max-memory {most}M is in use",
            "ダンプを待たせている: --max-memory {most}M を使用中";
        Full { most } => "--max-size {most}M is reached: sessions have their lines, but no more dumps are kept",
            "--max-size {most}M に到達: セッションの行は残すが、以後のダンプは保存しない";
        StuckWhenStopped { seconds } => "stuck when it was stopped (likely: nothing had moved for {seconds} s)",
            "停止時に動けなくなっていた (推定: {seconds} 秒間何も動かなかった)";
        Closing { sessions: "session" } => "{sessions} must still be written; a second Ctrl-C ends at once",
            "セッション {sessions} 件を書き込み中。もう一度 Ctrl-C を押すと直ちに終了する";
        Closed { sessions: "session" } => "{sessions} of an earlier collector had ended meanwhile", "以前のコレクタのセッション {sessions} 件は、その間に終了していた";
    }
}
