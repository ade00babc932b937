//! What the page of a hang says, and what all pages share.

use crate::text::message::messages;

messages! {
    /// A heading, a label or a sentence of a page.
    pub(crate) Html {
        // The frame of every page.
        Skip {} => "Skip to the content", "本文へ移動";
        Theme {} => "Light / dark", "明 / 暗";
        Footer {} => "This page is one file and loads nothing. Written by hangscope", "このページは 1 ファイルで完結し、何も読み込まない。作成: hangscope";
        Up {} => "the whole", "全体へ";
        UpHunt {} => "hunt", "調査全体";
        // Sections.
        Evidence {} => "Evidence", "根拠";
        WaitGraph {} => "Who waits for whom", "待ちの関係";
        Loop {} => "The loop", "ループ";
        Ring {} => "The list that is a ring", "環になったリスト";
        Timeline {} => "Timeline", "時系列";
        Flames {} => "Flame graphs", "フレームグラフ";
        Stacks {} => "Stacks", "スタック";
        Holds {} => "Holds before the hang", "ハング前の停止";
        Dsos {} => "DSO integrity", "DSO の状態";
        Counters {} => "Counters", "カウンタ";
        Settings {} => "Process and settings", "プロセスと設定";
        Files {} => "Files", "ファイル";
        Runs {} => "Runs", "実行";
        Hangs {} => "Hangs", "ハング一覧";
        Cells {} => "Cells", "セル";
        Distributions {} => "Distributions", "分布";
        Curves {} => "Memory over time", "メモリの推移";
        Remarks {} => "Remarks", "備考";
        Method {} => "Method", "方法";
        Machine {} => "Machine and settings", "マシンと設定";
        Sessions {} => "Sessions", "セッション";
        ByAllocator {} => "By allocator", "アロケータごとの結果";
        // The head of a hang.
        BugA {} => "A: wrong DSO", "A: DSO の取り違え";
        BugB {} => "B: allocator bug", "B: アロケータのバグ";
        BugHarness {} => "the benchmark's bug", "ベンチマークのバグ";
        OfEnvironment {} => "the environment", "環境";
        NotReproduced {} => "not reproduced", "再現せず";
        NotHung {} => "no hang", "ハングではない";
        Inconclusive {} => "inconclusive", "判定できず";
        Class {} => "Class", "分類";
        Cause {} => "Cause", "要因";
        Lock {} => "Lock", "ロック";
        Holder {} => "Held by", "保持スレッド";
        Where {} => "Line", "行";
        Busy {} => "Its work", "動作";
        Waiting {} => "Waiting", "待機中";
        Since {} => "In this state for", "継続時間";
        Integrity {} => "DSO", "DSO の状態";
        Unnamed {} => "no symbol", "シンボルなし";
        BusyOf { percent, samples: "sample", pcs: "instruction" } => "{percent} % of a core; {samples} at {pcs}",
            "1 コアの {percent} %、{samples} サンプルが {pcs} 命令に集中";
        OfAll { count, all: "thread" } => "{count} of {all}", "{all} スレッド中 {count}";
        Seconds { seconds } => "{seconds} s", "{seconds} 秒";
        ShortReport {} => "Short report", "要約";
        Why {} => "Why it is this class", "この分類とした理由";
        Missing {} => "What is not known", "分かっていないこと";
        WouldChange {} => "What would change the verdict", "判定を変え得るもの";
        TidIn { tid, comm } => "tid {tid} ({comm})", "スレッド {tid} ({comm})";
        // The wait-for graph.
        GraphLead {} => "Arrows lead from threads to what they wait for, and from there to its holder. Equal waiters are one box.",
            "矢印は、スレッドから待っている対象へ、対象からその保持スレッドへ向かう。同じ待ちは 1 つの箱にまとめた。";
        NoGraph {} => "No thread waits for a lock, or for something else that another thread holds.", "ロックなど、ほかのスレッドが保持するものを待つスレッドはない。";
        KeyRoot {} => "the holder that does not come out", "解放しない保持スレッド";
        KeyRing {} => "a ring of waits", "待ちの環";
        KeyLock {} => "a lock, or another object", "ロックなどの対象";
        KeyThread {} => "threads", "スレッド";
        GraphTable {} => "Objects, their owners, and who waits", "待つ対象、その保持スレッド、待つスレッド";
        GraphLeftOut { objects: "object" } => "{objects} more with fewer waiters: the stacks below have all threads.",
            "ほかに待ちの少ない対象が {objects} 個ある。全スレッドは下のスタックにある。";
        ColObject {} => "Object", "対象";
        ColOwner {} => "Owner", "保持スレッド";
        ColWaiters {} => "Waiters", "待つスレッド";
        NoOwner {} => "keeps no owner", "保持スレッドの記録なし";
        Waits {} => "waits", "待機中";
        IsRunning {} => "runs", "実行中";
        Ended {} => "has ended", "終了済み";
        NodeEnded { tid } => "tid {tid}, has ended", "tid {tid} (終了済み)";
        NodeRuns { tid, comm } => "tid {tid} {comm}, runs", "tid {tid} {comm} 実行中";
        NodeThread { tid, comm } => "tid {tid} {comm}", "スレッド {tid} {comm}";
        NodeThreads { count, comm } => "{count} threads {comm}", "{count} スレッド {comm}";
        CountOfThreads { count: "thread" } => "{count}", "{count} スレッド";
        EndOf { tid } => "end of tid {tid}", "tid {tid} の終了";
        // The loop.
        LoopTable { tid, inside, samples: "sample" } => "Instructions of tid {tid}: {inside} of {samples} are here",
            "tid {tid} の命令: {samples} サンプル中 {inside} がここにある";
        MoreInstructions { more: "more instruction" } => "{more} of the loop: left out here.", "ループにはほかに {more} 命令がある (省略)。";
        NoLoop { why } => "No hot loop: {why}.", "ホットループなし: {why}。";
        Newer {} => "The file was changed after the DSO was built: these may be other lines.", "DSO のビルド後に変更されたファイル。行がずれている可能性がある。";
        ColShare {} => "Share", "割合";
        ColSamples {} => "Samples", "サンプル";
        ColAddress {} => "Address", "アドレス";
        ColInstruction {} => "Instruction", "命令";
        ColRegister {} => "Register", "レジスタ";
        ColHow {} => "Over the samples", "サンプル間の変化";
        ColValues {} => "Values", "値";
        ColPointsTo {} => "Points to", "指す先";
        ColSymbol {} => "Symbol", "シンボル";
        ColBytes {} => "Bytes", "バイト";
        ColFirst {} => "First reading", "1 回目の値";
        ColSecond {} => "Second reading", "2 回目の値";
        RegisterTable {} => "Registers over the samples", "サンプル間のレジスタ";
        WordTable {} => "Words that the loop reads in memory", "ループが読むメモリ";
        NotRead {} => "not read", "読めず";
        Constant {} => "constant", "一定";
        Counting {} => "counts", "増減が一方向";
        Round {} => "goes round", "巡回";
        Varying {} => "varies", "変化";
        In {} => "in", "関数";
        // The ring in a list.
        RingBoth {} => "The chain was the same ring at both looks.", "2 回の確認で同じ環だった。";
        RingOnce {} => "The chain was read once.", "連鎖を読んだのは 1 回だけ。";
        RingTable { blocks: "block", shown } => "{blocks} in all, the first {shown} in the order of the walk",
            "全 {blocks} ブロック。たどる順に先頭の {shown} 個";
        ColBlock {} => "Block", "ブロック";
        ColWithin {} => "In", "領域";
        ColPointedBy {} => "Also pointed to by", "ほかに指すもの";
        ColFreedBy {} => "Being freed by", "解放中のスレッド";
        // The timeline.
        TimelineLead { looks: "look", kept } => "From the start of the process to the dump: {looks} by the shim, {kept} of them shown.",
            "プロセスの開始からダンプまで。シムの確認 {looks} 回のうち {kept} 回を示す。";
        NoBeats {} => "No heartbeat came before the dump, or an older version wrote it: there is no timeline.",
            "ダンプの前にハートビートがないか、古い版の記録のため、時系列はない。";
        FrozenFor { seconds } => "All threads that the verdict is about have been where the dump found them for {seconds} s.",
            "判定に関わる全スレッドは、{seconds} 秒前から、ダンプ時と同じ場所にいる。";
        LineFrozen {} => "since then nothing moved", "以後動きなし";
        LineDump {} => "dump", "ダンプ";
        DoingRuns {} => "runs", "実行中";
        DoingFutex {} => "futex wait", "futex 待ち";
        DoingCall {} => "another system call", "ほかのシステムコール";
        DoingDisk {} => "uninterruptible (D)", "割り込み不可 (D)";
        DoingStopped {} => "stopped, or not readable", "停止、または読めず";
        DoingAbsent {} => "not there", "存在しない";
        Rss {} => "Memory (RSS), at most", "メモリ (RSS)、最大";
        Runnable {} => "Threads that run", "実行中のスレッド数";
        MoreRows { threads: "thread" } => "{threads} more have no row of their own; the counts have them.",
            "ほかの {threads} スレッドは個別の行を持たず、数にだけ含まれる。";
        OpsNotKnown {} => "Operations per second are known only of whole runs: the benchmark prints them at its end.",
            "ops/s は実行全体についてのみ分かる。ベンチマークは終了時に出力する。";
        AsTable {} => "The same as a table", "表で見る";
        TimelineTable {} => "What each thread did last, and since when", "各スレッドの最後の状態と継続時間";
        ColThreads {} => "Threads", "スレッド";
        ColLast {} => "State at the last look", "最後の確認での状態";
        ColSince {} => "Since", "いつから";
        StillFor { seconds } => "at the same place for {seconds} s", "同じ場所に {seconds} 秒";
        FromSecond { second } => "from {second} s on", "{second} 秒時点から";
        // Flame graphs.
        FlameLead {} => "Outermost functions are at the top. The colour marks the allocator's functions.",
            "外側の関数が上。色付きはアロケータの関数。";
        FlameSamples { samples: "sample" } => "Running threads: {samples}", "実行中のスレッド: {samples} サンプル";
        FlameThreads { threads: "thread" } => "Where all threads are: {threads}", "全スレッドの現在位置: {threads} スレッド";
        TopTable {} => "Functions with the most", "多い順の関数";
        ColFunction {} => "Function", "関数";
        ColSelf {} => "In itself", "自身";
        ColTotal {} => "With what it calls", "呼び出し先を含む";
        // Stacks.
        Search {} => "Search function, file or tid ( / )", "関数・ファイル・tid を検索 ( / )";
        Found { stacks, groups: "stack", threads: "thread" } => "{stacks} of {groups}; {threads} in all",
            "{groups} スタック中 {stacks}、全 {threads} スレッド";
        LookHere {} => "look here first", "最初に見る";
        // DSOs.
        DsoNote {} => "Compared at the start of the process and at the dump; heartbeats say nothing about files.",
            "プロセスの開始時とダンプ時の比較。ハートビートはファイルの状態を含まない。";
        DsoStart {} => "Allocator at the start of the run:", "アロケータ、実行開始時:";
        DsoHang {} => "at the hang:", "ハング時:";
        DsoTable {} => "DSOs at the dump", "ダンプ時の DSO";
        OtherDsos {} => "Other DSOs", "ほかの DSO";
        Allocator {} => "allocator", "アロケータ";
        ColDso {} => "DSO", "共有ライブラリ (DSO)";
        ColIntegrity {} => "Integrity", "状態";
        ColReason {} => "Reason", "理由";
        // Holds.
        HoldLead {} => "Threads were held on purpose at these instructions (--stir), the last first.",
            "次の命令でスレッドを意図的に止めた (--stir)。新しい順。";
        HoldTable {} => "The last holds before the dump", "ダンプ前の最後の停止";
        ColThread {} => "Thread", "スレッド";
        ColPlace {} => "Place", "場所";
        ColAt {} => "At", "種類";
        ColHeld {} => "Held for", "停止時間";
        ColBefore {} => "Before the dump", "ダンプまで";
        CalledFrom {} => "called from", "呼び出し元";
        // Process and settings.
        Command {} => "Command", "コマンド";
        Program {} => "Program", "プログラム";
        Pid {} => "Process", "プロセス";
        Label {} => "Label", "ラベル";
        Reason {} => "Dump because of", "ダンプの理由";
        After {} => "After the start", "開始から";
        Between {} => "Between the looks", "2 回の確認の間隔";
        Whole {} => "Whole", "欠落なし";
        Yes {} => "yes", "はい";
        No {} => "no", "いいえ";
        ThreadCounts {} => "Threads", "スレッド";
        CountsOf { all, futex, running, other } => "{all}: {futex} in futex waits, {running} run, {other} others",
            "{all}: futex 待ち {futex}、実行中 {running}、その他 {other}";
        Path {} => "Path of the DSO", "DSO のパス";
        Sha1 {} => "SHA-1", "SHA-1 値";
        BuildId {} => "Build-id", "ビルド ID";
        Deadline {} => "Deadline of a run", "実行の制限時間";
        Stirred {} => "Disturbed", "かく乱";
        Cpus {} => "CPUs", "使用 CPU";
        Notes {} => "Notes", "注記";
        FilesLead {} => "The files of this bundle:", "この記録のファイル:";
    }
}
