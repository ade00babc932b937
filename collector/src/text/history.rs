//! What is said of earlier runs.

use crate::text::message::messages;

messages! {
    /// A line about the history, or of it.
    pub(crate) HistoryLine {
        NotRemembered { error } => "the job is not all in the history: {error}; give another file with --history FILE, or leave it out with --no-history. The files in OUT are whole",
            "履歴にジョブのすべてを残せなかった: {error}。--history FILE で別のファイルを指定するか、--no-history で履歴を使わない。OUT のファイルは完全";
        Missing { missing, runs: "run", error } => "{missing} of {runs} are not in the history: {error}; give another file with --history FILE, or leave it out with --no-history. The files in OUT are whole",
            "実行 {runs} 回のうち {missing} 回を履歴に残せなかった: {error}。--history FILE で別のファイルを指定するか、--no-history で履歴を使わない。OUT のファイルは完全";
        Dropped { missing, runs: "run" } => "{missing} of {runs} are not in the history: it could not be written to for too long. The files in OUT are whole",
            "実行 {runs} 回のうち {missing} 回を履歴に残せなかった: 書き込めない時間が長すぎた。OUT のファイルは完全";
        NoHome {} => "the runs are not remembered: no home folder is known (HOME, XDG_DATA_HOME); give --history FILE, or --no-history",
            "実行を履歴に残さない: ホームフォルダーが分からない (HOME、XDG_DATA_HOME)。--history FILE または --no-history を指定する";
        Unread { error } => "the history could not be read: {error}", "履歴を読めなかった: {error}";
        SetAside { aside } => "the history was damaged. It was set aside as {aside}, and a new one begun; `sqlite3 FILE .recover` may save some of it",
            "履歴が壊れていたため {aside} として別に残し、新しい履歴を始めた。`sqlite3 FILE .recover` で一部を救える場合がある";
        SeenBefore { words, times: "time|times", since, build } => "seen {times} before ({words}), since {since}, first with {build}",
            "同じハング ({words}) を以前に {times} 回観測した。最初は {since}、{build}";
        NeverSeen { words } => "not seen before: {words}", "以前に観測したことのないハング: {words}";
        // `hangscope history`.
        Head { file, runs: "run|runs", hangs: "hang|hangs", jobs: "job|jobs", since } => "{file}: {runs}, {hangs}, {jobs} since {since} (dates in UTC)",
            "{file}: 実行 {runs} 回、ハング {hangs} 回、ジョブ {jobs} 件、{since} から (日付は UTC)";
        Nothing { file } => "{file} has no runs yet: hunt, matrix and collect add theirs, unless --no-history is given",
            "{file} にはまだ実行がない。hunt、matrix、collect が追加する (--no-history の場合を除く)";
        NothingMatches {} => "no run matches these options", "条件に合う実行はない";
        Of { allocator, workload } => "{allocator}, {workload}", "{allocator}、{workload}";
        Lane { lane } => "lane {lane}", "レーン {lane}";
        Label { label } => "label {label}", "ラベル {label}";
        Stirred { stir } => "disturbed by --stir {stir}", "--stir {stir} で攪乱";
        Build {} => "build", "ビルド";
        BuildId {} => "build-id", "ビルド ID (build-id)";
        Period {} => "when", "時期";
        First {} => "first run", "最初の実行";
        Last {} => "last run", "最後の実行";
        Runs {} => "runs", "実行";
        Hung {} => "hung", "ハング";
        Rate {} => "rate (95 %)", "率 (95 %)";
        Died {} => "died or failed", "異常終了";
        NoneCounts {} => "no run counts", "数えられる実行なし";
        Since { day, said } => "of the runs since {day}: {said}", "{day} からの実行では、{said}";
        Apart { hung, before } => "the first build that hung in a run that counts is {hung}; the last before it that never hung is {before}. Their intervals do not overlap",
            "数えられる実行で最初にハングしたビルドは {hung}、その前で一度もハングしなかった最後のビルドは {before}。区間は重ならない";
        NotApart { hung, before, build } => "the first build that hung in a run that counts is {hung}; the last before it that never hung is {before}. Their intervals overlap: \
            {build} may hang as often. `hangscope hunt --so OLD.so --arm pinned --arm so=NEW.so --until-decided` tells",
            "数えられる実行で最初にハングしたビルドは {hung}、その前で一度もハングしなかった最後のビルドは {before}。区間が重なるため、{build} も同じ頻度でハングする可能性がある。\
            `hangscope hunt --so OLD.so --arm pinned --arm so=NEW.so --until-decided` で区別できる";
        Interval { hung, of, low, high } => "{hung}/{of}: {low} to {high} %", "{hung}/{of}: {low} から {high} %";

        Hangs {} => "Hangs by signature", "特徴 (signature) ごとのハング";
        Signature {} => "signature", "特徴 (signature)";
        Times {} => "times", "回数";
        FirstSeen {} => "first seen", "初回";
        LastSeen {} => "last seen", "最終";
        What {} => "what", "内容";
        Bare {} => "(only the class is known: these may be different bugs)", "(分類しか分からないため、別々のバグの可能性がある)";
        Node {} => "node", "ノード";
        When {} => "when (UTC)", "日時 (UTC)";
        Bundle {} => "evidence", "記録";
        Gone { bundle } => "{bundle} (gone)", "{bundle} (すでにない)";
        More { more: "row|rows" } => "{more} more: --all shows them", "ほかに {more} 行 (--all で表示)";
        Imported { file, runs: "new run|new runs" } => "{file}: {runs}", "{file}: 新しい実行 {runs} 件";
    }
}
