//! Headline, evidence and what would change it, in both languages.

use crate::text::message::messages;

messages! {
    /// A sentence of a verdict.
    Line {
        // Headlines: the lead.
        LeadB { hung, of, dso } => "B, allocator bug, reproduced {hung}/{of} with {dso} intact",
            "B: アロケータの不具合。{dso}無傷のまま {of} 回中 {hung} 回再現";
        LeadBOther { arm, hung, of, pinned, pinned_of } => "B, allocator bug of the build of arm {arm}, reproduced \
            {hung}/{of} with it intact (the pinned DSO hung {pinned}/{pinned_of})",
            "B: アーム {arm} のビルドの不具合。その SO が無傷のまま {of} 回中 {hung} 回再現 (固定 SO は {pinned_of} 回中 {pinned} 回)";
        LeadA { hung, of, control } => "A, wrong DSO: hung {hung}/{of} with the DSO not intact, 0/{control} with it \
            intact",
            "A: DSO の取り違え。DSO が無傷でない実行では {of} 回中 {hung} 回ハングし、無傷の実行では {control} 回中 0 回";
        LeadHarness { hung, of } => "benchmark bug, reproduced {hung}/{of}: what is stuck is outside the allocator",
            "ベンチマークの不具合。{of} 回中 {hung} 回再現、止まっているのはアロケータの外";
        LeadEnvironment { hung, of } => "environment, {hung}/{of} runs hung",
            "環境の問題。{of} 回中 {hung} 回ハング";
        LeadInconclusive { hung, of } => "inconclusive, {hung}/{of} runs hung",
            "判定できず。{of} 回中 {hung} 回ハング";
        SnapB {} => "B, allocator bug, in a running process whose DSO is intact",
            "B: アロケータの不具合。実行中のプロセスで、DSO は無傷";
        SnapHarness {} => "benchmark bug, in a running process: what is stuck is outside the allocator",
            "ベンチマークの不具合。実行中のプロセスで、止まっているのはアロケータの外";
        SnapEnvironment {} => "environment, in a running process", "環境の問題。実行中のプロセス";
        SnapInconclusive {} => "inconclusive, in a running process", "判定できず。実行中のプロセス";
        PinnedDso {} => "the pinned DSO", "固定 SO が";
        ItsDso {} => "its DSO", "その SO が";
        UnderStir { level } => " (under --stir {level})", " (--stir {level} で攪乱)";
        // Headlines: without a hang.
        NotReproduced { of, high } => "not reproduced in {of} runs: the rate of hangs is below {high} % at 95 %",
            "{of} 回で再現せず: ハング率は 95 % 信頼で {high} % 未満";
        AllKilled { killed, made } => "environment: {killed} of {made} runs were killed (signal 9), none hung",
            "環境の問題: {made} 回中 {killed} 回が強制終了され (シグナル 9)、ハングはなし";
        Crashes { crashed, made } => "inconclusive: none hung, but {crashed} of {made} runs died by a signal",
            "判定できず: ハングはないが、{made} 回中 {crashed} 回がシグナルで異常終了した";
        CrashesNotIntact { crashed, made, word } => "inconclusive: none hung, but {crashed} of {made} runs died by a \
            signal with their DSO {word} under them",
            "判定できず: ハングはないが、{made} 回中 {crashed} 回が、実行中に DSO が無傷でなくなり ({word}) シグナルで異常終了した";
        AllFailed { made } => "inconclusive: none of {made} runs ended well, and none hung",
            "判定できず: {made} 回のどれも正常に終わらず、ハングもなし";
        AllCutOff { cut, made } => "inconclusive: {cut} of {made} runs were stopped at their deadline though they were at work, \
            and no other could have shown a hang",
            "判定できず: {made} 回中 {cut} 回は動作中のまま時限で止められ、ほかにハングを示し得た実行はない";
        NoRuns {} => "inconclusive: no run was made",
            "判定できず: 1 回も実行されていない";
        // Headlines: what hangs. The Japanese ends in nouns, so that clauses can stand in any order.
        Stuck { waiters, workers, lock } => "{waiters} of {workers} workers wait for {lock}",
            "{workers} ワーカー中 {waiters} が {lock} 待ち";
        StuckOne { workers, lock } => "1 of {workers} workers waits for {lock}",
            "{workers} ワーカー中 1 が {lock} 待ち";
        NounLock {} => "lock", "ロック";
        NounSpinLock {} => "spin lock", "スピンロック";
        NounCondition {} => "condition variable", "条件変数";
        NounSemaphore {} => "semaphore", "セマフォ";
        NounBarrier {} => "barrier", "バリア";
        HeldBy { tid } => "held by tid {tid}",
            "保持者は tid {tid}";
        Deadlocked { members } => "in a ring of locks held by tid {members}",
            "tid {members} の間でロックの循環待ち";
        SelfDeadlocked { tid } => "which tid {tid} holds itself while it waits",
            "tid {tid} は自分が保持するロックを自分で待機中";
        Holder { doing, place, time } => "which has been {doing} {place}{time}",
            "これが{time} {place}{doing}";
        Alone { tid, doing, place, time } => "tid {tid} has been {doing} {place}{time}",
            "tid {tid} が{time} {place}{doing}";
        Many { count, doing, place, time } => "{count} threads have been {doing} {place}{time}",
            "{count} スレッドが{time} {place}{doing}";
        Looping {} => "looping in", "でループ中";
        Running {} => "running in", "で実行中";
        SomeTime { seconds } => " for {seconds} s", " {seconds} 秒間";
        NoPlace {} => "code that has no name", "名前のないコード";
        BlockedIn { wait, place } => "which is itself blocked in {wait} ({place})",
            "これ自身も {wait} ({place}) で停止中";
        StoppedOwner { place } => "which is itself stopped by a signal or a debugger ({place})",
            "これ自身もシグナルかデバッガで停止中 ({place})";
        Spin { count } => "threads that spin in the allocator: {count}",
            "{count} スレッドがアロケータ内で空回り中";
        SleepingSuspect { tid, wait, place } => "and tid {tid}, asleep inside it in {wait} ({place}), may hold what they \
            spin for",
            "アロケータ内の {wait} ({place}) で眠る tid {tid} が保持者の疑い";
        OwnerIsGone { tid } => "whose owner, tid {tid}, is no thread of the process any more",
            "所有者 tid {tid} はすでに存在せず";
        NobodyWakes {} => "and nobody is left to wake them",
            "起こす者なし";
        At { tid, place } => "tid {tid} in {place}",
            "tid {tid} は {place}";
        AtPlace { place } => "in {place}",
            "場所は {place}";
        InKernel { tid, wait, place } => "tid {tid} is in uninterruptible sleep (D) in {wait} ({place})",
            "tid {tid} が {wait} ({place}) で割り込み不可スリープ (D)";
        AllStopped {} => "every thread is stopped by a signal or a debugger",
            "全スレッドがシグナルかデバッガで停止中";
        SlowOnly {} => "past the deadline, but threads still come and go",
            "時限を過ぎたがスレッドはまだ動作中";
        ClassUnknown {} => "what it hangs on could not be made out",
            "何で止まったかは不明";
        PlaceUnknown {} => "whether in the allocator or in the benchmark is not known",
            "アロケータ内かベンチマーク内かは不明";
        NotIntactHang { word } => "the DSO was {word} under the run that hung, and no clean control shows that this is \
            the cause",
            "ハングした実行では DSO が無傷でなく ({word})、それが原因と示す対照実験なし";
        IntegrityUnknown {} => "whether the DSO was intact is not known",
            "DSO が無傷だったかは不明";
        NothingFromInside {} => "nothing was heard from inside the process",
            "プロセスの内側からの情報なし";
        Samples { samples, pcs } => "100 % of {samples} samples in {pcs} instructions",
            "{samples} サンプルの 100 % が {pcs} 命令内";
        SamplesOne { samples } => "100 % of {samples} samples in 1 instruction",
            "{samples} サンプルの 100 % が 1 命令内";
        Likely {} => " (likely)", " (推定)";

        // Evidence.
        RunsMade { made, planned, ok, hung, slow, crashed, failed } => "{made} of {planned} planned runs were made: \
            {ok} ok, {hung} hung, {slow} slow, {crashed} died by a signal, {failed} failed otherwise (runs.tsv)",
            "予定 {planned} 回中 {made} 回を実行: 正常 {ok}、ハング {hung}、低速 {slow}、シグナルで異常終了 {crashed}、その他の失敗 \
            {failed} (runs.tsv)";
        RateIs { hung, of, low, high, method } => "{hung} of {of} runs hung: between {low} % and {high} % at 95 % \
            ({method}) (runs.tsv)",
            "{of} 回中 {hung} 回ハング: 95 % 信頼区間は {low} % から {high} % ({method}) (runs.tsv)";
        CouldSee { of, high, rate, power } => "what {of} runs could have seen: a hang in {high} % of the runs would have shown \
            itself with 95 % probability, one in {rate} % with {power} % (1 - (1 - rate)^N) (runs.tsv)",
            "{of} 回で見えたはずのもの: {high} % の率のハングなら 95 % の確率で、{rate} % の率なら {power} % の確率で少なくとも 1 回現れる \
            (1 - (1 - 率)^N) (runs.tsv)";
        CouldSeeNothing { made } => "none of the {made} runs could have shown a hang: one that died or failed says nothing \
            about the rate (runs.jsonl)",
            "{made} 回のどれもハングを示し得なかった: 異常終了した、または失敗した実行は率について何も示さない (runs.jsonl)";
        PerHour { hung, seconds, rate, low, high, method } => "hangs per hour of benchmark time: {rate} ({hung} in {seconds} s), \
            between {low} and {high} at 95 % ({method}) (runs.jsonl)",
            "ベンチマーク時間 1 時間あたりのハング: {rate} 回 ({seconds} 秒で {hung} 回)、95 % 信頼区間は {low} から {high} ({method}) \
            (runs.jsonl)";
        NoTime {} => "hangs per hour of benchmark time: not known, no run ended that would say how long one takes (runs.jsonl)",
            "ベンチマーク時間 1 時間あたりのハング: 不明。終わった実行がなく、1 回の所要時間が分からない (runs.jsonl)";
        ArmRate { arm, hung, of, low, high } => "arm {arm}: {hung} of {of} runs hung, between {low} % and {high} % at \
            95 % (runs.jsonl)",
            "アーム {arm}: {of} 回中 {hung} 回ハング、95 % 信頼区間は {low} % から {high} % (runs.jsonl)";
        Fisher { exposed, exposed_of, control, control_of, p } => "not intact {exposed}/{exposed_of}, intact \
            {control}/{control_of}: Fisher's exact test, one-sided, p = {p} (runs.jsonl)",
            "無傷でない実行 {exposed}/{exposed_of}、無傷の実行 {control}/{control_of}: Fisher の正確検定 (片側) p = {p} \
            (runs.jsonl)";
        ArmChanged { arm, hung, of, control, control_of, p } => "arm {arm}, runs whose DSO was not intact: {hung} of {of} \
            hung, of the pinned arm {control} of {control_of}: Fisher's exact test, one-sided, p = {p} (runs.jsonl)",
            "アーム {arm} (DSO が無傷でない実行): {of} 回中 {hung} 回ハング、pinned は {control_of} 回中 {control} 回: Fisher の\
            正確検定 (片側) p = {p} (runs.jsonl)";
        ArmBuild { arm, hung, of, control, control_of, p } => "arm {arm}, another build: {hung} of {of} hung, of the \
            pinned arm {control} of {control_of}: Fisher's exact test, two-sided, p = {p} (runs.jsonl)",
            "アーム {arm} (別のビルド): {of} 回中 {hung} 回ハング、pinned は {control_of} 回中 {control} 回: Fisher の正確検定 \
            (両側) p = {p} (runs.jsonl)";
        ArmUntouched { arm, runs, made } => "arm {arm}: {runs} of {made} runs were over before their DSO could be changed: \
            they say nothing about the change (runs.jsonl)",
            "アーム {arm}: {made} 回中 {runs} 回は DSO が変わる前に終わったため、その変化については何も示さない (runs.jsonl)";
        ArmAlike { arm, word, hung, of, control, control_of } => "the DSO was {word} in arm {arm}, but the pinned arm hangs at \
            the same rate, as far as these runs tell ({hung}/{of} and {control}/{control_of}): not the cause (runs.jsonl)",
            "アーム {arm} では DSO が無傷でなかった ({word}) が、これらの実行で分かる限り pinned も同じ率でハングする \
            ({hung}/{of} と {control}/{control_of}): 原因ではない (runs.jsonl)";
        ArmMore { arm, word, hung, of, control, control_of } => "the DSO was {word} in arm {arm}, and hangs are more frequent \
            there than in the pinned arm ({hung}/{of} against {control}/{control_of}): it adds to a bug that is there \
            without it (runs.jsonl)",
            "アーム {arm} では DSO が無傷でなく ({word})、pinned よりハングが多い ({hung}/{of} と {control}/{control_of}): 変更が\
            なくても起きる不具合を、さらに起きやすくしている (runs.jsonl)";
        ArmHarmless { arm, word, of } => "the DSO was {word} in all {of} runs of arm {arm} that count, and none hung: that \
            alone did no harm (runs.jsonl)",
            "アーム {arm} では数えられる {of} 回すべてで DSO が無傷でなかった ({word}) が、ハングはない: それだけでは害がなかった \
            (runs.jsonl)";
        ArmKills { arm, word, crashed, made } => "the DSO was {word} in arm {arm}: {crashed} of {made} runs died by a signal, and \
            none hung (runs.jsonl)",
            "アーム {arm} では DSO が無傷でなかった ({word}): {made} 回中 {crashed} 回がシグナルで異常終了し、ハングはない (runs.jsonl)";
        ArmEvidence { arm, pairs, more, needed } => "arm {arm} against the pinned one, run by run, {pairs} pairs: evidence that \
            it hangs more often {more}, at {needed} it is decided (e-value for two proportions, Turner, Ly, Grunwald 2024) \
            (runs.jsonl)",
            "アーム {arm} と pinned を 1 回ずつ比較、{pairs} 組: ハングがより多いことの証拠の強さ {more} ({needed} で確定。2 つの比率に\
            対する e 値、Turner・Ly・Grünwald 2024) (runs.jsonl)";
        BuildEvidence { arm, pairs, more, less, needed } => "build {arm} against the pinned one, run by run, {pairs} pairs: \
            evidence that it hangs more often {more}, less often {less}, at {needed} it is decided (e-value for two \
            proportions, Turner, Ly, Grunwald 2024) (runs.jsonl)",
            "ビルド {arm} と pinned を 1 回ずつ比較、{pairs} 組: ハングがより多いことの証拠の強さ {more}、より少ないことの証拠の強さ \
            {less} ({needed} で確定。2 つの比率に対する e 値、Turner・Ly・Grünwald 2024) (runs.jsonl)";
        DecidedHangs {} => "decided: it hangs, a run did, and that needs no test (progress.log)",
            "確定: ハングする。実際に 1 回ハングしており、検定の必要はない (progress.log)";
        DecidedBelow { counted, rate, confidence } => "decided: no hang in {counted} runs that could have hung, so the rate is \
            below {rate} % at {confidence} % (progress.log)",
            "確定: ハングし得た {counted} 回でハングなし。率は {confidence} % 信頼で {rate} % 未満 (progress.log)";
        DecidedNoArm { counted, rate, confidence } => "decided: no arm hangs, none of at least {counted} runs of each did; an \
            arm with a rate of {rate} % or more would have shown itself with {confidence} % probability (progress.log)",
            "確定: どのアームもハングしない。各アーム少なくとも {counted} 回でハングなし。率が {rate} % 以上のアームがあれば \
            {confidence} % の確率で現れたはず (progress.log)";
        DecidedIntact {} => "decided: a run of the pinned build hung with its DSO intact, so a change of the DSO is not \
            needed for a hang (progress.log)",
            "確定: 固定ビルドが DSO 無傷のままハングした。ハングに DSO の変化は必要ない (progress.log)";
        DecidedChange { arms, confidence } => "decided at {confidence} %: arm {arms} hangs more often than the pinned one \
            (progress.log)",
            "{confidence} % 信頼で確定: アーム {arms} は pinned よりハングが多い (progress.log)";
        BuildMore { arm, confidence } => "decided at {confidence} %: build {arm} hangs more often than the pinned one (runs.jsonl)",
            "{confidence} % 信頼で確定: ビルド {arm} は pinned よりハングが多い (runs.jsonl)";
        BuildLess { arm, confidence } => "decided at {confidence} %: build {arm} hangs less often than the pinned one (runs.jsonl)",
            "{confidence} % 信頼で確定: ビルド {arm} は pinned よりハングが少ない (runs.jsonl)";
        Undecided { rate, confidence } => "not decided: no run hung, but too few could have to put the rate below {rate} % at \
            {confidence} % (progress.log)",
            "未確定: ハングはないが、率が {confidence} % 信頼で {rate} % 未満と言うには実行回数が足りない (progress.log)";
        UndecidedArms { rate, confidence } => "not decided at {confidence} %: neither which arms hang more often than others, \
            nor that none hangs in {rate} % of the runs or more (progress.log)",
            "{confidence} % 信頼では未確定: どのアームのハングが多いかも、率が {rate} % 以上のアームがないことも、まだ言えない (progress.log)";
        Pinned { path, sha1, file } => "the DSO was the pinned copy {path}, SHA-1 {sha1} ({file})",
            "DSO は固定コピー {path}、SHA-1 {sha1} ({file})";
        NotPinned { path, sha1, file } => "the DSO was {path} itself, not a pinned copy, SHA-1 {sha1} ({file})",
            "DSO は固定コピーではなく {path} そのもの、SHA-1 {sha1} ({file})";
        SnapOnly { snapshot } => "one process that was running already was looked at from outside: that says nothing \
            about how often it happens ({snapshot}/dump.bin)",
            "すでに実行中だったプロセスひとつを外側から観測した。発生率については何も示さない ({snapshot}/dump.bin)";
        SnapDso { word, snapshot } => "the DSO is {word}, as far as its change time, maps and a relocated word tell \
            ({snapshot}/threads.json)",
            "DSO は {word} (変更時刻、maps、再配置済みの語からわかる範囲で。{snapshot}/threads.json)";
        IntactInAll { runs } => "the DSO was intact from start to end in all {runs} runs (runs.jsonl)",
            "DSO は {runs} 回すべてで開始から終了まで無傷だった (runs.jsonl)";
        IntegrityCount { word, runs, of } => "state of the DSO: {word} in {runs} of {of} runs (runs.jsonl)",
            "DSO の状態 {word}: {of} 回中 {runs} 回 (runs.jsonl)";
        OriginalMoved { path, word } => "the user's own file {path} was {word} while the hunt ran; the pinned copy did \
            not feel it (runs.jsonl)",
            "利用者のファイル {path} は調査中に変わった ({word}) が、固定コピーには影響していない (runs.jsonl)";
        Stirred { level, seed } => "scheduling was disturbed from inside (--stir {level} --stir-seed {seed}): the rate is that of \
            disturbed runs, and their ops/s are no figures to publish (runs.jsonl)",
            "内側からスケジューリングを攪乱した (--stir {level} --stir-seed {seed})。ハング率は攪乱した実行のものであり、ops/s は公表\
            できる数値ではない (runs.jsonl)";
        HelloSeen { seen, of } => "the shim spoke from inside in {seen} of {of} runs (runs.jsonl)",
            "シムは {of} 回中 {seen} 回、プロセスの内側から応答した (runs.jsonl)";
        InHang { run, sentence } => "run {run}: {sentence}",
            "実行 {run}: {sentence}";
        HangClass { run, class, confidence, snapshot } => "run {run}: class {class}, {confidence} \
            ({snapshot}/threads.json)",
            "実行 {run}: 分類 {class}、{confidence} ({snapshot}/threads.json)";
        OtherHangs { count, class, confidence, runs } => "hung as well: {count} with class {class}, {confidence}: \
            run {runs} (runs.jsonl)",
            "ほかのハング: 分類 {class}、{confidence} が {count} 件: 実行 {runs} (runs.jsonl)";
        NoFinding { run, snapshot } => "run {run} hung, but nothing was heard from inside ({snapshot}/ps_L.txt)",
            "実行 {run} はハングしたが、内側からは何も得られなかった ({snapshot}/ps_L.txt)";
        DeletedHarmless {} => "`(deleted)` was seen, but runs with the DSO intact hang as well: it is not the cause \
            (runs.jsonl)",
            "`(deleted)` は見られたが、DSO が無傷の実行もハングする: 原因ではない (runs.jsonl)";
        CutOff { count } => "stopped while they were at work: {count} of them; whether they would have hung is not known, so they \
            count for no rate (runs.jsonl)",
            "そのうち動作中に止められた実行: {count} 件。ハングしたかどうかは分からないため、率には数えない (runs.jsonl)";
        SlowRuns { count, runs } => "past the deadline, but alive: {count}: run {runs} (runs.jsonl)",
            "時限を過ぎたが動いていた実行: {count} 件: 実行 {runs} (runs.jsonl)";
        Crashed { run, signal, word } => "run {run} died by signal {signal}, its DSO was {word} (runs.jsonl)",
            "実行 {run} はシグナル {signal} で異常終了した。DSO の状態は {word} (runs.jsonl)";
        Failed { run, note } => "run {run} failed: {note} (runs.jsonl)",
            "実行 {run} は失敗: {note} (runs.jsonl)";
        ExitStatus { rc } => "exit status {rc}", "終了コード {rc}";
        MoreSuch { more } => "and {more} more of these (runs.jsonl)",
            "ほかに {more} 件 (runs.jsonl)";
        Ops { median, q1, q3, n } => "ops/s of {n} good runs: median {median}, quartiles {q1} and {q3} (runs.tsv)",
            "正常 {n} 回の ops/s: 中央値 {median}、四分位 {q1} と {q3} (runs.tsv)";
        FarOutside { runs } => "ops/s far outside the others: run {runs}: a near-hang is news (runs.tsv)",
            "ops/s がほかから大きく外れた実行: {runs} (ハング寸前の可能性) (runs.tsv)";
        Interrupted {} => "the hunt was interrupted (progress.log)",
            "実行は中断された (progress.log)";
        TimeOver { seconds, made, planned } => "its time was over, --max-time {seconds} s, after {made} of {planned} runs \
            (progress.log)",
            "制限時間 (--max-time {seconds} 秒) が過ぎて停止した ({planned} 回中 {made} 回) (progress.log)";
        StoppedEarly { made, planned } => "it stopped at the first hang, after {made} of {planned} runs (progress.log)",
            "最初のハングで停止した ({planned} 回中 {made} 回) (progress.log)";

        // What would change it.
        MoreRunsWould { more, runs, percent } => "{more} more runs, {runs} in all, without a hang would put the rate below \
            {percent} %; one hang among them would show it",
            "あと {more} 回、計 {runs} 回ハングがなければ率は {percent} % 未満と言える。1 回でもハングすればそれが証拠になる";
        CleanRunsWould { runs } => "{runs} more runs without a hang, or one hang, would decide it",
            "あと {runs} 回ハングがないか、1 回でもハングすれば確定する";
        CleanRoundsWould { runs } => "{runs} more runs of each arm without a hang would decide it; so would hangs of one arm \
            only, or one with the DSO intact",
            "各アームであと {runs} 回ハングがなければ確定する。ひとつのアームだけがハングするか、DSO が無傷のまま 1 回ハングしても確定する";
        RoundsWould { arm, rounds } => "about {rounds} more runs of arm {arm} and as many of the pinned one, if they hang as \
            they did so far, would decide it",
            "アーム {arm} と pinned であと約 {rounds} 回ずつ、これまでと同じようにハングすれば確定する";
        PinnedHangWould {} => "a hang with the DSO intact would make it B",
            "DSO が無傷のままのハングがあれば B になる";
        ControlWould { runs } => "{runs} more runs with the pinned DSO and no hang would make it A; one hang among them \
            B",
            "固定 SO であと {runs} 回ハングがなければ A、1 回でもハングすれば B になる";
        UnstirredWould {} => "the same runs without --stir would tell how often it happens undisturbed",
            "--stir なしの同じ実行で、攪乱なしでの発生率が分かる";
        OtherAllocatorWould {} => "a hang of the same command under another allocator would point at the benchmark",
            "同じコマンドが別のアロケータでもハングすれば、ベンチマークを疑う";
        OutsideWould {} => "a stack that shows the culprit outside the allocator would make it the benchmark's bug",
            "原因のスレッドがアロケータの外にいるスタックがあれば、ベンチマークの不具合になる";
        InsideWould {} => "a stuck thread with a frame of the allocator would make it B",
            "止まったスレッドにアロケータのフレームがあれば B になる";
        StacksWould {} => "stacks of the stuck threads would tell the allocator from the benchmark",
            "止まったスレッドのスタックがあれば、アロケータとベンチマークを区別できる";
        Missing { sentence } => "missing: {sentence}",
            "不足: {sentence}";
        NoCopyWould {} => "runs in which nobody copies over the DSO and that still crash would point at the code",
            "DSO を上書きしない実行でも異常終了するなら、コードの問題を疑う";
        CoreWould {} => "the stack of a crash (a core file) would tell the allocator from the benchmark",
            "クラッシュ時のスタック (コアファイル) があれば、アロケータとベンチマークを区別できる";
        MemoryWould {} => "the same runs with enough memory, no swapping and a healthy disk would tell",
            "十分なメモリ、スワップなし、正常なディスクで同じ実行をすれば分かる";
        StartWould {} => "a command that starts and ends well without hangscope would tell",
            "hangscope なしで正常に動くコマンドで試せば分かる";
        LongerWould {} => "a longer --hang-after would show whether slow runs end by themselves",
            "--hang-after を長くすれば、低速な実行が自然に終わるかどうか分かる";
    }
}
