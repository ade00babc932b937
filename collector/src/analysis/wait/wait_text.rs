//! What a thread waits for, as a phrase for people.

use crate::text::message::messages;

messages! {
    pub(crate) WaitText {
        Mutex { kind } => "pthread mutex ({kind})", "pthread の mutex ({kind})";
        MutexForeign { kind, tid } => "pthread mutex ({kind}, its owner, tid {tid}, is no thread of this process)",
            "pthread の mutex ({kind}、保持者 tid {tid} はこのプロセスのスレッドではない)";
        MutexUnknown {} => "pthread mutex (type unknown)", "pthread の mutex (種別不明)";
        MutexUnreadable {} => "pthread mutex (not readable)", "pthread の mutex (読み取り不可)";
        Join {} => "join", "スレッドの終了 (join)";
        JoinOf { tid } => "join of tid {tid}", "tid {tid} の終了 (join)";
        Condition {} => "condition variable", "条件変数";
        ConditionInheriting {} => "condition variable (of an inheriting mutex)", "条件変数 (優先度継承 mutex 用)";
        Barrier {} => "barrier", "バリア";
        Semaphore {} => "semaphore", "セマフォ";
        RwLock {} => "read-write lock", "読み書きロック";
        RwLockWritten {} => "read-write lock (held by a writer)", "読み書きロック (書き込み側が保持)";
        RwLockRead { readers: "reader" } => "read-write lock (held by {readers})", "読み書きロック ({readers} スレッドが読み取り側で保持)";
        MutexParked {} => "a pthread mutex (priority-inheriting) that the kernel refused because of a ring of locks or an owner that has \
            ended: glibc never ends this wait",
            "ロックの循環または保持者の終了のためカーネルに拒否された pthread の mutex (優先度継承、glibc はこの待ちを終わらせない)";
        FutexVector { words: "futex word" } => "any of {words}", "{words} 個の futex ワードのいずれか";
        Once {} => "once", "once の初期化";
        Guard {} => "initialization of a static variable", "静的変数の初期化";
        Gil {} => "the GIL of Python", "Python の GIL";
        LowLevel {} => "low-level lock of glibc", "glibc の低レベルロック";
        Ownerless {} => "futex lock without an owner field", "保持者を記録しない futex ロック";
        OwnWord {} => "futex lock whose word is its owner's tid", "ワードが保持者の tid である futex ロック";
        SpinAbsl {} => "spin lock of absl", "absl のスピンロック";
        Spins {} => "spin lock", "スピンロック";
        SpinSleeps {} => "spin lock that sleeps", "スリープするスピンロック";
        SemAbsl {} => "mutex or condition of absl", "absl の mutex または条件変数";
        RustMutex {} => "mutex of Rust", "Rust の mutex";
        RustRwLock {} => "read-write lock of Rust", "Rust の読み書きロック";
        RustCondition {} => "condition variable of Rust", "Rust の条件変数";
        RustOnce {} => "once of Rust", "Rust の once";
        RustPark {} => "park of Rust", "Rust の park";
        RustChannel {} => "channel of Rust", "Rust のチャネル";
        ParkingLot {} => "lock of parking_lot", "parking_lot のロック";
        RustLock {} => "lock of Rust (judged by its operation)", "Rust のロック (操作から判断)";
        FutexOperation { op } => "futex (operation {op})", "futex (操作 {op})";
        FutexOne {} => "futex (value 1: a once, or a lock without an owner field)",
            "futex (値 1: once か、保持者を記録しないロック)";
        FutexWhile { value } => "futex (waits while the value is {value})", "futex (値が {value} の間は待つ)";
        Kernel { place } => "in {place} of the kernel (call not readable)",
            "カーネルの {place} の中 (システムコールは読み取り不可)";
        KernelSomewhere {} => "in an unknown place of the kernel (call not readable)",
            "カーネルの中 (場所は不明、システムコールは読み取り不可)";
        PageFault {} => "page fault", "ページフォールト";
        SystemCall { number } => "system call {number}", "システムコール {number}";
        OfFd { call, fd } => "{call} of fd {fd}", "fd {fd} の {call}";
        OfFdTo { call, fd, target } => "{call} of fd {fd} ({target})", "fd {fd} ({target}) の {call}";
        EndsOnlyHere { wait } => "{wait}, whose other end only this process has",
            "{wait} (もう一方の端はこのプロセスだけが持つ)";
        EndsHere { wait } => "{wait}, whose other end this process has itself",
            "{wait} (もう一方の端はこのプロセス自身が持つ)";
        EndsHereAnd { wait, comm, pid } => "{wait}, whose other end this process and {comm} (pid {pid}) have",
            "{wait} (もう一方の端はこのプロセスと {comm} (pid {pid}) が持つ)";
        EndsIn { wait, comm, pid } => "{wait}, whose other end {comm} (pid {pid}) has",
            "{wait} (もう一方の端は {comm} (pid {pid}) が持つ)";
        LockedHere { wait } => "{wait}, which this process holds itself", "{wait} (このプロセス自身が保持)";
        LockedBy { wait, comm, pid } => "{wait}, which {comm} (pid {pid}) holds",
            "{wait} ({comm} (pid {pid}) が保持)";
        ChildIs { wait, comm, pid } => "{wait} for child {comm} (pid {pid})", "子プロセス {comm} (pid {pid}) の {wait}";
        WaitsForUs { wait } => "{wait}, which waits for this process itself", "{wait}、そのプロセスはこのプロセスを待っている";
        VforkOf { child } => "vfork, until its child, pid {child}, starts a program",
            "vfork (子プロセス pid {child} がプログラムを起動するまで)";
        Runs {} => "running", "実行中";
    }
}
