//! What a run or a hunt met beside its result: a line each.

use crate::text::message::messages;

messages! {
    /// A line about a run, or about the hunt.
    Note {
        NotStarted { program, why } => "{program} could not be started: {why}", "{program} を起動できなかった: {why}";
        OtherBytes { path } => "{path} had other bytes than were pinned when the run began",
            "実行の開始時点で {path} の内容が固定した時と異なっていた";
        LeftBehind { count } => "left {count} processes behind, which were stopped",
            "{count} プロセスを残して終わったため、停止させた";
        MembersUnknown { why } => "which processes belong to it could not be looked for: {why}",
            "どのプロセスが属するかを調べられなかった: {why}";
        NoDescriptor { pid } => "what process {pid} sent was lost: no descriptor free here (ulimit -n)",
            "プロセス {pid} が送ったものを失った: 収集側に空きの記述子がない (ulimit -n)";
        EndedLate { seconds } => "ended by itself after {seconds} s, past its time",
            "時限を過ぎてから、{seconds} 秒で自然に終了した";
        EndedMeanwhile { seconds } => "it ended by itself while it was captured, after about {seconds} s",
            "記録の途中で、約 {seconds} 秒で自然に終了した";
        Dso { path, why } => "{path}: {why}", "{path} について、{why}";
        NoHello {} => "no hello came: what ran is not known", "シムからの応答がなく、何が実行されたか分からない";
        NoHelloWhy { why } => "no hello came ({why}): what ran is not known",
            "シムからの応答がなく ({why})、何が実行されたか分からない";
        OutputUnread { path, why } => "{path} could not be read: {why}", "{path} を読めなかった: {why}";
        GivenUp { pid, why } => "process {pid} was given up: {why}", "プロセス {pid} との通信を打ち切った: {why}";
        OtherMalloc { pid, path } => "process {pid} had its malloc from {path}",
            "プロセス {pid} の malloc は {path} のものだった";
        MallocElsewhere { path, snapshot } => "its malloc came from {path}: what it shows is in {snapshot}",
            "malloc は {path} のものだった。観測結果は {snapshot} にある";
        OutsideOnly { why } => "captured from outside only: {why}", "外側からのみ記録した: {why}";
        NotLookedInto { why } => "threads were not looked into: {why}", "スレッドの中は調べられなかった: {why}";
        // Why nothing comes from inside.
        NoDump {} => "no dump", "ダンプなし";
        DumpUnfinished { pid } => "the dump of process {pid} did not come to its end",
            "プロセス {pid} のダンプが最後まで届かなかった";
        NoAnswer { pid } => "process {pid} did not answer: its heartbeats stopped",
            "プロセス {pid} が応答しない: 定期連絡が途絶えた";
        HelloRefused { why } => "its hello was refused: {why}", "シムの応答を受け付けられなかった: {why}";
        NoHelloFrom {} => "no hello came from it", "シムからの応答がなかった";
        ShimLeft { pid, why } => "the shim left process {pid}: {why}", "シムがプロセス {pid} から離脱した: {why}";
        ConnectionEnded { pid } => "the connection of process {pid} ended, but the run did not",
            "プロセス {pid} との接続は切れたが、実行は終わっていない";
        OnlyWaits { pid } => "process {pid} only waits for children, and none of them said hello",
            "プロセス {pid} は子の終了を待つだけで、子からの応答もない";
        // Of arms.
        Changed { word, seconds } => "its DSO was {word} after {seconds} s, as the arm wants it",
            "アームの指定どおり、{seconds} 秒の時点で DSO を変更した ({word})";
        NotChanged { word, seconds } => "its DSO was to be {word} after {seconds} s, but was not: the run was over, or said \
            no hello",
            "{seconds} 秒の時点で DSO を変更する予定 ({word}) だったが、実行が終わっていたか応答がなかったため、していない";
        Idle { seconds, class, confidence } => "stood still at {seconds} s after its start, idle for all that can be told: \
            {class} ({confidence})",
            "開始から {seconds} 秒の時点で静止していたが、分かる限りでは待機中: {class} ({confidence})";
        IdleAsFarAs { seconds, class, confidence, missing } => "stood still at {seconds} s after its start, idle for all \
            that can be told: {class} ({confidence}); what was missing: {missing}",
            "開始から {seconds} 秒の時点で静止していたが、分かる限りでは待機中: {class} ({confidence})。不足していたもの: {missing}";
        StallCutOff { seconds } => "stood still at {seconds} s after its start; the dump of that was cut off, so whether it was \
            stuck or idle is not known",
            "開始から {seconds} 秒の時点で静止していたが、そのダンプが途中で切れたため、停止か待機中かは分からない";
        // Of the hunt.
        CpusMissing { missing, used } => "processors {missing} are not here: the runs use {used}",
            "プロセッサ {missing} は存在しないため、{used} を使って実行した";
        PreloadDropped {} => "LD_PRELOAD of this shell is not passed on: the runs preload the shim and the pinned DSO only",
            "シェルの LD_PRELOAD は引き継がない。プリロードするのはシムと固定 SO のみ";
        StatsStuck { run, snapshot } => "counter lane: run {run} did not end by itself: {snapshot}",
            "カウンタ計測: 実行 {run} が自然に終了しなかった: {snapshot}";
        // Of counters in memory.
        NoSuchVariable { symbol } => "no variable is called {symbol}", "{symbol} という変数がない";
        SeveralVariables { symbol, count } => "{count} variables are called {symbol}",
            "{symbol} という変数が {count} 個ある";
        OtherSize { symbol, is, known } => "{symbol} has {is} bytes, the profile's fields make {known}",
            "{symbol} は {is} バイトだが、プロファイルの fields の合計は {known}";
        VariableUnread { symbol, errno } => "{symbol} could not be read (errno {errno})",
            "{symbol} を読めなかった (errno {errno})";
        VariableShort { symbol, read, wanted } => "{symbol}: only {read} of {wanted} bytes could be read",
            "{symbol} は {wanted} バイト中 {read} バイトしか読めなかった";
        VariableNotSent { symbol } => "{symbol} did not come with the others", "{symbol} だけが届かなかった";
        ExitUnread { pid, why } => "what process {pid} left at its exit could not be read: {why}",
            "プロセス {pid} が終了時に残したものを読めなかった: {why}";
        NoneInMemory { lane, list } => "{lane}: no counters in memory: {list}",
            "{lane}: メモリにカウンタがない: {list}";
        AndMore { list, count } => "{list}; ... ({count} in all)", "{list}; ... (全 {count} 件)";
        NotThePinned {} => "the file that it mapped is not proven to be the pinned one",
            "マップされたファイルが固定したものだという証明がない";
        Reset {} => "the DSO was overwritten, which resets its variables",
            "DSO が上書きされ、変数が初期化されている";
        NotInDump {} => "its dump has none of the counters' memory", "ダンプにカウンタのメモリが含まれていない";
        NotOurMalloc {} => "its malloc came from another DSO, or it is not known from which",
            "malloc が別の DSO のものだったか、どの DSO のものか不明";
        NotAtExit {} => "it was not read at an exit: the request came too late, or the process did not leave by exit",
            "終了時に読めなかった (要求が間に合わなかったか、プロセスが exit によらずに終了した)";
        SnapOnce {} => "a process that was there already, looked at from outside: one of one is no rate",
            "すでに実行中だったプロセスを外側から観測したもの。1 件中 1 件は発生率を示さない";
    }
}
