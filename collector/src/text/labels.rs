//! Headings, fields and fixed words of reports, in both languages. The fields of the short report are word
//! for word those of the template that its readers know.

use crate::text::message::messages;

messages! {
    /// A piece of a report.
    Label {
        // The short report.
        Reproduced { hung, made } => "- Reproduced: `{hung} / {made}`",
            "- 再現回数: `{hung} / {made}`";
        ReproducedEarly { hung, made, planned } => "- Reproduced: `{hung} / {made}` (stopped at the first hang, \
            {planned} runs were planned)",
            "- 再現回数: `{hung} / {made}` (最初のハングで停止、予定は {planned} 回)";
        ReproducedInterrupted { hung, made, planned } => "- Reproduced: `{hung} / {made}` (interrupted, {planned} \
            runs were planned)",
            "- 再現回数: `{hung} / {made}` (中断、予定は {planned} 回)";
        ReproducedDecided { hung, made, planned } => "- Reproduced: `{hung} / {made}` (stopped when it was decided, {planned} runs \
            were planned)",
            "- 再現回数: `{hung} / {made}` (確定した時点で停止、予定は {planned} 回)";
        ReproducedInTime { hung, made, planned } => "- Reproduced: `{hung} / {made}` (its time was over, {planned} runs were \
            planned)",
            "- 再現回数: `{hung} / {made}` (制限時間で停止、予定は {planned} 回)";
        WithPinned { answer } => "- Reproduced with the pinned DSO: `{answer}`",
            "- 固定SOでの再現有無: `{answer}`";
        Deleted { answer } => "- `(deleted)` seen: `{answer}`",
            "- `(deleted)` 出現: `{answer}`";
        TopWait { percent, waits, workers } => "- Top wait: `futex_wait_queue` share {percent} % ({waits} of {workers} \
            threads)",
            "- 最上位待機: `futex_wait_queue` 比率 {percent} % ({workers} スレッド中 {waits})";
        TopWaitNone {} => "- Top wait: `futex_wait_queue` share not known (nothing was captured from inside)",
            "- 最上位待機: `futex_wait_queue` 比率 不明 (内側からの取得なし)";
        TopWaitNoHang {} => "- Top wait: `futex_wait_queue` share none (no run hung)",
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
        Evidence {} => "## Evidence", "## 根拠";
        WouldChange {} => "## What would change it", "## 判定を変え得るもの";
        Hangs {} => "## Hangs", "## ハング一覧";
        Runs {} => "## Runs", "## 実行";
        Counters {} => "## Counters", "## カウンタ";
        Method {} => "## Method", "## 方法";
        Notes {} => "## Notes", "## 注記";
        HangTable {} => "| run | arm | class | confidence | lock | owner | culprit | snapshot |",
            "| 実行 | アーム | 分類 | 確度 | ロック | 所有者 | 原因スレッド | 記録 |";
        RunTable {} => "| arm | made | ok | hung | slow | crashed | failed | rate at 95 % |",
            "| アーム | 実行 | 正常 | ハング | 低速 | 異常終了 | 失敗 | ハング率 (95 %) |";
        Arms {} => "## Arms", "## アーム";
        ArmTable {} => "| arm | its DSO | not intact | hung, of those that count | against pinned (Fisher, exact) |",
            "| アーム | DSO | 無傷でない実行 | ハング / 数えられる実行 | pinned との比較 (Fisher の正確検定) |";
        ArmLeftAlone {} => "left alone", "そのまま";
        ArmChanged { word } => "{word} in mid-run", "実行中に変更 ({word})";
        ArmBuild { sha1 } => "another build, SHA-1 {sha1}", "別のビルド、SHA-1 {sha1}";
        ArmP { arm, control, p, sides } => "{arm} against {control}, p = {p} ({sides})",
            "{arm} と {control}、p = {p} ({sides})";
        OneSided {} => "one-sided", "片側";
        TwoSided {} => "two-sided", "両側";
        Between { low, high } => "{low} % to {high} %", "{low} % から {high} %";
        // Method.
        Command { command } => "- Command: `{command}`", "- コマンド: `{command}`";
        Deadline { seconds } => "- A run that was not done after {seconds} s was captured and stopped; `slow` is a run \
            whose threads still came and went then.",
            "- {seconds} 秒で終わらない実行を記録して停止した。`slow` はその時点でスレッドがまだ動いていた実行。";
        StallOnly {} => "- There was no deadline: a run counted as hung when nothing in it moved any more.",
            "- 時限はなく、何も動かなくなった実行をハングとした。";
        Turns { seed } => "- Arms: run by run in turns, shuffled anew for each round (seed {seed}). A change was made to a copy \
            of the DSO that only that run had, after half the median time of good runs. Each arm against the pinned one: \
            Fisher's exact test; A needs the smallest p, times the number of changed arms (Bonferroni), below 0.05, and \
            a pinned arm that does not hang.",
            "- アーム: 1 回ずつ交互に、周ごとに順序を混ぜて実行 (シード {seed})。変更は、その実行だけが使う DSO のコピーに対し、正常な\
            実行の時間の中央値の半分が過ぎた時点で行った。各アームと pinned の比較は Fisher の正確検定。A と判定するには、\
            最小の p に変更アーム数を掛けた値 (Bonferroni) が 0.05 未満で、かつ pinned がハングしないことが必要。";
        TurnsUntil { seed } => "- Arms: run by run in turns, shuffled anew for each round (seed {seed}). A change was made to a copy \
            of the DSO that only that run had, after half the median time of good runs.",
            "- アーム: 1 回ずつ交互に、周ごとに順序を混ぜて実行 (シード {seed})。変更は、その実行だけが使う DSO のコピーに対し、正常な\
            実行の時間の中央値の半分が過ぎた時点で行った。";
        UntilOne { rate, confidence, runs } => "- Until decided: a hang that was seen decides that it hangs; {runs} runs that could \
            hang, and did not, that the rate is below {rate} % at {confidence} %: the smallest N with (1 - rate)^N <= \
            1 - confidence, which is set before the first run, so that looking after each costs nothing (A. Wald 1945).",
            "- 確定まで実行: ハングを 1 回でも見ればハングすると確定。ハングし得た {runs} 回でハングがなければ、率は {confidence} % 信頼で \
            {rate} % 未満と確定: (1 - 率)^N <= 1 - 信頼度 となる最小の N で、最初の実行より前に決まるため、毎回確認しても誤り率は\
            変わらない (A. Wald 1945)。";
        UntilArms { rate, confidence, error, runs, needed } => "- Until decided: the k-th run of an arm against the k-th of the pinned one, \
            whatever became of its DSO; one that died or failed is one that did not hang. The evidence is an e-value for two \
            proportions (R. J. Turner, A. Ly, P. Grunwald, J. Statistical Planning and Inference 230, 2024): if the arm \
            hangs no more often, it ever reaches {needed} with a probability of at most 1/{needed}, however often one looks \
            (J. Ville 1939), which is {error} % shared among the comparisons (Bonferroni). A needs that, and a \
            pinned arm that does not hang. Where arms change the DSO, one hang of the pinned build with it intact decides as \
            well. So does no hang in {runs} runs of each arm: every rate of {rate} % or more would have shown itself with {confidence} % probability. Fisher's p and \
            the intervals are those of a number of runs that is set beforehand: here they are for comparison only.",
            "- 確定まで実行: アームの k 回目と pinned の k 回目を、DSO の状態にかかわらず比較する。異常終了した、または失敗した実行は\
            ハングしなかったものとする。証拠の強さは 2 つの比率に対する e 値 (R. J. Turner, A. Ly, P. Grünwald, J. Statistical \
            Planning and Inference 230, 2024): アームのハングが pinned より多くなければ、何度確認しても {needed} に達する確率は \
            1/{needed} 以下 (J. Ville 1939)。これは {error} % を比較の数で分けたもの (Bonferroni)。A と判定するには、これに\
            達し、かつ pinned がハングしないことが必要。DSO を変更するアームがある場合は、固定ビルドが DSO 無傷のまま 1 回ハング\
            しても確定する。各アーム {runs} 回でハングがなければ、それでも確定する: 率が {rate} % 以上なら {confidence} % の確率で現れたはず。Fisher の p と区間は、回数を事前に\
            決めた場合のもので、ここでは参考値。";
        Hourly { method } => "- Hangs per hour: exact interval of a Poisson count ({method}; F. Garwood 1936), over the time of the runs that did \
            not hang and, for each that did (it stood still, and when it began to is not known), their median.",
            "- 1 時間あたりのハング: Poisson 計数の正確な区間 ({method}、F. Garwood 1936)。時間は、ハングしなかった実行の合計に、ハングした\
            実行 1 回につきその中央値を加えたもの (いつ止まったかは分からないため)。";
        Figures {} => "- ops/s: median and quartiles of good runs; far outside is more than 3.5 robust standard deviations from the median \
            (B. Iglewicz, D. C. Hoaglin 1993), beyond Tukey's fences (1977), and more than 5 % off.",
            "- ops/s: 正常な実行の中央値と四分位。大きく外れた値とは、中央値から頑健な標準偏差の 3.5 倍を超え (B. Iglewicz, D. C. Hoaglin \
            1993)、Tukey の境界 (1977) の外にあり、かつ 5 % を超えて離れたもの。";
        Stirred { level, seed } => "- Stirred, level {level}: the shim disturbed the scheduling of each run (1: threads moved to \
            other processors and priorities for milliseconds; 2: also crowded on few processors and held up there; 3: also \
            stopped and slowed inside the allocator), until its first dump. Run n has the seed {seed} + n - 1, which repeats \
            what was done when, not what the system made of it. ops/s of such runs are no figures to publish.",
            "- 攪乱 (レベル {level}): シムが各実行のスケジューリングを、最初の記録まで乱した (1: スレッドを数ミリ秒ずつ別のプロセッサと\
            優先度へ移す、2: さらに少数のプロセッサに集めて足止めする、3: さらにアロケータの中で止め、遅くする)。n 回目の実行のシードは \
            {seed} + n - 1 で、何をいつ行うかは再現するが、システムの動きまでは再現しない。この ops/s は公表できる数値ではない。";
        DsoIs { path, sha1 } => "- DSO: `{path}`, SHA-1 `{sha1}`", "- 対象の DSO: `{path}`、SHA-1 `{sha1}`";
        Verified { line } => "- Preload: {line} (preload_verify/result.txt)",
            "- プリロード検証: {line} (preload_verify/result.txt)";
        NotVerified {} => "- Preload: not verified beforehand; the shim's hello of each run says which DSO was there.",
            "- プリロード検証: 事前検証なし。各実行でのシムの応答が、どの DSO があったかを示す。";
        Interval { method } => "- Interval: exact ({method}; C. J. Clopper, E. S. Pearson 1934), of the runs that could have hung: one that crashed, \
            failed or was stopped at work says nothing about the rate. None (or all) of N: one-sided bound, 1 - 0.05^(1/N). Of \
            hunts that print both kinds, at whatever rate, at least 92.5 % hold the rate in between.",
            "- 区間: 正確法 ({method}、C. J. Clopper, E. S. Pearson 1934)。ハングし得た実行だけを数える (クラッシュ、失敗、\
            動作中に止められた実行は率について何も示さない)。N 回中 0 回 (または N 回) の場合は片側の限界 1 - 0.05^(1/N)。\
            両方の形を使い分けて示す場合、どの率でも 92.5 % 以上のハントで区間が真の率を含む。";
        Integrity {} => "- Integrity: a snapshot of the DSO from the start of the process (file, build-id, a relocated \
            word) against the same at the end; `(deleted)` alone proves nothing.",
            "- DSO の無傷性: プロセス開始時の記録 (ファイル、build-id、再配置済みの語) と終了時を比較。`(deleted)` だけでは\
            何も証明されない。";
        SnapIntegrity {} => "- Integrity: nobody looked when the process started. A file whose change time is older \
            than the process is the one that was loaded; of a younger one only `(deleted)`, another inode at its path \
            or a reset relocated word tell.",
            "- DSO の無傷性: プロセス開始時の記録はない。変更時刻がプロセスより古いファイルは、ロードされたものそのもの。\
            新しいものについては、`(deleted)`、パスの inode の違い、再配置済みの語が元に戻っていることだけが手がかり。";
        Classes {} => "- Class: from what each thread waits for, who owns it, and two looks at every thread; `proven` \
            follows from what was seen, `likely` fits it best.",
            "- 分類: 各スレッドの待ち対象、その所有者、全スレッドの 2 回の観測による。`proven` は観測から導かれるもの、\
            `likely` は最もよく合うもの。";
        CounterFile { file, lines } => "- {file}: {lines} lines", "- {file}: {lines} 行";
        CounterLane { lane, good, hung } => "### {lane}: {good} good runs, {hung} hung",
            "### {lane}: 正常 {good} 回、ハング {hung} 回";
        RatioTable {} => "| ratio | median | smallest | largest | skew |", "| 比 | 中央値 | 最小 | 最大 | ばらつき |";
        RatioTableHung {} => "| ratio | median | smallest | largest | skew | hung |",
            "| 比 | 中央値 | 最小 | 最大 | ばらつき | ハング時 |";
        CounterTable {} => "| counter | median | smallest | largest | skew |",
            "| カウンタ | 中央値 | 最小 | 最大 | ばらつき |";
        CounterTableHung {} => "| counter | median | smallest | largest | skew | hung |",
            "| カウンタ | 中央値 | 最小 | 最大 | ばらつき | ハング時 |";
        Skew {} => "- Of the good runs. Skew between runs: (largest - smallest) / median. A ratio's figures are those of each \
            run's own ratio.",
            "- 正常な実行の統計。ばらつきは (最大 - 最小) / 中央値。比の統計は各実行ごとの比による。";
        AlwaysZero { count, names } => "- Always 0 ({count}): {names}", "- 常に 0 ({count}): {names}";
        ZeroBelow { name, to, zero } => "- {name}: no ratio in {zero} good runs, `{to}` was 0.",
            "- {name}: 正常な実行 {zero} 回では `{to}` が 0 のため比なし。";
        ZeroBelowHung { name, to, runs } => "- {name}: no ratio in hung {runs}, `{to}` was 0.",
            "- {name}: ハングした {runs} では `{to}` が 0 のため比なし。";
        NoSuchCounter { name, counters } => "- {name}: no ratio, no single counter is called {counters}.",
            "- {name}: {counters} という名のカウンタが 1 つに定まらないため比なし。";
        Outside { percent, good } => "- `*`: outside the range of the {good} good runs. One more good run would be outside the \
            range of a given counter by chance alone with a probability of at most {percent} % (2 / (n + 1)).",
            "- `*`: 正常な実行 {good} 回の範囲外。正常な実行をもう 1 回行った場合でも、あるカウンタが偶然だけで範囲外になる\
            確率は最大 {percent} % (2 / (n + 1))。";
        NoneOutside {} => "- Hung runs: no counter is outside the range of the good runs.",
            "- ハングした実行: 正常な実行の範囲外のカウンタはない。";
        FromMemory {} => "- Counters of hung runs were read from memory, by the shim from inside, in the first look of the last \
            dump, while threads might run: not all of one moment. Those of good runs are of their end.",
            "- ハングした実行のカウンタは、最後のダンプの最初の観測時にシムが内側からメモリを読んだもの。スレッドが動いている\
            可能性があり、全部が同一時点の値とは限らない。正常な実行の値は終了時のもの。";
        FromOutside { runs } => "- Of hung {runs} nothing came from inside: the memory was read from outside.",
            "- ハングした {runs} では内側から何も得られず、外側からメモリを読んだ。";
        MemoryAgrees { runs, counters, telling } => "- Memory at the exit said the same as the printed lines in {runs} good runs, \
            for all {counters} counters that are in both ({telling} of them not 0): the places in memory are the right ones.",
            "- 正常な実行 {runs} 回で、終了時のメモリの値は両方にある {counters} 個のカウンタすべて (うち 0 でないもの {telling} 個) に\
            ついて出力行と一致した。読んだ場所は正しい。";
        MemoryAllZero {} => "- Memory at the exit said 0 wherever the printed lines did, and nothing else was in both: that \
            does not show that the places in memory are the right ones.",
            "- 終了時のメモリと出力行の両方にあるカウンタはすべて 0 だった。読んだ場所が正しいことの裏付けにはならない。";
        MemoryDiffers { differing, counters, list } => "- Memory at the exit said something else than the printed lines for \
            {differing} of {counters} counters, which are therefore not compared: {list}. Is the profile's layout that of \
            this build?",
            "- 終了時のメモリの値が、{counters} 個中 {differing} 個のカウンタで出力行と食い違うため、比較から除外した: {list}。\
            プロファイルの配置がこのビルドのものか確認を要する。";
        MemoryUnchecked {} => "- No good run had both lines and memory of its exit: that the places in memory are the right ones \
            is not checked.",
            "- 出力行と終了時のメモリの両方がある正常な実行がなく、読んだ場所が正しいかは確認できていない。";
        MissingVariables { list } => "- Not read of memory: {list}", "- メモリから読めなかったもの: {list}";
        HungWithout { run, why } => "- Hung {run}: no counters: {why}", "- ハングした {run}: カウンタなし: {why}";
        PassedOver { words } => "- {words} words in the counter lines are no `name=number` and were passed over.",
            "- カウンタ行のうち `name=number` の形でない {words} 語は読み飛ばした。";
        CameAgain { times } => "- {times} times a counter came again within a run; the largest figure counts.",
            "- 同じ実行の中で同じカウンタが {times} 回重ねて現れた。最大の値を採用した。";
        CountersBrief { lane, good, hung } => "Counters ({lane}): {good} good runs, {hung} hung",
            "カウンタ ({lane}): 正常 {good} 回、ハング {hung} 回";
        OutsideBrief { names } => "- hung, outside the range of the good runs: {names}",
            "- ハング時に正常な実行の範囲外: {names}";
        HungBrief { figures } => "hung: {figures}", "ハング時: {figures}";
        NoHang {} => "No run hung.", "ハングした実行はない。";
    }
}
