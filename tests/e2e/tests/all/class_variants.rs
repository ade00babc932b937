//! The faults of the table under two difficulties: workers that block every signal, and an allocator without
//! symbols. The class must be the same.
//!
//! Each test tries three faults. With `HANGSCOPE_TEST_ROUNDS` set (`scripts/soak.sh`), it tries all.

use std::path::Path;
use std::process::Command;

use hangscope_collector::evidence::saved::SavedDumps;
use hangscope_test_allocators::{FAULTS, Fault, Hangs};
use hangscope_test_e2e::hunt::{Hunt, bench_with};
use hangscope_test_e2e::{built, run};
use serde_json::Value;

/// The faults to try: those that always hang. Only those in `sample` unless HANGSCOPE_TEST_ROUNDS is set.
fn faults(sample: [&str; 3]) -> impl Iterator<Item = &'static Fault> {
    let all = std::env::var_os("HANGSCOPE_TEST_ROUNDS").is_some();
    let hangs = |f: &&Fault| f.hangs == Hangs::Always && f.class.is_some_and(|class| class != "slow");
    FAULTS.iter().filter(hangs).filter(move |f| all || sample.contains(&f.name))
}

fn hunt(fault: &Fault, so: &Path, more: &[&str]) -> Hunt {
    let command = bench_with(&[fault.workload_args, more].concat());
    let options =
        ["--name", fault.name, "--runs", "1", "--hang-after", "2s", "--no-perf", "--verify-runs", "0"];
    Hunt::new(so, &options, fault.env, &command)
}

/// The hang of a hunt, and the evidence as text for the message of a failed test.
fn hang(hunt: &Hunt) -> (Value, String) {
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let verdict = hunt.verdict();
    let stacks = hunt.text("hang_run_1/stacks.txt");
    (verdict["hangs"][0].clone(), format!("{}\n{}\n{stacks}", verdict["evidence"], verdict["hangs"][0]))
}

#[test]
fn workers_that_block_every_signal() {
    for fault in faults(["owner_spinning", "deadlock_inversion", "runaway"]) {
        let hunt = hunt(fault, &built(&format!("examples/{}", fault.so)), &["--block-signals"]);
        let (hang, details) = hang(&hunt);
        assert_eq!(hang["class"], fault.class.expect("a class of hang"), "{}: {details}", fault.name);
        // The bundle holds the registers that were read from
        // outside. A new analysis of the bundle gives the same.
        let recorded = SavedDumps::read(&hunt.out().join("hang_run_1")).expect("a dump");
        let (_, again) = recorded.analyse(recorded.dumps.last().expect("a dump"));
        assert_eq!(
            again.class.as_str(),
            fault.class.expect("a class of hang"),
            "{}: {:?}",
            fault.name,
            again.said
        );
    }
}

#[test]
fn an_allocator_without_symbols() {
    for fault in faults(["owner_blocked", "deadlock_self", "livelock"]) {
        let dir = tempfile::tempdir().expect("a folder");
        let so = dir.path().join(fault.so);
        let original = built(&format!("examples/{}", fault.so));
        let stripped = run(Command::new("strip").arg("-s").arg("-o").arg(&so).arg(&original));
        assert!(stripped.status.success(), "{stripped:?}");
        let hunt = hunt(fault, &so, &[]);
        let (hang, details) = hang(&hunt);
        assert_eq!(hang["class"], fault.class.expect("a class of hang"), "{}: {details}", fault.name);
        // Exported symbols keep their names. Other symbols appear as the DSO and an offset.
        if let (Some(wanted), Some(got)) = (fault.lock_symbol, hang["lock"]["symbol"].as_str()) {
            let exported = std::iter::once(&wanted).chain(fault.also_locks).any(|s| *s == got);
            assert!(exported || got.contains(".so+0x"), "{}: {got}", fault.name);
        }
        // No line numbers are left, so the finding has none.
        if hang["hot"]["in_allocator"] == true {
            assert_eq!(hang["hot"]["source"], Value::Null, "{}: {details}", fault.name);
        }
    }
}
