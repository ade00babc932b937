//! Why a hang gets its class, and what was missing: one sentence for each fact, with the file that shows it.

use crate::text::message::{Say as _, Text, messages};

messages! {
    /// A sentence of a finding.
    pub Why {
        // Locks that keep their owner.
        Cycle { members, locks } => "threads {members} wait for each other in a ring, over {locks} (threads.json)",
            "スレッド {members} が {locks} を介して循環待ちになっている (threads.json)";
        SelfCycle { tid, lock } => "tid {tid} waits for {lock}, which it holds itself (threads.json)",
            "tid {tid} は自分自身が保持している {lock} を待っている (threads.json)";
        Held { waiters: "thread waits|threads wait", lock, owner } => "tid {owner} holds {lock}; {waiters} for it (threads.json)",
            "tid {owner} が {lock} を保持し、{waiters} スレッドがそれを待っている (threads.json)";
        Behind { more: "more thread waits|more threads wait" } => "{more} behind those (threads.json)",
            "さらに {more} スレッドがその後ろで待っている (threads.json)";
        NeverReleased { waiters: "waiter", seconds } => "{waiters} did not wake in the {seconds} s between the two looks: the lock \
            was not released in that time (threads.json)",
            "2 回の観測の間の {seconds} 秒に、待機中の {waiters} スレッドは 1 つも起きず、ロックは解放されていない (threads.json)";
        RingStill { seconds } => "none of them woke in the {seconds} s between the two looks (threads.json)",
            "2 回の観測の間の {seconds} 秒に、これらのスレッドは 1 つも起きていない (threads.json)";
        ComesBack { tids, samples: "sample" } => "tid {tids} woke, for a signal or at a timeout, and waited again for the same lock of \
            the same owner; the call that waits did not return, in {samples} (stacks.txt)",
            "tid {tids} はシグナルやタイムアウトで起きたが、同じ保持者の同じロックを再び待った。待っている呼び出しは {samples} サンプルの\
            間、戻っていない (stacks.txt)";
        OwnerRuns { owner, share } => "tid {owner} runs in both looks and used {share} % of a core in between \
            (threads.json)",
            "tid {owner} は 2 回の観測のどちらでも実行中で、その間にコアの {share} % を使った (threads.json)";
        OwnerBusy { owner } => "tid {owner} runs from time to time and does not release the lock (threads.json)",
            "tid {owner} は断続的に実行されているが、ロックを解放しない (threads.json)";
        OwnerBlocked { owner, wait } => "tid {owner} is itself blocked: {wait} (threads.json)",
            "tid {owner} 自身も止まっている: {wait} (threads.json)";
        OwnerStopped { owner } => "tid {owner} is stopped by a signal or a debugger (threads.json)",
            "tid {owner} はシグナルまたはデバッガで停止している (threads.json)";
        OwnerGone { owner, lock, waiters: "thread waits|threads wait" } => "the owner of {lock} is tid {owner}, which is no longer \
            a thread of this process; {waiters} for the lock (threads.json)",
            "{lock} の保持スレッド tid {owner} はこのプロセスにもう存在せず、{waiters} スレッドが待ち続けている (threads.json)";
        HeldElsewhere { owner, pid, comm, lock, waiters: "thread waits|threads wait", state } => "tid {owner} ({comm}) of another \
            process, pid {pid}, holds {lock}, which lies in memory that both map; it {state}; {waiters} for the lock \
            (threads.json)",
            "別のプロセス pid {pid} のスレッド tid {owner} ({comm}) が {lock} を保持している。ロックは両プロセスの共有メモリにあり、\
            保持スレッドは{state}。{waiters} スレッドがそれを待っている (threads.json)";
        DiedElsewhere { owner } => "the lock lies in memory that processes share, and no process has a thread with tid {owner} any \
            more: it ended with the lock (threads.json)",
            "ロックはプロセス間の共有メモリにあり、tid {owner} のスレッドはどのプロセスにも存在しない。ロックを保持したまま終了した \
            (threads.json)";
        IsStopped {} => "is stopped by a signal or a debugger", "シグナルまたはデバッガで停止中";
        IsAsleep {} => "sleeps", "スリープ中";
        IsRunning {} => "runs", "実行中";
        OtherProcess { pid } => "what process {pid} does with the lock was not looked at: `hangscope snap {pid}` shows it",
            "プロセス {pid} がロックを保持したまま何をしているかは調べていない。`hangscope snap {pid}` で確認できる";
        Forked {} => "the process is a forked child: a thread of the parent held the lock at the fork (dump.bin)",
            "このプロセスは fork された子で、fork の時点で親プロセスのスレッドがロックを保持していた (dump.bin)";
        AloneInChild {} => "the process is a forked child with one thread, and nothing in it holds the lock: a thread of the \
            parent may have held it at the fork (dump.bin)",
            "このプロセスは fork された子で、スレッドは 1 つしかなく、ロックを保持するものはない。fork の時点で親プロセスのスレッドが\
            保持していた可能性がある (dump.bin)";
        HolderOutside { owner } => "tid {owner} is outside the allocator and still holds the lock: it left without \
            a release (stacks.txt)",
            "tid {owner} はアロケータの外にいるのにロックを保持している。解放せずに抜けている (stacks.txt)";
        HolderReturns { owner } => "tid {owner} leaves the allocator and enters it again while it holds the lock: an earlier call \
            returned without a release (stacks.txt)",
            "tid {owner} はロックを保持したままアロケータへの出入りを続けている。以前の呼び出しが解放せずに戻っている (stacks.txt)";
        ReleaseLost { functions } => "the call that returned with the lock is not on a stack any more; functions that take this lock: \
            {functions}",
            "ロックを保持したまま戻った呼び出しは、もうどのスタックにもない。このロックを取る関数: {functions}";
        // Whose lock, whose loop.
        CalledBack { tid, place } => "tid {tid} is in {place}, a function of the program that the allocator called (stacks.txt)",
            "tid {tid} は {place} の中にいる。これはアロケータから呼ばれたプログラム側の関数 (stacks.txt)";
        CallsProgram { tid, place } => "the loop of tid {tid} calls {place}, a function of the program (stacks.txt)",
            "tid {tid} のループはプログラム側の関数 {place} を呼んでいる (stacks.txt)";
        MallocInHandler { tid, place } => "tid {tid} entered the allocator from the signal handler {place}, which had interrupted the \
            allocator on the same stack: malloc is not async-signal-safe (stacks.txt)",
            "tid {tid} では、アロケータの実行中に割り込んだシグナルハンドラ {place} が再びアロケータに入っている。malloc は\
            シグナルハンドラから安全に呼べない (stacks.txt)";
        InHandler { tid, place } => "tid {tid} is in the signal handler {place}, which interrupted the allocator (stacks.txt)",
            "tid {tid} は、アロケータの実行中に割り込んだシグナルハンドラ {place} の中にいる (stacks.txt)";
        InHandlerCut { tid, place } => "tid {tid} is in the signal handler {place}; what it interrupted is not on the part of the \
            stack that was copied (stacks.txt)",
            "tid {tid} はシグナルハンドラ {place} の中にいる。割り込まれた側は、コピーされた範囲のスタックに含まれていない (stacks.txt)";
        LockOfProgram { place } => "the lock is taken by {place}, so it is the program's",
            "このロックを取っているのは {place} なので、プログラム側のロックである";
        InProgram { place } => "the allocator is a part of the program: {place} may be its own function, or one of the program that it \
            calls",
            "アロケータはプログラム自体に含まれている。{place} はアロケータ自身の関数か、アロケータから呼ばれたプログラム側の関数である";
        CallerUnknown {} => "no stack shows who takes this lock",
            "このロックを誰が取っているかを示すスタックがない";
        WaysOut { functions } => "the program uses {functions}: a call of the allocator may have been left that way, with its lock",
            "プログラムは {functions} を使っている。それによってロックを保持したままアロケータを抜けた可能性がある";
        CallProven { tid, samples: "sample" } => "tid {tid} stays in one call of the allocator in all {samples}: the frames and \
            stack bytes of its caller did not change (stacks.txt)",
            "全 {samples} サンプルで tid {tid} はアロケータの同じ呼び出しの中にある。呼び出し元のフレームとスタックの内容は\
            変わっていない (stacks.txt)";
        CallFrames { tid, samples: "sample" } => "tid {tid} is in the allocator in all {samples}, called from the same place \
            (stacks.txt)",
            "全 {samples} サンプルで tid {tid} はアロケータの中にあり、呼び出し元の位置も同じ (stacks.txt)";
        CallOnce { tid } => "tid {tid} was in the allocator when it was probed (stacks.txt)",
            "観測時に tid {tid} はアロケータの中にいた (stacks.txt)";
        // Words that keep no owner.
        WordFree { waiters: "thread is asleep|threads are asleep", lock, value, expected } => "{waiters} on {lock}: its word is \
            {value}, the sleep began when it was {expected}, and nobody woke the sleepers (threads.json)",
            "{waiters} スレッドが {lock} でスリープ中。ワードの値は {value} で、スリープの条件である {expected} ではないのに、起こされて\
            いない (threads.json)";
        StillFree { seconds } => "{seconds} s later the word is the same, and none of them woke (threads.json)",
            "{seconds} 秒後もワードは同じで、1 つも起きていない (threads.json)";
        Event { waiters: "thread waits|threads wait", lock } => "{waiters} inside the allocator for a signal on {lock} \
            (stacks.txt)",
            "{waiters} スレッドがアロケータの中で {lock} の通知を待っている (stacks.txt)";
        NobodySignals {} => "no other thread is inside the allocator, so no thread is left to wake them (stacks.txt)",
            "アロケータの中にほかのスレッドはなく、起こすスレッドは残っていない (stacks.txt)";
        RunsOutside { tids } => "tid {tids} is busy in the benchmark and was never seen in the allocator (stacks.txt)",
            "tid {tids} はベンチマーク側で実行中で、アロケータの中では一度も観測されていない (stacks.txt)";
        Ownerless { waiters: "thread waits|threads wait", lock } => "{waiters} for {lock}, which does not record its owner \
            (threads.json)",
            "{waiters} スレッドが {lock} を待っている。このロックは保持者を記録しない (threads.json)";
        OnlyRunner { tid } => "tid {tid} is the only thread that runs inside the allocator (stacks.txt)",
            "アロケータの中で実行中なのは tid {tid} だけ (stacks.txt)";
        OnlySleeper { tid, wait } => "tid {tid} is inside the allocator and blocked in something else: {wait} (stacks.txt)",
            "tid {tid} はアロケータの中で別の待ち ({wait}) に入っている (stacks.txt)";
        ReadersOverlap { tids, lock } => "tid {tids} works on inside the allocator meanwhile: if these read under {lock} in \
            turns that overlap, no writer ever gets it (threads.json)",
            "その間、tid {tids} はアロケータの中で動作を続けている。これらの {lock} の読み取りが途切れず重なり続けると、\
            書き込み側はロックを取れない (threads.json)";
        CrossedLocks { locks } => "all threads inside the allocator wait for one of {locks}, and none of them runs (stacks.txt)",
            "アロケータの中のスレッドはすべて {locks} のいずれかを待っており、実行中のスレッドはない (stacks.txt)";
        HolderLeft { lock, gone } => "{lock} is held, but no thread inside the allocator can hold it; threads that have ended: \
            tid {gone} (threads.json)",
            "{lock} は保持されたままだが、アロケータの中に保持者となり得るスレッドはない。終了したスレッド: tid {gone} (threads.json)";
        ReadersLeft { lock } => "{lock} does not name its readers, and every thread inside the allocator waits: a reader ended or \
            left without a release, or one of the waiters is a reader itself (threads.json)",
            "{lock} は読み取り側のスレッドを記録せず、アロケータの中のスレッドはすべて待機中。読み取り側が解放せずに終了したか抜けた、\
            または待機中のスレッド自身が読み取り側である (threads.json)";
        // Threads that run in the allocator.
        Spinners { tids } => "tid {tids}: running in the allocator, without a wait in the kernel (stacks.txt)",
            "tid {tids} はアロケータの中で実行中で、カーネルでは待っていない (stacks.txt)";
        LoopsElsewhere { tid, function, others } => "tid {tid} loops in another function of the allocator, {function}, while tid \
            {others} spin: it may hold what they spin for (stacks.txt)",
            "tid {others} がスピンしている間、tid {tid} はアロケータの別の関数 {function} でループしている。スピンの対象を保持している\
            可能性がある (stacks.txt)";
        Suspect { tid, wait } => "tid {tid} sleeps inside the allocator and may hold what the others spin for: {wait} \
            (stacks.txt)",
            "tid {tid} はアロケータの中でスリープしており ({wait})、スピン中のスレッドが待つロックを保持している可能性がある (stacks.txt)";
        Retries { tids, place, owner } => "tid {tids} sleeps between its attempts in {place}, a function that tid {owner} has \
            passed on its way in (stacks.txt)",
            "tid {tids} は {place} で、スリープを挟んで試行を繰り返している。tid {owner} はこの関数を通って先へ進んでいる (stacks.txt)";
        NoSleeper {} => "no thread sleeps inside the allocator, so the others do not wait for a sleeping holder (stacks.txt)",
            "アロケータの中でスリープ中のスレッドはなく、スリープ中の保持者を待っているのではない (stacks.txt)";
        Alone { tid } => "tid {tid} is the only thread inside the allocator, and no thread waits for a lock that it holds \
            (stacks.txt)",
            "アロケータの中にいるのは tid {tid} だけで、このスレッドが保持するロックを待つスレッドはない (stacks.txt)";
        OthersGoOn { tids } => "other threads still leave the allocator and enter it again: tid {tids} (stacks.txt)",
            "ほかのスレッドはアロケータへの出入りを続けている: tid {tids} (stacks.txt)";
        SpinsOn { tids, lock, value } => "tid {tids}: running in the allocator, and their loops try or read {lock}, whose value is \
            {value} in two readings (recording.json.gz)",
            "tid {tids} はアロケータの中で実行中で、そのループは {lock} を試行または参照し続けている。値は 2 回の読み取りで {value} \
            のまま (recording.json.gz)";
        SpinOwner { owner, lock } => "the memory of {lock} names tid {owner} as its holder (recording.json.gz)",
            "{lock} のメモリには保持者として tid {owner} が記録されている (recording.json.gz)";
        NobodyInside {} => "no other thread is inside the allocator: the lock was not released by a thread that has left it \
            (stacks.txt)",
            "アロケータの中にほかのスレッドはない。アロケータを抜けたスレッドがロックを解放していない (stacks.txt)";
        OnlyOneOutside { tid, wait } => "tid {tid} is the only other thread that may have taken it: {wait} (threads.json)",
            "ほかにこのロックを取得し得たスレッドは tid {tid} ({wait}) だけ (threads.json)";
        SpinsCrossed { locks } => "the threads that spin on one of {locks} hold another one of them, and no other thread is \
            inside the allocator (stacks.txt)",
            "{locks} のいずれかでスピン中のスレッドは別の 1 つを保持しており、アロケータの中にほかのスレッドはない (stacks.txt)";
        // Causes that need no mistake of the allocator.
        ListRing { tid, function, nodes: "node" } => "the list that tid {tid} walks in `{function}` leads back into itself after \
            {nodes} (dump_outside.bin)",
            "tid {tid} が `{function}` でたどるリストは {nodes} ノードで元に戻る (dump_outside.bin)";
        RingIs { ring } => "read from memory: {ring} (threads.json)", "メモリの読み取り結果: {ring} (threads.json)";
        RingPointed { block, names } => "block {block} of the ring is also pointed to by {names} (threads.json)",
            "輪のブロック {block} を指すほかのもの: {names} (threads.json)";
        RingFreed { tids, block } => "tid {tids} is in free(), and its stack in that call has block {block} of the ring \
            (threads.json)",
            "tid {tids} は free() の中にあり、その呼び出しのスタックに輪のブロック {block} がある (threads.json)";
        RingCauses {} => "a list that is not meant to be a ring becomes one by a bug of the allocator, or by a double free or an \
            overflow by the program. \
            What tells them apart: the same program under valgrind or with -fsanitize=address, and the same run with another \
            allocator or with glibc's MALLOC_CHECK_=3",
            "輪になるはずのないリストが輪になる原因は、アロケータのバグか、プログラムによる二重解放またはバッファオーバーフロー。valgrind や \
            -fsanitize=address での実行、別のアロケータや glibc の MALLOC_CHECK_=3 での同じ実行で見分けられる";
        RingForked {} => "the process is a forked child: the list may have been changed by a thread of the parent at the fork \
            (dump.bin)",
            "このプロセスは fork された子で、fork の時点で親プロセスのスレッドがリストを変更中だった可能性がある (dump.bin)";
        NoMemoryCalls { tid, samples: "sample", of } => "in {samples} of {of}, a system call of tid {tid} has just failed with \
            ENOMEM (dump.bin)",
            "tid {tid} のサンプル {of} 個のうち {samples} 個で、システムコールが ENOMEM で失敗した直後だった (dump.bin)";
        WhoAsksAgain { tid } => "the code of tid {tid} could not be followed from a request that failed to the next one: a caller \
            that asks again and again looks the same",
            "tid {tid} のコードを、失敗した要求から次の要求までたどれなかった。呼び出し元が要求を繰り返している場合と区別できない";
        MemoryLimit { name, limit, used } => "{name} {limit} is reached: {used} in use (recording.json.gz)",
            "{name} の上限 {limit} に達している (使用中 {used}) (recording.json.gz)";
        MemoryWanted { name, limit, used, wanted } => "{name} {limit} is reached: {used} in use, and {wanted} more are asked for \
            (recording.json.gz)",
            "{name} の上限 {limit} に達している (使用中 {used}、さらに {wanted} を要求) (recording.json.gz)";
        RetriedByProgram { tids } => "tid {tids} calls the allocator again and again, and each call returns (stacks.txt)",
            "tid {tids} はアロケータを繰り返し呼び出しており、各呼び出しは戻っている (stacks.txt)";
        RetriedByHandler { function } => "operator new calls the program's new_handler, {function}, which frees nothing, and tries again \
            (stacks.txt)",
            "operator new はプログラムの new_handler ({function}) を呼び出すが、メモリは解放されず、再試行が続く (stacks.txt)";
        // Over vfork.
        VforkWaits { tid, child, lock } => "tid {tid} waits in vfork until its child, pid {child}, starts a program; the child \
            runs in the same memory and waits for {lock} (threads.json)",
            "tid {tid} は vfork の中で、子プロセス pid {child} がプログラムを起動するのを待っている。子は同じメモリの中で動き、{lock} を\
            待っている (threads.json)";
        VforkChild { tid, child, wait } => "tid {tid} waits in vfork until its child, pid {child}, starts a program; the child does \
            not: {wait} (threads.json)",
            "tid {tid} は vfork の中で、子プロセス pid {child} がプログラムを起動するのを待っているが、子は起動しない ({wait}) \
            (threads.json)";
        VforkHolder { owner, wait, tid } => "tid {owner} holds the lock and waits: {wait}; tid {tid} may have to end that wait, \
            and cannot go on (threads.json)",
            "tid {owner} はロックを保持したまま待っている ({wait})。これを終わらせるのは tid {tid} かもしれないが、先へ進めない \
            (threads.json)";
        VforkForbids {} => "a vforked child may neither call malloc nor take a lock (vfork(2)): the program does that here \
            (stacks.txt)",
            "vfork の子は malloc を呼ぶことも、ロックを取ることもできない (vfork(2))。ここではプログラムがそれを行っている (stacks.txt)";
        // The kernel and the benchmark.
        WaitsForChild { tid, call } => "tid {tid} waits in {call} for a child that shares its memory and does not end \
            (threads.json)",
            "tid {tid} は {call} の中で、メモリを共有する子プロセスの終了を待っている (threads.json)";
        Uninterruptible { tid, wchan } => "tid {tid} is in uninterruptible sleep (D) in both looks, in {wchan} of \
            the kernel (threads.json)",
            "tid {tid} は 2 回の観測のどちらでも割り込み不可スリープ (D) にあり、カーネルの {wchan} にいる (threads.json)";
        UninterruptibleOnce { tid, wchan } => "tid {tid} is in uninterruptible sleep (D), in {wchan} of the kernel \
            (threads.json)",
            "tid {tid} は割り込み不可スリープ (D) にあり、カーネルの {wchan} にいる (threads.json)";
        Stopped {} => "every thread is stopped by a signal or a debugger (threads.json)",
            "すべてのスレッドがシグナルまたはデバッガで停止している (threads.json)";
        NoAllocatorFrame { threads: "thread has no frame of the allocator on its stack|threads have no frame of the allocator on \
            their stacks" } => "{threads} (stacks.txt)",
            "{threads} スレッドのどのスタックにもアロケータのフレームはない (stacks.txt)";
        StuckOutside { waiters: "thread stands|threads stand", wait } => "{waiters} still outside the allocator: {wait} \
            (stacks.txt)",
            "{waiters} スレッドがアロケータの外で止まっている: {wait} (stacks.txt)";
        NotTheAllocators {} => "none of these threads has a frame of the allocator on its stack (stacks.txt)",
            "これらのスレッドのスタックにアロケータのフレームはない (stacks.txt)";
        // Waits that may end.
        EndsItself { tid, wait } => "tid {tid} waits for {wait}: this wait ends by itself (threads.json)",
            "tid {tid} は {wait} を待っている。この待ちはひとりでに終わる (threads.json)";
        WaitsForOutside { tid, wait } => "tid {tid} waits for {wait}, which comes from outside the process (threads.json)",
            "tid {tid} は {wait} を待っている。これはプロセスの外から来るもの (threads.json)";
        SleepersMayHelp { tids } => "tid {tids} sleeps with a timeout and may end the wait of the others when it wakes",
            "tid {tids} はタイムアウト付きで眠っており、起きたときにほかのスレッドの待ちを終わらせる可能性がある";
        SignalMayCome { tids } => "tid {tids} waits for a signal, which a timer or another process may still send",
            "tid {tids} はシグナルを待っており、タイマーや別のプロセスがこれから送る可能性がある";
        OthersMayHelp { tids } => "tid {tids} waits for something from outside the process, which may still come",
            "tid {tids} はプロセスの外からの入力や通知を待っており、これから届く可能性がある";
        // Threads that come and go.
        Returns { tids } => "tid {tids} leaves the allocator and enters it again between samples (stacks.txt)",
            "tid {tids} はサンプルの間にアロケータを出て再び入っている (stacks.txt)";
        Moves { tids } => "tid {tids} left its wait or call between the two looks (threads.json)",
            "tid {tids} は 2 回の観測の間に待ちや呼び出しから抜けた (threads.json)";
        EndedWell { seconds } => "the process ended by itself with exit status 0 after {seconds} s, past the deadline: it did not hang \
            (runs.jsonl)",
            "プロセスは制限時間を過ぎた後、{seconds} 秒で自然に終了した (終了ステータス 0)。ハングではない (runs.jsonl)";
        Resumed { tids } => "tid {tids} stood still, got a signal from the shim, and then went on: the signal may have ended the \
            hang (threads.json)",
            "tid {tids} は止まっていたが、シムのシグナルを受けた後に動き出した。シグナルがハングを解消した可能性がある (threads.json)";
        Stirred { strategy, seed } => "the shim disturbed scheduling until this dump (--stir {strategy}, seed {seed}): the same \
            hang is possible without it, but not necessarily as often (dump.bin)",
            "このダンプまで、シムがスケジューリングを攪乱していた (--stir {strategy}、シード {seed})。攪乱なしでも同じハングは起こり\
            得るが、頻度は異なり得る (dump.bin)";
        /// Where a hold of [`Why::HeldOne`] was.
        HeldIn { place, caller } => "{place}, called from {caller}", "{place} (呼び出し元は {caller})";
        /// One of the holds of [`Why::HeldBefore`].
        HeldOne { tid, ms, at, place, before } => "tid {tid} for {ms} ms {at} {place} ({before} s before the dump)",
            "tid {tid} を {place} で、{at}に {ms} ms 停止 (ダンプの {before} 秒前)";
        HeldBefore { holds } => "threads were held on purpose; before this hang, where threads come by most rarely: {holds} (holds.tsv)",
            "攪乱のためにスレッドを意図的に止めていた。このハングの直前の停止のうち、スレッドが通ることの最も少ない位置のもの: {holds} (holds.tsv)";
        AllocatorParts { count, names } => "the allocator is {count} DSOs: {names} (threads.json)",
            "アロケータは {count} 個の DSO からなる: {names} (threads.json)";
        Turnover { left: "thread", came: "thread" } => "between the two looks {left} ended and {came} began (threads.json)",
            "2 回の観測の間に {left} スレッドが終わり、{came} スレッドが始まった (threads.json)";
        // What was missing.
        NoSecondLook {} => "there is no second look, so it is not proven that nothing moved",
            "2 回目の観測がないため、動きがなかったとは証明できない";
        NotAtOnce { owner } => "threads moved between the two looks: that tid {owner} was where it was seen, and that it had the \
            lock, is not known of the same moment (threads.json)",
            "2 回の観測の間にスレッドが動いた。tid {owner} が観測された位置にいたことと、ロックを保持していたことが、同じ時点の事実とは限らない \
            (threads.json)";
        OwnerNotAsked { owner } => "nobody asked for tid {owner} by its id: a list of threads can miss one that began or ended \
            meanwhile (threads.json)",
            "tid {owner} の有無を tid を指定して確認していない。読み取りの間に開始・終了したスレッドは一覧から漏れることがある (threads.json)";
        MomentNaps { tids } => "tid {tids} sleeps for a short time inside the allocator: one moment does not tell a loop that never ends \
            from slow work",
            "tid {tids} はアロケータの中で短時間スリープ中。ある一瞬だけでは、終わらないループと遅い処理を区別できない";
        OneMoment {} => "a core shows one moment: whether a thread moves, and how much CPU time it takes, is not in it",
            "コアはある一瞬の記録であり、スレッドが動いているかどうかも CPU 使用量も分からない";
        RingClosedLate {} => "the ring closed after the first look: only the second look and the samples since show it \
            (threads.json)",
            "循環は 1 回目の観測の後にできた。それを示すのは 2 回目の観測と、それ以降のサンプルだけ (threads.json)";
        ThreadsMissing {} => "the first look is not complete: some threads may be missing (threads.json)",
            "1 回目の観測が完全ではなく、記録されていないスレッドがある可能性がある (threads.json)";
        NoStacks {} => "there are no stacks, so it is not known which threads are inside the allocator",
            "スタックがないため、どのスレッドがアロケータの中にいるか分からない";
        NoStackOf { tid, problem } => "no stack of tid {tid}: {problem}",
            "tid {tid} のスタックがない: {problem}";
        NoneTaken {} => "none was taken", "取得されていない";
        NoSamples { tid } => "tid {tid} was not sampled, so it is not proven that its call has not returned",
            "tid {tid} はサンプリングされていないため、呼び出しが戻っていないとは証明できない";
        NoBytes { tid } => "the stack bytes of tid {tid} could not be compared: a loop that calls the allocator again from the \
            same place looks the same",
            "tid {tid} のスタックの内容を比較できなかった。同じ場所から呼び出しを繰り返すループと区別できない";
        OnlyReads { tids } => "the loop of tid {tids} changes no memory but its own stack: it may wait for a thread that is not inside \
            the allocator any more",
            "tid {tids} のループは自分のスタック以外のメモリを変更しない。すでにアロケータを抜けたスレッドを待っている可能性がある";
        SpinsDiffer { functions } => "the threads loop in different functions ({functions}): one of them may hold what the others \
            spin for",
            "スレッドは異なる関数 ({functions}) でループしている。そのうちの 1 つが、ほかのスレッドのスピンの対象を保持している可能性がある";
        NoOwner { lock } => "{lock} does not record its owner: the holder is inferred",
            "{lock} は保持者を記録しないため、保持者は推定";
        SemaphoresMayLock { locks } => "{locks} may be used as locks: then these threads wait for each other",
            "{locks} をロックとして使っているのであれば、これらのスレッドは互いを待っている";
        RefusedWhich { tid } => "which lock the kernel refused to tid {tid} is not known: one that it holds itself, or one of a thread \
            that waits for it",
            "tid {tid} がカーネルにどのロックを拒否されたかは分からない。自分自身が保持しているロックか、tid {tid} を待つスレッドのロック";
        OwnerGuessed {} => "no function on a stack names the lock: its owner is guessed from the word and the memory around it",
            "ロックの種類を示す関数がスタックにないため、保持者はワード周辺のメモリからの推定";
        AllocatorUnknown {} => "it is not known which DSO is the allocator, or it is not mapped: a missing frame of it proves \
            nothing (dump.bin)",
            "どの DSO がアロケータか分からないか、マップされていない。そのフレームがないことは何の証明にもならない (dump.bin)";
        DoubtfulDso { tid, dso } => "tid {tid} is in {dso}, which may be a part of the allocator (stacks.txt)",
            "tid {tid} は {dso} の中にいる。これはアロケータの一部かもしれない (stacks.txt)";
        PlaceUnknown {} => "it is not known whether these threads are inside the allocator",
            "これらのスレッドがアロケータの中にいるかは分からない";
        MayStillCome { tids } => "tid {tids} runs outside the allocator and may still enter it",
            "tid {tids} はアロケータの外で実行中で、これからアロケータに入る可能性がある";
        NothingFits {} => "the observed state fits no class",
            "観測された状態はどの分類にも当てはまらない";
    }
}

/// What a thread of another process does, by its state in `/proc/TID/stat`.
pub(super) fn state(letter: u8) -> Text {
    match letter {
        b'T' | b't' => Why::IsStopped {}.said(),
        b'R' => Why::IsRunning {}.said(),
        _ => Why::IsAsleep {}.said(),
    }
}
