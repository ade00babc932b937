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
        Dso { path, word, why } => "{path}: {word}, {why}", "{path}: {word}、{why}";
        Evidence {} => "evidence:", "根拠:";
        WouldChange {} => "would change it:", "判定を変え得るもの:";
        NoHeadline {} => "no headline in verdict.json", "verdict.json に結論がない";
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
