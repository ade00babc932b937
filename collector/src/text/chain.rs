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

messages! {
    /// Why a collection saw no session.
    pub(crate) Unseen {
        NoSession {} => "no session: nothing was watched", "セッションなし: 何も監視されなかった";
        NotReached { program, pid, why } => "not reached: {program} (pid {pid}), nor what it started: {why}",
            "届かなかったプログラム: {program} (pid {pid}) とそこから起動されたもの: {why}";
        NothingPreloaded {} => "no program preloaded an allocator; programs with libc's own malloc are watched with --only NAME",
            "アロケータをプリロードしたプログラムがない。libc の malloc のプログラムは --only NAME で監視できる";
        NotTheName { only } => "no program is named as --only says ({only})", "--only の名前 ({only}) のプログラムがない";
        NotLibcs {} => "programs preloaded something, but their malloc was libc's own; they are watched with --only NAME",
            "プリロードはあったが malloc は libc のものだった。--only NAME で監視できる";
        Last { programs } => "the last programs: {programs}", "最後のプログラム: {programs}";
        Refused { connections: "connection" } => "{connections} had no valid hello, see above", "有効な挨拶のない接続 {connections} 件 (上記)";
        NobodyConnected {} => "no process connected. A runner that sets LD_PRELOAD itself loses what is in front of it: hangscope collect --out DIR -- RUNNER keeps it",
            "接続したプロセスはない。LD_PRELOAD を自分で設定するスクリプトでは前置きが失われる: hangscope collect --out DIR -- RUNNER を使うこと";
    }
}
