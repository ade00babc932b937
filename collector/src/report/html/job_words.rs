//! What the pages of a hunt, a matrix and a collector say.

use crate::text::message::messages;

messages! {
    /// A heading, a label or a sentence of such a page.
    pub(crate) Job {
        KindOk {} => "good", "正常";
        KindHung {} => "hung", "ハング";
        KindSlow {} => "slow", "低速";
        KindCrashed {} => "crashed", "異常終了";
        KindFailed {} => "failed", "失敗";
        KindOpen {} => "open, or interrupted", "継続中または中断";
        // Counters.
        CounterLane { lane, good: "good run", hung: "hung one" } => "Lane {lane}: {good}, {hung}",
            "レーン {lane}: 正常な実行 {good} 回、ハング {hung} 回";
        ColCounter {} => "Counter", "カウンタ";
        ColMedian {} => "Median of good runs", "正常な実行の中央値";
        ColRange {} => "Range of good runs", "正常な実行の範囲";
        ColHung {} => "Hung runs", "ハングした実行";
        Outside {} => "outside", "範囲外";
        ByChance { percent, good: "good run" } => "By chance alone, a run is outside the range of {good} in {percent} % of cases.",
            "正常な実行 {good} 回の範囲から偶然に外れる確率は {percent} %。";
        MoreCounters { more: "more counter" } => "{more}", "ほかのカウンタ {more} 個";
        // A hunt.
        AboutHunt { runs: "run" } => "hunt of {runs}", "{runs} 回の調査";
        RunsLead {} => "Each mark is a run: its place is its time, its width how long it took.",
            "印 1 つが 1 回の実行。位置が時刻、幅が実行時間を表す。";
        OpsLead { count: "run", median } => "ops/s of {count}, the line is the median {median}; the band is the middle half.",
            "{count} 回の ops/s。線は中央値 {median}、帯は中央の半分。";
        OpsTitle {} => "Operations per second", "1 秒あたりの操作数 (ops/s)";
        NoFigures {} => "The runs were made side by side: their ops/s are no figures.", "実行は並列のため、ops/s は指標にならない。";
        ArmTable {} => "Runs by arm", "アームごとの実行";
        ColArm {} => "Arm", "アーム";
        ColMade {} => "Made", "実行";
        ColRate {} => "Rate of hangs, 95 %", "ハング率 (95 %)";
        ColRun {} => "Run", "実行";
        ColClass {} => "Class", "分類";
        ColWhat {} => "What", "内容";
        ColPage {} => "Page", "ページ";
        ColSeconds {} => "Seconds", "秒";
        HangTable {} => "Hangs, each with its own page", "ハング (それぞれにページがある)";
        NotOkTable {} => "Runs that are neither good nor hung", "正常でもハングでもない実行";
        NotOk {} => "Other runs", "その他の実行";
        ColEnd {} => "End", "終わり方";
        ColNote {} => "Note", "注記";
        NoHangs {} => "No run hung.", "ハングした実行はない。";
        Open {} => "open", "開く";
        StirTable {} => "What each strategy did", "かく乱方法ごとの結果";
        // A matrix.
        AboutMatrix {} => "matrix", "マトリクス";
        CellTable { phase, lane } => "Phase {phase}, lane {lane}", "フェーズ {phase}、レーン {lane}";
        ColAllocator {} => "Allocator", "アロケータ";
        ColCounts {} => "good / made / planned", "正常 / 実行 / 予定";
        ColMedianOps {} => "Median", "中央値";
        ColQuartiles {} => "Quartiles", "四分位";
        ColMinMax {} => "Range", "範囲";
        ColRatio {} => "To the first (95 %)", "最初との比 (95 %)";
        ColHangs {} => "Hangs", "ハング";
        ColOther {} => "Others", "その他";
        ColMarked {} => "Marked", "印付き";
        NoCurves {} => "No run has a curve of its memory: they come from [phase.rss].", "メモリの推移がある実行はない ([phase.rss] で記録)。";
        // A collector.
        AboutNight {} => "collector", "コレクタ";
        RunsLeadNight {} => "Each mark is a run: its place is its start, its width how long it took.",
            "印 1 つが 1 回の実行。位置が開始時刻、幅が実行時間を表す。";
        SessionTable {} => "All sessions, the latest first", "全セッション (新しい順)";
        SessionsLead {} => "Each mark is a process: its place is its start, its width how long it lived.",
            "印 1 つが 1 プロセス。位置が開始時刻、幅が生存時間を表す。";
        ColStarted {} => "Started", "開始";
        ColCommand {} => "Command", "コマンド";
        ColDso {} => "DSO", "共有ライブラリ (DSO)";
        ColDumps {} => "Dumps", "ダンプ";
        MoreSessions { more: "more session" } => "{more} are only in sessions.jsonl.", "ほかの {more} セッションは sessions.jsonl にのみある。";
    }
}
