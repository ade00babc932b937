//! What a shrink says, in both languages.

use crate::text::message::messages;

messages! {
    /// A piece of what is said about a shrink.
    Line {
        // The headline.
        Smallest { class, hung, of, low, high, sure } => "the smallest numbers that still hang ({class}): {hung} of {of} \
            fresh runs, {low} % to {high} % at {sure} %",
            "ハングする最小の数値 ({class}): 新たな {of} 回の実行中 {hung} 回ハング、{sure} % 信頼区間は {low} % から {high} %";
        NothingLess { class, hung, of, low, high, sure } => "no number can be reduced ({class}): {hung} of {of} fresh runs \
            hung, {low} % to {high} % at {sure} %",
            "どの数値も減らせない ({class}): 新たな {of} 回の実行中 {hung} 回ハング、{sure} % 信頼区間は {low} % から {high} %";
        SoFar { class, hung, of } => "not finished; the smallest numbers so far that hang ({class}): {hung} of {of} runs \
            of their test",
            "未完了。これまでで最小のハングする数値 ({class}): 判定の {of} 回中 {hung} 回ハング";
        NoReference { hung, of } => "not finished: it is not clear yet how often the command itself hangs ({hung} of {of} \
            runs so far)",
            "未完了。元のコマンドがどの程度ハングするかはまだ不明 (これまで {of} 回中 {hung} 回)";
        TooSeldom { hung, of, low, high, sure, rate } => "nothing to shrink: the command itself hung in {hung} of {of} runs, \
            {low} % to {high} % at {sure} %, and {rate} % is wanted; give a lower --rate, or a longer --hang-after if runs \
            were cut off as slow",
            "縮小できない: 元のコマンドのハングは {of} 回中 {hung} 回、{sure} % 信頼区間は {low} % から {high} % で、必要な {rate} % に\
            届かない。--rate を下げるか、slow で打ち切られた実行があれば --hang-after を長くする";
        // One command, before and after.
        Before { text } => "- Before: {text}", "- 縮小前: {text}";
        After { text } => "- After: {text}", "- 縮小後: {text}";
        Cost { hung, of, good, hang } => "hung {hung} of {of}; a good run takes {good}; a hang every {hang} of runs",
            "{of} 回中 {hung} 回ハング。正常な実行の時間は {good}、実行 {hang} ごとに 1 回ハング";
        CostNoHang { of, good } => "hung 0 of {of}; a good run takes {good}",
            "{of} 回中 0 回ハング。正常な実行の時間は {good}";
        SlowRuns { text, slow } => "{text}; {slow} runs were still at work at their deadline",
            "{text}。時限の時点でまだ動いていた実行は {slow} 回";
        NotSeen {} => "an unknown time (none was seen)", "不明 (正常な実行なし)";
        Seconds { s } => "{s} s", "{s} 秒";
        // What else there is to say.
        Catch { line } => "- To catch one: `{line}`", "- 再現方法: `{line}`";
        GoOn { line } => "- To go on: `{line}`", "- 再開方法: `{line}`";
        Made { runs, candidates, minutes } => "- Made: {runs} runs, commands tried: {candidates}, {minutes} min of runs",
            "- {candidates} 通りのコマンドを計 {runs} 回実行、実行時間の合計は {minutes} 分";
        OtherClass { class, count, run, values } => "- News: {count} runs hung otherwise ({class}), first run {run}: \
            `{values}` (hang_run_{run})",
            "- 注目: 別の分類 ({class}) のハングが {count} 回。最初は実行 {run}: `{values}` (hang_run_{run})";
        Refused { values, note, run } => "- Not taken by the benchmark: `{values}`: {note} (run_{run}.err)",
            "- ベンチマークが受け付けなかった数値: `{values}`: {note} (run_{run}.err)";
        Crashed { values, note, run } => "- Crashed: `{values}`: {note} (run_{run}.err)",
            "- クラッシュした数値: `{values}`: {note} (run_{run}.err)";
        MoreErrors { more } => "- and {more} more of these (shrink_runs.jsonl)", "- ほかに {more} 件 (shrink_runs.jsonl)";
        Status { rc } => "exit status {rc}", "終了ステータス {rc}";
        NoStatus {} => "no exit status", "終了ステータスなし";
        Evidence { before, after } => "- Evidence of the first hang before and after: {before}, {after}; that of the others was \
            removed",
            "- 縮小前と縮小後の最初のハングの記録: {before}、{after}。ほかのハングの記録は削除した";
        EvidenceOne { before } => "- Evidence of the first hang: {before}; that of the others was removed",
            "- 最初のハングの記録: {before}。ほかのハングの記録は削除した";
        // The report.
        Title { name } => "# hangscope shrink: {name}", "# hangscope shrink: {name} の縮小結果";
        Arguments {} => "## Numbers", "## 数値";
        ArgumentTable {} => "| argument | from | to | least |", "| 引数 | 縮小前 | 縮小後 | 下限 |";
        Steps {} => "## What was accepted", "## 採用した手順";
        StepTable {} => "| command | hung, of its test | deadline of the next |",
            "| コマンド | 判定での ハング / 実行 | 次の時限 |";
        Method {} => "## Method", "## 方法";
        MethodSearch {} => "- Search: delta debugging (Zeller, Hildebrandt 2002) over the numbers: the distance of each to its \
            least is brought to nothing or halved as often as goes, all together, in parts, then one by one, until for no \
            single number its least, half of its distance or a quarter less (at least 1) still hangs often enough.",
            "- 探索: 数値に対する delta debugging (Zeller, Hildebrandt 2002)。各数値の下限までの距離を、まず全部まとめて、次に組ごと、\
            最後にひとつずつ、ゼロにするか可能な限り半減させる。どの数値も、単独で下限にする、距離を半分にする、4 分の 1 \
            (最低 1) 減らす、のいずれでも十分にハングしなくなるまで続ける。";
        MethodTest { rate, below, error, fewest, most } => "- Runs per step: Wald's sequential probability ratio test (1945) of a \
            rate of {rate} % against {below} %, with an error of {error} % on either side: {fewest} hangs in a row are \
            enough, and what is open after {most} runs is rejected. One refusal or crash rejects at once; a hang of another \
            class is no success.",
            "- 各手順の実行回数: Wald の逐次確率比検定 (1945)。ハング率 {rate} % と {below} % を、両側とも誤り率 {error} % で判定する。\
            連続 {fewest} 回のハングで採用、{most} 回で決まらなければ不採用。1 回でも拒否またはクラッシュすれば不採用。別の分類のハングは\
            成功に数えない。";
        MethodConfirm { runs } => "- Rate: of {runs} fresh runs of the smallest command, a number that was fixed before, so that \
            the choice of the command is not in it; exact interval (Clopper-Pearson). Fresh runs that hung too seldom for \
            the rate send the search back to the command before.",
            "- ハング率: 最小のコマンドを新たに {runs} 回実行した結果。回数は事前に決めてあり、コマンドの選択の影響を受けない。区間は正確法 \
            (Clopper-Pearson)。新たな実行でのハングが率に対して少なすぎれば、探索はその前のコマンドに戻る。";
        MethodDeadline {} => "- A hang is known by the deadline, or when nothing moves any more (--stall). Deadline: four times the longest good run of an accepted command, at least 1 s, at most \
            --hang-after. What was still at work then was `slow`, and did not count as a hang.",
            "- ハングは時限、または何も動かなくなったこと (--stall) で判定する。時限: 採用したコマンドの最長の正常実行の 4 倍 (最低 1 秒、最高 --hang-after)。その時点でまだ動いていた実行は `slow` とし、\
            ハングには数えない。";
    }
}
