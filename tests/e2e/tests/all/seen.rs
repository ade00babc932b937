//! Threads are seen without harm: running ones through perf events, else by ptrace, and a signal is sent only
//! where it does no harm.

use std::path::Path;
use std::process::Command;

use hangscope_collector::listen::RecordedDump;
use hangscope_collector::session::trace::TraceSource;
use hangscope_collector::symbolize::{Sources, symbolize};
use hangscope_protocol::record::{probe_outcome, probe_way};
use hangscope_test_allocators::Fault;
use hangscope_test_e2e::hunt::Hunt;
use hangscope_test_e2e::{Running, TestCollector, allocator, bench, output_parts, run};

const FRAGILE: &str = env!("CARGO_BIN_EXE_hangscope-fragile");

/// Whether the kernel lets a program have perf events of its own threads, without its part in the kernel.
fn has_perf_events() -> bool {
    let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    let filtered = std::fs::read_to_string("/proc/self/status").unwrap_or_default().contains("Seccomp:\t2");
    let may = paranoid.trim().parse::<i32>().is_ok_and(|level| level <= 2) && !filtered;
    if !may {
        println!("skipped: perf_event_paranoid is {}, filtered: {filtered}", paranoid.trim());
    }
    may
}

/// A dump of the benchmark with a thread that loops in its allocator, started by a launcher.
fn runaway(launcher: &[&str], signal: &str) -> RecordedDump {
    let fault = Fault::named("runaway");
    let collector = TestCollector::new();
    let bench = bench();
    let program: Vec<&str> = launcher.iter().copied().chain([bench.to_str().expect("text")]).collect();
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).args(fault.workload_args);
    command
        .env("HANGSCOPE_HANG_AFTER", "1s")
        .env("HANGSCOPE_SIGNAL", signal)
        .env("HANGSCOPE_ONLY", "hangscope-bench");
    let _running = Running::start(collector.preload(&mut command, Some(&allocator(fault.name))));
    collector.dump()
}

#[test]
fn a_running_thread_is_seen_without_a_signal() {
    if !has_perf_events() {
        return;
    }
    let dump = runaway(&[], "0").dump;
    let count = |tid: u32| dump.samples.iter().filter(|p| p.record.tid == tid).count();
    let seen = dump.probes.iter().filter(|p| p.record.way == probe_way::PERF);
    // Another thread may have been running, too.
    let hot = seen.max_by_key(|p| count(p.record.tid)).expect("a running thread");
    assert_eq!(hot.record.outcome, probe_outcome::ANSWERED);
    assert!(hot.record.answered_ns > hot.record.asked_ns, "{:?}", hot.record.answered_ns);
    let tid = hot.record.tid;
    let traces = symbolize(&dump, &Sources { same_boot: true, ..Sources::default() });
    let samples = &traces.samples[&tid];
    let all: Vec<_> = samples.iter().chain([&traces.threads[&tid]]).collect();
    assert!(samples.len() > 5, "{} samples", samples.len());
    assert!(all.iter().all(|t| t.source == TraceSource::Perf));
    let whole = all.iter().filter(|t| !t.truncated && t.frames.iter().any(|f| f.in_allocator)).count();
    assert!(whole * 10 > all.len() * 9, "{whole} of {}: {:?}", all.len(), all.iter().find(|t| t.truncated));
    // The numbers of the samples of a thread go up by one.
    let numbers: Vec<u32> =
        dump.samples.iter().filter(|p| p.record.tid == tid).map(|p| p.record.sample).collect();
    assert_eq!(numbers, (1..=numbers.len() as u32).collect::<Vec<_>>());
}

#[test]
fn where_perf_events_are_refused_the_record_says_so_and_no_signal_is_sent() {
    let dump = runaway(&[FRAGILE, "refused"], "62").dump;
    let running: Vec<_> =
        dump.probes.iter().filter(|p| p.record.outcome == probe_outcome::NOT_SEEN).collect();
    assert!(!running.is_empty(), "{:?}", dump.probes.iter().map(|p| p.record.outcome).collect::<Vec<_>>());
    // It runs under a filter, so the call was not even tried.
    assert!(running.iter().all(|p| (p.record.way, p.record.errno) == (probe_way::PERF, 0)));
    assert!(dump.probes.iter().all(|p| p.record.way != probe_way::SIGNAL) && dump.samples.is_empty());
    let traces = symbolize(&dump, &Sources { same_boot: true, ..Sources::default() });
    let trace = &traces.threads[&running[0].record.tid];
    let problem = trace.problem.as_ref().expect("why there is no stack");
    assert!(
        problem.en().starts_with("it runs, and was not seen: a filter of system calls"),
        "{}",
        problem.en()
    );
}

#[test]
fn where_perf_events_are_refused_the_collector_looks_by_ptrace() {
    let fault = Fault::named("runaway");
    let so = allocator(fault.name);
    let bench = bench();
    let mut command = vec![FRAGILE, "refused", bench.to_str().expect("text")];
    command.extend(fault.workload_args);
    let options =
        ["--name", fault.name, "--runs", "1", "--hang-after", "2s", "--no-perf", "--verify-runs", "0"];
    let hunt = Hunt::new(&so, &options, fault.env, &command);
    let verdict = hunt.verdict();
    assert_eq!(verdict["hangs"][0]["class"], fault.class.expect("a class"), "{verdict:#}");
    assert!(verdict["hangs"][0]["hot"]["samples"].as_u64().is_some_and(|n| n > 5), "{verdict:#}");
    let threads = hunt.text("hang_run_1/threads.json");
    assert!(
        threads.contains(r#""stack_from": "ptrace""#) || threads.contains(r#""stack_from":"ptrace""#),
        "{threads}"
    );
    assert!(threads.contains("by ptrace, for at most"), "{threads}");
    assert!(!threads.contains(r#""signal""#), "{threads}");
}

/// Runs a part of the fragile program alone and watched, and compares what it prints. Gives the dump.
fn unharmed(part: &str) -> RecordedDump {
    let program = |path: &Path| {
        let mut command = Command::new(path);
        command.args([part, "3000"]);
        command
    };
    let collector = TestCollector::new();
    let watched = std::thread::scope(|scope| {
        let alone = scope.spawn(|| run(&mut program(FRAGILE.as_ref())));
        let mut command = program(FRAGILE.as_ref());
        let watched = run(collector.preload(command.env("HANGSCOPE_HANG_AFTER", "1s"), None));
        let alone = alone.join().expect("a run");
        assert_eq!(output_parts(&watched), output_parts(&alone), "{part}");
        assert!(alone.status.success(), "{alone:?}");
        watched
    });
    assert!(!watched.stdout.is_empty(), "{part}");
    collector.dump()
}

#[test]
fn a_small_alternate_stack_is_not_used() {
    unharmed("alternate-stack");
}

#[test]
fn a_stack_that_is_nearly_full_does_not_overflow() {
    unharmed("full-stack");
}

#[test]
fn a_coroutine_on_a_stack_of_its_own_does_not_notice() {
    unharmed("coroutine");
}

#[test]
fn a_thread_that_waits_for_signals_gets_none() {
    unharmed("waits-for-signals");
}

#[test]
fn waits_with_a_time_limit_do_not_end_early() {
    unharmed("timed-waits");
}

#[test]
fn a_program_under_a_filter_lives_and_its_running_thread_is_seen() {
    let dump = unharmed("filtered").dump;
    if has_perf_events() {
        // The filter is not that of the watchdog, which was there before.
        assert!(dump.probes.iter().any(|p| p.record.outcome == probe_outcome::ANSWERED));
    }
    assert!(dump.probes.iter().all(|p| p.record.way != probe_way::SIGNAL));
}
