//! Why a hang has its class, and what evidence is missing: one sentence a fact, with the file that shows it.

use crate::text::message::messages;

messages! {
    /// One sentence of a finding.
    Why {
        Cycle { members, locks } => "threads {members} wait for each other in a ring, over {locks} (threads.json)",
            "スレッド {members} が {locks} を介して循環待ちになっている (threads.json)";
        SelfCycle { tid, lock } => "tid {tid} waits for {lock}, which it holds itself (threads.json)",
            "tid {tid} は自分自身が保持している {lock} を待っている (threads.json)";
        Held { waiters, lock, owner } => "tid {owner} holds {lock}; waiting for it: {waiters} (threads.json)",
            "tid {owner} が {lock} を保持し、{waiters} スレッドがそれを待っている (threads.json)";
        Behind { more } => "waiting behind those: {more} more (threads.json)",
            "さらに {more} スレッドがその後ろで待っている (threads.json)";
        NeverReleased { waiters, seconds } => "no waiter ({waiters} of them) woke in the {seconds} s between \
            the two looks, so the lock was not released in between (threads.json)",
            "2 回の観測の間の {seconds} 秒に、待機者 {waiters} のどれも起きておらず、ロックは解放されていない (threads.json)";
        RingStill { seconds } => "none of them woke in the {seconds} s between the two looks (threads.json)",
            "2 回の観測の間の {seconds} 秒に、そのどれも起きていない (threads.json)";
        OwnerRuns { owner, share } => "tid {owner} runs in both looks and used {share} % of a core in between \
            (threads.json)",
            "tid {owner} は両方の観測で実行中で、その間にコアの {share} % を使った (threads.json)";
        OwnerBusy { owner } => "tid {owner} runs now and then and does not let it go (threads.json)",
            "tid {owner} はときどき実行されるが、ロックを手放さない (threads.json)";
        OwnerBlocked { owner, wait } => "tid {owner} is blocked itself: {wait} (threads.json)",
            "tid {owner} 自身が {wait} で止まっている (threads.json)";
        OwnerStopped { owner } => "tid {owner} is stopped by a signal or a debugger (threads.json)",
            "tid {owner} はシグナルかデバッガで停止している (threads.json)";
        OwnerGone { owner, lock, waiters } => "the owner of {lock} is tid {owner}, and no thread of this \
            process has that tid any more; waiting for it: {waiters} (threads.json)",
            "{waiters} スレッドが待つ {lock} の所有者 tid {owner} は、もうこのプロセスのスレッドではない (threads.json)";
        Forked {} => "the process is a forked child: the lock was held by a thread of the parent when it forked \
            (dump.bin)",
            "このプロセスは fork の子であり、fork の時点で親のスレッドがロックを保持していた (dump.bin)";
        HolderOutside { owner } => "tid {owner} is outside the allocator while it holds the lock: it left without \
            a release (stacks.txt)",
            "tid {owner} はロックを保持したままアロケータの外にいる: 解放せずに抜けている (stacks.txt)";
        CallProven { tid, samples } => "in all {samples} samples tid {tid} is in one and the same call of the \
            allocator: its caller's frames and stack bytes did not change (stacks.txt)",
            "{samples} サンプルのすべてで tid {tid} は同じアロケータ呼び出しの中にあり、呼び出し元のフレームと\
            スタックの内容は変わっていない (stacks.txt)";
        CallFrames { tid, samples } => "in all {samples} samples tid {tid} is in the allocator, called from the \
            same place (stacks.txt)",
            "{samples} サンプルのすべてで tid {tid} は同じ場所から呼ばれたアロケータの中にある (stacks.txt)";
        CallOnce { tid } => "tid {tid} was in the allocator when it was asked (stacks.txt)",
            "tid {tid} は問い合わせ時にアロケータの中にいた (stacks.txt)";
        WordFree { waiters, lock, value, expected } => "asleep on {lock}: {waiters}; its word is {value}, they \
            sleep while it is {expected}, and nobody woke them (threads.json)",
            "{waiters} スレッドが {lock} で眠っているが、その語は {value} ({expected} の間だけ眠るはず) で、誰も起こして\
            いない (threads.json)";
        StillFree { seconds } => "{seconds} s later it is the same, and none of them woke (threads.json)",
            "{seconds} 秒後も同じで、どれも起きていない (threads.json)";
        Event { waiters, lock } => "waiting inside the allocator for {lock} to be signalled: {waiters} \
            (stacks.txt)",
            "{waiters} スレッドがアロケータの中で {lock} の通知を待っている (stacks.txt)";
        NobodySignals {} => "no other thread is inside the allocator, so nobody is left to wake them (stacks.txt)",
            "ほかにアロケータの中にいるスレッドはなく、起こす者が残っていない (stacks.txt)";
        RunsOutside { tids } => "tid {tids} is busy, but in the benchmark: it was never seen in the allocator \
            (stacks.txt)",
            "tid {tids} は動いているがベンチマーク側であり、アロケータの中では一度も見られていない (stacks.txt)";
        Ownerless { waiters, lock } => "{lock} keeps no owner; waiting for it: {waiters} (threads.json)",
            "{waiters} スレッドが、所有者を記録しない {lock} を待っている (threads.json)";
        OnlyRunner { tid } => "tid {tid} is the only thread that runs inside the allocator (stacks.txt)",
            "アロケータの中で実行中なのは tid {tid} だけである (stacks.txt)";
        OnlySleeper { tid, wait } => "tid {tid} is blocked inside the allocator in something else: {wait} \
            (stacks.txt)",
            "tid {tid} はアロケータの中で別のもの ({wait}) で止まっている (stacks.txt)";
        CrossedLocks { locks } => "all threads inside the allocator wait for one of {locks}, and none of them \
            runs (stacks.txt)",
            "アロケータの中のスレッドはすべて {locks} のいずれかを待っており、実行中のものはない (stacks.txt)";
        HolderLeft { lock, gone } => "{lock} is held, but nobody is inside the allocator who could hold it; gone \
            since: tid {gone} (threads.json)",
            "{lock} は保持されたままだが、保持し得るスレッドはアロケータの中にいない。消えたスレッド: tid {gone} \
            (threads.json)";
        Spinners { tids } => "running in the allocator, with no wait in the kernel: tid {tids} (stacks.txt)",
            "tid {tids} はアロケータの中で実行中で、カーネルでは何も待っていない (stacks.txt)";
        Suspect { tid, wait } => "tid {tid} is asleep inside the allocator and may hold what they spin for: \
            {wait} (stacks.txt)",
            "tid {tid} はアロケータの中で眠っており ({wait})、空回り中のスレッドが待つものを保持している疑いがある (stacks.txt)";
        NoSleeper {} => "nobody is asleep inside the allocator, so none of them waits for a sleeper (stacks.txt)",
            "アロケータの中で眠っているスレッドはなく、眠る保持者を待っているのではない (stacks.txt)";
        Alone { tid } => "tid {tid} is the only thread inside the allocator, and no thread waits for a lock of it \
            (stacks.txt)",
            "アロケータの中にいるのは tid {tid} だけで、それが持つロックを待つスレッドはない (stacks.txt)";
        OthersGoOn { tids } => "others still come out of the allocator and go in again: tid {tids} (stacks.txt)",
            "ほかのスレッドはアロケータを出入りし続けている: tid {tids} (stacks.txt)";
        WaitsForChild { tid, call } => "tid {tid} waits in {call} for a child that shares its memory and does not end \
            (threads.json)",
            "tid {tid} は {call} の中で、メモリを共有する子プロセスの終了を待っている (threads.json)";
        Uninterruptible { tid, wchan } => "tid {tid} is in uninterruptible sleep (D) in both looks, in {wchan} of \
            the kernel (threads.json)",
            "tid {tid} は両方の観測で割り込み不可スリープ (D) にあり、カーネルの {wchan} にいる (threads.json)";
        UninterruptibleOnce { tid, wchan } => "tid {tid} is in uninterruptible sleep (D), in {wchan} of the kernel \
            (threads.json)",
            "tid {tid} は割り込み不可スリープ (D) にあり、カーネルの {wchan} にいる (threads.json)";
        Stopped {} => "every thread is stopped by a signal or a debugger (threads.json)",
            "すべてのスレッドがシグナルかデバッガで停止している (threads.json)";
        NoAllocatorFrame { threads } => "no thread ({threads} of them) has a frame of the allocator on its \
            stack (stacks.txt)",
            "{threads} スレッドのどのスタックにもアロケータのフレームはない (stacks.txt)";
        StuckOutside { waiters, wait } => "standing still outside the allocator: {waiters} in {wait} (stacks.txt)",
            "{waiters} スレッドがアロケータの外で止まっている: {wait} (stacks.txt)";
        NotTheAllocators {} => "no thread of these has a frame of the allocator on its stack (stacks.txt)",
            "これらのどのスレッドのスタックにもアロケータのフレームはない (stacks.txt)";
        Returns { tids } => "tid {tids} comes out of the allocator and goes in again between samples \
            (stacks.txt)",
            "tid {tids} はサンプルの間にアロケータから出て再び入っている (stacks.txt)";
        Moves { tids } => "tid {tids} left its wait or call between the two looks (threads.json)",
            "tid {tids} は 2 回の観測の間に待ちや呼び出しから抜けた (threads.json)";
        Resumed { tids } => "tid {tids} stood still, was asked by a signal, and then went on: resumed after the \
            signal, which may have cured the hang (threads.json)",
            "tid {tids} は止まっていたが、シグナルで問い合わせた後に再開した: シグナルがハングを解消した可能性がある (threads.json)";
        Stirred { level, seed } => "the shim had disturbed scheduling until this dump (stir level {level}, seed {seed}): what \
            happened can happen without, too, if perhaps not as often (dump.bin)",
            "この記録の直前まで、シムがスケジューリングを攪乱していた (stir レベル {level}、シード {seed})。攪乱なしでも起こり得るが、\
            頻度は異なり得る (dump.bin)";
        Turnover { left, came } => "threads that ended between the two looks: {left}, that began: {came} (threads.json)",
            "2 回の観測の間に {left} スレッドが終わり、{came} スレッドが始まった (threads.json)";
        NoSecondLook {} => "there is no second look, so it is not proven that nothing moved",
            "2 回目の観測がないため、何も動いていないことは証明されていない";
        ThreadsMissing {} => "the first look is not whole: there may be threads of which nothing is known (threads.json)",
            "1 回目の観測は完全ではない: 何も分かっていないスレッドがあるかもしれない (threads.json)";
        NoStacks {} => "there are no stacks, so it is not known who is inside the allocator",
            "スタックがないため、誰がアロケータの中にいるか分からない";
        NoStackOf { tid, problem } => "no stack of tid {tid}: {problem}",
            "tid {tid} のスタックがない: {problem}";
        NoneTaken {} => "none was taken", "取得されていない";
        NoSamples { tid } => "tid {tid} was not sampled, so it is not proven that its call has not returned",
            "tid {tid} はサンプリングされておらず、その呼び出しが戻っていないことは証明されていない";
        NoBytes { tid } => "the stack bytes of tid {tid} could not be compared: a loop that calls again from the \
            same place looks the same",
            "tid {tid} のスタック内容は比較できなかった: 同じ場所から繰り返し呼ぶループと区別できない";
        NoOwner { lock } => "{lock} keeps no owner: the holder is inferred",
            "{lock} は所有者を記録しないため、保持者は推定である";
        PlaceUnknown {} => "it is not known whether these threads are inside the allocator",
            "これらのスレッドがアロケータの中にいるかは分からない";
        MayStillCome { tids } => "tid {tids} runs outside the allocator and might still come in",
            "tid {tids} はアロケータの外で実行中で、これから入る可能性がある";
        NothingFits {} => "what was seen fits no class",
            "観測された状態はどの分類にも当てはまらない";
    }
}
