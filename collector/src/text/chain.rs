//! What is said of programs that a collector did not see.

use crate::text::message::messages;

messages! {
    /// Why a program does not hand the shim on to what it starts, and how to get round that.
    pub(crate) Break {
        Static {} => "it is linked statically, so nothing can be preloaded; link it dynamically, or set LD_PRELOAD again in what it starts",
            "静的リンクのため何もプリロードできない。動的リンクにするか、そこから起動するコマンドで LD_PRELOAD を設定し直すこと";
        OtherMachine {} => "it is a 32-bit program; start the benchmark from a 64-bit one",
            "32 ビットのプログラムである。64 ビットのプログラムからベンチマークを起動すること";
        OtherRights {} => "it runs with other rights than its caller (setuid, file capabilities), so nothing is preloaded; start hangscope behind it",
            "起動元と異なる権限で動く (setuid、ファイルケーパビリティ) ため何もプリロードされない。hangscope をその後ろで起動すること";
        NotSeen {} => "it was started by a direct system call, or with an LD_PRELOAD that its parent changed for itself; put `env $(hangscope env --so ALLOCATOR.so)` in front of it",
            "直接のシステムコールで、または親プロセスが自身の LD_PRELOAD を変更して起動された。前に `env $(hangscope env --so ALLOCATOR.so)` を付けること";
    }
}
