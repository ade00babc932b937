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
        NotSeen { why } => "it runs, and was not seen: perf events are refused here ({why}), ptrace too or the process was \
            not stopped, and a running thread is sent no signal",
            "実行中だが観測できなかった: perf イベントは拒否され ({why})、ptrace でも停止させておらず、実行中のスレッドには\
            シグナルを送らない";
        Filtered {} => "it runs, and was not seen: a filter of system calls (seccomp) is in force, so the shim opened no \
            perf event and sent no signal, and ptrace is refused or the process was not stopped",
            "実行中だが観測できなかった: システムコールのフィルター (seccomp) が有効なため、シムは perf イベントを開かず\
            シグナルも送らない。ptrace は拒否されたか、停止させていない";
        NotSafe {} => "no signal was sent to it: its stack may have no room for one, its call would be cut short, or it has a \
            filter of system calls",
            "シグナルは送らなかった: スタックに余裕がないか、呼び出しが途中で終わるか、システムコールのフィルターがある";
        UnknownAnswer { outcome } => "unknown answer {outcome}", "未知の応答 {outcome}";
        Machine { machine } => "stacks of ELF machine {machine} cannot be unwound",
            "ELF マシン {machine} のスタックは巻き戻せない";
        CutAt { frame, why } => "cut at frame {frame}: {why}", "フレーム {frame} で途切れた: {why}";
        // Reasons in CutAt.
        FramePointer { register } => "its caller depends on {register}, which the memory of a blocked thread does not tell",
            "呼び出し元は {register} で決まるが、その値は待機中のスレッドのメモリーからは得られない";
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
