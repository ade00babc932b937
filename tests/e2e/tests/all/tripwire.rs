//! The shim never calls the allocator: the tripwire allocator aborts when the shim's code, or a thread of the
//! shim's name, calls it. Under load, at a hang with all of its probing, across forks, at exit.

use std::process::Command;

use hangscope_collector::listen::What;
use hangscope_protocol::record::{dump_reason, probe_outcome};
use hangscope_test_e2e::{Ears, Running, allocator, bench, run, told};

fn loaded(args: &[&str]) -> Command {
    let mut command = Command::new(bench());
    command.args(args);
    command
}

const LOAD: [&str; 7] = ["4", "400000", "200", "16", "8192", "70", "1024"];

/// A run that ends by itself, looked at every 10 ms, dumped after 50 ms and sampled.
fn survives(command: Command) {
    survives_to(command, "50ms");
}

/// The same with another time for the dump, or `off`.
fn survives_to(mut command: Command, dump_after: &str) {
    let ears = Ears::new();
    ears.preload(&mut command, Some(&allocator("tripwire")))
        .env("FAULT_EXPECT_SHIM", "1")
        .env("FAULT_SCAN_WORDS", "64");
    let output = run(command.env("HANGSCOPE_TICK", "10ms").env("HANGSCOPE_HANG_AFTER", dump_after));
    let (status, stdout, stderr) = told(&output);
    assert!(output.status.success(), "{status}: {stderr}");
    assert!(stdout.contains("ops/s="), "{stdout}");
    let (mut beats, mut begun) = (0, 0);
    let mut event = ears.next(hangscope_test_e2e::PATIENCE);
    while let Some(e) = event {
        beats += u32::from(matches!(e.what, What::Heartbeat(_)));
        begun += u32::from(matches!(e.what, What::DumpBegin(_)));
        event = ears.next(if beats > 0 && (begun > 0 || dump_after == "off") {
            std::time::Duration::ZERO
        } else {
            hangscope_test_e2e::PATIENCE
        });
    }
    println!("{beats} looks, {begun} dumps, none of them in the allocator");
}

#[test]
fn under_load_and_at_exit() {
    survives(loaded(&LOAD));
}

#[test]
fn across_a_fork() {
    survives(loaded(&[&LOAD[..], &["--fork-child"]].concat()));
}

/// With threads stopped and slowed in the midst of the allocator, to the end and up to a dump.
#[test]
fn while_it_disturbs_scheduling() {
    for dump_after in ["off", "50ms"] {
        let mut command = loaded(&LOAD);
        survives_to(
            {
                command.env("HANGSCOPE_STIR", "3");
                command
            },
            dump_after,
        );
        let mut command = loaded(&[&LOAD[..], &["--fork-child"]].concat());
        survives_to(
            {
                command.env("HANGSCOPE_STIR", "3");
                command
            },
            dump_after,
        );
    }
}

#[test]
fn at_a_hang() {
    let ears = Ears::new();
    // One worker loops in the benchmark, the others have ended: the dump asks the running one by signal.
    let mut command = loaded(&["4", "20000", "100", "16", "4096", "50", "1024", "--stuck-loop-outside"]);
    ears.preload(&mut command, Some(&allocator("tripwire")))
        .env("FAULT_EXPECT_SHIM", "1")
        .env("FAULT_SCAN_WORDS", "64");
    let mut running = Running::start(command.env("HANGSCOPE_TICK", "10ms").env("HANGSCOPE_HANG_AFTER", "1s"));
    let recorded = ears.dump();
    assert_eq!(recorded.dump.begin.reason, dump_reason::DEADLINE);
    assert!(recorded.dump.end.is_some(), "a whole dump");
    let answered =
        recorded.dump.probes.iter().filter(|p| p.record.outcome == probe_outcome::ANSWERED).count();
    assert!(answered >= 1, "the running thread answered: {:?}", recorded.dump.probes);
    assert!(recorded.dump.samples.len() > 10, "{} samples", recorded.dump.samples.len());
    assert!(running.0.try_wait().expect("its state").is_none(), "it still hangs, it did not abort");
}

/// The allocator's own central lock is held by a thread that a tracer has stopped, so nobody gets it: the dump comes
/// all the same.
#[test]
fn while_the_allocators_lock_is_held_by_a_stopped_thread() {
    let ears = Ears::new();
    let fault = hangscope_test_allocators::Fault::named("owner_stopped");
    let mut command = loaded(fault.workload_args);
    ears.preload(&mut command, Some(&allocator("owner_stopped"))).env("HANGSCOPE_HANG_AFTER", "2s");
    let mut running = Running::start(&mut command);
    let recorded = ears.dump();
    let dump = &recorded.dump;
    let end = dump.end.expect("a whole dump");
    let late = dump.begin.since_init_ns.saturating_sub(dump.identity.fixed.hang_after_ns);
    let stopped = dump.threads.iter().filter(|t| t.state == b't').count();
    assert_eq!(stopped, 1, "one thread is stopped");
    assert_eq!(dump.threads.len(), dump.second.len());
    assert!(running.0.try_wait().expect("its state").is_none(), "it hangs, it did not abort");
    println!(
        "dump begun {:.1} ms after the deadline, first look whole after {:.1} ms",
        late as f64 / 1e6,
        end.first_look_ns as f64 / 1e6
    );
}

/// The control: the tripwire does trip.
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
