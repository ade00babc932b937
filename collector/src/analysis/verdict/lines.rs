//! Headline, evidence and what would change it, in both languages.

use crate::text::message::messages;

messages! {
    /// A sentence of a verdict.
    pub(crate) Line {
        // Headlines: the lead.
        LeadB { hung, of, dso } => "B, allocator bug, reproduced {hung}/{of} with {dso} intact",
            "B: アロケータの不具合。{of} 回中 {hung} 回再現、{dso}は改変なし";
        LeadBOther { arm, hung, of, pinned, pinned_of } => "B, allocator bug of the build of arm {arm}, reproduced \
            {hung}/{of} with it intact (the pinned DSO hung {pinned}/{pinned_of})",
            "B: アーム {arm} のビルドの不具合。{of} 回中 {hung} 回再現、その DSO は改変なし (固定コピーは {pinned_of} 回中 {pinned} 回)";
        LeadBStats { hung, of, pinned, pinned_of } => "B, allocator bug of the counter build, reproduced {hung}/{of} in the counter \
            lane (the pinned DSO hung {pinned}/{pinned_of})",
            "B: カウンタ計測用ビルドの不具合。カウンタ計測の {of} 回中 {hung} 回再現 (固定コピーは {pinned_of} 回中 {pinned} 回)";
        LeadA { hung, of, control } => "A, wrong DSO: hung {hung}/{of} with the DSO not intact, 0/{control} with it \
            intact",
            "A: 実行中に DSO が変わった。DSO が変わった実行では {of} 回中 {hung} 回ハング、改変なしの実行では {control} 回中 0 回";
        LeadHarness { hung, of } => "benchmark bug, reproduced {hung}/{of}: the hang is outside the allocator",
            "ベンチマークの不具合。{of} 回中 {hung} 回再現、停止箇所はアロケータの外";
        LeadHarnessInside { hung, of } => "benchmark bug, reproduced {hung}/{of}",
            "ベンチマークの不具合。{of} 回中 {hung} 回再現";
        SnapHarnessInside {} => "benchmark bug, in one process", "ベンチマークの不具合。1 つのプロセスを観測";
        LeadEnvironment { hung, of: "run" } => "environment, {hung} of {of} hung",
            "環境の問題。{of} 回中 {hung} 回ハング";
        LeadInconclusive { hung, of: "run" } => "inconclusive, {hung} of {of} hung",
            "判定できず。{of} 回中 {hung} 回ハング";
        SnapB {} => "B, allocator bug, in one process whose DSO is intact",
            "B: アロケータの不具合。1 つのプロセスを観測、DSO は改変なし";
        SnapHarness {} => "benchmark bug, in one process: the hang is outside the allocator",
            "ベンチマークの不具合。1 つのプロセスを観測、停止箇所はアロケータの外";
        LeadNotHung { slow, of: "run" } => "nothing here hangs, {slow} of {of} past the deadline",
            "ハングではない。{of} 回中 {slow} 回が制限時間を超過";
        SnapNotHung {} => "nothing here hangs", "ハングではない";
        SnapEnvironment {} => "environment, in one process", "環境の問題。1 つのプロセスを観測";
        SnapInconclusive {} => "inconclusive, in one process", "判定できず。1 つのプロセスを観測";
        PinnedDso {} => "the pinned DSO", "固定コピーの DSO ";
        ItsDso {} => "its DSO", "その DSO ";
        UnderStir { choice } => " (under --stir {choice})", " (--stir {choice} で攪乱)";
        // Headlines: without a hang.
        NotReproduced { of: "run", high } => "not reproduced in {of}: the rate of hangs is below {high} % at 95 %",
            "{of} 回の実行で再現せず: ハング率は 95 % 信頼で {high} % 未満";
        AllKilled { killed, made: "run" } => "environment: {killed} of {made} killed (signal 9), none hung",
            "環境の問題: {made} 回中 {killed} 回が強制終了 (シグナル 9)、ハングなし";
        CrashesNotIntact { crashed, made: "run", word } => "inconclusive: no run hung, but {crashed} of {made} died by a \
            signal, and their DSO was {word}",
            "判定できず: ハングはないが、{made} 回中 {crashed} 回で実行中に DSO が変わり ({word})、シグナルで異常終了した";
        AllCutOff { cut, made: "run" } => "inconclusive: {cut} of {made} stopped at the deadline while still at work, and no \
            other run counts for the rate of hangs",
            "判定できず: {made} 回中 {cut} 回は動作中に制限時間で止められ、残りもハング率の推定には使えない";
        NoRuns {} => "inconclusive: no run was made",
            "判定できず: 1 回も実行されていない";
        // Headlines: what hangs. English joins the clauses with commas. In Japanese each is a sentence.
        Stuck { waiters, workers: "worker", lock } => "{waiters} of {workers} wait for {lock}",
            "{workers} ワーカー中 {waiters} が {lock} 待ち";
        StuckOne { workers: "worker", lock } => "1 of {workers} waits for {lock}",
            "{workers} ワーカー中 1 が {lock} 待ち";
        NounLock {} => "lock", "ロック";
        NounSpinLock {} => "spin lock", "スピンロック";
        NounGil {} => "the GIL of Python", "Python の GIL";
        NounCondition {} => "condition variable", "条件変数";
        NounSemaphore {} => "semaphore", "セマフォ";
        NounBarrier {} => "barrier", "バリア";
        HeldBy { tid } => "held by tid {tid}",
            "保持スレッドは tid {tid}";
        Ring { count: "thread waits|threads wait" } => "{count} for each other", "{count} スレッドが循環待ち";
        HoldsWants { tid, held, wanted, place } => "tid {tid} holds {held} and waits for {wanted} in {place}",
            "tid {tid} は {held} を保持したまま {place} で {wanted} を待機中";
        Wants { tid, wanted, place } => "tid {tid} waits for {wanted} in {place}",
            "tid {tid} は {place} で {wanted} を待機中";
        WantsAgain { tid, wanted, place } => "tid {tid} waits for {wanted}, which it holds itself, in {place}",
            "tid {tid} は {place} で、自分が保持する {wanted} を待機中";
        VforkedChild { child } => "its vforked child, process {child},", "vfork した子プロセス {child}";
        EndOf { tid } => "the end of tid {tid}", "tid {tid} の終了";
        MoreInRing { count: "more thread" } => "and {count} in the ring", "循環にはほかに {count} スレッド";
        OthersWait { count: "more thread waits|more threads wait", what } => "{count} for {what}",
            "ほかに {count} スレッドが {what} 待ち";
        HeldByWaiter { tid, wait } => "held by tid {tid}, which waits for {wait}",
            "保持スレッド tid {tid} は {wait} で待機中";
        EitherSide { functions } => "a forgotten release of the allocator, or the benchmark left a call of the allocator by {functions}",
            "アロケータの解放忘れか、ベンチマークが {functions} でアロケータの呼び出しを抜けたかのどちらか";
        IsCallback {} => "a function of the benchmark that the allocator called",
            "これはアロケータから呼ばれたベンチマーク側の関数";
        InCallback { tid, place } => "tid {tid} is in {place}, a function of the benchmark that the allocator called",
            "tid {tid} は、アロケータから呼ばれたベンチマーク側の関数 {place} の中";
        AgainInHandler { tid, place } => "tid {tid} entered the allocator again from the signal handler {place}, which had \
            interrupted the allocator",
            "tid {tid} は、アロケータの実行に割り込んだシグナルハンドラ {place} から再びアロケータに入っている";
        InHandler { tid, place } => "tid {tid} stays in the signal handler {place}, which interrupted the allocator",
            "tid {tid} は、アロケータの実行に割り込んだシグナルハンドラ {place} から戻らない";
        InHandlerCut { tid, place } => "tid {tid} stays in the signal handler {place}",
            "tid {tid} はシグナルハンドラ {place} から戻らない";
        Holder { tid, doing, place, time } => "held by tid {tid}, which has been {doing} {place}{time}",
            "保持スレッド tid {tid} は {place}を{time}{doing}";
        Alone { tid, doing, place, time } => "tid {tid} has been {doing} {place}{time}",
            "tid {tid} は {place}を{time}{doing}";
        Many { count: "thread has|threads have", doing, place, time } => "{count} been {doing} {place}{time}",
            "{count} スレッドが {place}を{time}{doing}";
        Looping {} => "looping in", "ループし続けている";
        Walking { nodes: "block" } => "walking a ring of {nodes} in", "ブロック {nodes} 個の輪をたどり続けている";
        Running {} => "running in", "実行し続けている";
        SomeTime { seconds } => " for {seconds} s", " {seconds} 秒間";
        NoPlace {} => "code that has no name", "名前のないコード";
        BlockedIn { tid, wait, place } => "held by tid {tid}, which is itself blocked in {wait} ({place})",
            "保持スレッド tid {tid} 自身も {wait} で停止中 ({place})";
        Dozes { tid, place } => "held by tid {tid}, which sleeps and wakes again in {place}",
            "保持スレッド tid {tid} は {place} で短い待ちを繰り返している";
        StoppedOwner { tid, place } => "held by tid {tid}, which is itself stopped by a signal or a debugger ({place})",
            "保持スレッド tid {tid} 自身もシグナルまたはデバッガで停止中 ({place})";
        Spin { count: "thread spins|threads spin" } => "{count} in the allocator",
            "{count} スレッドがアロケータ内でスピン中";
        SleepingSuspect { tid, wait, place } => "and tid {tid}, asleep inside it in {wait} ({place}), may hold what they \
            spin for",
            "アロケータ内でスリープ中の tid {tid} ({wait}、{place}) が保持者の可能性";
        OwnerHasLeft { tid, now } => "held by tid {tid}, which left the allocator without a release and {now}",
            "保持スレッド tid {tid} は解放せずにアロケータを出て、{now}";
        NotReleased {} => "which no thread inside the allocator can hold: it was not released",
            "アロケータの中に保持者となり得るスレッドはなく、解放されないまま残っている";
        RetryBehind { tids, place } => "tid {tids} sleeps and tries again in {place}, which that thread has passed",
            "tid {tids} は、そのスレッドが通過した {place} で再試行を繰り返している";
        ManyNamed { tids, doing, place, time } => "tid {tids}: {doing} {place}{time}",
            "tid {tids} は {place}を{time}{doing}";
        NowWaits { wait, place } => "now waits in {wait} ({place})", "現在は {wait} で待機中 ({place})";
        NowRuns { place } => "now runs in {place}", "現在は {place} を実行中";
        NowElsewhere {} => "works on", "動作を続けている";
        OwnerIsGone { tid } => "whose owner, tid {tid}, is no longer a thread of the process",
            "保持スレッド tid {tid} はすでに終了している";
        ReaderUnknown {} => "whose reader has left without a release, or is one of these threads itself",
            "読み取り側のスレッドは解放せずに抜けたか、待機中のスレッド自身である";
        ReadersGoOn { tids } => "tid {tids} works on inside the allocator meanwhile: readers that overlap may starve the writer",
            "その間、tid {tids} はアロケータの中で動作を続けており、重なり続ける読み取りが書き込み側を待たせている可能性がある";
        OwnerDied { tid } => "which processes share, and whose owner, tid {tid}, is no thread of any process any more",
            "プロセス間で共有されるこのロックの保持スレッド tid {tid} は、どのプロセスにももう存在しない";
        HeldInProcess { tid, pid, comm, state } => "held by tid {tid} ({comm}) of another process, pid {pid}, which {state}",
            "保持しているのは別のプロセス pid {pid} のスレッド tid {tid} ({comm}) で、{state}";
        OverVfork { child, tid } => "the waiter is process {child}, a vforked child, and tid {tid} waits in vfork until it goes on",
            "待っているのは vfork の子プロセス {child} で、tid {tid} は vfork の中でその先を待っている";
        HeldAtFork { tid } => "which tid {tid}, a thread of the parent, held when it forked this process",
            "このロックは、親プロセスのスレッド tid {tid} が fork の時点で保持していた";
        NobodyWakes {} => "and no thread is left to wake them",
            "起こすスレッドは残っていない";
        At { tid, place } => "tid {tid} in {place}",
            "tid {tid} は {place} で停止中";
        InKernel { tid, wait, place } => "tid {tid} is in uninterruptible sleep (D) in {wait} ({place})",
            "tid {tid} が {wait} で割り込み不可スリープ (D) ({place})";
        AllStopped {} => "every thread is stopped by a signal or a debugger",
            "全スレッドがシグナルまたはデバッガで停止中";
        SlowOnly {} => "past the deadline, but its threads still come and go",
            "制限時間を過ぎたが、スレッドはまだ動作中";
        ClassUnknown {} => "the cause of the hang is not known",
            "ハングの原因は不明";
        PlaceUnknown {} => "whether in the allocator or in the benchmark is not known",
            "アロケータ内かベンチマーク内かは不明";
        NotProven { made: "run", chain } => "inconclusive: in {made} the program that is judged is not proven to run the DSO: {chain}",
            "判定できず: {made} 回とも、判定対象のプログラムがこの DSO を使っていた証明がない: {chain}";
        NotProvenHang { chain } => "the program that hangs is not proven to run the DSO: {chain}",
            "ハングしたプログラムがこの DSO を使っていた証明がない: {chain}";
        NotIntactHang { word } => "the DSO was {word} in the run that hung, and no run with the DSO intact serves as a \
            control",
            "ハングした実行の間に DSO が変わった ({word})、改変なしの対照実行がなく、原因かどうかは不明";
        IntegrityUnknown {} => "whether the DSO was intact is not known",
            "DSO が改変されていないかは不明";
        NothingFromInside {} => "nothing was received from inside the process",
            "プロセス内部からの情報なし";
        Samples { samples, pcs } => "100 % of {samples} samples in {pcs} instructions",
            "全 {samples} サンプルが {pcs} 命令に集中";
        SamplesOne { samples } => "100 % of {samples} samples in 1 instruction",
            "全 {samples} サンプルが 1 命令に集中";
        RingOrProgram { nodes: "node" } => "the list that it walks leads back into itself after {nodes}: a bug of the allocator, \
            or a double free or an overflow by the program",
            "たどっているリストは {nodes} ノードで元に戻る: アロケータのバグか、プログラムによる二重解放またはバッファオーバーフロー";
        RingOfFork { nodes: "node" } => "the list that it walks leads back into itself after {nodes}: a bug of the allocator, a \
            double free or an overflow by the program, or a list that was being changed at the fork",
            "たどっているリストは {nodes} ノードで元に戻る: アロケータのバグ、プログラムによる二重解放やバッファオーバーフロー、または fork \
            の時点で変更中だったリスト";
        LimitReached { name, limit } => "its requests for memory fail, and it repeats them: {name} {limit} is reached",
            "メモリの要求が失敗し、再試行が続いている: {name} の上限 {limit} に達している";
        RequestsFail {} => "its requests for memory fail, and it repeats them",
            "メモリの要求が失敗し、再試行が続いている";
        Likely {} => " (likely)", " (推定)";

        // Evidence.
        RunsMade { made, planned: "planned run", ok, hung, slow, crashed, failed } => "{made} of {planned} made: \
            {ok} ok, {hung} hung, {slow} slow, {crashed} died by a signal, {failed} failed otherwise (runs.tsv)",
            "予定 {planned} 回中 {made} 回を実行: 正常 {ok}、ハング {hung}、低速 {slow}、シグナルで異常終了 {crashed}、その他の失敗 \
            {failed} (runs.tsv)";
        RateIs { hung, of: "run", low, high, method } => "{hung} of {of} hung: between {low} % and {high} % at 95 % \
            ({method}) (runs.tsv)",
            "{of} 回中 {hung} 回ハング: 95 % 信頼区間は {low} % から {high} % ({method}) (runs.tsv)";
        CouldSee { of: "run", high, rate, power } => "detection power of {of}: a hang rate of {high} % shows itself at least \
            once with 95 % probability, one of {rate} % with {power} % (1 - (1 - rate)^N) (runs.tsv)",
            "検出力: {of} 回の実行で、ハング率 {high} % なら 95 %、{rate} % なら {power} % の確率で検出できる (1 - (1 - ハング率)^N) \
            (runs.tsv)";
        CouldSeeNothing { made: "run" } => "0 of {made} can be used to estimate the rate of hangs: a run that died or failed \
            says nothing about it (runs.jsonl)",
            "{made} 回の実行はいずれもハング率の推定には使えない: 異常終了または失敗した実行はハング率について何も示さない (runs.jsonl)";
        PerHour { hung, seconds, rate, low, high, method } => "hangs per hour of benchmark time: {rate} ({hung} in {seconds} s), \
            between {low} and {high} at 95 % ({method}) (runs.jsonl)",
            "ベンチマーク 1 時間あたりのハング: {rate} 回 ({seconds} 秒で {hung} 回)、95 % 信頼区間は {low} から {high} ({method}) \
            (runs.jsonl)";
        NoTime {} => "hangs per hour of benchmark time: not known, because no run ended and showed how long one takes (runs.jsonl)",
            "ベンチマーク 1 時間あたりのハング: 不明。正常に終わった実行がなく、1 回の所要時間が分からない (runs.jsonl)";
        ArmRate { arm, hung, of: "run", low, high } => "arm {arm}: {hung} of {of} hung, between {low} % and {high} % at \
            95 % (runs.jsonl)",
            "アーム {arm}: {of} 回中 {hung} 回ハング、95 % 信頼区間は {low} % から {high} % (runs.jsonl)";
        Fisher { exposed, exposed_of, control, control_of, p } => "not intact {exposed}/{exposed_of}, intact \
            {control}/{control_of}: Fisher's exact test, one-sided, p = {p} (runs.jsonl)",
            "DSO が変わった実行 {exposed}/{exposed_of}、改変なしの実行 {control}/{control_of}: Fisher の正確検定 (片側) p = {p} \
            (runs.jsonl)";
        ArmChanged { arm, hung, of, control, control_of, p } => "arm {arm}, runs whose DSO was not intact: {hung} of {of} \
            hung, of the pinned arm {control} of {control_of}: Fisher's exact test, one-sided, p = {p} (runs.jsonl)",
            "アーム {arm} (DSO が変わった実行): {of} 回中 {hung} 回ハング、pinned は {control_of} 回中 {control} 回: Fisher の\
            正確検定 (片側) p = {p} (runs.jsonl)";
        ArmBuild { arm, hung, of, control, control_of, p } => "arm {arm}, another build: {hung} of {of} hung, of the \
            pinned arm {control} of {control_of}: Fisher's exact test, two-sided, p = {p} (runs.jsonl)",
            "アーム {arm} (別のビルド): {of} 回中 {hung} 回ハング、pinned は {control_of} 回中 {control} 回: Fisher の正確検定 \
            (両側) p = {p} (runs.jsonl)";
        ArmUntouched { arm, runs, made: "run" } => "arm {arm}: {runs} of {made} ended before the DSO was changed and say \
            nothing about the change (runs.jsonl)",
            "アーム {arm}: {made} 回中 {runs} 回は DSO を変更する前に終わったため、変更の影響については何も示さない (runs.jsonl)";
        ArmAlike { arm, word, hung, of, control, control_of } => "the DSO was {word} in arm {arm}, but the pinned arm hangs at \
            the same rate as far as these runs show ({hung}/{of} and {control}/{control_of}): not the cause (runs.jsonl)",
            "アーム {arm} では DSO が変わった ({word}) が、これらの実行で見る限り pinned も同じ率でハングする ({hung}/{of} と \
            {control}/{control_of}): 原因ではない (runs.jsonl)";
        ArmMore { arm, word, hung, of, control, control_of } => "the DSO was {word} in arm {arm}, and that arm hangs more often \
            than the pinned one ({hung}/{of} against {control}/{control_of}): the change makes an existing bug more frequent \
            (runs.jsonl)",
            "アーム {arm} では DSO が変わり ({word})、pinned よりハングが多い ({hung}/{of} と {control}/{control_of}): もともとある\
            不具合が、変更によって起きやすくなっている (runs.jsonl)";
        ArmHarmless { arm, word, of: "run" } => "the DSO was {word} in arm {arm}, in {of} that count for the rate, and none \
            hung: the change alone did no harm (runs.jsonl)",
            "アーム {arm} では、ハング率に数える {of} 回すべてで DSO が変わった ({word}) が、ハングはない: 変更だけでは害がなかった \
            (runs.jsonl)";
        ArmKills { arm, word, crashed, made: "run" } => "the DSO was {word} in arm {arm}: {crashed} of {made} died by a signal, \
            and none hung (runs.jsonl)",
            "アーム {arm} では DSO が変わった ({word}): {made} 回中 {crashed} 回がシグナルで異常終了し、ハングはない (runs.jsonl)";
        ArmEvidence { arm, pairs: "pair", more, needed } => "arm {arm} against the pinned one, run by run, {pairs}: evidence that \
            it hangs more often {more}, decided at {needed} (e-value for two proportions, Turner, Ly, Grunwald 2024) \
            (runs.jsonl)",
            "アーム {arm} と pinned を 1 回ずつ比較、{pairs} 組: ハングがより多いことの証拠の強さ {more} ({needed} で確定。2 つの比率に\
            対する e 値、Turner・Ly・Grünwald 2024) (runs.jsonl)";
        BuildEvidence { arm, pairs: "pair", more, less, needed } => "build {arm} against the pinned one, run by run, {pairs}: \
            evidence that it hangs more often {more}, less often {less}, decided at {needed} (e-value for two proportions, \
            Turner, Ly, Grunwald 2024) (runs.jsonl)",
            "ビルド {arm} と pinned を 1 回ずつ比較、{pairs} 組: ハングがより多いことの証拠の強さ {more}、より少ないことの証拠の強さ \
            {less} ({needed} で確定。2 つの比率に対する e 値、Turner・Ly・Grünwald 2024) (runs.jsonl)";
        DecidedHangs {} => "decided: it hangs. A run did, and that needs no test (progress.log)",
            "確定: ハングする。実際に 1 回ハングしたため、検定は不要 (progress.log)";
        DecidedBelow { counted: "run", rate, confidence } => "decided: no hang in {counted} that can show one, so the rate is \
            below {rate} % at {confidence} % (progress.log)",
            "確定: ハング率に数える {counted} 回でハングなし。ハング率は {confidence} % 信頼で {rate} % 未満 (progress.log)";
        DecidedNoArm { counted: "run", rate, confidence } => "decided: no arm hangs, none did in at least {counted} of each; an \
            arm with a rate of {rate} % or more would have hung at least once with {confidence} % probability (progress.log)",
            "確定: どのアームもハングしない。各アーム {counted} 回以上でハングなし。ハング率が {rate} % 以上のアームがあれば、\
            {confidence} % の確率で 1 回以上ハングしたはず (progress.log)";
        DecidedIntact {} => "decided: a run of the pinned build hung with its DSO intact, so a hang does not need a change of \
            the DSO (progress.log)",
            "確定: 固定ビルドが DSO の改変なしにハングした。ハングに DSO の変更は必要ない (progress.log)";
        DecidedChange { arms, confidence } => "decided at {confidence} %: arm {arms} hangs more often than the pinned one \
            (progress.log)",
            "{confidence} % 信頼で確定: アーム {arms} は pinned よりハングが多い (progress.log)";
        BuildMore { arm, confidence } => "decided at {confidence} %: build {arm} hangs more often than the pinned one (runs.jsonl)",
            "{confidence} % 信頼で確定: ビルド {arm} は pinned よりハングが多い (runs.jsonl)";
        BuildLess { arm, confidence } => "decided at {confidence} %: build {arm} hangs less often than the pinned one (runs.jsonl)",
            "{confidence} % 信頼で確定: ビルド {arm} は pinned よりハングが少ない (runs.jsonl)";
        Undecided { rate, confidence } => "not decided: no run hung, but there are too few runs to say that the rate is below \
            {rate} % at {confidence} % (progress.log)",
            "未確定: ハングはないが、ハング率が {confidence} % 信頼で {rate} % 未満と言うには実行回数が足りない (progress.log)";
        UndecidedArms { rate, confidence } => "not decided at {confidence} %: neither which arms hang more often than the others, \
            nor that every arm hangs in fewer than {rate} % of its runs (progress.log)",
            "{confidence} % 信頼では未確定: どのアームのハングが多いかも、全アームのハング率が {rate} % 未満かどうかも、まだ言えない \
            (progress.log)";
        Pinned { path, sha1, file } => "the DSO was the pinned copy {path}, SHA-1 {sha1} ({file})",
            "DSO は固定コピー {path}、SHA-1 {sha1} ({file})";
        PinnedNotProven { path } => "the pinned copy {path} was preloaded, but no program that is judged is proven to run it \
            (runs.jsonl)",
            "固定コピー {path} をプリロードしたが、判定対象のプログラムがそれを使っていた証明がない (runs.jsonl)";
        ProvenIn { exe, pid, how, seen, of: "run" } => "{exe} (pid {pid}) said hello with the DSO as its malloc ({how}); the program \
            that is judged did so in {seen} of {of} (runs.jsonl)",
            "{exe} (pid {pid}) が、この DSO を malloc として使うと応答した ({how})。判定対象のプログラムの応答は {of} 回中 {seen} 回 \
            (runs.jsonl)";
        NotProvenRuns { count: "run does|runs do", chain } => "{count} not count, because the program that is judged is not proven \
            to run the DSO: {chain} (runs.jsonl)",
            "判定対象のプログラムがこの DSO を使っていた証明がないため数えない実行が {count} 件: {chain} (runs.jsonl)";
        HelloWould {} => "a hello of the program that is judged would decide it: preload the DSO in what the command starts \
            (hangscope verify shows the chain)",
            "判定対象のプログラムから応答があれば判定できる。コマンドが起動するプログラムでも DSO をプリロードすること (hangscope verify で起動の連鎖が分かる)";
        SameFileAndBytes {} => "same file, same bytes", "同じファイル、同じ内容";
        SameFile {} => "same file", "同じファイル";
        SameBytes {} => "same bytes", "同じ内容";
        NotPinned { path, sha1, file } => "the DSO was {path} itself, not a pinned copy, SHA-1 {sha1} ({file})",
            "DSO は固定コピーではなく {path} そのもの、SHA-1 {sha1} ({file})";
        SnapOnly { snapshot } => "one process was looked at once, from outside: this says nothing about how often the hang \
            happens ({snapshot}/dump.bin)",
            "1 つのプロセスを 1 回だけ外側から観測した。発生率については何も示さない ({snapshot}/dump.bin)";
        SnapDso { word, snapshot } => "the DSO is {word}, as far as its change time, maps and a relocated word show \
            ({snapshot}/threads.json)",
            "DSO の状態: {word} (変更時刻、maps、再配置済みワードから分かる範囲。{snapshot}/threads.json)";
        IntactInAll { runs: "run" } => "the DSO was intact from start to end in every run ({runs}) (runs.jsonl)",
            "DSO は {runs} 回すべてで開始から終了まで改変なし (runs.jsonl)";
        IntegrityCount { word, runs, of: "run" } => "state of the DSO: {word} in {runs} of {of} (runs.jsonl)",
            "DSO の状態「{word}」: {of} 回中 {runs} 回 (runs.jsonl)";
        OriginalMoved { path, word } => "the user's own file {path} was {word} while the hunt ran; the pinned copy was not \
            affected (runs.jsonl)",
            "調査中に利用者のファイル {path} が変わった ({word}) が、固定コピーには影響していない (runs.jsonl)";
        Stirred { options } => "scheduling was disturbed from inside ({options}): the rate is that of \
            disturbed runs, and their ops/s are not fit to publish (runs.jsonl)",
            "内側からスケジューリングを攪乱した ({options})。ハング率は攪乱した実行のもので、ops/s は公表できる\
            数値ではない (runs.jsonl)";
        SideBySide { jobs, sets } => "{jobs} runs at a time, each on CPUs of its own ({sets}; --jobs): they share caches, memory bandwidth \
            and turbo, so their ops/s are no figures (runs.jsonl)",
            "{jobs} 件の実行を並行させた (CPU は {sets} に分割、--jobs)。キャッシュ、メモリ帯域、ターボを共有するため、ops/s は測定値として\
            使えない (runs.jsonl)";
        EndedWithTheHang { count: "run beside the hang was|runs beside the hang were" } => "{count} ended early, and counted \
            neither as good nor as hung (runs.jsonl)",
            "ハングと並行していた実行 {count} 件は途中で終了させた。正常にもハングにも数えない (runs.jsonl)";
        HelloSeen { seen, of: "run" } => "the shim reported from inside in {seen} of {of} (runs.jsonl)",
            "{of} 回中 {seen} 回で、シムがプロセス内部から応答した (runs.jsonl)";
        InHang { run, sentence } => "run {run}: {sentence}",
            "実行 {run}: {sentence}";
        HangClass { run, class, confidence, snapshot } => "run {run}: class {class}, {confidence} \
            ({snapshot}/threads.json)",
            "実行 {run}: 分類 {class}、{confidence} ({snapshot}/threads.json)";
        OtherHangs { count: "more hang", class, confidence, runs } => "{count} of class {class}, {confidence}: run {runs} \
            (runs.jsonl)",
            "ほかのハング: 分類 {class}、{confidence}、{count} 件: 実行 {runs} (runs.jsonl)";
        NoFinding { run, snapshot } => "run {run} hung, but nothing was received from inside ({snapshot}/ps_L.txt)",
            "実行 {run} はハングしたが、内側からは何も得られなかった ({snapshot}/ps_L.txt)";
        DeletedHarmless {} => "`(deleted)` was seen, but runs with the DSO intact hang as well: it is not the cause \
            (runs.jsonl)",
            "`(deleted)` は見られたが、DSO の改変がない実行でもハングする: 原因ではない (runs.jsonl)";
        CutOff { count: "run was stopped|runs were stopped" } => "{count} while still at work. Whether they would have hung is not \
            known, so they do not count for the rate (runs.jsonl)",
            "動作中に止められた実行が {count} 件。ハングしたかどうか分からないため、ハング率には数えない (runs.jsonl)";
        SlowRuns { count: "run", runs } => "{count} past the deadline but still at work: run {runs} (runs.jsonl)",
            "制限時間を過ぎたが動作していた実行が {count} 件: 実行 {runs} (runs.jsonl)";
        Crashed { run, signal, word } => "run {run} died by {signal}, state of its DSO: {word} (runs.jsonl)",
            "実行 {run} は {signal} で異常終了、DSO の状態: {word} (runs.jsonl)";
        Failed { run, note } => "run {run} failed: {note} (runs.jsonl)",
            "実行 {run} は失敗: {note} (runs.jsonl)";
        ExitStatus { rc } => "exit status {rc}", "終了ステータス {rc}";
        MoreSuch { more } => "and {more} more like these (runs.jsonl)",
            "ほかに {more} 件 (runs.jsonl)";
        Ops { median, q1, q3, n: "good run" } => "ops/s of {n}: median {median}, quartiles {q1} and {q3} (runs.tsv)",
            "正常 {n} 回の ops/s: 中央値 {median}、四分位 {q1} と {q3} (runs.tsv)";
        FarOutside { runs } => "outlier: ops/s far from the other runs: run {runs} (runs.tsv)",
            "外れ値: ops/s がほかの実行から大きく外れている: 実行 {runs} (runs.tsv)";
        Interrupted {} => "the hunt was interrupted (progress.log)",
            "調査は中断された (progress.log)";
        TimeOver { seconds, made, planned: "run" } => "time limit reached (--max-time {seconds} s) after {made} of {planned} \
            (progress.log)",
            "制限時間 (--max-time {seconds} 秒) に達して終了した。{planned} 回中 {made} 回を実行 (progress.log)";
        StoppedEarly { made, planned: "run" } => "stopped at the first hang, after {made} of {planned} (progress.log)",
            "最初のハングで終了した。{planned} 回中 {made} 回を実行 (progress.log)";
        ShardsAll { of: "shard" } => "the runs of all {of} (shards/)", "{of} シャードすべての実行 (shards/)";
        ShardsLossy { of: "shard", lossy } => "all {of} are there, but not all lines of runs of shard {lossy} can be read (shards/)",
            "{of} シャードはすべてあるが、シャード {lossy} の実行には読めない行がある (shards/)";
        ShardsLost { shards } => "runs lost: shard {shards} made more runs than its runs.jsonl proves; the others are in no count (shards/)",
            "実行の記録が欠落したシャード: {shards}。runs.jsonl にある以上の実行をしたが、その分はどの数にも含まれない (shards/)";
        ShardsMissing { there, of: "shard", missing } => "{there} of {of}; missing: {missing}. Their runs are in no count",
            "{of} シャード中 {there} 個。不足: {missing}。その実行はどの数にも含まれない";
        ShardsCut { shards } => "not all runs were made in shard {shards}: killed, interrupted or still at work (shards/)",
            "実行が終わっていないシャード: {shards}。強制終了、中断、または実行中 (shards/)";
        ShardsStopped { shards } => "shard {shards} stopped at a first hang of its own. The runs that would have followed a hang are \
            missing, so the share of hangs tends to be too high; --on-hang next makes all runs",
            "シャード {shards} はそれぞれ最初のハングで終了した。ハングに続くはずの実行がないため、ハングの割合は高めに出る。\
            --on-hang next ならすべて実行する";
        SomeShardsStopped { shards } => "shard {shards} stopped at a first hang of its own, and the others went on. The runs that would have \
            followed a hang are missing, so the share of hangs tends to be too high; --on-hang next makes all runs",
            "シャード {shards} はそれぞれ最初のハングで終了し、ほかは続行した。ハングに続くはずの実行がないため、ハングの割合は高めに\
            出る。--on-hang next ならすべて実行する";
        ShardDamaged { lines: "line", shard } => "{lines} of runs.jsonl of shard {shard} could not be read, and these runs count nowhere \
            (shards/)",
            "シャード {shard} の runs.jsonl のうち {lines} 行を読めず、その実行はどこにも数えない (shards/)";
        HangsOfOneNode { node, hung, runs, others, nodes, p } => "all {hung} hangs come from {node}: {hung} of {runs} runs there, 0 of {others} on \
            the other machines. By chance this has p = {p} (Fisher, one-sided, times {nodes} machines). It may be this machine, \
            and it proves nothing (runs.jsonl)",
            "ハング {hung} 件はすべて {node} で発生: そこで {runs} 回中 {hung} 回、ほかのマシンでは {others} 回中 0 回。偶然なら p = {p} (Fisher の\
            片側検定、マシン数 {nodes} を乗じた値)。このマシンが原因の可能性があるが、証明ではない (runs.jsonl)";

        // What would change it.
        MissingShardsWould { shards, of } => "the runs of shard {shards} would complete it: --shard i/{of} with the same settings",
            "シャード {shards} の実行があれば完全になる: 同じ設定で --shard i/{of}";
        OtherNodeWould { node } => "the same runs on another machine than {node} would show whether it is the machine",
            "{node} 以外のマシンで同じ実行をすれば、マシンの問題かどうかが分かる";
        MoreRunsWould { more: "more run", runs, percent } => "{more}, {runs} in all, without a hang would put the rate below \
            {percent} %; one hang among them would be the proof",
            "あと {more} 回 (計 {runs} 回) ハングがなければ、ハング率は {percent} % 未満と言える。1 回でもハングすれば、それが証拠になる";
        CleanRunsWould { runs: "more run" } => "{runs} without a hang, or one hang, would decide it",
            "あと {runs} 回ハングがないか、1 回でもハングすれば確定する";
        CleanRoundsWould { runs: "more run" } => "{runs} of each arm without a hang would decide it; so would hangs of one arm \
            only, or one with the DSO intact",
            "各アームであと {runs} 回ハングがなければ確定する。1 つのアームだけがハングするか、DSO の改変なしに 1 回ハングしても確定する";
        RoundsWould { arm, rounds: "more run" } => "about {rounds} of arm {arm}, and as many of the pinned one, would decide it if \
            they hang as often as so far",
            "アーム {arm} と pinned をあと約 {rounds} 回ずつ実行し、これまでと同じ頻度でハングすれば確定する";
        PinnedHangWould {} => "a hang with the DSO intact would make it B",
            "DSO の改変なしにハングすれば B になる";
        ControlWould { runs: "more run" } => "{runs} with the pinned DSO and no hang would make it A; one hang among them \
            B",
            "固定コピーの DSO であと {runs} 回ハングがなければ A、1 回でもハングすれば B になる";
        UnstirredWould {} => "the same runs without --stir would show how often it happens undisturbed",
            "--stir なしで同じ実行をすれば、攪乱なしでの発生率が分かる";
        OtherAllocatorWould {} => "a hang of the same command under another allocator would point at the benchmark",
            "同じコマンドが別のアロケータでもハングすれば、ベンチマークが疑われる";
        OutsideWould {} => "a stack that shows the culprit outside the allocator would make it a bug of the benchmark",
            "原因のスレッドがアロケータの外にいることを示すスタックがあれば、ベンチマークの不具合になる";
        InsideWould {} => "a stuck thread with a frame of the allocator would make it B",
            "止まっているスレッドにアロケータのフレームがあれば B になる";
        OwnCodeWould {} => "a stack on which the allocator's own code loops or waits, without a function of the benchmark in between, \
            would make it B",
            "ベンチマーク側の関数を挟まずにアロケータ自身のコードがループまたは待機しているスタックがあれば B になる";
        NoWayOutWould {} => "the same hang of a command that uses none of these functions would make it B",
            "これらの関数を使わないコマンドで同じハングが起きれば B になる";
        StacksWould {} => "stacks of the stuck threads would show whether they are in the allocator or in the benchmark",
            "止まっているスレッドのスタックがあれば、アロケータの中かベンチマークの中かが分かる";
        Missing { sentence } => "missing: {sentence}",
            "不足: {sentence}";
        NoCopyWould {} => "runs that crash although nobody copies over the DSO would point at the code",
            "DSO を上書きしない実行でも異常終了するなら、コードの問題が疑われる";
        CoreWould {} => "the stack of a crash would show whether it is in the allocator or in the benchmark",
            "クラッシュ時のスタックがあれば、アロケータの中かベンチマークの中かが分かる";
        MemoryWould {} => "the same runs with enough memory, no swapping and a healthy disk would show whether it was the environment",
            "十分なメモリ、スワップなし、正常なディスクで同じ実行をすれば、環境の問題かどうかが分かる";
        StartWould {} => "a command that starts and ends well without hangscope would show whether the command is the cause",
            "hangscope なしで正常に動くコマンドで試せば、コマンドの問題かどうかが分かる";
        LongerWould {} => "a longer --hang-after would show whether slow runs end by themselves",
            "--hang-after を長くすれば、低速な実行が自然に終わるかどうかが分かる";
    }
}
