//! What is said of one process on a screen: its finding, who waits for whom, its stacks.

use crate::text::message::messages;

messages! {
    /// A line, or a part of one, about a process.
    pub(crate) View {
        // The finding.
        Process { pid, class, confidence, all: "thread", futex, running } => "pid {pid}: {class} ({confidence}), {all}, \
            {futex} in futex waits, {running} running",
            "pid {pid}: {class} ({confidence})、全 {all} スレッド、futex 待ち {futex}、実行中 {running}";
        Missing { sentence } => "missing: {sentence}", "不足: {sentence}";
        LoopOf { tid, function, summary } => "the loop of tid {tid} in `{function}`: {summary} (loop.txt)",
            "tid {tid} の `{function}` のループ: {summary} (loop.txt)";
        Dso { path, word, why } => "{path}: {word}, {why}", "{path}: {word}、{why}";
        Evidence {} => "evidence:", "根拠:";
        WouldChange {} => "would change it:", "判定を変え得るもの:";
        NoHeadline {} => "no headline in verdict.json", "verdict.json に結論がない";
        GraphOf { name } => "who waits for whom ({name}):", "待ちの関係 ({name}):";
        GraphTimes { count, names } => "who waits for whom ({count} times: {names}):", "待ちの関係 (同じハングが {count} 回: {names}):";
        NoGraph {} => "no thread waits for an object that another could give", "ほかのスレッドが解放できるものを待つスレッドはない";
        MoreHangs { more } => "{more} more hangs of other kinds; --json has all of them", "ほかに別種のハングが {more} 件ある (--json ですべて表示)";
        MoreStacks { count: "more thread", path } => "the stacks of {count}: hangscope show {path} --stacks",
            "ほかの {count} スレッドのスタック: hangscope show {path} --stacks";
        // Of a collector, and of a shrink.
        Found {} => "what was found:", "結果:";
        Notes {} => "notes:", "注記:";
        Sessions { sessions: "session", hung } => "{sessions}, {hung} hung", "セッション {sessions} 件、うちハング {hung} 件";
        HungSessions {} => "sessions that hung:", "ハングしたセッション:";
        LastSessions {} => "the last sessions:", "最近のセッション:";
        Session { pid, command, what, end, seconds } => "pid {pid}, {command}: {what}, {end} after {seconds} s",
            "pid {pid}、{command}: {what}、{seconds} 秒で{end}";
        SessionHung { class } => "hung ({class})", "ハング ({class})";
        SessionSeen { class } => "no hang ({class} was seen)", "ハングなし ({class} を観測)";
        SessionNoHang {} => "no hang", "ハングなし";
        SessionOpen {} => "still there when the collector ended", "収集が終了 (プロセスは動作中)";
        SessionSignal { signal } => "ended by signal {signal}", "シグナル {signal} により終了";
        SessionExit { rc } => "exit status {rc}", "終了 (ステータス {rc})";
        SessionLost {} => "its end was not seen", "接続が途絶 (終わり方は不明)";
        Graph {} => "who waits for whom:", "待ちの関係:";
        // The heading of a stack.
        OneThread { tid, comm, state } => "tid {tid} ({comm}): {state}", "スレッド {tid} ({comm}): {state}";
        Threads { count: "thread", tids, state } => "{count} ({tids}): {state}", "{count} スレッド ({tids}): {state}";
        WaitFor { detail, object } => "{detail} {object}", "{detail} {object} 待ち";
        HeldBy { wait, owner } => "{wait}, held by tid {owner}", "{wait} (保持スレッドは tid {owner})";
        Running {} => "running", "実行中";
        State { letter } => "state {letter}", "状態 {letter}";
        // Below its frames.
        NotTaken {} => "no stack was taken", "スタックは取得されていない";
        CutHere {} => "the stack is cut here", "スタックはここで途切れている";
        NoStack {} => "no stack", "スタックなし";
        // The graph.
        Again { tid } => "tid {tid} again: a ring", "再び tid {tid}: 循環待ち";
        JoinedBy {} => "joined by:", "終了 (join) を待つスレッド:";
        Holds { object, waiters: "thread waits|threads wait" } => "holds {object}; {waiters}:",
            "{object} を保持、{waiters} スレッドが待機:";
        HasEnded { tid } => "tid {tid}, which has ended", "tid {tid} (すでに終了している)";
        WaitsFor { thread, object } => "{thread}, waits for {object}", "{thread}、{object} を待機中";
        Blocked { thread, detail } => "{thread}, blocked: {detail}", "{thread}、停止中: {detail}";
        Runs { thread } => "{thread}, running", "{thread}、実行中";
        In { text, function } => "{text} in {function}", "{text}、{function} の中";
        NoOwner { object, waiters: "thread waits|threads wait" } => "{object}, owner unknown; {waiters}:",
            "{object}、所有者は不明、{waiters} スレッドが待機:";
    }
}
