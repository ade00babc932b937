//! The sentences of a shrink, in both languages.

use crate::text::message::messages;

messages! {
    /// A sentence about a shrink.
    pub(crate) Line {
        // The headline.
        Smallest { class, hung, of: "fresh run", low, high, sure } => "the smallest numbers that still hang ({class}): {hung} of \
            {of} hung, {low} % to {high} % at {sure} %",
            "ハングする最小の数値 ({class}): 新たな {of} 回の実行中 {hung} 回ハング、{sure} % 信頼区間は {low} % から {high} %";
        NothingLess { class, hung, of: "fresh run", low, high, sure } => "no number can be reduced ({class}): {hung} of {of} hung, \
            {low} % to {high} % at {sure} %",
            "どの数値も減らせない ({class}): 新たな {of} 回の実行中 {hung} 回ハング、{sure} % 信頼区間は {low} % から {high} %";
        SoFar { class, hung, of: "run" } => "not finished; the smallest numbers so far that hang ({class}): {hung} of {of} of their \
            test hung",
            "未完了。これまでで最小のハングする数値 ({class}): 判定の {of} 回中 {hung} 回ハング";
        NoReference { hung, of: "run" } => "not finished: it is not yet known how often the original command hangs ({hung} of {of} so \
            far)",
            "未完了。元のコマンドがどの程度ハングするかはまだ不明 (これまで {of} 回中 {hung} 回)";
        TooSeldom { hung, of: "run", low, high, sure, rate } => "nothing to shrink: the original command hung in {hung} of {of}, \
            {low} % to {high} % at {sure} %, but {rate} % is wanted; give a lower --rate, or a longer --hang-after if runs \
            were stopped as slow",
            "縮小できない: 元のコマンドのハングは {of} 回中 {hung} 回、{sure} % 信頼区間は {low} % から {high} % で、必要な {rate} % に\
            届かない。--rate を下げるか、slow として止められた実行があれば --hang-after を長くする";
        // One command, before and after.
        Before { text } => "- Before: {text}", "- 縮小前: {text}";
        After { text } => "- After: {text}", "- 縮小後: {text}";
        Cost { hung, of: "run", good, hang } => "{hung} of {of} hung; a good run takes {good}; one hang per {hang} of run time",
            "{of} 回中 {hung} 回ハング。正常な実行の時間は {good}、実行 {hang} ごとに 1 回ハング";
        CostNoHang { of: "run", good } => "0 of {of} hung; a good run takes {good}",
            "{of} 回中 0 回ハング。正常な実行の時間は {good}";
        SlowRuns { text, slow: "run was|runs were" } => "{text}; {slow} still at work at the deadline",
            "{text}。制限時間の時点でまだ動いていた実行は {slow} 回";
        NotSeen {} => "an unknown time (there was none)", "不明 (正常な実行なし)";
        Seconds { s } => "{s} s", "{s} 秒";
        // What else there is to say.
        Stirred { strategy, hung, of, runs: "run" } => "- Stirred: all runs that count had --stir {strategy}, under which the original command \
            hung in {hung} of {of} when it was chosen ({runs} in all)",
            "- 攪乱: 数えた実行はすべて --stir {strategy}。選択時 (計 {runs} 回) に、元のコマンドはこの方式で {of} 回中 {hung} 回ハングした";
        Catch { line } => "- To catch the hang: `{line}`", "- 再現方法: `{line}`";
        GoOn { line } => "- To continue: `{line}`", "- 再開方法: `{line}`";
        Made { runs: "run", candidates: "command", minutes } => "- Made: {runs} of {candidates}, {minutes} min in all",
            "- {candidates} 通りのコマンドを計 {runs} 回実行、実行時間の合計は {minutes} 分";
        OtherClass { class, count: "hang", run, values } => "- Another class of hang: {count} ({class}), first in run {run}: \
            `{values}` (hang_run_{run})",
            "- 別の分類のハング ({class}): {count} 回。最初は実行 {run}: `{values}` (hang_run_{run})";
        Refused { values, note, run } => "- Refused by the benchmark: `{values}`: {note} (run_{run}.err)",
            "- ベンチマークが受け付けなかった数値: `{values}`: {note} (run_{run}.err)";
        Crashed { values, note, run } => "- Crashed: `{values}`: {note} (run_{run}.err)",
            "- クラッシュした数値: `{values}`: {note} (run_{run}.err)";
        MoreErrors { more } => "- and {more} more like these (shrink_runs.jsonl)", "- ほかに {more} 件 (shrink_runs.jsonl)";
        Status { rc } => "exit status {rc}", "終了ステータス {rc}";
        NoStatus {} => "no exit status", "終了ステータスなし";
        Evidence { before, after } => "- Evidence of the first hang before and after: {before}, {after}; the evidence of the other \
            hangs was removed",
            "- 縮小前と縮小後の最初のハングの記録: {before}、{after}。ほかのハングの記録は削除した";
        EvidenceOne { before } => "- Evidence of the first hang: {before}; the evidence of the other hangs was removed",
            "- 最初のハングの記録: {before}。ほかのハングの記録は削除した";
        // The report.
        Title { name } => "# hangscope shrink: {name}", "# hangscope shrink: {name} の縮小結果";
        Arguments {} => "## Numbers", "## 数値";
        ArgumentTable {} => "| argument | from | to | least |", "| 引数 | 縮小前 | 縮小後 | 下限 |";
        Steps {} => "## Accepted steps", "## 採用した手順";
        StepTable {} => "| command | hung / runs of its test | deadline of the next step |",
            "| コマンド | 判定での ハング / 実行 | 次の制限時間 |";
        Method {} => "## Method", "## 方法";
        MethodSearch {} => "- Search: delta debugging (Zeller, Hildebrandt 2002) over the numbers. The distance of each number to its \
            least value is set to 0 or halved as often as possible: all numbers together, then groups, then one by one. The \
            search ends when no single number can be set to its least value, to half of its distance, or to a quarter less (at \
            least 1) without hanging too seldom.",
            "- 探索: 数値に対する delta debugging (Zeller, Hildebrandt 2002)。各数値の下限までの距離を、まず全部まとめて、次に組ごと、\
            最後にひとつずつ、ゼロにするか可能な限り半減させる。どの数値も、単独で下限にする、距離を半分にする、4 分の 1 \
            (最低 1) 減らす、のいずれでも十分にハングしなくなるまで続ける。";
        MethodTest { rate, below, error, fewest, most } => "- Runs per step: Wald's sequential probability ratio test (1945) of a \
            rate of {rate} % against {below} %, with an error of {error} % on either side: {fewest} hangs in a row are \
            enough to accept, and a command without a decision after {most} runs is rejected. One refusal or crash rejects at \
            once. A hang of another class does not count.",
            "- 各手順の実行回数: Wald の逐次確率比検定 (1945)。ハング率 {rate} % と {below} % を、両側とも誤り率 {error} % で判定する。\
            連続 {fewest} 回のハングで採用、{most} 回で決まらなければ不採用。1 回でも拒否またはクラッシュすれば不採用。別の分類のハングは\
            成功に数えない。";
        MethodConfirm { runs } => "- Rate: from {runs} fresh runs of the smallest command. The number was fixed beforehand, so the \
            choice of the command does not bias it. Exact interval (Clopper-Pearson). If too few of the fresh runs hang, the \
            search goes back to the command before.",
            "- ハング率: 最小のコマンドを新たに {runs} 回実行した結果。回数は事前に決めてあり、コマンドの選択の影響を受けない。区間は正確法 \
            (Clopper-Pearson)。新たな実行でのハングが率に対して少なすぎれば、探索はその前のコマンドに戻る。";
        MethodDeadline {} => "- A run hangs if it reaches the deadline, or if nothing in it moves any more (--stall). Deadline: four times \
            the longest good run of an accepted command, at least 1 s, at most --hang-after. A run that was still at work then \
            was `slow` and did not count as a hang.",
            "- ハングは、制限時間に達したか、何も動かなくなったこと (--stall) で判定する。制限時間は、採用したコマンドの最長の正常実行の \
            4 倍 (最短 1 秒、最長 --hang-after)。その時点でまだ動いていた実行は `slow` とし、ハングには数えない。";
    }
}
