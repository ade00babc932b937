//! What the live view says.

use crate::text::message::messages;

messages! {
    pub(crate) TopWord {
        // The head.
        Collector {} => "collector", "コレクタ";
        Hunt { name } => "hunt {name}", "ハント {name}";
        Matrix {} => "matrix", "マトリクス";
        Since { time } => "for {time}", "{time} 経過";
        Sessions { sessions: "session", open } => "{sessions}, {open} open", "セッション {sessions} 件、うち継続中 {open} 件";
        Runs { made, planned } => "run {made}/{planned}", "実行 {made}/{planned}";
        RunsSoFar { made: "run" } => "{made}", "実行 {made} 回";
        Now { runs } => "now {runs}", "実行中 {runs}";
        Capturing { run } => "{run} (hangs: capturing)", "{run} (ハング: 記録中)";
        Hangs { hung, made, low, high } => "hangs {hung}/{made} ({low} % to {high} % at 95 %)",
            "ハング {hung}/{made} (95 % 区間 {low} % から {high} %)";
        NoHangs { made, high } => "hangs 0/{made} (below {high} % at 95 %)", "ハング 0/{made} (95 % 信頼で {high} % 未満)";
        NoRuns {} => "hangs 0/0", "ハング 0/0 件";
        Dropped { frames: "message" } => "{frames} dropped", "欠落メッセージ {frames} 件";
        // The table.
        Pid {} => "PID", "番号";
        LabelHead {} => "LABEL", "ラベル";
        Allocator {} => "ALLOC", "割当";
        Dso {} => "DSO", "DSO 状態";
        Age {} => "AGE", "時間";
        Threads {} => "THREADS", "スレッド";
        Cpu {} => "CPU%", "負荷";
        Rss {} => "RSS", "常駐";
        State {} => "STATE", "状態";
        ClassHead {} => "CLASS", "分類";
        Command {} => "COMMAND", "コマンド";
        Running {} => "runs", "実行中";
        Dumping {} => "dump", "取得中";
        Hung {} => "HUNG", "ハング";
        Slow {} => "slow", "低速";
        EndedWord {} => "ended", "終了";
        EndedHung {} => "ended!", "終了!";
        NoProcess {} => "no process has said hello yet", "まだどのプロセスも接続していない";
        LeftOut { processes: "process is|processes are" } => "{processes} not listed: too many", "ほかの {processes} プロセスは多すぎるため省略";
        // The foot.
        KeysTable { sort } => "Enter open  d dump  m mark  s sort: {sort}  ? help  q quit",
            "Enter 詳細  d ダンプ  m 印  s 並び: {sort}  ? 説明  q 終了";
        KeysProcess {} => "d dump  m mark  j/k scroll  ? help  Esc back  q quit", "d ダンプ  m 印  j/k 移動  ? 説明  Esc 戻る  q 終了";
        KeysHelp {} => "any key goes back", "どのキーでも戻る";
        SortState {} => "state", "状態";
        SortAge {} => "age", "時間";
        SortCpu {} => "CPU", "負荷";
        SortRss {} => "RSS", "メモリ";
        SortPid {} => "PID", "番号";
        MarkOf { pid, text } => "mark {pid}: {text}_  (Enter writes, Esc leaves)", "印 {pid}: {text}_  (Enter で記録、Esc で取り消し)";
        AskedDump { pid } => "asked process {pid} for a dump", "プロセス {pid} にダンプを要求した";
        GotDump { pid, class, folder } => "process {pid}: {class} -> {folder}", "プロセス {pid}: {class} -> {folder}";
        NoDump { pid, why } => "no dump of process {pid}: {why}", "プロセス {pid} のダンプは得られなかった: {why}";
        Marked { pid } => "marked process {pid} (marks.jsonl)", "プロセス {pid} に印を付けた (marks.jsonl)";
        NotMarked { why } => "no mark: {why}", "印を付けられなかった: {why}";
        HasEnded { pid } => "process {pid} has ended", "プロセス {pid} は終了している";
        SelectFirst {} => "select a process first", "先にプロセスを選ぶこと";
        Gone { pid } => "process {pid} is not listed any more: it ended some time ago", "プロセス {pid} は一覧から消えた: しばらく前に終了した";
        JobEnded {} => "The job has ended. This is the last that it told; q quits", "ジョブは終了した。これは最後の状態。q で終了";
        JobKilled {} => "The job was killed. This is the last that it told; q quits", "ジョブは強制終了された。これは最後の状態。q で終了";
        JobSilent { time } => "the job has not answered for {time}", "ジョブが {time} 応答していない";
        Waiting {} => "waiting for the job", "ジョブの応答を待っている";
        // A process.
        Process { pid, label } => "process {pid}  {label}", "プロセス {pid}  {label}";
        RunOf { run } => "run: {run}", "実行: {run}";
        CommandOf { command } => "command: {command}", "コマンド: {command}";
        AllocatorOf { name, word } => "allocator: {name}, DSO {word}", "アロケータ: {name}、DSO {word}";
        NotKnown {} => "not known", "不明";
        AgeOf { time } => "age: {time}", "経過: {time}";
        Deadline { time } => "deadline {time}", "制限時間 {time}";
        Stall { time } => "stall {time}", "停止判定 {time}";
        StillFor { looks: "look" } => "nothing moved for {looks}", "{looks} 回の観測で動きなし";
        ThreadsOf { all, running, futex, sleeping, disk, other } => "threads: {all} (running {running}, futex {futex}, sleeping {sleeping}, D {disk}, other {other})",
            "スレッド: {all} (実行中 {running}、futex 待ち {futex}、休止 {sleeping}、D {disk}、その他 {other})";
        UseOf { cpu, rss } => "CPU {cpu} %, RSS {rss}", "CPU {cpu} %、RSS {rss}";
        EndedExit { rc } => "It has ended: exit status {rc}.", "終了した: ステータス {rc}。";
        EndedSignal { signal } => "It has ended: {signal}.", "終了した: {signal}。";
        EndedBecause { why } => "It has ended: {why}.", "終了した: {why}。";
        EndedSomehow {} => "It has ended; how is not known.", "終了した。終わり方は不明。";
        NotHungYet {} => "no dump yet: d asks for one", "ダンプはまだない。d で要求できる";
        DumpUnderWay {} => "a dump is being taken", "ダンプを取得中";
        ClassOf { class } => "last dump: {class}", "最後のダンプ: {class}";
        Bundle { path } => "bundle: {path}", "記録: {path}";
        MarkLine { time, text } => "mark {time}: {text}", "印 {time}: {text}";
        StacksOf { number, time } => "stacks of dump {number}, at {time}:", "ダンプ {number} のスタック ({time} の時点):";
        MoreThreads { threads: "more thread" } => "{threads}: see the bundle", "ほかの {threads} スレッドは記録を参照";
    }
}
