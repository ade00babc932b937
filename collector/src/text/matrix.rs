//! What a matrix says: its lines, and its summary.

use crate::text::message::messages;

messages! {
    /// A line of a matrix, or a sentence or heading of its summary.
    pub(crate) MatrixLine {
        // Before the first run.
        Begin { allocators: "allocator", lanes: "lane", runs: "run" } => "{allocators}, {lanes}: {runs}",
            "アロケータ {allocators}、レーン {lanes}、実行 {runs} 回";
        GoesOn { made: "run", left } => "going on: {made} made, {left} left", "再開: 実施済み {made} 回、残り {left} 回";
        Seed { seed } => "the order is shuffled (seed {seed})", "順序はシャッフル (シード {seed})";
        Verified { allocator, lane, proof } => "verified: {allocator} in {lane}: {proof}", "検証済み: {allocator}、{lane}: {proof}";
        VerifyHung { allocator, lane, what } => "{allocator} in {lane}, before the first run: {what}",
            "{allocator}、{lane}、最初の実行の前: {what}";
        AtWarmup { cell } => "{cell} (warm-up)", "{cell} (ウォームアップ)";
        StoppedAtHang { cell } => "stopped at the hang of {cell}: --resume goes on", "{cell} のハングで停止。--resume で再開できる";
        Left { run, path } => "{run} was not finished; what was captured of it is now in {path}",
            "{run} は未完了。その記録は {path} に移した";
        Interrupted {} => "interrupted: --resume goes on", "中断。--resume で再開できる";
        // The summary.
        Title { name } => "# Matrix: {name}", "# マトリクス: {name}";
        NoHang { made: "run" } => "No hang in {made}.", "{made} 回の実行でハングなし。";
        SomeHung { hung, made: "run", where_ } => "{hung} of {made} hung: {where_}.", "{made} 回中 {hung} 回がハング: {where_}。";
        WarmupHung { cells } => "Hung before the runs that count: {cells}.", "ウォームアップでのハング: {cells}。";
        OfGroup { allocator, lane, phase, hung, of } => "{allocator} in {lane} ({phase}) {hung}/{of}",
            "{allocator}、{lane} ({phase}) {hung}/{of}";
        NotMade { runs: "planned run was|planned runs were" } => "{runs} not made.", "予定のうち {runs} 回は未実施。";
        PhaseOps { lane } => "## ops/s, lane {lane}", "## ops/s、レーン {lane}";
        PhaseRss { lane } => "## Peak memory (KiB), lane {lane}", "## 最大メモリ (KiB)、レーン {lane}";
        TableHead {} => "| allocator | OK / made / planned | median | quartiles | least to most | to the first allocator (interval) | hangs | hang rate, 95 % | other ends | marked runs |",
            "| アロケータ | OK / 実施 / 予定 | 中央値 | 四分位 | 最小から最大 | 最初のアロケータとの比 (区間) | ハング | ハング率 (95 %) | その他の終わり方 | 印の付いた実行 |";
        First {} => "first", "基準";
        Confidence { low, high, percent } => "{low} to {high} at {percent} %", "{low} から {high}、信頼度 {percent} %";
        NoInterval { low, high } => "{low} to {high}, too few runs for an interval", "{low} から {high} (実行が少なく区間なし)";
        Unknown {} => "unknown", "不明";
        Hangs {} => "## Hangs", "## ハング一覧";
        HangHead {} => "| run | class | what was found | evidence |", "| 実行 | 分類 | 所見 | 記録 |";
        NoState {} => "there is no matrix.json: a merge writes none, and its page has all runs of the shards",
            "matrix.json がない (merge は書かない。そのページにはシャードの全実行がある)";
        OtherState {} => "matrix.json is of another matrix", "matrix.json は別の計測のもの";
        PageStays { why } => "report.html stays as it is: {why}", "report.html はそのまま残す: {why}";
        PageOfRuns { why } => "report.html has only the runs: {why}", "report.html には実行だけを載せた: {why}";
        Shards {} => "## Shards", "## シャード";
        Marked {} => "## Marked runs", "## 印の付いた実行";
        NotOk {} => "## Other ends", "## その他の終わり方";
        Missing {} => "## Not made", "## 未実施";
        MissingRuns { cell, runs } => "{cell}: runs {runs}", "{cell}: 実行 {runs}";
        Marks {} => "Something else was at work on the machine during these runs. Their figures are in the tables.",
            "次の実行の間、マシンで他の処理が動いていた。これらの値も表に含まれる。";
        More { more: "run" } => "{more} more: see runs.jsonl", "ほか {more} 回: runs.jsonl を参照";
        Method {} => "## Method", "## 方法";
        MethodOrder { order, seed } => "Order: {order} (seed {seed}). Runs before those that count are in no table.",
            "順序: {order} (シード {seed})。ウォームアップの実行は表に含めない。";
        MethodFigures {} => "Figures are those of runs with the status OK. The quartiles are of type 7 (Hyndman and Fan 1996).",
            "値はステータスが OK の実行のもの。四分位数はタイプ 7 (Hyndman, Fan 1996)。";
        MethodRatio {} => "Ratio to the first allocator: the median of all quotients (Hodges and Lehmann 1963), with the exact interval by \
            ranks (Mann and Whitney 1947, Moses 1953). With few runs its confidence is below 95 %, as the table says.",
            "最初のアロケータとの比: すべての商の中央値 (Hodges, Lehmann 1963) と、順位による正確な区間 (Mann, Whitney 1947、Moses 1953)。\
            実行が少ないと信頼度は 95 % に達しない (表に記載)。";
        MethodHangs {} => "Hang rate: exact interval (Clopper and Pearson 1934), one-sided for none and all. A run that was stopped while it \
            was still at work (TIMEOUT) counts for no rate.",
            "ハング率: 正確な区間 (Clopper, Pearson 1934)、0 回と全回は片側。動作中に停止した実行 (TIMEOUT) は率に数えない。";
        MethodMemory {} => "Peak memory is VmHWM of the program itself at its end. It has the shim's own share in it, which runs.jsonl \
            has beside it (shim_kib).",
            "最大メモリはプログラム自身の終了時の VmHWM。シムの分も含み、その値は runs.jsonl の shim_kib にある。";
        // Marks of a run.
        OtherLoad { percent } => "other processes used {percent} % of the processors", "他のプロセスがプロセッサの {percent} % を使用";
        Stolen { percent } => "the hypervisor took {percent} % of the processors", "ハイパーバイザがプロセッサの {percent} % を取得";
        Throttled { times: "time" } => "throttled {times}", "スロットリング {times} 回";
        Swapped { pages: "page" } => "{pages} swapped in or out", "スワップ {pages} ページ";
        MemoryPressure { percent } => "memory was short for {percent} % of the time (PSI)", "時間の {percent} % でメモリが逼迫 (PSI)";
        IoPressure { percent } => "somebody waited for a disk for {percent} % of the time (PSI)", "時間の {percent} % でディスク待ち (PSI)";
        OutOfMemory { processes: "process was|processes were" } => "{processes} killed for memory", "メモリ不足で {processes} 個のプロセスが強制終了";
    }
}
