//! What is said of a capture. coreutils' own messages are not here: they are coreutils', in English.

use crate::text::message::messages;

messages! {
    /// The line on stderr.
    pub(super) TimeoutLine {
        Captured { program, pid, time, sentence, out } => "{program} (pid {pid}) did not end within {time}: {sentence} Evidence: {out}",
            "{program} (pid {pid}) は {time} 以内に終わらなかった: {sentence}記録: {out}";
        /// Begins the sentence of a capture from inside.
        NotHung { sentence } => "nothing here hangs: {sentence}", "ハングではない: {sentence}";
        Class { class, confidence, sentence } => "{class} ({confidence}): {sentence}", "分類 {class} ({confidence}): {sentence}";
        NotAnalysed {} => "the dump could not be analysed.", "ダンプを解析できなかった。";
        Nothing { time, why } => "nothing could be captured at the end of {time}: {why}", "{time} の時点で何も記録できなかった: {why}";
        CutOff { time, out } => "the capture was cut off after {time}; what was written by then: {out}",
            "記録を {time} で打ち切った。それまでに書き込んだもの: {out}";
        CutOffEmpty { time } => "the capture was cut off after {time}, before anything was written",
            "記録を {time} で打ち切った。まだ何も書き込んでいなかった";
        NoAnswer {} => "the collector did not answer in time; what it has captured itself is in its folder",
            "コレクタの応答が間に合わなかった。コレクタ自身の記録はそのフォルダにある";
        Ended {} => "the command has ended", "コマンドはすでに終了している";
        Died {} => "the process that captures has died", "記録するプロセスが異常終了した";
    }
}
