//! What a run or a hunt notes beside its result: a line for each note.

use crate::text::message::messages;

messages! {
    /// A line about a run, or about the hunt.
    pub(crate) Note {
        NotStarted { program, why } => "{program} could not be started: {why}", "{program} を起動できなかった: {why}";
        OtherBytes { path } => "when the run began, {path} did not have the bytes that were pinned",
            "実行の開始時点で {path} の内容が固定した時と異なっていた";
        LeftBehind { count: "process|processes" } => "left {count} behind (stopped by hangscope)",
            "{count} 個のプロセスを残して終わったため、停止させた";
        MembersUnknown { why } => "the processes that belong to it are not known: {why}",
            "この実行に属するプロセスを調べられなかった: {why}";
        NoDescriptor { pid } => "messages of process {pid} were lost: the collector has no free descriptor (ulimit -n)",
            "プロセス {pid} のメッセージを失った: 収集側に空きのファイル記述子がない (ulimit -n)";
        EndedLate { seconds } => "ended by itself after {seconds} s, past the deadline",
            "制限時間を過ぎ、{seconds} 秒で自然に終了した";
        EndedMeanwhile { seconds } => "ended by itself while it was being captured, after about {seconds} s",
            "記録の途中に、約 {seconds} 秒で自然に終了した";
        AtInterrupt { seconds, between } => "captured at Ctrl-C, after {seconds} s; the second look came {between} s after the first",
            "Ctrl-C を受け、開始から {seconds} 秒の時点で記録した (2 回目の観測は 1 回目の {between} 秒後)";
        AtInterruptOnce { seconds } => "captured at Ctrl-C, after {seconds} s; there is no second look",
            "Ctrl-C を受け、開始から {seconds} 秒の時点で記録した (2 回目の観測はない)";
        EndedBesideHang { seconds } => "ended after {seconds} s, because another run hung and the hunt stops at its first hang",
            "別の実行がハングし、最初のハングで停止するため、開始から {seconds} 秒の時点で終了させた";
        CapturedBesideHang { seconds } => "stuck, too, when another run hung: captured after {seconds} s, before its deadline",
            "別の実行のハングが見つかった時点でこの実行も動けなくなっており、制限時間の前、開始から {seconds} 秒の時点で記録した";
        WantedDump { seconds, finding, snapshot } => "a dump was asked for after {seconds} s: {finding}, {snapshot}",
            "要求により {seconds} 秒の時点でダンプを取得した: {finding}、{snapshot}";
        EndedBeforeDump { pid } => "process {pid} ended before its dump was complete", "プロセス {pid} はダンプの完了前に終了した";
        DumpNotWritten { pid } => "the dump of process {pid} could not be written; its collector says why",
            "プロセス {pid} のダンプを書き込めなかった。理由は収集側の出力にある";
        // Files of a bundle.
        NoRoomFor { files, error, snapshot } => "{snapshot} lacks {files} ({error}): make room, or give another --out",
            "{snapshot} に {files} を書き込めなかった ({error})。空きを作るか、別の --out を指定すること";
        NotWritten { files, error, snapshot } => "{snapshot} lacks {files}: {error}",
            "{snapshot} に {files} を書き込めなかった: {error}";
        Core { size, seconds, snapshot } => "{snapshot}/core.zst is a core of the process ({size}, written in {seconds} s)",
            "{snapshot}/core.zst はプロセスのコア ({size}、{seconds} 秒で書き込み)";
        KeptAlive { pid } => "process {pid} was left alive for a debugger", "プロセス {pid} をデバッガのために生かしたまま残した";
        NoCore { snapshot, why } => "{snapshot} has no core: {why}", "{snapshot} にコアはない: {why}";
        Found { class, confidence } => "{class} ({confidence})", "{class} ({confidence}) と判定";
        Dso { path, why } => "{path}: {why}", "{path} について: {why}";
        NoHello {} => "no hello arrived: it is not known what ran", "シムからの応答がなく、何が実行されたか分からない";
        NoHelloWhy { why } => "no hello arrived ({why}): it is not known what ran",
            "シムからの応答がなく ({why})、何が実行されたか分からない";
        OutputUnread { path, why } => "{path} could not be read: {why}", "{path} を読めなかった: {why}";
        GivenUp { pid, why } => "the connection to process {pid} was closed: {why}", "プロセス {pid} との通信を打ち切った: {why}";
        OtherMalloc { pid, path } => "the malloc of process {pid} came from {path}",
            "プロセス {pid} の malloc は {path} のものだった";
        MallocElsewhere { path, snapshot } => "its malloc came from {path}; the evidence is in {snapshot}",
            "malloc は {path} のものだった。記録は {snapshot} にある";
        OutsideOnly { why } => "captured from outside only: {why}", "外側からのみ記録した: {why}";
        NotLookedInto { why } => "the threads were not examined: {why}", "スレッドを調べられなかった: {why}";
        // Why nothing comes from inside.
        NoDump {} => "no dump", "ダンプなし";
        DumpUnfinished { pid } => "the dump of process {pid} is not complete",
            "プロセス {pid} のダンプが最後まで届かなかった";
        NoAnswer { pid } => "process {pid} did not answer: its heartbeats stopped",
            "プロセス {pid} が応答しない: 定期連絡が途絶えた";
        HelloRefused { why } => "its hello was refused: {why}", "シムの応答を受け付けられなかった: {why}";
        NoHelloFrom {} => "it sent no hello", "シムからの応答がなかった";
        ShimLeft { pid, why } => "the shim left process {pid}: {why}", "シムがプロセス {pid} から離脱した: {why}";
        ConnectionEnded { pid } => "the connection of process {pid} ended before the run",
            "プロセス {pid} との接続は切れたが、実行は終わっていない";
        OnlyWaits { pid } => "process {pid} only waits for its children, and none of them sent a hello",
            "プロセス {pid} は子の終了を待つだけで、子からの応答もない";
        NotProven { chain } => "the program that is judged is not proven to run this DSO: {chain}",
            "判定対象のプログラムがこの DSO を使っていた証明がない: {chain}";
        WaitsBeside { pid } => "process {pid} only waits, and another program of the run sent no hello",
            "プロセス {pid} は待つだけで、この実行の別のプログラムから応答がない";
        // Of arms.
        NoSites { why } => "no thread was held at instructions of the allocator: {why}",
            "アロケータの命令ではスレッドを足止めできなかった: {why}";
        NoHoldCounts { why } => "what the holds of the run counted is not known: {why}", "実行中の足止めの記録が得られない: {why}";
        Changed { word, seconds } => "its DSO was {word} after {seconds} s, as the arm demands",
            "アームの指定どおり、{seconds} 秒の時点で DSO を変更した ({word})";
        NotChanged { word, seconds } => "its DSO was not {word} after {seconds} s as planned: the run had ended, or it sent no hello",
            "{seconds} 秒の時点で DSO を変更する予定 ({word}) だったが、実行が終わっていたか応答がなかったため、変更していない";
        Idle { seconds, class, confidence } => "stood still {seconds} s after its start, idle as far as can be seen: {class} ({confidence})",
            "開始から {seconds} 秒の時点で静止していたが、観測の範囲では待機中: {class} ({confidence})";
        IdleAsFarAs { seconds, class, confidence, missing } => "stood still {seconds} s after its start, idle as far as \
            can be seen: {class} ({confidence}); missing: {missing}",
            "開始から {seconds} 秒の時点で静止していたが、観測の範囲では待機中: {class} ({confidence})。不足: {missing}";
        StallCutOff { seconds } => "stood still {seconds} s after its start; its dump was cut off, so it is not known \
            whether it was stuck or idle",
            "開始から {seconds} 秒の時点で静止していたが、ダンプが途中で切れたため、ハングか待機中かは不明";
        // Of the hunt.
        CpusMissing { missing, used } => "this machine has no processors {missing}: the runs use {used}",
            "プロセッサ {missing} は存在しないため、{used} を使う";
        CpusLeftOver { unused, jobs } => "processors {unused} are not used: the {jobs} sets of --jobs are of equal size",
            "プロセッサ {unused} は使わない (--jobs の {jobs} 組は同じ大きさ)";
        CoresShared { jobs } => "there are fewer than {jobs} cores: runs of --jobs share cores (SMT siblings)",
            "コアが {jobs} 個に満たないため、--jobs の実行がコアを共有する (SMT の兄弟スレッド)";
        PreloadDropped {} => "LD_PRELOAD of this shell is not passed on: the runs preload the shim and the pinned DSO only",
            "シェルの LD_PRELOAD は引き継がない。プリロードするのはシムと固定コピーの DSO のみ";
        StatsStuck { run, snapshot } => "counter lane: run {run} did not end by itself: {snapshot}",
            "カウンタ計測: 実行 {run} が自然に終了しなかった: {snapshot}";
        StatsLate { run, seconds, snapshot } => "counter lane: run {run} ended by itself after {seconds} s, past the deadline: {snapshot}",
            "カウンタ計測: 実行 {run} は制限時間を過ぎ、{seconds} 秒で自然に終了した: {snapshot}";
        // Of counters in memory.
        NoSuchVariable { symbol } => "no variable is called {symbol}", "{symbol} という変数がない";
        SeveralVariables { symbol, count } => "{count} variables are called {symbol}",
            "{symbol} という変数が {count} 個ある";
        OtherSize { symbol, is, known } => "{symbol} has {is} bytes, the fields of the profile have {known}",
            "{symbol} は {is} バイトだが、プロファイルの fields の合計は {known}";
        VariableUnread { symbol, errno } => "{symbol} could not be read (errno {errno})",
            "{symbol} を読めなかった (errno {errno})";
        VariableShort { symbol, read, wanted } => "{symbol}: only {read} of {wanted} bytes could be read",
            "{symbol} は {wanted} バイト中 {read} バイトしか読めなかった";
        VariableNotSent { symbol } => "{symbol} did not arrive with the others", "{symbol} だけが届かなかった";
        ExitUnread { pid, why } => "the memory of process {pid} at its exit could not be read: {why}",
            "プロセス {pid} の終了時のメモリを読めなかった: {why}";
        CrashUnread { pid, why } => "the crash record of process {pid} could not be read: {why}",
            "プロセス {pid} のクラッシュの記録を読めなかった: {why}";
        NoneInMemory { lane, list } => "{lane}: no counters in memory: {list}",
            "{lane}: メモリにカウンタがない: {list}";
        AndMore { list, count } => "{list}; ... ({count} in all)", "{list}; ... (全 {count} 件)";
        NotThePinned {} => "it is not proven that the file it mapped is the pinned one",
            "マップされたファイルが固定したものだという証明がない";
        Reset {} => "the DSO was overwritten, which resets its variables",
            "DSO が上書きされ、変数が初期化されている";
        NotInDump {} => "its dump does not hold the memory of the counters", "ダンプにカウンタのメモリが含まれていない";
        NotOurMalloc {} => "its malloc came from another or an unknown DSO",
            "malloc が別の DSO のものだったか、どの DSO のものか不明";
        NotAtExit {} => "it was not read at the exit: the request arrived too late, or the process did not end by exit",
            "終了時に読めなかった (要求が間に合わなかったか、プロセスが exit によらずに終了した)";
        SnapOnce {} => "a running process, looked at once from outside: this is no rate of hangs",
            "実行中のプロセスを外側から 1 回観測したもの。発生率は示さない";
    }
}
