//! Headings, fields and fixed words of reports, in both languages. The fields of the short report are word
//! for word those of the template that its readers know.

use crate::text::message::messages;

messages! {
    pub(crate) Label {
        // The short report.
        Reproduced { hung, made } => "- Reproduced: `{hung} / {made}`",
            "- 再現回数: `{hung} / {made}`";
        ReproducedEarly { hung, made, planned: "planned run" } => "- Reproduced: `{hung} / {made}` (stopped at the first hang, of \
            {planned})",
            "- 再現回数: `{hung} / {made}` (最初のハングで停止、予定は {planned} 回)";
        ReproducedInterrupted { hung, made, planned: "planned run" } => "- Reproduced: `{hung} / {made}` (interrupted, of {planned})",
            "- 再現回数: `{hung} / {made}` (中断、予定は {planned} 回)";
        ReproducedDecided { hung, made, planned: "planned run" } => "- Reproduced: `{hung} / {made}` (stopped when decided, of \
            {planned})",
            "- 再現回数: `{hung} / {made}` (確定した時点で停止、予定は {planned} 回)";
        ReproducedInTime { hung, made, planned: "planned run" } => "- Reproduced: `{hung} / {made}` (time limit reached, of \
            {planned})",
            "- 再現回数: `{hung} / {made}` (制限時間で停止、予定は {planned} 回)";
        ArmDied { bad } => " ({bad} died or failed)", " (異常終了または失敗 {bad})";
        WithPinned { answer } => "- Reproduced with the pinned DSO: `{answer}`",
            "- 固定SOでの再現有無: `{answer}`";
        Deleted { answer } => "- `(deleted)` seen: `{answer}`",
            "- `(deleted)` 出現: `{answer}`";
        TopWait { percent, waits, workers: "thread" } => "- Top wait: `futex_wait_queue` share {percent} % ({waits} of \
            {workers})",
            "- 最上位待機: `futex_wait_queue` 比率 {percent} % ({workers} スレッド中 {waits})";
        TopWaitNone {} => "- Top wait: `futex_wait_queue` share unknown (nothing was captured from inside)",
            "- 最上位待機: `futex_wait_queue` 比率 不明 (内側からの取得なし)";
        TopWaitNoHang {} => "- Top wait: none (no run hung)",
            "- 最上位待機: `futex_wait_queue` 比率 なし (ハングなし)";
        Next { action } => "- Next action: `{action}`",
            "- 次アクション: `{action}`";
        FixCode {} => "fix the code", "コード修正";
        FixProcedure {} => "fix the procedure", "運用修正";
        FixBenchmark {} => "fix the benchmark", "ベンチマーク修正";
        MoreRuns {} => "more runs", "追加実行";
        Nothing {} => "none", "なし";
        // Headings.
        Title { name } => "# hangscope: {name}", "# hangscope: {name} の調査結果";
        Waits {} => "## Who waits for whom", "## 待ちの関係";
        WaitsOf { name } => "In {name}:", "{name} の場合:";
        WaitsTimes { count, names } => "The same hang {count} times: {names}", "同じハングが {count} 回: {names}";
        Evidence {} => "## Evidence", "## 根拠";
        WouldChange {} => "## What would change it", "## 判定を変え得るもの";
        Hangs {} => "## Hangs", "## ハング一覧";
        Runs {} => "## Runs", "## 実行";
        Counters {} => "## Counters", "## カウンタ";
        Method {} => "## Method", "## 方法";
        Notes {} => "## Notes", "## 注記";
        HangTable {} => "| run | arm | class | confidence | lock | owner | culprit | snapshot |",
            "| 実行 | アーム | 分類 | 確度 | ロック | 保持スレッド | 原因スレッド | 記録 |";
        RunTable {} => "| arm | made | ok | hung | slow | crashed | failed | rate at 95 % |",
            "| アーム | 実行 | 正常 | ハング | 低速 | 異常終了 | 失敗 | ハング率 (95 %) |";
        Arms {} => "## Arms", "## アーム";
        ArmTable {} => "| arm | DSO | runs not intact | hung / runs that count | died or failed | ops/s (median) | max RSS (median, KiB) \
            | hangs against pinned (Fisher, exact) |",
            "| アーム | DSO | DSO が変わった実行 | ハング / 数えた実行 | 異常終了または失敗 | ops/s (中央値) | 最大 RSS (中央値、KiB) | \
            ハングの pinned との比較 (Fisher の正確検定) |";
        ArmStats {} => "the counter build", "カウンタ計測用ビルド";
        ArmLeftAlone {} => "not changed", "変更なし";
        ArmChanged { word } => "{word} during the run", "実行中に変更 ({word})";
        ArmBuild { sha1 } => "another build, SHA-1 {sha1}", "別のビルド、SHA-1 {sha1}";
        ArmP { arm, control, p, sides } => "{arm} against {control}, p = {p} ({sides})",
            "{arm} と {control}、p = {p} ({sides})";
        OneSided {} => "one-sided", "片側";
        TwoSided {} => "two-sided", "両側";
        Between { low, high } => "{low} % to {high} %", "{low} % から {high} %";
        // Method.
        Command { command } => "- Command: `{command}`", "- コマンド: `{command}`";
        Deadline { seconds } => "- A run that had not ended after {seconds} s was captured and stopped; `slow` is a run \
            whose threads were still at work then.",
            "- {seconds} 秒で終わらない実行を記録して停止した。`slow` は、その時点でスレッドがまだ動作していた実行。";
        StallOnly {} => "- There was no deadline: a run counted as hung when nothing in it moved any more.",
            "- 制限時間はなく、何も動かなくなった実行をハングとした。";
        Turns { seed } => "- Arms: one run of each in turn, in a new random order for each round (seed {seed}). A change was \
            made to a copy of the DSO that only that run used, after half the median time of good runs. Each arm against the pinned one: \
            Fisher's exact test. A needs two things: the smallest p times the number of changed arms (Bonferroni) is below \
            0.05, and the pinned arm does not hang.",
            "- アーム: 各アームを 1 回ずつ、ラウンドごとに順序を変えて実行 (シード {seed})。変更は、その実行だけが使う DSO のコピーに対し、\
            正常な実行時間の中央値の半分が過ぎた時点で行った。各アームと pinned の比較は Fisher の正確検定。A と判定するには、\
            最小の p に変更アーム数を掛けた値 (Bonferroni) が 0.05 未満で、かつ pinned がハングしないことが必要。";
        TurnsUntil { seed } => "- Arms: one run of each in turn, in a new random order for each round (seed {seed}). A change was \
            made to a copy of the DSO that only that run used, after half the median time of good runs.",
            "- アーム: 各アームを 1 回ずつ、ラウンドごとに順序を変えて実行 (シード {seed})。変更は、その実行だけが使う DSO のコピーに対し、\
            正常な実行時間の中央値の半分が過ぎた時点で行った。";
        UntilOne { rate, confidence, runs: "run" } => "- Until decided: one hang decides that it hangs; {runs} without a hang decide \
            that the rate is below {rate} % at {confidence} %. That number is the smallest N with (1 - rate)^N <= 1 - confidence. \
            It is set before the first run, so a look after each run does not change the error (A. Wald 1945).",
            "- 確定まで実行: 1 回でもハングすれば、ハングすると確定。{runs} 回の実行でハングがなければ、ハング率は {confidence} % 信頼で \
            {rate} % 未満と確定。この回数は (1 - ハング率)^N <= 1 - 信頼度 となる最小の N で、最初の実行より前に決まるため、毎回確認しても\
            誤り率は変わらない (A. Wald 1945)。";
        UntilArms { rate, confidence, error, runs: "run", needed } => "- Until decided: run k of an arm is compared with run k of the \
            pinned one, whatever happened to its DSO. A run that died or failed counts as one without a hang. The evidence is an \
            e-value for two proportions (R. J. Turner, A. Ly, P. Grunwald, J. Statistical Planning and Inference 230, 2024): if \
            the arm hangs no more often, it reaches {needed} with a probability of at most 1/{needed}, however often one looks \
            (J. Ville 1939). That is {error} % shared among the comparisons (Bonferroni). A needs this value, and a pinned arm \
            that does not hang. Where arms change the DSO, one hang of the pinned build with its DSO intact decides as well. So \
            do {runs} of each arm without a hang: every rate of {rate} % or more would show itself with {confidence} % \
            probability. Fisher's p and the intervals are valid only for a number of runs that was fixed beforehand. Here they \
            are for comparison only.",
            "- 確定まで実行: アームの k 回目と pinned の k 回目を、DSO の状態にかかわらず比較する。異常終了または失敗した実行は\
            ハングなしと数える。証拠の強さは 2 つの比率に対する e 値 (R. J. Turner, A. Ly, P. Grünwald, J. Statistical \
            Planning and Inference 230, 2024): アームのハングが pinned より多くなければ、何度確認しても {needed} に達する確率は \
            1/{needed} 以下 (J. Ville 1939)。これは {error} % を比較の数で分けたもの (Bonferroni)。A と判定するには、これに\
            達し、かつ pinned がハングしないことが必要。DSO を変更するアームがある場合は、固定ビルドが DSO の改変なしに 1 回ハング\
            しても確定する。各アーム {runs} 回でハングがない場合も確定する: ハング率が {rate} % 以上なら {confidence} % の確率で検出できる。Fisher の p と区間は、回数を事前に\
            決めた場合のもので、ここでは参考値。";
        Hourly { method } => "- Hangs per hour: exact interval of a Poisson count ({method}; F. Garwood 1936). The time is that of all runs \
            without a hang, plus their median for each run that hung (it is not known when that run began to stand still).",
            "- 1 時間あたりのハング: Poisson 計数の正確な区間 ({method}、F. Garwood 1936)。時間は、ハングしなかった実行の合計に、ハングした\
            実行 1 回につきその中央値を加えたもの (いつ止まったかは分からないため)。";
        Figures {} => "- ops/s: median and quartiles of good runs. An outlier is more than 3.5 robust standard deviations from the median \
            (B. Iglewicz, D. C. Hoaglin 1993), beyond Tukey's fences (1977), and more than 5 % off.",
            "- ops/s: 正常な実行の中央値と四分位。外れ値は、中央値から頑健な標準偏差の 3.5 倍を超え (B. Iglewicz, D. C. Hoaglin \
            1993)、Tukey の境界 (1977) の外にあり、かつ中央値から 5 % を超えて離れた値。";
        SideBySide { jobs, sets } => "- Side by side: {jobs} runs at a time, each pinned to CPUs of its own ({sets}). They share caches, memory \
            bandwidth and turbo, so their ops/s are no figures, and no median or outlier is taken of them.",
            "- 並行: {jobs} 件の実行を、それぞれ別の CPU ({sets}) に固定して同時に行った。キャッシュ、メモリ帯域、ターボを共有するため、\
            ops/s は測定値として使えず、中央値も外れ値も求めない。";
        NoFigures { jobs } => "{jobs} runs at a time (--jobs): ops/s of these runs are no figures.",
            "{jobs} 件の実行を並行させた (--jobs): これらの実行の ops/s は測定値として使えない。";
        Stirred { level, seed } => "- Stirred, level {level}: the shim disturbed the scheduling of each run (1: threads moved to \
            other processors and priorities for milliseconds; 2: also crowded on few processors and held up there; 3: also \
            stopped and slowed inside the allocator), until its first dump. Run n has the seed {seed} + n - 1. It repeats what was done \
            and when, but not how the system reacted. ops/s of such runs are not fit to publish.",
            "- 攪乱 (レベル {level}): シムが各実行のスケジューリングを、最初のダンプまで乱した (1: スレッドを数ミリ秒ずつ別のプロセッサや優先度に\
            移す、2: さらに少数のプロセッサに集めて足止めする、3: さらにアロケータの中で止め、遅くする)。n 回目の実行のシードは \
            {seed} + n - 1 で、何をいつ行うかは再現するが、システムの動きまでは再現しない。この ops/s は公表できる数値ではない。";
        StirredBy { options, what, seeds } => "- Stirred ({options}): {what}, until the first dump of a run. {seeds} It repeats what was \
            done and when, but not how the system reacted. ops/s of such runs are not fit to publish.",
            "- 攪乱 ({options}): {what}。各実行の最初のダンプまで続く。{seeds}シードは何をいつ行うかを再現するが、システムの動きまでは再現しない。\
            この ops/s は公表できる数値ではない。";
        StirLevel {} => "the shim moved threads, and crowded, stopped or slowed them", "シムがスレッドを移し、集め、止め、または遅くした";
        StirCalls {} => "threads were held at calls of synchronisation functions", "同期関数の呼び出しでスレッドを足止めした";
        StirSites {} => "threads were held at atomic instructions of the allocator", "アロケータの不可分命令でスレッドを足止めした";
        StirBoth {} => "threads were held at calls of synchronisation functions and at atomic instructions of the allocator",
            "同期関数の呼び出しとアロケータの不可分命令でスレッドを足止めした";
        StirStrict {} => "threads ran on one processor with strict priorities", "1 つのプロセッサの上で、厳密な優先度によりスレッドを動かした";
        StirAuto {} => "each run got the strategy whose rate of hangs in time might be the highest by the runs before (Bayes-UCB over \
            gamma posteriors; E. Kaufmann et al. 2012)",
            "各実行の方式は、それまでの実行から見て時間あたりのハング率が最も高い可能性のあるもの (ガンマ事後分布による Bayes-UCB、E. Kaufmann, \
            O. Cappé, A. Garivier 2012)";
        StirInTurn {} => "the strategies took turns in an order that the seed fixes, because the question needs a mix that does not depend \
            on the runs", "方式はシードで決まる順に交替した (判定には、実行の結果によらない配分が必要なため)";
        SeedOfRun { seed } => "Run n has the seed {seed} + n - 1.", "n 回目の実行のシードは {seed} + n - 1。";
        SeedOfAll { seed } => "Each run has the seed {seed}.", "どの実行のシードも {seed}。";
        Strategies {} => "## Strategies of --stir", "## 攪乱の方式 (--stir)";
        StrategyTable {} => "| strategy | made | hung / runs that count | near-hangs | time (s) | hangs per hour (95 %) |",
            "| 方式 | 実行 | ハング / 数えた実行 | 寸前 | 時間 (秒) | 1 時間あたりのハング (95 %) |";
        StrategyTableArms {} => "| arm | strategy | made | hung / runs that count | near-hangs | time (s) | hangs per hour (95 %) |",
            "| アーム | 方式 | 実行 | ハング / 数えた実行 | 寸前 | 時間 (秒) | 1 時間あたりのハング (95 %) |";
        RateBetween { rate, low, high } => "{rate} ({low} to {high})", "{rate} ({low} から {high})";
        NearHangs {} => "A near-hang is a run in which a thread waited far longer than any hold explains, and went on. The rates are for \
            comparison: the runs were given to the strategies by what the runs before did.",
            "寸前: 足止めでは説明できないほど長く待った後に動き出したスレッドがある実行。実行の配分はそれまでの結果によるため、率は方式の比較のためのもの。";
        DsoIs { path, sha1 } => "- DSO: `{path}`, SHA-1 `{sha1}`", "- 対象の DSO: `{path}`、SHA-1 `{sha1}`";
        DsoPreloaded { path } => "- DSO: `{path}` was preloaded, and is not proven to be what ran",
            "- 対象の DSO: `{path}` をプリロードしたが、実際に使われた証明はない";
        Verified { line } => "- Preload: {line} (preload_verify/result.txt)",
            "- プリロード検証: {line} (preload_verify/result.txt)";
        NotVerified {} => "- Preload: not verified beforehand; the hello of the shim in each run says which DSO was loaded.",
            "- プリロード検証: 事前検証なし。各実行のシムの応答が、ロードされた DSO を示す。";
        Interval { method } => "- Interval: exact ({method}; C. J. Clopper, E. S. Pearson 1934). A run that crashed, failed or was stopped while at work \
            says nothing about the rate and does not count. For 0 of N (or N of N) it is the one-sided bound 1 - 0.05^(1/N). If \
            both kinds are used, at least 92.5 % of hunts have the true rate in the interval, at any rate.",
            "- 区間: 正確法 ({method}、C. J. Clopper, E. S. Pearson 1934)。異常終了または失敗した実行、動作中に\
            止められた実行は、ハング率について何も示さないため数えない。N 回中 0 回 (または N 回) の場合は片側の限界 1 - 0.05^(1/N)。\
            両方の形を使い分けても、真のハング率が何であれ、92.5 % 以上の調査で区間がその率を含む。";
        Integrity {} => "- Integrity: a snapshot of the DSO from the start of the process (file, build-id, a relocated word) is compared with one \
            from its end; `(deleted)` alone proves nothing.",
            "- DSO の状態: プロセス開始時の記録 (ファイル、build-id、再配置済みワード) と終了時を比較。`(deleted)` だけでは\
            何も証明されない。";
        SnapIntegrity {} => "- Integrity: there is no snapshot from the start of the process. A file whose change time is older than the process is \
            the one that was loaded. For a younger file only three things show a change: `(deleted)`, another inode at its \
            path, a relocated word that was reset.",
            "- DSO の状態: プロセス開始時の記録はない。変更時刻がプロセスの開始より古いファイルは、ロードされたファイルそのもの。\
            新しいファイルでは、`(deleted)`、パスの inode の違い、再配置済みワードが元に戻っていることだけが手がかりになる。";
        Classes {} => "- Class: from what each thread waits for, who owns it, and two looks at every thread. `proven` follows from what was \
            seen, `likely` is the best fit.",
            "- 分類: 各スレッドの待ち対象、その保持者、全スレッドの 2 回の観測による。「確定」(`proven`) は観測から導かれるもの、\
            「推定」(`likely`) は観測に最もよく合うもの。";
        CounterFile { file, lines: "line" } => "- {file}: {lines}", "- {file}: {lines} 行";
        CounterLane { lane, good: "good run", hung } => "### {lane}: {good}, {hung} hung",
            "### {lane}: 正常 {good} 回、ハング {hung} 回";
        RatioTable {} => "| ratio | median | smallest | largest | skew |", "| 比 | 中央値 | 最小 | 最大 | ばらつき |";
        RatioTableHung {} => "| ratio | median | smallest | largest | skew | hung |",
            "| 比 | 中央値 | 最小 | 最大 | ばらつき | ハング時 |";
        CounterTable {} => "| counter | median | smallest | largest | skew |",
            "| カウンタ | 中央値 | 最小 | 最大 | ばらつき |";
        CounterTableHung {} => "| counter | median | smallest | largest | skew | hung |",
            "| カウンタ | 中央値 | 最小 | 最大 | ばらつき | ハング時 |";
        Skew {} => "- Figures of the good runs. Skew between runs: (largest - smallest) / median. The figures of a ratio are those of the \
            ratios of single runs.",
            "- 正常な実行の統計。ばらつきは (最大 - 最小) / 中央値。比の統計は各実行ごとの比による。";
        AlwaysZero { count, names } => "- Always 0 ({count}): {names}", "- 常に 0 ({count}): {names}";
        ZeroBelow { name, to, zero: "good run" } => "- {name}: no ratio in {zero}, `{to}` was 0.",
            "- {name}: 正常な実行 {zero} 回では `{to}` が 0 のため比なし。";
        ZeroBelowHung { name, to, runs } => "- {name}: no ratio in hung {runs}, `{to}` was 0.",
            "- {name}: ハングした {runs} では `{to}` が 0 のため比なし。";
        NoSuchCounter { name, counters } => "- {name}: no ratio, {counters} does not name exactly one counter.",
            "- {name}: {counters} という名のカウンタが 1 つに定まらないため比なし。";
        Outside { percent, good: "good run" } => "- `*`: outside the range of {good}. One more good run is outside the range of a \
            given counter by chance with a probability of at most {percent} % (2 / (n + 1)).",
            "- `*`: 正常な実行 {good} 回の範囲外。正常な実行をもう 1 回行った場合でも、あるカウンタが偶然だけで範囲外になる\
            確率は最大 {percent} % (2 / (n + 1))。";
        NoneOutside {} => "- Hung runs: no counter is outside the range of the good runs.",
            "- ハングした実行: 正常な実行の範囲外のカウンタはない。";
        FromMemory {} => "- Counters of hung runs: the shim read them from memory in the first look of the last dump. Threads may have run \
            meanwhile, so not all values are from one moment. Counters of good runs are from their end.",
            "- ハングした実行のカウンタは、最後のダンプの最初の観測時にシムが内側からメモリを読んだもの。スレッドが動いている\
            可能性があり、全部が同一時点の値とは限らない。正常な実行の値は終了時のもの。";
        FromOutside { runs } => "- Hung {runs}: nothing arrived from inside, so the memory was read from outside.",
            "- ハングした {runs} では内側から何も得られず、外側からメモリを読んだ。";
        MemoryAgrees { runs: "good run", counters: "counter", telling } => "- Memory at the exit agrees with the printed lines, in \
            {runs} and for {counters} that both have ({telling} of them not 0): the addresses in memory are right.",
            "- 正常な実行 {runs} 回で、終了時のメモリの値は両方にある {counters} 個のカウンタすべて (うち 0 でないもの {telling} 個) に\
            ついて出力行と一致した。読んだ場所は正しい。";
        MemoryAllZero {} => "- Every counter that both memory at the exit and the printed lines have is 0: this does not show that the addresses in \
            memory are right.",
            "- 終了時のメモリと出力行の両方にあるカウンタはすべて 0 だった。読んだ場所が正しいことの裏付けにはならない。";
        MemoryDiffers { differing, counters: "counter", list } => "- Memory at the exit differs from the printed lines for \
            {differing} of {counters}, which are not compared: {list}. Check that the layout in the profile is that of this \
            build.",
            "- 終了時のメモリの値が、{counters} 個中 {differing} 個のカウンタで出力行と食い違うため、比較から除外した: {list}。\
            プロファイルの配置がこのビルドのものか確認を要する。";
        MemoryUnchecked {} => "- No good run has both printed lines and memory at its exit: it is not verified that the addresses in memory are right.",
            "- 出力行と終了時のメモリの両方がある正常な実行がなく、読んだ場所が正しいかは確認できていない。";
        MissingVariables { list } => "- Not read from memory: {list}", "- メモリから読めなかったもの: {list}";
        HungWithout { run, why } => "- Hung {run}: no counters: {why}", "- ハングした {run}: カウンタなし: {why}";
        PassedOver { words: "word" } => "- Ignored: {words} of the counter lines, not of the form `name=number`.",
            "- カウンタ行のうち `name=number` の形でない {words} 語は読み飛ばした。";
        CameAgain { times: "repeated counter" } => "- {times} within a run; the largest figure counts.",
            "- 同じ実行の中で同じカウンタが {times} 回重ねて現れた。最大の値を採用した。";
        CountersBrief { lane, good: "good run", hung } => "Counters ({lane}): {good}, {hung} hung",
            "カウンタ ({lane}): 正常 {good} 回、ハング {hung} 回";
        OutsideBrief { names } => "- hung, outside the range of the good runs: {names}",
            "- ハング時に正常な実行の範囲外: {names}";
        HungBrief { figures } => "hung: {figures}", "ハング時: {figures}";
        NoHang {} => "No run hung.", "ハングした実行はない。";
    }
}
