//! What `hangscope packet` says: the hand-over of a hang to somebody who knows nothing of it yet.

use crate::text::message::messages;

messages! {
    /// A heading, a field or a sentence of the packet.
    pub(crate) Packet {
        Title { name } => "# Hand-over: a hang under {name}", "# 引き継ぎ: {name} でのハング";
        Intro {} => "This file has all that is needed to go on with this hang. hangscope looked into the process while it hung, \
            and wrote what it saw. `proven` follows from what was seen; `likely` fits it best.",
            "このハングの調査を引き継ぐために必要な情報をまとめた。内容は、ハング中のプロセスを hangscope が観測した結果である。「確定」(`proven`) は\
            観測から導かれるもの、「推定」(`likely`) は観測に最もよく合うもの。";
        // Headings.
        Question {} => "## The question", "## 問い";
        Asked { command, name } => "The program `{command}` runs with the allocator `{name}` in place of malloc, and does not end. \
            Which line is wrong, and how is it mended?",
            "プログラム `{command}` を、malloc をアロケータ `{name}` に差し替えて実行すると終了しない。どの行が誤りで、どう直すべきか。";
        AskedPlain { command } => "The program `{command}` does not end. Which line is wrong, and how is it mended?",
            "プログラム `{command}` が終了しない。どの行が誤りで、どう直すべきか。";
        Verdict {} => "## The verdict so far", "## 現時点の判定";
        Class { class, confidence } => "Class of the hang: {class} ({confidence}).", "ハングの分類: {class} ({confidence})。";
        Cause { cause } => "Cause: {cause}.", "原因: {cause}。";
        Seen {} => "## What was seen", "## 観測した事実";
        Waits {} => "## Who waits for whom", "## 待ちの関係";
        NoWaits {} => "No thread waits for an object that another thread could give.", "ほかのスレッドが解放できるものを待つスレッドはない。";
        Culprit {} => "## The stack to look at first", "## 最初に見るべきスタック";
        Others {} => "## The other stacks", "## その他のスタック";
        MoreStacks { count: "more group" } => "{count} of equal stacks: stacks.txt.", "同じスタックの組がほかに {count} 組ある (stacks.txt)。";
        Loop {} => "## The loop", "## ループ";
        Source {} => "## The source around it", "## 周辺のソース";
        NoSource { file, line } => "{file}, line {line} (the file was not there when the hang was captured).",
            "{file} の {line} 行目 (記録の時点でファイルがなかった)。";
        Ring {} => "## The data: a ring in a list", "## データ: リストの循環";
        RingNext { offset } => "The next pointer is at {offset} of a block.", "次のブロックへのポインタは各ブロックの {offset} にある。";
        BlockTable {} => "| block | in | size | pointed to by | in free() |", "| ブロック | 場所 | サイズ | 指しているもの | free() 中のスレッド |";
        MoreBlocks { count: "more block" } => "{count}, which are not listed.", "ほかに {count} ブロック (一覧は省略)。";
        // How to go on.
        Settings {} => "## Settings", "## 実行条件";
        Command { command } => "Command: `{command}`", "コマンド: `{command}`";
        Allocator { path } => "Allocator: `{path}`", "アロケータ: `{path}`";
        Bytes { sha1, build_id } => "SHA-1 {sha1}, build-id {build_id}", "SHA-1 {sha1}、build-id {build_id}";
        Intact { word, why } => "Integrity of that DSO: {word}, {why}", "その DSO の状態: {word}、{why}";
        Deadline { seconds } => "A run counted as hung after {seconds} s.", "{seconds} 秒で終わらない実行をハングとした。";
        After { seconds } => "It was captured {seconds} s after the program began.", "プログラムの開始から {seconds} 秒の時点で記録した。";
        Looks { seconds } => "Two looks were made, {seconds} s apart.", "{seconds} 秒の間隔で 2 回観測した。";
        OneLook {} => "There was only one look.", "観測は 1 回だけである。";
        Threads { all: "thread", futex, running } => "{all}: {futex} in futex waits, {running} running",
            "全 {all} スレッド: futex 待ち {futex}、実行中 {running}";
        Env { name } => "Environment: `{name}`", "環境変数: `{name}`";
        NoStir {} => "Nothing disturbed the program (`--stir` was off).", "プログラムの攪乱はしていない (`--stir` なし)。";
        Stir { strategy, seed } => "hangscope disturbed the program: `--stir {strategy}`, seed {seed} in this run.",
            "hangscope がプログラムを攪乱した: `--stir {strategy}`、この実行のシードは {seed}。";
        Repeat {} => "## How to repeat it", "## 再現の手順";
        Rate { hung, of: "run", low, high } => "It hung in {hung} of {of} ({low} % to {high} % at 95 %).",
            "{of} 回の実行のうち {hung} 回ハングした (95 % 区間: {low} % から {high} %)。";
        RepeatRuns {} => "the same runs again", "同じ実行をもう一度行う";
        RepeatStir {} => "the same disturbance as in the run that hung", "ハングした実行と同じ攪乱を行う";
        RepeatKeep {} => "stop at the first hang, with the process alive for gdb", "最初のハングで止め、gdb のためにプロセスを残す";
        RepeatShow {} => "all stacks of this hang", "このハングの全スタックを表示する";
        RepeatCore {} => "the core of this hang in gdb", "このハングのコアを gdb で開く";
        NotRun {} => "There is no hunt beside this hang: repeat the command under `hangscope hunt --so DSO -- COMMAND`.",
            "このハングには hunt の記録がない。`hangscope hunt --so DSO -- コマンド` で再現を試みること。";
        // Ruled out.
        RuledOut {} => "## What was ruled out, and how", "## 除外したものとその根拠";
        NothingRuledOut {} => "Nothing.", "なし。";
        OutDso { why } => "The wrong DSO: the allocator in memory was the file that was loaded ({why}; threads.json).",
            "DSO の取り違え: メモリ上のアロケータは、ロードされたファイルそのものだった ({why}、threads.json)。";
        OutMalloc {} => "Another malloc: the program said from inside that its malloc is that DSO (runs.jsonl).",
            "別の malloc: プログラムの内側からの報告により、malloc がその DSO のものであることを確認した (runs.jsonl)。";
        OutSlow { seconds, idle, all: "thread" } => "A run that is only slow: {idle} of {all} used no CPU time in the {seconds} s between \
            the looks, and the class is proven (threads.json).",
            "単に遅いだけの実行: 2 回の観測の間 ({seconds} 秒)、全 {all} スレッド中 {idle} スレッドが CPU 時間を使わず、分類は確定している (threads.json)。";
        OutKernel {} => "The kernel: no thread was in uninterruptible sleep (state D) in either look (threads.json).",
            "カーネル: どちらの観測でも、割り込み不可の待ち (状態 D) のスレッドはなかった (threads.json)。";
        OutCycle {} => "A deadlock: every thread has a whole stack, and their waits form no cycle (threads.json).",
            "デッドロック: 全スレッドのスタックがそろっており、待ちの関係に循環がない (threads.json)。";
        OutWakeup { owner } => "A lost wakeup of that lock: it has an owner, tid {owner}, which is alive (threads.json).",
            "そのロックの起床漏れ: 保持スレッド tid {owner} が存在する (threads.json)。";
        OutProgram {} => "The program: the class is proven, and what is stuck is inside the allocator, with no frame of the program in between \
            (threads.json).",
            "プログラム側の誤り: 分類は確定しており、止まっている箇所はアロケータの内部で、間にプログラムのフレームがない (threads.json)。";
        // Not known.
        NotKnown {} => "## What is not known", "## 分かっていないこと";
        AllKnown {} => "Nothing that hangscope asks for is missing.", "hangscope が必要とする情報に不足はない。";
        CutStacks { count: "stack|stacks" } => "{count} cut before the start of the thread.", "スレッドの始点まで届かないスタックが {count} 本ある。";
        WouldChange { what } => "It would change the verdict: {what}.", "判定を変え得るもの: {what}。";
        Perf { why } => "perf did not record: {why}", "perf による記録なし: {why}";
        Files {} => "## The files", "## ファイル";
        FilesIn { folder } => "All of it is in the folder `{folder}` of the evidence: `threads.json` (every thread, the finding), `stacks.txt`, \
            `loop.txt`, `dump.bin` and `recording.json.gz` (`hangscope report` analyses them again), `report.html` (to look at).",
            "すべて記録フォルダ `{folder}` にある: `threads.json` (全スレッドと判定)、`stacks.txt`、`loop.txt`、`dump.bin` と \
            `recording.json.gz` (`hangscope report` で再解析できる)、`report.html` (閲覧用)。";
        Cut {} => "The rest of this section was left out, to keep this file below 60 KB.", "このファイルを 60 KB 未満に収めるため、この節の残りは省略した。";
    }
}
