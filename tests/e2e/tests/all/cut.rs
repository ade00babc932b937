//! Stacks that cannot be followed without a signal: Rust's standard library keeps frame pointers, whose values only an
//! answer tells. The threads are asked while the dump is under way, and only those; and a dump wakes nobody.

use std::collections::BTreeSet;
use std::process::Command;

use hangscope_collector::analysis::{History, analyse};
use hangscope_collector::evidence::cut;
use hangscope_collector::listen::{RecordedDump, What};
use hangscope_collector::session::trace::{ThreadTrace, TraceSource, Traces};
use hangscope_collector::symbolize::{Sources, symbolize, truncated};
use hangscope_test_e2e::{Ears, Running, allocator, bench};

const THREADS: usize = 100;

/// A dump of a Rust program whose threads wait for a lock, and which of them were found cut in its first look; they
/// are asked if `ask` says so.
fn dump(part: &str, ask: bool) -> (RecordedDump, Vec<u32>) {
    let ears = Ears::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hangscope-host"));
    command.args([part, &THREADS.to_string(), "60"]).env("HANGSCOPE_HANG_AFTER", "1s");
    let host = Running::start(ears.preload(&mut command, None));
    let sources = Sources { live_pid: Some(host.pid()), same_boot: true, ..Sources::default() };
    let cut = ears.until("a first look", |event| match &event.what {
        What::FirstLook(dump) => {
            let cut = truncated(dump, &sources);
            if ask {
                let asked =
                    cut::ask(&ears.listener.asker(), event.conn, dump, &sources).expect("it is asked");
                assert_eq!(asked, cut.len());
            }
            Some(cut)
        }
        _ => None,
    });
    (ears.dump(), cut)
}

/// The waiting threads' stacks with names.
fn waiting(dump: &RecordedDump) -> Vec<ThreadTrace> {
    let Traces { threads, .. } = symbolize(&dump.dump, &Sources { same_boot: true, ..Sources::default() });
    let blocked: BTreeSet<u32> = dump.dump.threads.iter().filter(|t| t.pc != 0).map(|t| t.tid).collect();
    let watchdog = dump.dump.identity.fixed.watchdog_tid;
    threads.into_values().filter(|t| blocked.contains(&t.tid) && t.tid != watchdog).collect()
}

fn cut_of(traces: &[ThreadTrace]) -> usize {
    traces.iter().filter(|t| t.truncated).count()
}

#[test]
fn threads_whose_stacks_are_cut_are_asked_while_the_dump_is_under_way() {
    let (unasked, found) = dump("many", false);
    let before = waiting(&unasked);
    assert_eq!(before.len(), THREADS);
    assert_eq!(found.len(), cut_of(&before));
    let (asked, found) = dump("many", true);
    let after = waiting(&asked);
    println!("cut without an answer: {} of {THREADS}; with: {}", cut_of(&before), cut_of(&after));
    assert!(cut_of(&before) > THREADS / 2, "there is nothing to be asked for: {:#?}", before.first());
    assert_eq!(cut_of(&after), 0, "{:#?}", after.iter().find(|t| t.truncated));
    // Nobody was asked who need not be, and all answered, though there are more of them than slots for answers.
    let answers: BTreeSet<u32> =
        asked.dump.probes.iter().filter(|p| p.record.was_blocked == 1).map(|p| p.record.tid).collect();
    assert_eq!(answers, found.into_iter().collect());
    assert!(after.iter().filter(|t| answers.contains(&t.tid)).all(|t| t.source == TraceSource::Signal));
    // They wait on: the signal has moved nobody.
    for thread in asked.dump.second.iter().filter(|t| answers.contains(&t.tid)) {
        let first = asked.dump.thread(thread.tid).expect("it was there");
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

/// The call that a thread is in, with its arguments, SP and PC; the kernel's own line of it.
fn call_of(pid: u32, tid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).expect("the thread is there")
}

#[test]
fn a_lost_wakeup_is_still_there_after_the_dump() {
    let fault = hangscope_test_allocators::Fault::named("lost_wakeup");
    let ears = Ears::new();
    let mut command = Command::new(bench());
    command.args(fault.workload_args).env("HANGSCOPE_HANG_AFTER", "2s");
    let host = Running::start(ears.preload(&mut command, Some(&allocator(fault.name))));
    let sources = Sources { live_pid: Some(host.pid()), same_boot: true, ..Sources::default() };
    let before = ears.until("a first look", |event| match &event.what {
        What::FirstLook(dump) => {
            cut::ask(&ears.listener.asker(), event.conn, dump, &sources).expect("it is asked");
            let waits = dump.threads.iter().filter(|t| t.syscall == libc::SYS_futex as i32);
            Some(waits.map(|t| (t.tid, call_of(host.pid(), t.tid))).collect::<Vec<_>>())
        }
        _ => None,
    });
    let dump = ears.dump().dump;
    let finding = analyse(&dump, &symbolize(&dump, &sources), &History::default());
    assert_eq!(Some(finding.class.as_str()), fault.class, "{:?}", finding.why);
    assert!(!finding.why.iter().any(|w| w.contains("resumed after the signal")), "{:?}", finding.why);
    assert!(before.len() > 1, "{before:?}");
    for (tid, call) in before {
        assert_eq!(call_of(host.pid(), tid), call, "tid {tid} was woken");
    }
}
