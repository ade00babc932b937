//! The shim never calls the allocator: under load, at a hang with all its
//! probes, across forks, and at exit. The tripwire allocator aborts if the
//! shim's code, or a thread with the name of the shim's thread, calls it.

use std::process::Command;

use hangscope_collector::listen::What;
use hangscope_protocol::record::{dump_reason, probe_outcome};
use hangscope_test_e2e::{Running, TestCollector, allocator, bench, output_parts, run};

fn benchmark(args: &[&str]) -> Command {
    let mut command = Command::new(bench());
    command.args(args);
    command
}

const LOAD: [&str; 7] = ["4", "400000", "200", "16", "8192", "70", "1024"];

/// Checks a run that ends by itself. The shim looks every 10 ms, dumps after 50 ms, and samples.
fn check_survives(command: Command) {
    check_survives_dump_after(command, "50ms");
}

/// Does the same with another time for the dump. `off` means no dump.
fn check_survives_dump_after(mut command: Command, dump_after: &str) {
    let collector = TestCollector::new();
    collector
        .preload(&mut command, Some(&allocator("tripwire")))
        .env("FAULT_EXPECT_SHIM", "1")
        .env("FAULT_SCAN_WORDS", "64");
    let output = run(command.env("HANGSCOPE_TICK", "10ms").env("HANGSCOPE_HANG_AFTER", dump_after));
    let (status, stdout, stderr) = output_parts(&output);
    assert!(output.status.success(), "{status}: {stderr}");
    assert!(stdout.contains("ops/s="), "{stdout}");
    let (mut beats, mut begun) = (0, 0);
    let mut event = collector.next(hangscope_test_e2e::GIVE_UP_AFTER);
    while let Some(e) = event {
        beats += u32::from(matches!(e.what, What::Heartbeat(_)));
        begun += u32::from(matches!(e.what, What::DumpBegin(_)));
        event = collector.next(if beats > 0 && (begun > 0 || dump_after == "off") {
            std::time::Duration::ZERO
        } else {
            hangscope_test_e2e::GIVE_UP_AFTER
        });
    }
    println!("{beats} looks and {begun} dumps, none of which called the allocator");
}

#[test]
fn under_load_and_at_exit() {
    check_survives(benchmark(&LOAD));
}

#[test]
fn across_a_fork() {
    check_survives(benchmark(&[&LOAD[..], &["--fork-child"]].concat()));
}

/// `--stir` stops and slows threads inside the allocator: in
/// one case to the end of the run, in the other up to a dump.
#[test]
fn while_it_disturbs_scheduling() {
    for dump_after in ["off", "50ms"] {
        for args in [LOAD.to_vec(), [&LOAD[..], &["--fork-child"]].concat()] {
            let mut command = benchmark(&args);
            command.env("HANGSCOPE_STIR", "3");
            check_survives_dump_after(command, dump_after);
        }
    }
}

#[test]
fn at_a_hang() {
    let collector = TestCollector::new();
    // One worker loops in the benchmark, and the others have
    // ended. The dump asks the running worker by a signal.
    let mut command = benchmark(&["4", "20000", "100", "16", "4096", "50", "1024", "--stuck-loop-outside"]);
    collector
        .preload(&mut command, Some(&allocator("tripwire")))
        .env("FAULT_EXPECT_SHIM", "1")
        .env("FAULT_SCAN_WORDS", "64");
    let mut running = Running::start(command.env("HANGSCOPE_TICK", "10ms").env("HANGSCOPE_HANG_AFTER", "1s"));
    let recorded = collector.dump();
    assert_eq!(recorded.dump.begin.reason, dump_reason::DEADLINE);
    assert!(recorded.dump.end.is_some(), "a whole dump");
    let answered =
        recorded.dump.probes.iter().filter(|p| p.record.outcome == probe_outcome::ANSWERED).count();
    assert!(answered >= 1, "the running thread answered: {:?}", recorded.dump.probes);
    assert!(recorded.dump.samples.len() > 10, "{} samples", recorded.dump.samples.len());
    assert!(running.0.try_wait().expect("its state").is_none(), "the process still hangs and did not abort");
}

/// A thread that a tracer has stopped holds the allocator's central
/// lock, so no thread can take the lock. The dump comes anyway.
#[test]
fn while_the_allocators_lock_is_held_by_a_stopped_thread() {
    let collector = TestCollector::new();
    let fault = hangscope_test_allocators::Fault::named("owner_stopped");
    let mut command = benchmark(fault.workload_args);
    collector.preload(&mut command, Some(&allocator("owner_stopped"))).env("HANGSCOPE_HANG_AFTER", "2s");
    let mut running = Running::start(&mut command);
    let recorded = collector.dump();
    let dump = &recorded.dump;
    let end = dump.end.expect("a whole dump");
    let late = dump.begin.since_init_ns.saturating_sub(dump.identity.fixed.hang_after_ns);
    let stopped = dump.threads.iter().filter(|t| t.state == b't').count();
    assert_eq!(stopped, 1, "one thread is stopped");
    assert_eq!(dump.threads.len(), dump.second.len());
    assert!(running.0.try_wait().expect("its state").is_none(), "the process still hangs and did not abort");
    println!(
        "the dump began {:.1} ms after the deadline, its first look was complete after {:.1} ms",
        late as f64 / 1e6,
        end.first_look_ns as f64 / 1e6
    );
}

/// The control test: the tripwire aborts when it must.
#[test]
fn the_tripwire_trips() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hangscope-host"));
    let output = run(command.arg("malloc-as-hangscope").env("LD_PRELOAD", allocator("tripwire")));
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&output.status),
        Some(libc::SIGABRT),
        "{output:?}"
    );
}
