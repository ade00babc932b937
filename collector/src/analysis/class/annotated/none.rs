//! Why there is no loop to show.

use crate::text::message::messages;

messages! {
    /// Why there is no loop.
    pub(crate) NoLoop {
        Machine {} => "code of this processor is not disassembled (only x86-64 is)",
            "このプロセッサのコードは逆アセンブルできない (x86-64 のみ対応)";
        NoSamples {} => "no thread ran when samples were taken: all of them wait",
            "サンプル取得時に実行中のスレッドはなく、すべて待機中";
        NotSampled {} => "the thread was not running when samples were taken",
            "サンプル取得時、このスレッドは実行中ではなかった";
        NoCode {} => "the code of the samples is not known, or no branch leads back to a sample",
            "サンプル位置のコードが得られないか、サンプル位置に戻る分岐がない";
    }
}
