//! Every row of the table of futex waits, and waits that look similar.

use hangscope_protocol::record::SYSCALL_UNREADABLE;

use crate::analysis::{Finding, ThreadWait};
use crate::testkit::dump::{Futex, LOCK, LOCK2, Make, bare, barrier, condition, join, mutex};

const WORKER: &str = "worker@bench";

fn wait_of(futex: &Futex, stack: &[&str]) -> ThreadWait {
    let mut make = Make::new();
    make.futex(101, futex, stack).call(102, 0, 3, &["read@libc", WORKER]).call(
        103,
        0,
        3,
        &["read@libc", WORKER],
    );
    find(&make.gone(77).analyse())
}

fn find(finding: &Finding) -> ThreadWait {
    finding.waits.iter().find(|w| w.tid == 101).cloned().expect("the thread waits")
}

fn says(wait: &ThreadWait) -> (&str, u64, Option<u32>) {
    (wait.kind.as_str(), wait.address.unwrap_or_default() - (LOCK & !0xff), wait.owner)
}

#[test]
fn by_operation_and_memory_alone() {
    let at = |offset: u64| (LOCK & !0xff) + offset;
    let semaphore = Futex { op: 0x189, near: vec![(0, 0), (4, 2), (8, 0)], ..bare(at(0x40), 0) };
    let semaphore = Futex { expected: 0, ..semaphore };
    let rwlock = Futex {
        op: 0x189,
        address: at(0x48),
        expected: 3,
        near: vec![(-8, 0), (-4, 2), (0, 3), (4, 2), (16, 102)],
        timed: false,
    };
    let second_group = Futex {
        address: at(0x40) + 0x2c,
        near: vec![(-0x2c, 8), (-0x18, 4), (-0x08, 16), (-0x04, 0), (0, 0)],
        ..condition(at(0x40), 2)
    };
    let rust = Futex { op: 0x89, expected: 2, near: vec![(0, 2), (8, 102)], ..bare(at(0x40), 2) };
    type Row = (&'static str, Futex, (&'static str, u64, Option<u32>));
    #[rustfmt::skip]
    let table: Vec<Row> = vec![
        ("normal mutex", mutex(at(0x40), 102, 0), ("pthread-mutex", 0x40, Some(102))),
        ("recursive mutex", mutex(at(0x40), 102, 1), ("pthread-mutex", 0x40, Some(102))),
        ("errorcheck mutex", mutex(at(0x40), 101, 2), ("pthread-mutex", 0x40, Some(101))),
        ("mutex, owner lately gone", mutex(at(0x40), 77, 0), ("pthread-mutex", 0x40, Some(77))),
        ("mutex, timed", Futex { op: 0x189, timed: true, ..mutex(at(0x40), 102, 0) }, ("pthread-mutex", 0x40, Some(102))),
        ("inheriting mutex", Futex { op: 0x86, near: vec![(0, 102 | 0x8000_0000)], ..bare(at(0x40), 0) }, ("pthread-mutex", 0x40, Some(102))),
        ("inheriting mutex, owner died", Futex { op: 0x86, near: vec![(0, 78 | 0xc000_0000)], ..bare(at(0x40), 0) }, ("pthread-mutex", 0x40, Some(78))),
        ("robust mutex", Futex { expected: 102 | 0x8000_0000, near: vec![(0, 102 | 0x8000_0000), (8, 102), (16, 16)], ..bare(at(0x40), 0) }, ("pthread-mutex", 0x40, Some(102))),
        ("no mutex: +8 was never a thread", mutex(at(0x40), 4711, 0), ("low-level-lock", 0x40, None)),
        ("no mutex: the word is not 2", Futex { near: vec![(0, 1), (8, 102)], expected: 1, ..bare(at(0x40), 1) }, ("futex", 0x40, None)),
        ("once: +8 is no owner", Futex { near: vec![(0, 1), (4, 0), (8, 102), (12, 9)], expected: 1, ..bare(at(0x40), 1) }, ("futex", 0x40, None)),
        ("low-level lock", bare(at(0x40), 2), ("low-level-lock", 0x40, None)),
        ("condition", condition(at(0x40), 2), ("condition", 0x40, None)),
        ("condition, second group", second_group, ("condition", 0x40, None)),
        ("condition, monotonic clock", Futex { op: 0x89, timed: true, ..condition(at(0x40), 1) }, ("condition", 0x40, None)),
        ("barrier", barrier(at(0x40), 2, 3), ("barrier", 0x40, None)),
        ("semaphore", semaphore, ("semaphore", 0x40, None)),
        ("rwlock, writer", rwlock, ("rwlock", 0x40, None)),
        ("Rust", rust, ("rust-lock", 0x40, None)),
    ];
    for (what, futex, expected) in table {
        // Frames without names: no function names the wait.
        let wait = wait_of(&futex, &["?@libc", "?@foo", WORKER]);
        assert_eq!(says(&wait), expected, "{what}: {}", wait.detail);
    }
    let wait = wait_of(&join(102), &["?@libc", WORKER]);
    assert_eq!(
        (wait.kind.as_str(), wait.owner, wait.detail.as_str()),
        ("join", Some(102), "join of tid 102")
    );
}

#[test]
fn functions_name_what_memory_does_not() {
    let at = |offset: u64| (LOCK & !0xff) + offset;
    let plain = Futex { op: 0x189, expected: 0, near: vec![], ..bare(at(0x68), 0) };
    let one = Futex { expected: 1, ..bare(at(0x40), 1) };
    #[rustfmt::skip]
    let table: Vec<(&str, Futex, &str)> = vec![
        ("__pthread_cond_wait@libc", plain.clone(), "condition"),
        ("pthread_cond_timedwait@@GLIBC_2.3.2@libc", plain.clone(), "condition"),
        ("__new_sem_wait_slow64@libc", plain.clone(), "semaphore"),
        ("sem_clockwait@libc", plain.clone(), "semaphore"),
        ("___pthread_rwlock_wrlock@libc", plain.clone(), "rwlock"),
        ("__pthread_once_slow@libc", one.clone(), "once"),
        ("pthread_barrier_wait@libc", one.clone(), "barrier"),
        ("__lll_lock_wait_private@libc", bare(at(0x40), 2), "low-level-lock"),
        ("__GI___pthread_mutex_lock@libc", mutex(at(0x40), 102, 0), "pthread-mutex"),
        ("std::sys::sync::mutex::futex::Mutex::lock_contended@foo", bare(at(0x40), 2), "rust-lock"),
        ("std::sys::sync::thread_parking::futex::Parker::park@bench", plain.clone(), "rust-lock"),
        ("AbslInternalSpinLockDelay_lts_20220623@foo", one.clone(), "spin-lock"),
        ("base::internal::SpinLockDelay@foo", one.clone(), "spin-lock"),
    ];
    for (function, futex, kind) in table {
        // `@@GLIBC` is the version of the function. The last @ separates function and DSO.
        let (name, dso) = function.rsplit_once('@').expect("function@dso");
        let name = name.replace('@', "_at_");
        let stack = [format!("{}@{dso}", name.replace("_at__at_", "")), WORKER.to_owned()];
        let stack: Vec<&str> = stack.iter().map(String::as_str).collect();
        let wait = wait_of(&futex, &stack);
        assert_eq!(wait.kind, kind, "{function}: {}", wait.detail);
    }
    // glibc's internal function alone is a low-level lock. Called by a mutex function it is that mutex.
    let stack = &["__lll_lock_wait@libc", "pthread_mutex_lock@libc", "foo_malloc@foo", WORKER];
    assert_eq!(says(&wait_of(&mutex(at(0x40), 102, 0), stack)), ("pthread-mutex", 0x40, Some(102)));
    let stack = &["__lll_lock_wait_private@libc", "_int_malloc@libc", WORKER];
    assert_eq!(wait_of(&mutex(at(0x40), 102, 0), stack).owner, None, "the word next to it is no owner");
    // A frame of the allocator ends the search: its callers do not name the wait.
    let stack = &["foo_wait@foo", "__pthread_once_slow@libc", WORKER];
    assert_eq!(wait_of(&bare(at(0x40), 2), stack).kind, "low-level-lock");
    // A mutex that a function names certainly has an owner: a tid that is not alive is gone.
    let stack = &["pthread_mutex_lock@libc", "foo_malloc@foo", WORKER];
    assert_eq!(wait_of(&mutex(at(0x40), 4711, 0), stack).owner, Some(4711));
    // A mutex that processes share may belong to a thread of another process.
    assert_eq!(wait_of(&mutex(at(0x40), 4711, 0x80), stack).owner, None);
}

#[test]
fn the_type_of_a_mutex_is_shown() {
    let details =
        [0, 1, 2, 3].map(|kind| wait_of(&mutex(LOCK, 102, kind), &["pthread_mutex_lock@libc"]).detail);
    insta::assert_snapshot!(details.join(", "), @"pthread mutex (normal), pthread mutex (recursive), pthread mutex (errorcheck), pthread mutex (adaptive)");
}

#[test]
fn unreadable_memory_is_not_zero() {
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), &["pthread_mutex_lock@libc", WORKER]);
    for record in &mut make.dump.threads {
        (record.near_from, record.near_to, record.err_near) = (0, 0, 14);
    }
    let wait = find(&make.analyse());
    assert_eq!((wait.kind.as_str(), wait.owner), ("pthread-mutex", None));
    assert_eq!(wait.detail, "pthread mutex (not readable)");
}

#[test]
fn other_calls_by_name_and_descriptor() {
    let mut make = Make::new();
    make.dump.fds.insert(3, "pipe:[123]".to_owned());
    make.call(101, 0, 3, &["read@libc", WORKER]);
    make.call(102, 232, 5, &["epoll_wait@libc", WORKER]);
    make.call(103, 230, 0, &["clock_nanosleep@libc", WORKER]);
    make.call(104, 61, 0, &["wait4@libc", WORKER]);
    make.call(105, -1, 0, &["foo_malloc@foo", WORKER]);
    make.call(106, 4095, 0, &["syscall@libc", WORKER]);
    make.call(107, SYSCALL_UNREADABLE, 0, &[]);
    let finding = make.analyse();
    let text: Vec<String> = finding
        .waits
        .iter()
        .filter(|w| w.tid > 100)
        .map(|w| format!("{} {}: {}", w.tid, w.kind, w.detail))
        .collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    101 read: read of fd 3 (pipe:[123])
    102 epoll: epoll_wait of fd 5
    103 nanosleep: clock_nanosleep
    104 wait4: wait4
    105 page-fault: page fault
    106 unknown: system call 4095
    107 unknown: in an unknown place of the kernel (call not readable)
    "#);
}

#[test]
fn aarch64_has_other_system_call_numbers() {
    let mut make = Make::new();
    make.dump.identity.fixed.arch = hangscope_protocol::record::ARCH_AARCH64;
    make.futex(101, &mutex(LOCK, 102, 0), &["?@libc"]).call(102, 63, 3, &["read@libc"]);
    for record in make.dump.threads.iter_mut().filter(|r| r.syscall == 202) {
        record.syscall = 98;
    }
    let finding = make.analyse();
    assert_eq!((find(&finding).kind.as_str(), find(&finding).owner), ("pthread-mutex", Some(102)));
    assert!(finding.waits.iter().any(|w| w.tid == 102 && w.kind == "read"));
}

#[test]
fn a_c_library_that_is_the_allocator_makes_no_lock_by_hand() {
    let mut make = Make::new();
    make.futex(101, &join(102), &["?@libc", WORKER]).call(102, 0, 3, &["read@libc", WORKER]);
    for frame in make.traces.threads.values_mut().flat_map(|trace| &mut trace.frames) {
        frame.in_allocator = frame.dso.as_deref() == Some("/lib/x86_64-linux-gnu/libc.so.6");
    }
    let wait = find(&make.analyse());
    assert_eq!((wait.kind.as_str(), wait.owner), ("join", Some(102)));
}

#[test]
fn a_lock_made_by_hand_has_no_owner() {
    // Beside the word stands the tid of a living thread, as in a pthread mutex.
    for stack in [&["syscall@libc", "span_acquire@foo", WORKER][..], &["?@foo", "malloc@foo", WORKER]] {
        let wait = wait_of(&mutex(LOCK, 102, 0), stack);
        assert_eq!((wait.kind.as_str(), wait.owner), ("low-level-lock", None), "{stack:?}");
    }
    // A function of the program whose name only begins like one of the C library.
    let wait = wait_of(&mutex(LOCK, 102, 0), &["pthread_mutex_like_lock@foo", "malloc@foo", WORKER]);
    assert_eq!((wait.kind.as_str(), wait.owner), ("low-level-lock", None));
    // A program that takes the place of the function.
    let wait = wait_of(&mutex(LOCK, 102, 0), &["pthread_mutex_lock@bench", WORKER]);
    assert_eq!((wait.kind.as_str(), wait.owner), ("pthread-mutex", Some(102)));
    // pthread_cond_wait takes the mutex again.
    let wait = wait_of(&mutex(LOCK, 102, 0), &["?@libc", "pthread_cond_wait@libc", WORKER]);
    assert_eq!((wait.kind.as_str(), wait.owner), ("pthread-mutex", Some(102)));
}

#[test]
fn the_words_of_a_read_write_lock_are_one_lock() {
    let function = &["pthread_rwlock_wrlock@libc", "foo_malloc@foo", WORKER];
    // __readers, __writers, __wrphase_futex, __writers_futex, .., __cur_writer at 24; two readers have it.
    let fields = |readers: u32, writer: u32| {
        [(0i64, readers), (4, 1), (8, 2), (12, 3), (16, 0), (20, 0), (24, writer), (28, 0)]
    };
    let word = |at: i64, expected: u32, writer: u32| Futex {
        op: 0x189,
        address: LOCK + at as u64,
        expected,
        near: fields(2 << 3 | 4, writer).iter().map(|(offset, value)| (offset - at, *value)).collect(),
        timed: false,
    };
    for (at, expected) in [(0, 2 << 3 | 4), (8, 2), (12, 3)] {
        let wait = wait_of(&word(at, expected, 0), function);
        assert_eq!((wait.kind.as_str(), wait.address, wait.owner), ("rwlock", Some(LOCK), None), "{at}");
        assert_eq!(wait.detail, "read-write lock (held by 2 readers)");
        assert_eq!(wait_of(&word(at, expected, 102), function).owner, Some(102));
        // The writer has ended.
        let gone = wait_of(&word(at, expected, 4711), function);
        assert_eq!((gone.address, gone.owner), (Some(LOCK), Some(4711)), "{at}");
        // Or it is of another process.
        let mut shared = word(at, expected, 4711);
        shared.near.retain(|(offset, _)| *offset != 28 - at);
        shared.near.push((28 - at, 1));
        let wait = wait_of(&shared, function);
        assert_eq!((wait.address, wait.owner), (Some(LOCK), None), "{at}");
        assert_eq!(wait.detail, "read-write lock (held by a writer)");
    }
}

#[test]
fn the_lock_that_the_kernel_refused_is_not_known() {
    let inheriting = Futex { op: 0x86, near: vec![(0, 101 | 0x8000_0000)], ..bare(LOCK, 0) };
    let locks = &["___pthread_mutex_lock@libc", "foo_malloc@foo", WORKER];
    let mut make = Make::new();
    make.futex(101, &Futex { op: 0x189, expected: 0, near: vec![(0, 0)], ..bare(0, 0) }, locks);
    let sp = make.dump.thread(101).expect("the thread").sp;
    for record in make.dump.threads.iter_mut().filter(|r| r.tid == 101) {
        record.args[0] = sp + 0x20;
    }
    let is = |finding: &Finding| {
        let wait = find(finding);
        assert_eq!((wait.kind.as_str(), wait.address, wait.owner), ("pthread-mutex", None, None));
        assert_eq!((finding.class.as_str(), finding.confidence.as_str()), ("deadlock", "likely"));
        finding.lock.as_ref().map(|lock| (lock.address.clone(), lock.owner_tid))
    };
    assert_eq!(is(&make.analyse()), None);
    // Another thread waits for a mutex of it. That thread may hold the mutex that the kernel refused.
    let held = Some((format!("{LOCK:#x}"), Some(101)));
    assert_eq!(is(&make.futex(102, &inheriting, locks).analyse()), held);
}

#[test]
fn a_word_that_is_a_tid_is_held_by_that_thread() {
    let by_hand = &["syscall@libc", "foo_lock@foo", "foo_malloc@foo", WORKER];
    let word = |value| wait_of(&Futex { expected: value, near: vec![(0, value)], ..bare(LOCK, 0) }, by_hand);
    for value in [102, 102 | 0x8000_0000] {
        assert_eq!(
            (word(value).kind.as_str(), word(value).owner),
            ("low-level-lock", Some(102)),
            "{value:#x}"
        );
    }
    // A thread of its own lock; a thread that waits for its own number to change; a count; a tid that was
    // never a thread.
    assert_eq!(word(101 | 0x8000_0000).owner, Some(101));
    for value in [101, 2, 0x8000_0002, 4711] {
        assert_eq!(word(value).owner, None, "{value:#x}");
    }
    // The word has changed since.
    let changed = Futex { expected: 102, near: vec![(0, 103)], ..bare(LOCK, 0) };
    assert_eq!(wait_of(&changed, by_hand).owner, None);
    // Two of them in a ring: their kind is a guess.
    let of = |address, tid: u32| Futex { expected: tid, near: vec![(0, tid)], ..bare(address, 0) };
    let mut make = Make::new();
    let finding = make.futex(101, &of(LOCK, 102), by_hand).futex(102, &of(LOCK2, 101), by_hand).analyse();
    assert_eq!((finding.class.as_str(), finding.confidence.as_str()), ("deadlock", "likely"));
    assert_eq!(finding.ring.len(), 2);
}

#[test]
fn a_stripped_program_under_a_shared_c_library_waits_for_its_mutexes_there() {
    let word = mutex(LOCK, 102, 0);
    assert_eq!(wait_of(&word, &["?@libc", "?@bench"]).owner, Some(102));
    assert_eq!(wait_of(&word, &["?@bench", "?@bench"]).owner, None);
}

#[test]
fn once_that_is_called_again_waits_for_itself() {
    let word = Futex { expected: 1, near: vec![(0, 1)], ..bare(LOCK, 1) };
    let again = [
        "__pthread_once_slow@libc",
        "pthread_once@libc",
        "ensure@foo",
        "begin@foo",
        "__pthread_once_slow@libc",
        "pthread_once@libc",
        "foo_malloc@foo",
        WORKER,
    ];
    let other = ["__pthread_once_slow@libc", "foo_malloc@foo", WORKER];
    let mut make = Make::new();
    let finding = make.futex(101, &word, &again).futex(102, &word, &other).analyse();
    assert_eq!(find(&finding).owner, Some(101));
    assert_eq!((finding.class.as_str(), finding.confidence.as_str()), ("deadlock", "proven"));
    // Another thread may be in the initialization that this one waits for.
    let elsewhere = ["read@libc", "begin@foo", "__pthread_once_slow@libc", "foo_malloc@foo", WORKER];
    let finding = make.call(103, 0, 3, &elsewhere).analyse();
    assert_eq!(find(&finding).owner, None);
}

#[test]
fn the_first_word_of_a_vector_is_named() {
    let mut make = Make::new();
    make.futex(101, &bare(LOCK, 2), &["syscall@libc", "acquire@foo", "foo_malloc@foo", WORKER]);
    for record in make.dump.threads.iter_mut().filter(|r| r.tid == 101) {
        record.syscall = 449;
        record.flags |= hangscope_protocol::record::thread_flags::NEAR;
        record.args = [0x7fff_0000, 2, 0, 0, 2, LOCK];
    }
    let wait = find(&make.analyse());
    assert_eq!((wait.kind.as_str(), wait.address, wait.owner), ("futex", Some(LOCK), None));
    assert_eq!(wait.detail, "any of 2 futex words");
}
