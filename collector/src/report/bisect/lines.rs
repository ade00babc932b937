//! The sentences of a search, in both languages.

use crate::text::message::messages;

messages! {
    /// A sentence about a search.
    pub(crate) Line {
        // While it runs.
        Begins { builds: "build" } => "searching among {builds}", "{builds} 個のビルドを探索";
        Builds { label, subject, runs: "run" } => "building {label} ({subject}), for about {runs}",
            "{label} ({subject}) をビルド中。約 {runs} 回の実行を予定";
        Built { label, seconds } => "built {label} in {seconds} s", "{label} をビルド完了 ({seconds} 秒)";
        Skipped { label, why } => "skipped {label}: {why}", "{label} を除外: {why}";
        BuildFailed { status, log } => "the build ended with status {status}: {log}", "ビルドがステータス {status} で終了: {log}";
        NotADso { so, why } => "the build made {so}, which is no shared object: {why}", "ビルドで作られた {so} は共有オブジェクトではない: {why}";
        NoDso { so } => "the build made no {so}", "ビルドで {so} が作られなかった";
        Runs { label, beliefs } => "running {label}  ({beliefs})", "{label} を実行  ({beliefs})";
        After { run, label, hung, of, beliefs, left } => "{run}  {label} hung {hung} of {of}  |  {beliefs}  {left}",
            "{run}  {label} ハング {hung}/{of}  |  {beliefs}  {left}";
        About { runs: "run" } => "(about {runs} to go)", "(残り約 {runs} 回)";
        Hung { what } => "HANG {what}", "ハング {what}";
        OtherHang { what } => "HANG with another signature, not counted: {what}", "別のシグネチャのハング (数えない): {what}";
        CountsNot { why, rc } => "does not count: {why} (status {rc})", "数えない: {why} (ステータス {rc})";
        NotProven {} => "it was not proven to run this DSO", "この DSO を実行した証明がない";
        // Candidates.
        NoChange {} => "no difference", "差なし";
        NoSetting {} => "no single setting", "単一の設定では説明できない";
        Other { name, value } => "{name} other than {value}", "{name} が {value} 以外";
        Range { first, last } => "{first} to {last}", "{first} から {last}";
        // The headline.
        NothingTried {} => "not decided: no run counted yet", "未確定: 数えた実行がまだない";
        Found { what, posterior } => "{what} made it hang more often: {posterior} % probable",
            "ハングが増えた原因は {what}: 確率 {posterior} %";
        FoundRange { what, posterior } => "one of the commits {what} made it hang more often ({posterior} % probable together); those between \
            cannot be built",
            "ハングが増えた原因は {what} のいずれかのコミット (合わせて確率 {posterior} %)。間のコミットはビルドできない";
        NoDifference { posterior, runs: "run" } => "nothing made it hang more often: {posterior} % probable after {runs}",
            "ハングが増えた原因はない: {runs} 回の実行後の確率 {posterior} %";
        NotOneSetting { posterior } => "builds differ, and neither one value of a setting nor all its values but one explain it: \
            {posterior} % probable",
            "ビルド間に差はあるが、ある設定の一つの値でも、一つを除くすべての値でも説明できない: 確率 {posterior} %";
        Undecided { what, posterior } => "not decided; the most probable so far: {what} ({posterior} %)",
            "未確定。これまでで最も確からしいもの: {what} ({posterior} %)";
        // Below the headline.
        Commit { hash, subject, date } => "- Commit: `{hash}` {subject} ({date})", "- コミット: `{hash}` {subject} ({date})";
        Merge { hash } => "- It is a merge. To search the merged branch: `hangscope bisect --good \"$(git merge-base {hash}^1 {hash}^2)\" \
            --bad {hash}^2` with the other options as before",
            "- マージコミットである。取り込まれたブランチを探索するには、ほかのオプションはそのままで \
            `hangscope bisect --good \"$(git merge-base {hash}^1 {hash}^2)\" --bad {hash}^2`";
        Before { hung, of: "run", low, high } => "- Without it: {hung} of {of} hung, {low} % to {high} % at 95 %",
            "- なしの場合: {of} 回中 {hung} 回ハング、95 % 区間は {low} % から {high} %";
        With { hung, of: "run", low, high } => "- With it: {hung} of {of} hung, {low} % to {high} % at 95 %",
            "- ありの場合: {of} 回中 {hung} 回ハング、95 % 区間は {low} % から {high} %";
        Spent { runs: "run", builds: "build", minutes } => "- Spent: {runs} of {builds}, {minutes} min in all",
            "- 費用: {builds} 個のビルドで計 {runs} 回の実行、合計 {minutes} 分";
        NotCounted { runs: "run does|runs do" } => "- {runs} not count: crashed, failed, cut off, or another hang",
            "- 数えない実行は {runs} 回: 異常終了、失敗、打ち切り、または別のハング";
        Others { what } => "- Next: {what}", "- 次点: {what}";
        Signatures { count } => "- {count} kinds of hang were seen; see the table. --same counts only one",
            "- {count} 種類のハングがあった。表を参照。--same で 1 種類だけを数える";
        HangsBefore { n: "hang", label } => "- Would change it: {n} in a row at {label}", "- 結論が変わる条件: {label} で {n} 回連続のハング";
        GoodAt { n: "run", label } => "- Would change it: {n} in a row without a hang at {label}",
            "- 結論が変わる条件: {label} で {n} 回連続のハングなし";
        Assumes {} => "- Assumes: one change of the rate, constant rates before and after it, and more hangs after it; every place is as \
            probable as any other before the first run",
            "- 前提: 率の変化は 1 か所だけで、その前後の率は一定、変化後のほうがハングが多い。最初の実行の前はどの場所も同じ確率";
        AssumesSettings {} => "- Assumes: the builds with one value of one setting, or with all its values but one, hang more often than all \
            others, at a constant rate; every value is as probable as any other before the first run",
            "- 前提: ある設定の一つの値 (または一つを除くすべての値) を持つビルドだけが、ほかより高い一定の率でハングする。最初の実行の前はどの値も同じ確率";
        GoOn { line } => "- To continue: `{line}`", "- 再開方法: `{line}`";
        // The report.
        Title { name } => "# hangscope bisect: {name}", "# hangscope bisect: {name} の探索結果";
        Table {} => "| build | hung / runs | 95 % interval | posterior | |", "| ビルド | ハング / 実行 | 95 % 区間 | 確率 | |";
        SignatureTable {} => "| signature | hangs | counted | what |", "| シグネチャ | ハング | 数えた | 内容 |";
        NotBuilt {} => "skipped", "除外";
        Method {} => "Method: Bayesian search with unknown rates (the model of git_bayesect). Both rates have uniform priors with the \
            later one above, and are integrated out; the next build is the one with the most expected information for its time. The \
            intervals of rates are exact (Clopper-Pearson) for the counted runs. The runs chose the builds, so they are no \
            independent sample.",
            "方法: 率を未知とするベイズ探索 (git_bayesect のモデル)。二つの率には、後の率が高いという条件つきの一様な事前分布を置いて積分し、\
            時間あたりの期待情報量が最も多いビルドを次に選ぶ。率の区間は数えた実行に対する正確法 (Clopper-Pearson) による。ビルドは実行の結果に\
            よって選ばれるため、独立な標本ではない。";
    }
}
