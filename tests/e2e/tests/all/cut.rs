//! Stacks that cannot be unwound without the thread's registers. Rust's standard library uses frame
//! pointers, and only the thread's answer to a signal contains its frame pointer. The collector asks these
//! threads, and no others, during the dump. A dump wakes no thread.

use std::collections::BTreeSet;
use std::process::Command;

use hangscope_collector::analysis::{History, analyse};
use hangscope_collector::evidence::truncated_stacks;
use hangscope_collector::listen::{RecordedDump, What};
use hangscope_collector::session::trace::{ThreadTrace, TraceSource, Traces};
use hangscope_collector::symbolize::{Reach, Sources, symbolize, truncated};
use hangscope_test_e2e::{Running, TestCollector, allocator, bench};

const THREADS: usize = 100;

/// Dumps a Rust program whose threads wait for a lock. Returns the dump, and the tids whose stacks were
/// truncated in the first look. Asks these threads for their registers if `ask` is set.
fn dump(part: &str, ask: bool) -> (RecordedDump, Vec<u32>) {
    let collector = TestCollector::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hangscope-host"));
    command.args([part, &THREADS.to_string(), "60"]).env("HANGSCOPE_HANG_AFTER", "1s");
    let host = Running::start(collector.preload(&mut command, None));
    let sources = Sources { live_pid: Some(host.pid()), same_boot: true, ..Sources::default() };
    let cut = collector.until("a first look", |event| match &event.what {
        What::FirstLook(look) => {
            let dump = &look.read().expect("a first look that can be read").dump;
            let cut = truncated(dump, &sources, Reach::BySignal);
            if ask {
                let asked = truncated_stacks::ask(&collector.listener.asker(), event.conn, dump, &sources)
                    .expect("a request");
                assert_eq!(asked, cut.len());
            }
            Some(cut)
        }
        _ => None,
    });
    (collector.dump(), cut)
}

/// The named stacks of the waiting threads, without the watchdog.
fn waiting(dump: &RecordedDump) -> Vec<ThreadTrace> {
    let Traces { threads, .. } = symbolize(&dump.dump, &Sources { same_boot: true, ..Sources::default() });
    let blocked: BTreeSet<u32> = dump.dump.threads.iter().filter(|t| t.pc != 0).map(|t| t.tid).collect();
    let watchdog = dump.dump.identity.fixed.watchdog_tid;
    threads.into_values().filter(|t| blocked.contains(&t.tid) && t.tid != watchdog).collect()
}

fn count_truncated(traces: &[ThreadTrace]) -> usize {
    traces.iter().filter(|t| t.truncated).count()
}

#[test]
fn threads_whose_stacks_are_cut_are_asked_while_the_dump_is_under_way() {
    let (unasked, found) = dump("many", false);
    let before = waiting(&unasked);
    assert_eq!(before.len(), THREADS);
    assert_eq!(found.len(), count_truncated(&before));
    let (asked, found) = dump("many", true);
    let after = waiting(&asked);
    println!(
        "truncated without an answer: {} of {THREADS}; with an answer: {}",
        count_truncated(&before),
        count_truncated(&after)
    );
    assert!(count_truncated(&before) > THREADS / 2, "too few stacks are truncated: {:#?}", before.first());
    assert_eq!(count_truncated(&after), 0, "{:#?}", after.iter().find(|t| t.truncated));
    // Only the truncated threads were asked. All of them answered,
    // although there are more threads than slots for answers.
    let answers: BTreeSet<u32> =
        asked.dump.probes.iter().filter(|p| p.record.was_blocked == 1).map(|p| p.record.tid).collect();
    assert_eq!(answers, found.into_iter().collect());
    assert!(after.iter().filter(|t| answers.contains(&t.tid)).all(|t| t.source == TraceSource::Signal));
    // The threads still wait at the same place, so the signal has moved none of them.
    for thread in asked.dump.second.iter().filter(|t| answers.contains(&t.tid)) {
        let first = asked.dump.thread(thread.tid).expect("the thread was in the first look");
        assert_eq!((thread.pc, thread.sp, thread.args[0]), (first.pc, first.sp, first.args[0]));
    }
}

#[test]
fn threads_that_block_the_signal_are_not_asked_and_the_stack_says_so() {
    let (dump, found) = dump("many-deaf", true);
    assert!(found.is_empty(), "{found:?}");
    let traces = waiting(&dump);
    assert_eq!(traces.len(), THREADS);
    for trace in traces {
        let problem = trace.problem.unwrap_or_default().en().to_owned();
        assert!(trace.truncated && problem.ends_with("; blocks signal 62"), "{problem}");
        assert!(problem.starts_with("cut at frame "), "{problem}");
    }
}

/// The kernel's line about the system call of a thread: number, arguments, SP and PC.
fn call_of(pid: u32, tid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).expect("the thread exists")
}

#[test]
fn a_lost_wakeup_is_still_there_after_the_dump() {
    let fault = hangscope_test_allocators::Fault::named("lost_wakeup");
    let collector = TestCollector::new();
    let mut command = Command::new(bench());
    command.args(fault.workload_args).env("HANGSCOPE_HANG_AFTER", "2s");
    let host = Running::start(collector.preload(&mut command, Some(&allocator(fault.name))));
    let sources = Sources { live_pid: Some(host.pid()), same_boot: true, ..Sources::default() };
    let before = collector.until("a first look", |event| match &event.what {
        What::FirstLook(look) => {
            let dump = &look.read().expect("a first look that can be read").dump;
            truncated_stacks::ask(&collector.listener.asker(), event.conn, dump, &sources)
                .expect("a request");
            let waits = dump.threads.iter().filter(|t| t.syscall == libc::SYS_futex as i32);
            Some(waits.map(|t| (t.tid, call_of(host.pid(), t.tid))).collect::<Vec<_>>())
        }
        _ => None,
    });
    let dump = collector.dump().dump;
    let finding = analyse(&dump, &symbolize(&dump, &sources), &History::default());
    assert_eq!(Some(finding.class.as_str()), fault.class, "{:?}", finding.why);
    assert!(
        !finding.why.iter().any(|w| w.contains("the signal may have ended the hang")),
        "{:?}",
        finding.why
    );
    assert!(before.len() > 1, "{before:?}");
    for (tid, call) in before {
        assert_eq!(call_of(host.pid(), tid), call, "tid {tid} was woken");
    }
}
