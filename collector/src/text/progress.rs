//! Lines of a job for the person at the terminal. `progress.log` has some of them in English.

use crate::text::message::messages;

messages! {
    /// A line, or a part of one, of a job.
    pub(crate) JobLine {
        // Before the first run.
        Note { note } => "note: {note}", "注記: {note}";
        Verifying { runs: "run" } => "verifying the preload, {runs}", "プリロードを検証中 ({runs} 回)";
        VerifiedProgram { proof } => "verified: {proof}", "検証済み: {proof}";
        Shard { shard, from, planned: "run", runs, numbers } => "shard {shard}, from {from}: {planned} of {runs} ({numbers})",
            "シャード {shard} ({from} による): 全 {runs} 回のうち {planned} 回 ({numbers})";
        ShardGoesOn { shard, made: "run is|runs are" } => "shard {shard} goes on: {made} there from an earlier start",
            "シャード {shard} を再開: 前回までの実行 {made} 回がある";
        LinesDamaged { lines: "line" } => "{lines} of an earlier start could not be read, and these runs are made again",
            "前回までの記録のうち {lines} 行を読めず、その実行をやり直す";
        LeftOf { run, path } => "run {run} was not finished; what was captured of it is now in {path}",
            "実行 {run} は未完了。その記録は {path} に移した";
        Arms { names, runs: "run", seed } => "arms {names}: {runs} each, in a new order for each round (--seed {seed})",
            "アーム {names}: 各 {runs} 回、ラウンドごとに順序を変更 (--seed {seed})";
        ArmsUntil { names, runs: "run", most, seed } => "arms {names}: until decided, {runs} each if none hangs or dies (at most {most}), in \
            a new order for each round (--seed {seed})",
            "アーム {names}: 確定するまで。ハングも異常終了もなければ各 {runs} 回 (最大 {most} 回)、ラウンドごとに順序を変更 (--seed {seed})";
        SideBySide { jobs, sets } => "{jobs} runs at a time, each on CPUs of its own: {sets} (--jobs). They share caches, memory bandwidth and \
            turbo, so their ops/s are no figures",
            "{jobs} 件の実行を並行、CPU は {sets} に分割 (--jobs)。キャッシュ、メモリ帯域、ターボを共有するため、ops/s は測定値として使えない";
        Stir { options } => "scheduling is disturbed: {options}, one more for each run",
            "スケジューリングを攪乱: {options} (実行ごとに 1 を加える)";
        StirAuto { options } => "scheduling is disturbed: {options}, one more for each run; each run gets the strategy that promises \
            most hangs for its time, by the runs before",
            "スケジューリングを攪乱: {options} (実行ごとに 1 を加える)。各実行の方式は、それまでの実行から、時間あたりのハングが最も多いと見込まれるもの";
        StirInTurn { options } => "scheduling is disturbed: {options}, one more for each run; the strategies take turns in an order that \
            the seed fixes, because --until-decided needs a mix that does not depend on the runs",
            "スケジューリングを攪乱: {options} (実行ごとに 1 を加える)。--until-decided には実行の結果によらない配分が必要なため、方式は\
            シードで決まる順に交替する";
        HoldSites { sites: "atomic instruction", left } => "threads can be held at {sites} of the allocator ({left} more cannot be replaced)",
            "アロケータの不可分命令のうち {sites} 個でスレッドを足止めできる (ほかの {left} 個は置き換えられない)";
        NoHoldSites { why } => "no thread can be held at instructions of the allocator: {why}",
            "アロケータの命令ではスレッドを足止めできない: {why}";
        StirReplay { options } => "scheduling is disturbed: {options}, the same in each run",
            "スケジューリングを攪乱: {options} (すべての実行で同じ)";
        // Of the runs.
        Run { number, planned, how, seconds } => "run {number}/{planned}  {how}  {seconds} s", "実行 {number}/{planned}  {how}  {seconds} 秒";
        RunOfArm { number, planned, arm, how, seconds } => "run {number}/{planned}  {arm}  {how}  {seconds} s",
            "実行 {number}/{planned}  {arm}  {how}  {seconds} 秒";
        RunOfTrial { number, how, seconds } => "run {number}  {how}  {seconds} s", "実行 {number}  {how}  {seconds} 秒";
        Ok {} => "ok", "正常";
        Hang {} => "HANG", "ハング";
        Slow {} => "slow", "低速";
        LeftDaemon {} => "left a daemon at work", "デーモンを残して終了";
        Died { signal } => "died by {signal}", "{signal} で異常終了";
        CapturedIn { seconds } => "(captured in {seconds} s)", "(記録に {seconds} 秒)";
        Crashed {} => "crashed", "異常終了";
        Exit { rc } => "failed, exit status {rc}", "失敗、終了ステータス {rc}";
        Failed {} => "failed", "失敗";
        Interrupted {} => "interrupted", "中断";
        Hangs { count } => "hangs {count}", "ハング {count}";
        Left { time } => "left ~{time}", "残り約 {time}";
        Seconds { n } => "{n} s", "{n} 秒";
        Minutes { n } => "{n} min", "{n} 分";
        Hours { n } => "{n} h", "{n} 時間";
        Running { run, time } => "run {run}: {time}", "実行 {run}: {time}";
        RunningSome { runs, run, time } => "{runs} running, the oldest is run {run}: {time}", "{runs} 件を実行中、最も古いのは実行 {run}: {time}";
        CapturingSome { runs, run } => "{runs} running, run {run} hangs: capturing", "{runs} 件を実行中、実行 {run} がハング: 記録中";
        Capturing { run } => "run {run} hangs: capturing", "実行 {run} がハング: 記録中";
        OfRuns { done } => "{done} runs", "{done} 回";
        // What happened.
        OriginalChanged { so, changed, run } => "{so}: {changed} during run {run}; the runs use the pinned copy, which is not affected",
            "{so} の状態: {changed} (実行 {run} の間)。実行は固定コピーを使うため影響はない";
        CapturedStirred { run, strategy, seed, snapshot } => "captured at run {run} (--stir {strategy}, seed {seed}) -> {snapshot}",
            "実行 {run} (--stir {strategy}、シード {seed}) で記録 -> {snapshot}";
        Captured { run, snapshot } => "captured at run {run} -> {snapshot}", "実行 {run} で記録 -> {snapshot}";
        CoreWritten { file, program } => "a core with the whole memory of the process; open it with: zstd -d {file} -o core && \
            gdb {program} core, or: hangscope snap --core {file}",
            "プロセスのメモリ全体を含むコアを書き込んだ。開くには: zstd -d {file} -o core && gdb {program} core、\
            または hangscope snap --core {file}";
        KeptAlive { pid, group } => "process {pid} is left alive and goes on after this command. Look at it: gdb -p {pid}. \
            End it: kill -KILL -{group}",
            "プロセス {pid} を生かしたまま残した。このコマンドの終了後も動き続ける。調べるには: gdb -p {pid}。\
            終了させるには: kill -KILL -{group}";
        Dumped { run, seconds, found, snapshot } => "run {run} after {seconds} s: {found} -> {snapshot}",
            "実行 {run}、{seconds} 秒の時点: {found} -> {snapshot}";
        AtInterrupt { run, found, snapshot } => "run {run} when it was interrupted: {found} -> {snapshot}",
            "実行 {run} の中断時の状態: {found} -> {snapshot}";
        EndedWith { run } => "run {run} hung: the runs beside it are ended", "実行 {run} がハングしたため、並行中の実行を終了";
        StillWorking {} => "its threads were still at work", "スレッドはまだ動作していた";
        Decided { run } => "--until-decided: decided with run {run}", "--until-decided: 実行 {run} で確定";
        TimeLimit { time } => "time limit reached (--max-time {time})", "制限時間に到達 (--max-time {time})";
        TimeLimitUndecided { time } => "time limit reached (--max-time {time}), undecided", "制限時間に到達 (--max-time {time})、未確定";
        StatsRun { number, runs } => "counter lane: run {number}/{runs}", "カウンタ計測: 実行 {number}/{runs}";
        StatsStuck { number, snapshot } => "stats run {number} -> {snapshot}", "カウンタ計測の実行 {number} -> {snapshot}";
        StatsLines { lines: "line", file } => "counter lane: {lines} in {file}", "カウンタ計測: {file} に {lines} 行";
        // Of a shrink.
        Choose { strategy, command } => "which strategy?  --stir {strategy}  {command}", "どの方式か:  --stir {strategy}  {command}";
        DoesItHangUnder { strategy, command } => "does it hang under --stir {strategy}, which all runs have from now on?  {command}",
            "--stir {strategy} でハングするか (以後の実行はすべてこの方式):  {command}";
        DoesItHang { command } => "does it hang?  {command}", "ハングするか:  {command}";
        Try { number, command } => "try {number}:  {command}", "試行 {number}:  {command}";
        Confirm { runs: "fresh run", command } => "{runs} of the smallest:  {command}", "最小のコマンドを新たに {runs} 回:  {command}";
        Deadline { seconds } => "(deadline {seconds} s)", "(制限時間 {seconds} 秒)";
        HangOf { class } => "HANG {class}", "ハング {class}";
        OtherHang { class, snapshot } => "HANG {class}, another class: {snapshot}", "ハング {class} (別の分類): {snapshot}";
        CrashedWhy { why } => "crashed, {why}", "異常終了、{why}";
        Refused { why } => "refused, {why}", "拒否、{why}";
        HungOf { hung, of } => "hung {hung} of {of}", "ハング {hung}/{of}";
        Accepted {} => "accepted: it hangs often enough", "採用: 十分にハングする";
        TooSeldom {} => "rejected: it hangs too seldom", "不採用: ハングが少なすぎる";
        Undecided {} => "rejected: no decision was reached", "不採用: 判定できなかった";
        NotConfirmed {} => "rejected after all: the fresh runs hung too seldom", "不採用: 新たな実行でのハングが少なすぎた";
        Rejected {} => "rejected", "不採用";
        GoingOn { run, out } => "continuing after run {run} in {out}", "{out} の実行 {run} の後から再開";
        // The end.
        EvidenceIn { out } => "The evidence is in {out}", "記録は {out} にある";
        FilesIn { out } => "All files are in {out}", "すべてのファイルは {out} にある";
        // Of a verification.
        Verified { run, proof } => "run {run}: {proof}", "実行 {run}: {proof}";
        Proof { program, pid, malloc, how } => "hello from {program} (pid {pid}), malloc from {malloc} ({how})",
            "{program} (pid {pid}) から応答、malloc は {malloc} ({how})";
        Behind { proof, launcher } => "{proof}, started by {launcher}", "{proof}、起動元は {launcher}";
        VerifyHangs { run, sentence, snapshot } => "verification run {run} hangs: {sentence} Captured in {snapshot}",
            "検証の実行 {run} がハング: {sentence}記録は {snapshot} にある";
        VerifySlow { run, snapshot } => "verification run {run} did not come to its end, and was still at work: {snapshot}",
            "検証の実行 {run} は終わらなかったが、まだ動作中だった: {snapshot}";
        SameFileAndBytes {} => "same file, same bytes", "同じファイル、同じ内容";
        SameFile {} => "same file", "同じファイル";
        SameBytes {} => "same bytes", "同じ内容";
        // Of a collector.
        Listening { path } => "listening on {path} (Ctrl-C ends)", "{path} で待ち受け中 (Ctrl-C で終了)";
        Metrics { address } => "metrics: http://{address}/metrics", "メトリクス: http://{address}/metrics";
        PutInFront {} => "put this in front of a command:", "コマンドの前に次を付ける:";
        Or {} => "or:", "または:";
        Sessions { sessions: "session", hung } => "{sessions}, {hung} hung", "セッション {sessions} 件、ハング {hung} 件";
        SessionsStuck { sessions: "session", hung, stuck } => "{sessions}, {hung} hung, {stuck} stuck when stopped",
            "セッション {sessions} 件、ハング {hung} 件、停止時に動けなくなっていたもの {stuck} 件";
    }
}
