//! What `hangscope packet` says: the hand-over of a hang to somebody who knows nothing of it yet.

use crate::text::message::messages;

messages! {
    /// A heading, a field or a sentence of the packet.
    pub(crate) Packet {
        Title { name } => "# Hand-over: a hang under {name}", "# 引き継ぎ: {name} でのハング";
        Intro {} => "hangscope looked into the process while it hung. This file has what it saw, for somebody who goes on with it. \
            `proven` follows from what was seen; `likely` fits it best. Verdict A: the wrong DSO was running. Verdict B: a bug of the \
            allocator. The place where a thread is stuck is not always the line that is wrong: that line may have run long before.",
            "ハング中のプロセスを hangscope が観測した結果を、調査を引き継ぐ人のためにまとめた。「確定」(`proven`) は観測から導かれるもの、「推定」\
            (`likely`) は観測に最もよく合うもの。判定 A は DSO の取り違え、判定 B はアロケータの不具合。スレッドが止まっている箇所が、誤りのある行とは\
            限らない。その行はずっと前に実行された可能性もある。";
        // Headings.
        Question {} => "## The question", "## 問い";
        Asked { command, name } => "The program `{command}` runs with the allocator `{name}` in place of malloc, and does not end. \
            Which line is wrong, and how is it mended?",
            "プログラム `{command}` を、malloc をアロケータ `{name}` に差し替えて実行すると終了しない。どの行が誤りで、どう直すべきか。";
        AskedPlain { command } => "The program `{command}` does not end. Which line is wrong, and how is it mended?",
            "プログラム `{command}` が終了しない。どの行が誤りで、どう直すべきか。";
        Verdict {} => "## The verdict so far", "## 現時点の判定";
        Class { class, confidence, meaning } => "Class of the hang: {class} ({confidence}): {meaning}.", "ハングの分類: {class} ({confidence})、{meaning}。";
        IsDeadlock {} => "threads wait for each other's locks, or one waits for a lock that it holds itself",
            "互いのロックを待ち合っている、または自分が保持するロックを待っている";
        IsOwnerSpinning {} => "threads wait for a lock whose owner runs and does not come out", "待たれているロックの保持スレッドが実行中のまま抜けてこない";
        IsOwnerBlocked {} => "threads wait for a lock whose owner is blocked elsewhere", "待たれているロックの保持スレッドが別の場所で停止している";
        IsOwnerLeft {} => "the owner of the lock has left the allocator without a release", "ロックの保持スレッドが解放せずにアロケータを出ている";
        IsOwnerGone {} => "the owner of the lock is no thread of this process any more", "ロックの保持スレッドがこのプロセスにもう存在しない";
        IsLostWakeup {} => "threads sleep although what they wait for is free, and nobody is left to wake them: look at the code that \
            releases it", "待っているものが空いているのにスレッドが眠り続け、起こす者がいない。解放する側のコードを調べること";
        IsSpinWait {} => "threads spin on a lock word in the allocator", "アロケータの中でロックのワードをスピンし続けている";
        IsLivelock {} => "several threads retry in the allocator, and none comes out", "複数のスレッドがアロケータの中で再試行を続け、どれも抜けられない";
        IsRunaway {} => "one thread runs in the allocator and never comes out; nobody waits for a lock of its",
            "1 つのスレッドがアロケータの中で走り続けて抜けない。そのロックを待つスレッドはない";
        IsReentry {} => "a thread waits for a lock that it took further out on the same stack", "同じスタックの外側で取得したロックを待っている";
        IsKernelWait {} => "a thread is in uninterruptible sleep", "割り込み不可の待ちに入っている";
        IsOutside {} => "what is stuck has no frame of the allocator", "止まっている箇所にアロケータのフレームがない";
        IsSlow {} => "threads still come and go: no hang", "スレッドはまだ動いており、ハングではない";
        IsUnknown {} => "none of the classes fits what was seen", "観測に合う分類がない";
        Cause { cause } => "Cause: {cause}.", "原因: {cause}。";
        Seen {} => "## What was seen", "## 観測した事実";
        Waits {} => "## Who waits for whom", "## 待ちの関係";
        NoWaits {} => "No thread waits for a lock, or for something else that another thread holds.", "ロックなど、ほかのスレッドが保持するものを待つスレッドはない。";
        Culprit {} => "## The stack to look at first", "## 最初に見るべきスタック";
        Others {} => "## The other stacks", "## その他のスタック";
        MoreStacks { count: "more group" } => "{count} of equal stacks: stacks.txt.", "同じスタックの組がほかに {count} 組ある (stacks.txt)。";
        Loop {} => "## The loop", "## ループ";
        LoopOutside {} => "This thread runs outside the allocator. It may only wait for the others.",
            "このスレッドはアロケータの外で実行中で、ほかのスレッドを待っているだけの可能性がある。";
        Source {} => "## The source around it", "## 周辺のソース";
        NoSource { file, line } => "{file}, line {line} (the text of the file is not in the evidence).",
            "{file} の {line} 行目 (ファイルの内容は証拠に含まれていない)。";
        Ring {} => "## The data: a ring in a list", "## データ: リストの循環";
        RingNext { offset } => "The next pointer is at {offset} of a block.", "次のブロックへのポインタは各ブロックの {offset} にある。";
        BlockTable {} => "| block | in | size | pointed to by | in free() |", "| ブロック | 場所 | サイズ | 指しているもの | free() 中のスレッド |";
        MoreBlocks { count: "more block" } => "{count}, which are not listed.", "ほかに {count} ブロック (一覧は省略)。";
        NotSeen {} => "`-`: not known, or not seen. The blocks of the ring point to each other besides.",
            "`-` は不明、または観測されていないことを示す。このほかに、輪のブロックどうしが指し合っている。";
        // How to go on.
        Settings {} => "## Settings", "## 実行条件";
        Command { command } => "Command: `{command}`", "コマンド: `{command}`";
        Allocator { path } => "Allocator: `{path}`", "アロケータ: `{path}`";
        Pinned { path } => "The runs used a copy of it: `{path}`", "実行に使ったのはそのコピー: `{path}`";
        Bytes { sha1, build_id } => "SHA-1 {sha1}, build-id {build_id}", "SHA-1 {sha1}、build-id {build_id}";
        Intact { word, why } => "Integrity of that DSO: {word}, {why}", "その DSO の状態: {word}、{why}";
        Deadline { seconds } => "A run counted as hung after {seconds} s.", "{seconds} 秒で終わらない実行をハングとした。";
        After { seconds } => "It was captured {seconds} s after the program began.", "プログラムの開始から {seconds} 秒の時点で記録した。";
        Looks { seconds } => "Two looks were made, {seconds} s apart.", "{seconds} 秒の間隔で 2 回観測した。";
        OneLook {} => "There was only one look.", "観測は 1 回だけである。";
        Threads { all: "thread", futex, running } => "{all}: {futex} in futex waits, {running} running",
            "全 {all} スレッド: futex 待ち {futex}、実行中 {running}";
        Env { name } => "Environment: `{name}`", "環境変数: `{name}`";
        Version { version } => "hangscope {version}", "hangscope のバージョン: {version}";
        OwnFrames {} => "Frames of `libhangscope.so` are of the shim: it takes over `syscall` and `prctl` to note filters of system calls, \
            and makes the same call.",
            "`libhangscope.so` のフレームはシムのもの。システムコールのフィルタを把握するために `syscall` と `prctl` を引き受け、同じ呼び出しを行う。";
        NoStir {} => "Nothing disturbed the program (`--stir` was off).", "プログラムの攪乱はしていない (`--stir` なし)。";
        Stir { strategy, seed } => "hangscope disturbed the program: `--stir {strategy}`, seed {seed} in this run.",
            "hangscope がプログラムを攪乱した: `--stir {strategy}`、この実行のシードは {seed}。";
        Repeat {} => "## How to repeat it", "## 再現の手順";
        Rate { hung, of: "run", low, high } => "It hung in {hung} of {of} ({low} % to {high} % at 95 %).",
            "{of} 回の実行のうち {hung} 回ハングした (95 % 区間: {low} % から {high} %)。";
        RepeatRuns {} => "the same runs again", "同じ実行をもう一度行う";
        RepeatStir {} => "the same disturbance as in the run that hung", "ハングした実行と同じ攪乱を行う";
        RepeatKeep {} => "stop at the first hang, with the process alive for gdb", "最初のハングで止め、gdb のためにプロセスを残す";
        Relative {} => "Relative paths are those of the folder in which the hunt was started.", "相対パスは、hunt を開始したフォルダからのもの。";
        RepeatControl {} => "the same command without the allocator: does it hang, too?", "アロケータなしで同じコマンドを実行する (これもハングするか)";
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
        OutProgram {} => "The program's own code: the class is proven, and what is stuck is inside the allocator, with no frame of the \
            program in between (threads.json). A write of the program into the allocator's data is not ruled out by this.",
            "プログラム側のコード: 分類は確定しており、止まっている箇所はアロケータの内部で、間にプログラムのフレームがない (threads.json)。\
            ただし、プログラムがアロケータのデータを書き換えた可能性までは除外できない。";
        // Not known.
        NotKnown {} => "## What is not known", "## 分かっていないこと";
        AllKnown {} => "Nothing that hangscope asks for is missing.", "hangscope が必要とする情報に不足はない。";
        CutStacks { count: "stack|stacks" } => "{count} cut before the start of the thread.", "スレッドの始点まで届かないスタックが {count} 本ある。";
        WouldChange { what } => "It would change the verdict: {what}.", "判定を変え得るもの: {what}。";
        Perf { why } => "perf did not record: {why}", "perf による記録なし: {why}";
        Files {} => "## The files", "## ファイル";
        FilesIn { folder } => "All of it is in the folder `{folder}` of the evidence: `threads.json` (every thread, the finding), `stacks.txt`, \
            `loop.txt`, `dump.bin`, `dump_outside.bin` and `recording.json.gz` (`hangscope report` analyses them again), `report.html` (to look \
            at). The folder above has `runs.jsonl` and `verdict.json`, where it is OUT of a hunt.",
            "すべて記録フォルダ `{folder}` にある: `threads.json` (全スレッドと判定)、`stacks.txt`、`loop.txt`、`dump.bin`、`dump_outside.bin`、\
            `recording.json.gz` (`hangscope report` で再解析できる)、`report.html` (閲覧用)。hunt の出力先であれば、1 つ上のフォルダに `runs.jsonl` と \
            `verdict.json` がある。";
        Cut {} => "The rest of this section was left out, to keep this file below 60 KB.", "このファイルを 60 KB 未満に収めるため、この節の残りは省略した。";
    }
}
