//! Each faulty allocator does what the table says. The tests look at
//! `/proc`, and at what the allocator itself writes about its fault.

use std::path::Path;

use crate::support::{GIVE_UP_AFTER, Running, Task, child_of, tasks, word};
use hangscope_test_allocators::truth::Line;
use hangscope_test_allocators::{FAULTS, Fault, Hangs};
use object::{Object, ObjectSymbol};

/// Makes a fault that depends on chance happen in every run.
const ALWAYS: &[(&str, &str)] = &[("FAULT_ONE_IN", "1")];
/// The futex operation of glibc's pthread_mutex_lock: FUTEX_WAIT_PRIVATE.
const PTHREAD_MUTEX_WAIT: u64 = 0x80;
/// The futex operation of glibc's pthread_cond_wait: FUTEX_WAIT_BITSET_PRIVATE with CLOCK_REALTIME.
const CONDITION_WAIT: u64 = 0x189;

/// Returns an error from the closure that judges one look. The test then looks again, until its time limit.
macro_rules! look {
    ($condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err(format!($($what)+));
        }
    };
}

fn workers(look: &[Task]) -> impl Iterator<Item = &Task> {
    look.iter().filter(|task| task.is_worker())
}

fn waits_for(lock: u64) -> impl Fn(&&Task) -> bool {
    move |task| task.futex() == Some((lock, PTHREAD_MUTEX_WAIT))
}

fn owner_and_lock(truth: &[Line]) -> Result<(u32, u64), String> {
    let [line] = truth else { return Err(format!("truth: {truth:?}")) };
    let lock = line.lock.ok_or("truth without a lock")?;
    Ok((line.tid, lock))
}

/// Checks that the truth names the lock of the table, and that the lock has the owner that the truth names.
fn check_lock(fault: &Fault, pid: u32, truth: &[Line]) {
    let base = crate::support::base(pid, &fault.path());
    let bytes = std::fs::read(fault.path()).expect("the DSO");
    let file = object::File::parse(&*bytes).expect("ELF");
    let address = |lock: &str| {
        let (name, offset) = lock.split_once('+').unwrap_or((lock, "0"));
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name)).expect("a symbol");
        base + symbol.address() + offset.parse::<u64>().expect("an offset")
    };
    let mut true_locks: Vec<u64> = truth.iter().filter_map(|line| line.lock).collect();
    true_locks.sort_unstable();
    true_locks.dedup();
    let table_locks: Vec<u64> =
        fault.lock_symbol.iter().chain(fault.also_locks).map(|lock| address(lock)).collect();
    assert_eq!(true_locks, table_locks, "{}", fault.name);
    if fault.owner_known {
        for line in truth {
            let lock = line.lock.expect("an owner's lock");
            // A mutex of glibc has three words: the futex word, a count and the owner's tid.
            assert_eq!(word(pid, lock + 8), Some(line.tid), "{}: owner", fault.name);
        }
    }
}

/// Runs a fault of the table until two looks in a row satisfy `is_stuck`. Then checks the lock.
fn stuck(name: &str, is_stuck: impl Fn(&[Line], &[Task]) -> Result<(), String>) -> (Running, Vec<Task>) {
    let fault = Fault::named(name);
    let mut running = Running::start(fault, ALWAYS);
    let pid = running.pid();
    let look = running.wait_until_stuck(|| Some(pid), is_stuck);
    if fault.lock_symbol.is_some() {
        check_lock(fault, pid, &running.truth());
    }
    (running, look)
}

/// Succeeds if the owner is in the state that `is_owner`
/// checks, and the three other workers wait for its lock.
fn owner_and_waiters(truth: &[Line], look: &[Task], is_owner: impl Fn(&Task) -> bool) -> Result<(), String> {
    let (tid, lock) = owner_and_lock(truth)?;
    let owner = look.iter().find(|task| task.tid == tid).ok_or("the owner is gone")?;
    look!(is_owner(owner), "owner: {owner:?}");
    let waiting = workers(look).filter(waits_for(lock)).count();
    look!(workers(look).count() == 4 && waiting == 3, "{waiting} wait for {lock:#x}");
    Ok(())
}

#[test]
fn demo_when_the_dice_say_so() {
    stuck("demo", |truth, look| owner_and_waiters(truth, look, Task::runs));
}

#[test]
fn counted() {
    stuck("counted", |truth, look| owner_and_waiters(truth, look, Task::runs));
}

#[test]
fn owner_spinning() {
    stuck("owner_spinning", |truth, look| owner_and_waiters(truth, look, Task::runs));
}

#[test]
fn owner_blocked() {
    stuck("owner_blocked", |truth, look| owner_and_waiters(truth, look, |owner| owner.is_in(libc::SYS_read)));
}

#[test]
fn owner_stopped() {
    stuck("owner_stopped", |truth, look| owner_and_waiters(truth, look, |owner| owner.state == 't'));
}

#[test]
fn owner_gone() {
    stuck("owner_gone", |truth, look| {
        let (tid, lock) = owner_and_lock(truth)?;
        look!(look.iter().all(|task| task.tid != tid), "the owner still exists");
        look!(workers(look).count() > 0, "all workers are gone");
        look!(workers(look).all(|task| waits_for(lock)(&task)), "not all wait for {lock:#x}");
        Ok(())
    });
}

#[test]
fn owner_gone_over_a_fork() {
    let fault = Fault::named("owner_gone_fork");
    let mut running = Running::start(fault, ALWAYS);
    let parent = running.pid();
    running.wait_until_stuck(
        || child_of(parent),
        |truth, look| {
            let (tid, lock) = owner_and_lock(truth)?;
            look!(look.iter().all(|task| task.tid != tid), "the owner exists in the child");
            look!(workers(look).filter(waits_for(lock)).count() == 4, "not all four wait for {lock:#x}");
            let main = tasks(parent);
            look!(main.len() == 1 && main[0].is_in(libc::SYS_wait4), "the parent: {main:?}");
            Ok(())
        },
    );
    check_lock(fault, child_of(parent).expect("the child"), &running.truth());
}

#[test]
fn deadlock_by_inversion() {
    stuck("deadlock_inversion", |truth, look| {
        let [a, b] = truth else { return Err(format!("truth: {truth:?}")) };
        for (one, other) in [(a, b), (b, a)] {
            let task = look.iter().find(|task| task.tid == one.tid).ok_or("a culprit is gone")?;
            look!(task.futex().map(|(word, _)| word) == other.lock, "{task:?}");
        }
        look!(workers(look).all(|task| task.futex().is_some()), "not all wait");
        Ok(())
    });
}

#[test]
fn deadlock_of_one() {
    stuck("deadlock_self", |truth, look| {
        let (tid, lock) = owner_and_lock(truth)?;
        look!(workers(look).filter(waits_for(lock)).count() == 4, "not all wait for {lock:#x}");
        look!(look.iter().any(|task| task.tid == tid), "the owner is gone");
        Ok(())
    });
}

#[test]
fn lost_wakeup_while_a_finished_worker_spins() {
    let (mut running, look) = stuck("lost_wakeup", |truth, look| {
        let lock = truth.first().and_then(|line| line.lock).ok_or("no truth yet")?;
        let asleep = workers(look).filter(waits_for(lock)).count();
        let spinning = workers(look).filter(|task| task.runs() && task.syscall.is_none()).count();
        look!(asleep > 0 && spinning > 0 && asleep + spinning == 4, "{asleep} asleep, {spinning} spinning");
        Ok(())
    });
    let lock = running.truth()[0].lock.expect("a lock");
    let pid = running.pid();
    // A running worker may still be working and hold the lock at times.
    // The word must say free once the worker has finished and spins.
    running.wait_until_stuck(
        || Some(pid),
        |_, _| {
            look!(word(pid, lock) == Some(0), "the lock word is not 0 (free): {:?}", word(pid, lock));
            Ok(())
        },
    );
    let expects = workers(&look).find(|task| waits_for(lock)(task)).and_then(|task| task.syscall);
    assert_eq!(expects.expect("a sleeper").1[2], 2, "the sleepers expect another value");
}

#[test]
fn condition_never_signalled() {
    stuck("cond_never_signalled", |truth, look| {
        let (_, condition) = owner_and_lock(truth)?;
        let waits = |task: &Task| {
            // In glibc 2.25 and later, a condition has two groups
            // of waiters. Each group has its own futex word.
            task.futex().is_some_and(|(word, op)| {
                op == CONDITION_WAIT && [condition + 40, condition + 44].contains(&word)
            })
        };
        look!(workers(look).count() == 4 && workers(look).all(waits), "not all wait on {condition:#x}");
        Ok(())
    });
}

#[test]
fn spin_wait() {
    let (running, _) = stuck("spin_wait", |truth, look| {
        let (tid, _) = owner_and_lock(truth)?;
        let owner = look.iter().find(|task| task.tid == tid).ok_or("the owner is gone")?;
        look!(owner.is_in(libc::SYS_clock_nanosleep), "owner: {owner:?}");
        let spinning = workers(look).filter(|task| task.runs()).count();
        look!(workers(look).count() == 4 && spinning == 3, "{spinning} spin");
        Ok(())
    });
    let spin = word(running.pid(), running.truth()[0].lock.expect("a lock"));
    assert_eq!(spin.map(|word| word & 0xff), Some(1), "the lock is held");
}

#[test]
fn livelock() {
    stuck("livelock", |truth, look| {
        look!(truth.len() == 2, "truth: {truth:?}");
        let running = workers(look).filter(|task| task.runs() && task.syscall.is_none()).count();
        look!(workers(look).count() == 4 && running == 4, "{running} run");
        Ok(())
    });
}

#[test]
fn runaway() {
    stuck("runaway", |truth, look| {
        let [line] = truth else { return Err(format!("truth: {truth:?}")) };
        let [last] = workers(look).collect::<Vec<_>>()[..] else {
            return Err("other workers still work".to_owned());
        };
        look!(last.tid == line.tid && last.runs(), "{last:?}");
        Ok(())
    });
}

#[test]
fn runaway_while_others_spin() {
    stuck("runaway_while_others_spin", |truth, look| {
        look!(truth.len() == 1, "truth: {truth:?}");
        let running = workers(look).filter(|task| task.runs() && task.syscall.is_none()).count();
        look!(workers(look).count() == 4 && running == 4, "{running} run");
        Ok(())
    });
}

#[test]
fn kernel_wait() {
    stuck("kernel_wait", |truth, look| {
        let [line] = truth else { return Err(format!("truth: {truth:?}")) };
        let [last] = workers(look).collect::<Vec<_>>()[..] else {
            return Err("other workers still work".to_owned());
        };
        look!(last.tid == line.tid && last.state == 'D' && last.is_in(libc::SYS_clone), "{last:?}");
        Ok(())
    });
}

#[test]
fn slow_is_alive() {
    let fault = Fault::named("slow");
    let mut running = Running::start(fault, ALWAYS);
    let pid = running.pid();
    running.wait_until_stuck(
        || Some(pid),
        |truth, look| {
            look!(!truth.is_empty(), "not slow yet");
            look!(workers(look).count() == 4, "not all work");
            Ok(())
        },
    );
    // Every worker makes progress.
    let before = tasks(pid);
    running.wait_until_stuck(
        || Some(pid),
        |_, look| {
            let made_progress = |task: &Task| {
                before.iter().any(|then| then.tid == task.tid && task.switches > then.switches + 20)
            };
            look!(workers(look).all(made_progress), "a worker makes no progress");
            Ok(())
        },
    );
    // With fewer operations, the run ends.
    let few = ["2", "300", "100", "16", "4096", "50", "1024"];
    let mut running = Running::start_with(&fault.path(), fault, &few, &[("FAULT_AFTER", "100")]);
    assert!(running.finish().success(), "{}", running.text("err"));
    assert_eq!(running.truth().len(), 1, "the run was slow");
}

#[test]
fn the_benchmark_stuck_at_its_own_barrier() {
    stuck("barrier_short", |_, look| {
        let words: Vec<_> = workers(look).filter_map(Task::futex).collect();
        look!(words.len() == 4 && words.iter().all(|word| *word == words[0]), "{words:?}");
        Ok(())
    });
}

#[test]
fn the_benchmark_stuck_in_its_own_loop() {
    stuck("stuck_loop", |_, look| {
        let [last] = workers(look).collect::<Vec<_>>()[..] else {
            return Err("other workers still work".to_owned());
        };
        look!(last.comm == "worker-0" && last.runs(), "{last:?}");
        Ok(())
    });
}

#[test]
fn what_never_hangs_ends() {
    for fault in FAULTS.iter().filter(|fault| fault.hangs == Hangs::Never && fault.class.is_none()) {
        ends_well(fault, &fault.path(), fault.workload_args, &[]);
    }
}

/// Without its fault, every allocator works, also with other
/// sizes. The healthy allocator also works over a fork.
#[test]
fn without_its_fault_each_ends() {
    let sizes = ["3", "20000", "50", "1", "70000", "50", "256"];
    for fault in FAULTS {
        ends_well(fault, &fault.path(), &sizes, &[("FAULT_ONE_IN", "0")]);
    }
    let over_a_fork = ["3", "20000", "50", "1", "70000", "50", "256", "--fork-child"];
    let healthy = Fault::named("healthy");
    ends_well(healthy, &healthy.path(), &over_a_fork, &[]);
}

fn ends_well(fault: &Fault, so: &Path, arguments: &[&str], environment: &[(&str, &str)]) {
    let mut running = Running::start_with(so, fault, arguments, environment);
    let status = running.finish();
    assert!(status.success(), "{}: {status}: {}", fault.name, running.text("err"));
    assert!(running.text("out").contains("ops/s="), "{}", fault.name);
    assert_eq!((running.text("err").as_str(), running.truth()), ("", vec![]), "{}", fault.name);
}

/// About one of four runs hangs. With that probability, the test fails by chance (no hang, or more than 30
/// hangs, in 60 runs) with a probability below 1e-4.
#[test]
fn the_demonstration_hangs_now_and_then() {
    let fault = Fault::named("demo");
    let arguments = ["2", "6000", "100", "16", "4096", "50", "64"];
    let mut hung = 0;
    for _ in 0..60 {
        let mut running = Running::start_with(&fault.path(), fault, &arguments, &[("FAULT_AFTER", "2000")]);
        while running.truth().is_empty() {
            if let Some(status) = running.try_wait() {
                assert!(status.success(), "{status}");
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        hung += usize::from(!running.truth().is_empty());
    }
    println!("demo: hung {hung} of 60");
    assert!((1..=30).contains(&hung), "hung {hung} of 60");
}

/// Each run either ends, or is stuck with a sleeper whose futex word no longer has the expected value.
#[test]
fn the_natural_race_ends_or_loses_a_wakeup() {
    let fault = Fault::named("natural_race");
    for _ in 0..5 {
        let mut running = Running::start(fault, &[]);
        let start = std::time::Instant::now();
        let mut forgotten = false;
        while running.try_wait().is_none() && !forgotten {
            assert!(
                start.elapsed() < GIVE_UP_AFTER,
                "stuck, but not by the race: {:#?}",
                tasks(running.pid())
            );
            // Two looks are needed: a sleeper needs a moment to wake up after its word has changed.
            forgotten = a_sleeper_is_forgotten(running.pid());
            std::thread::sleep(std::time::Duration::from_millis(50));
            forgotten &= a_sleeper_is_forgotten(running.pid());
        }
        println!("natural_race: {}", if forgotten { "a sleeper was forgotten" } else { "the run ended" });
        assert!(forgotten || running.finish().success(), "{}", running.text("err"));
    }
}

/// Whether all remaining workers sleep, and the word of one of them already says that the worker may come.
fn a_sleeper_is_forgotten(pid: u32) -> bool {
    let look = tasks(pid);
    let seats: Vec<_> =
        workers(&look).map(|task| task.syscall.filter(|_| task.is_in(libc::SYS_futex))).collect();
    let called = |arguments: [u64; 6]| {
        word(pid, arguments[0]).is_some_and(|word| word == 1 && u64::from(word) != arguments[2])
    };
    seats.iter().all(Option::is_some) && seats.into_iter().flatten().any(|(_, arguments)| called(arguments))
}
