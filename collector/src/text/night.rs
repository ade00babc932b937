//! What the report of a night says: the sessions of a collector, the runs of a matrix or of a hunt, by
//! allocator.

use crate::text::message::messages;

messages! {
    /// A heading, a column or a sentence.
    pub(crate) NightLine {
        Title { name } => "# Night: {name}", "# 全体の結果: {name}";
        // The headline.
        NoRun {} => "No run is there.", "実行の記録がない。";
        SessionsNone { sessions: "session" } => "{sessions}, and none hung.", "{sessions} セッション、ハングなし。";
        RunsNone { runs: "run" } => "{runs}, and none hung.", "{runs} 回の実行、ハングなし。";
        SessionsSome { hung, sessions: "session" } => "{hung} of {sessions} hung.", "{sessions} セッション中 {hung} がハング。";
        RunsSome { hung, runs: "run" } => "{hung} of {runs} hung.", "{runs} 回中 {hung} 回がハング。";
        Different { bugs: "different hang was|different hangs were" } => "{bugs} seen.", "ハングは {bugs} 種類。";
        Crashed { crashed } => "{crashed} crashed.", "異常終了 {crashed} 件。";
        BeforeOthers { hung: "run" } => "{hung} before those that count hung, too.", "ほかにウォームアップで {hung} 回ハング。";
        // The table.
        Table {} => "Runs by allocator", "アロケータごとの結果";
        ColLabel {} => "label", "ラベル";
        ColLane {} => "lane", "レーン";
        ColArm {} => "arm", "アーム";
        ColAllocator {} => "allocator", "アロケータ";
        ColRuns {} => "runs", "実行";
        ColHangs {} => "hangs", "ハング";
        ColRate {} => "hang rate, 95 %", "ハング率 (95 %)";
        ColSlow {} => "slow", "低速";
        ColCrashed {} => "crashed", "異常終了";
        ColFailed {} => "failed", "失敗";
        ColOther {} => "other", "その他";
        ColOps {} => "ops/s, median", "ops/s (中央値)";
        ColSpread {} => "quartiles", "ops/s (四分位)";
        ColRss {} => "RSS KiB, median", "RSS KiB (中央値)";
        ColRssMost {} => "most", "RSS KiB (最大)";
        All {} => "(all)", "(全体)";
        NoAllocator {} => "(unknown)", "(不明)";
        MoreRows { more: "more row" } => "{more} without a hang or a crash: --json has all.", "ハングも異常終了もない行がほかに {more} 行ある (--json に全行)。";
        // Under the table.
        AboutRate {} => "Hangs are X of N: N are the runs that could hang and whose end is known (good, hung, slow). The interval is exact \
            (Clopper and Pearson 1934), one-sided for none and all.",
            "ハングは N 回中 X 回。N は、ハングし得て終わり方が分かっている実行 (正常、ハング、低速)。区間は正確なもの (Clopper, Pearson 1934)、\
            0 回と全回は片側。";
        AboutProof {} => "A hang whose malloc is not proven to be the allocator is counted, but has no part in the rate.",
            "malloc がそのアロケータであると証明されていないハングは、数えるが率には含めない。";
        AboutOtherSessions {} => "other: stopped from outside (SIGTERM, SIGINT, SIGHUP, SIGKILL) without a hang, still open, or lost.",
            "その他: ハングせず外部から停止 (SIGTERM, SIGINT, SIGHUP, SIGKILL)、継続中、または終わり方が不明。";
        AboutOtherRuns {} => "other: interrupted together with the job.", "その他: 調査とともに中断した実行。";
        AboutCutOff {} => "A slow run that was stopped while it was at work has no part in the rate.", "動作中に停止した低速の実行は、率に含めない。";
        NoOps {} => "No session tells its ops/s: a collector does not see what a program prints.",
            "ops/s は不明: コレクタはプログラムの出力を見ない。";
        AboutOps {} => "ops/s: median and quartiles of good runs in the phase ops.", "ops/s: フェーズ ops の正常な実行の中央値と四分位。";
        AboutOpsOfRuns {} => "ops/s: median and quartiles of good runs.", "ops/s: 正常な実行の中央値と四分位。";
        AboutRssSessions {} => "RSS: the largest of a session's heartbeats, of sessions that ended well or were stopped from outside. A short \
            process may have had more.",
            "RSS: セッションのハートビート中の最大値。正常終了または外部から停止したセッションのみ。短いプロセスでは実際の最大値より小さいことがある。";
        AboutRssRuns {} => "RSS: median and maximum of the peak memory of good runs.", "RSS: 正常な実行の最大メモリの中央値と最大。";
        // Hangs.
        Hangs {} => "Hangs", "ハング一覧";
        BugTable {} => "Hangs of one signature, the most frequent first", "特徴 (signature) ごとのハング (多い順)";
        Times { times: "time" } => "{times}: ", "{times} 回: ";
        ColTimes {} => "count", "回数";
        ColSignature {} => "signature", "特徴 (signature)";
        ColWhat {} => "what was found (the first)", "所見 (最初のもの)";
        ColWhere {} => "where", "場所";
        ColBuilds {} => "build (SHA-1)", "ビルド (SHA-1)";
        ColWhen {} => "first and last", "最初と最後";
        Where { labels, allocators } => "{labels}; {allocators}", "{labels}、{allocators}";
        Builds { builds } => "SHA-1 {builds}", "ビルド (SHA-1) {builds}";
        Between { first, last } => "{first} to {last}", "{first} から {last}";
        Bare {} => "Only the class is known: different bugs may stand together here.", "分類しか分からないため、別々のバグが 1 つにまとまっている可能性がある。";
        NoFinding {} => "nothing was captured from inside", "内側からの記録なし";
        NoBundle {} => "no evidence was kept", "記録は残っていない";
        BundlesOf { bundles: "hang" } => "Each of {bundles}", "{bundles} 件の一覧";
        MoreBundles { more } => "and {more} more", "ほか {more} 件";
        // Remarks.
        Stuck { sessions: "session" } => "{sessions} stuck when stopped (likely)", "停止時に動けなくなっていたセッション (推定): {sessions} 件";
        StuckFor { session, seconds, end } => "{session}: nothing had moved for {seconds} s ({end})", "{session}: {seconds} 秒間何も動いていなかった ({end})";
        NotIntact { runs } => "DSO not intact: {runs}", "共有ライブラリ (DSO) が変わった: {runs} 件";
        NotIntactOf { session, integrity } => "{session}: {integrity}", "{session}、DSO の状態: {integrity}";
        Open { sessions: "session" } => "{sessions} still open", "継続中のセッション: {sessions} 件";
        Lost { sessions: "session" } => "{sessions} with an end that is not known", "終わり方が不明のセッション: {sessions} 件";
        Since { session, started } => "{session}, since {started}", "{session}、開始 {started}";
        NoMemory { runs: "run" } => "{runs} killed for memory by the kernel (counted as crashed)", "メモリ不足でカーネルに終了された実行: {runs} 回 (異常終了に含む)";
        Damaged { lines: "line or file|lines or files" } => "{lines} that cannot be read", "読めない行またはファイル: {lines} 件";
        DamagedLine { file, line, error } => "{file}, line {line}: {error}", "{file} の {line} 行目: {error}";
        DamagedFile { file, error } => "{file}: {error}", "ファイル {file}: {error}";
        Torn {} => "torn: its writer was killed, or is writing it now", "途中で切れている: 書き込み中に終了したか、いま書き込んでいる";
        LeftOut {} => "Only a part", "一部のみ";
        LeftOutBytes { bytes, file } => "The first {bytes} bytes of {file} are left out here: `hangscope report` reads all of it.",
            "{file} の先頭 {bytes} バイトはここに含まれない。`hangscope report` はすべてを読む。";
        MoreLines { more } => "and {more} more", "ほか {more} 件";
        // On the terminal.
        Wrote { files } => "written: {files}", "書き込み: {files}";
    }
}
