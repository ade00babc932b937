//! Why there is no loop to show.

use crate::text::message::messages;

messages! {
    /// Why there is no loop.
    pub(crate) NoLoop {
        Machine {} => "code of this processor is not disassembled (only x86-64 is)",
            "このプロセッサのコードは逆アセンブルできない (x86-64 のみ対応)";
        Slow {} => "the threads come and go, and none stays in a loop",
            "スレッドは出入りを続けており、ループに留まるものはない";
        Elsewhere {} => "no loop holds most of the samples of the thread",
            "スレッドのサンプルの過半を占めるループはない";
        NoSamples {} => "no thread ran when samples were taken: all of them wait",
            "サンプル取得時に実行中のスレッドはなく、すべて待機中";
        NotSampled {} => "the thread was not running when samples were taken",
            "サンプル取得時、このスレッドは実行中ではなかった";
        NoCode {} => "the code of the samples is not known, or no branch leads back to a sample",
            "サンプル位置のコードが得られないか、サンプル位置に戻る分岐がない";
    }
}
