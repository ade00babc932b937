//! Why a stack ends early, or there is none.

use crate::text::message::messages;

messages! {
    /// What is missing of a stack.
    pub(crate) StackProblem {
        NotSent {} => "no stack was sent", "スタックが送られてこなかった";
        Blocks { signal } => "blocks signal {signal}", "シグナル {signal} をブロックしている";
        LeftBefore {} => "ended before it was probed", "観測の前に終了した";
        Late {} => "did not answer in time", "時間内に応答しなかった";
        LeftMeanwhile {} => "ended before it answered", "応答の前に終了した";
        NoSignalFree {} => "the program uses every signal that the shim could use",
            "シムが使えるシグナルをプログラムがすべて使っている";
        SignalFailed { signal, why } => "signal {signal} could not be sent: {why}",
            "シグナル {signal} を送れなかった: {why}";
        UnknownAnswer { outcome } => "unknown answer {outcome}", "未知の応答 {outcome}";
        Machine { machine } => "stacks of ELF machine {machine} cannot be unwound",
            "ELF マシン {machine} のスタックは巻き戻せない";
        CutAt { frame, why } => "cut at frame {frame}: {why}", "フレーム {frame} で途切れた: {why}";
        // Reasons in CutAt.
        FramePointer { register } => "its caller depends on {register}, which only an answer to the signal has",
            "呼び出し元は {register} で決まるが、その値はシグナルへの応答でしか得られない";
        Register { register } => "its caller depends on {register}, which is not known",
            "呼び出し元は {register} で決まるが、その値が不明";
        NotCopied { address } => "the stack was not copied at {address}",
            "スタックの {address} はコピーされていない";
        NoTable {} => "no unwind tables for its code", "そのコードの巻き戻し表がない";
        BadTable {} => "the unwind tables of its code are not valid", "そのコードの巻き戻し表が不正";
        NotCode { address } => "its return address {address} is not in code",
            "戻りアドレス {address} はコードの中にない";
        NoProgress {} => "the frame of its caller is not above it", "呼び出し元のフレームが上位にない";
        TooDeep { most } => "it has more than {most} frames", "フレームが {most} を超える";
        OutOfTime {} => "the time limit for unwinding was reached", "巻き戻しの制限時間に達した";
    }
}
