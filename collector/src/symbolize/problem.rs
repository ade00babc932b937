//! Why a stack is cut, or there is none.

use crate::text::message::messages;

messages! {
    /// What could not be had of a stack.
    StackProblem {
        NotSent {} => "no stack came for it", "スタックが送られてこなかった";
        Blocks { signal } => "blocks signal {signal}", "シグナル {signal} をブロックしている";
        LeftBefore {} => "left before it was asked", "問い合わせの前に終了した";
        Late {} => "did not answer in time", "時間内に応答しなかった";
        LeftMeanwhile {} => "left before the answer", "応答の前に終了した";
        NoSignalFree {} => "the program uses every signal that it could be asked by",
            "問い合わせに使えるシグナルをプログラムがすべて使っている";
        SignalFailed { signal, why } => "signal {signal} could not be sent: {why}",
            "シグナル {signal} を送れなかった: {why}";
        UnknownAnswer { outcome } => "unknown answer {outcome}", "未知の応答 {outcome}";
        Machine { machine } => "stacks of ELF machine {machine} cannot be unwound",
            "ELF マシン {machine} のスタックは巻き戻せない";
        CutAt { frame, why } => "cut at frame {frame}: {why}", "フレーム {frame} で途切れた: {why}";
        // What follows stands in CutAt.
        FramePointer { register } => "its caller is found by {register}, which only an answer to the signal tells",
            "呼び出し元は {register} から分かるが、それはシグナルへの応答でしか得られない";
        Register { register } => "its caller is found by {register}, which is not known",
            "呼び出し元は {register} から分かるが、その値が不明";
        NotCopied { address } => "the stack was not copied at {address}",
            "スタックの {address} は写し取られていない";
        NoTable {} => "no unwind tables for its code", "そのコードの巻き戻し表がない";
        BadTable {} => "the unwind tables of its code make no sense", "そのコードの巻き戻し表が不正";
        NotCode { address } => "its return address {address} is not in code",
            "戻りアドレス {address} はコードの中にない";
        NoProgress {} => "its caller's frame is not above it", "呼び出し元のフレームが上にない";
        TooDeep { most } => "it has more than {most} frames", "フレームが {most} を超える";
        OutOfTime {} => "the time for unwinding is over", "巻き戻しの時間切れ";
    }
}
