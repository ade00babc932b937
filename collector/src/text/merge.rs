//! What a merge says.

use crate::text::message::messages;

messages! {
    /// A line of a merge, or a heading or cell of its tables.
    pub(crate) MergeLine {
        NotJoined { folder, why } => "{folder}: {why}; it is left out", "{folder}: {why}。結合しない";
        EarlierPart { folder, whole } => "{folder} is an earlier part of {whole}, which has all of its runs",
            "{folder} は {whole} の途中の写しで、その実行はすべて後者にある";
        CountersStay {} => "counters are not joined: each shard has its own (shards/)", "カウンタは結合しない。シャードごとの値は shards/ にある";
        Remembered { runs: "run", file } => "{runs} of the shards added to the history ({file})", "シャードの実行 {runs} 件を履歴に追加した ({file})";
        NotRemembered { why } => "a history of a shard was not added: {why}", "シャードの履歴を追加できなかった: {why}";
        // The tables.
        Shards {} => "## Shards", "## シャード";
        Nodes {} => "## Machines", "## マシン";
        ColShard {} => "shard", "シャード";
        ColEnd {} => "end", "終わり方";
        ColMade {} => "made / planned", "実施 / 予定";
        ColRuns {} => "made", "実施";
        ColHung {} => "hung", "ハング";
        ColMachine {} => "machine", "マシン";
        ColKernel {} => "kernel", "カーネル";
        ColGlibc {} => "glibc", "glibc の版";
        ColCpu {} => "CPU", "CPU の型番";
        ColRate {} => "hang rate, 95 %", "ハング率 (95 %)";
        ShardTable {} => "The shards, and the machines that made their runs", "シャードと、実行したマシン";
        NodeTable {} => "Hangs by machine", "マシンごとのハング";
        // How a shard ended.
        AllMade {} => "all runs made", "全実行が完了";
        FirstHang {} => "stopped at its first hang", "最初のハングで終了";
        MaxTime {} => "time limit reached", "制限時間に到達";
        Interrupted {} => "interrupted", "中断";
        Unfinished {} => "killed, or still at work", "強制終了、または実行中";
        RunsLost {} => "runs lost", "実行の記録が欠落";
        NotThere {} => "missing", "不足";
    }
}
