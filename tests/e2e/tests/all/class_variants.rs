//! The faults of the typed table under two handicaps: workers that block every signal, and an allocator without
//! symbols. The class must be the same.
//!
//! Three faults of each here; all of them with `HANGSCOPE_TEST_ROUNDS` set (`scripts/soak.sh`).

use std::path::Path;
use std::process::Command;

use hangscope_collector::evidence::recorded::Recorded;
use hangscope_test_allocators::{FAULTS, Fault, Hangs};
use hangscope_test_e2e::hunt::{Hunt, bench_with};
use hangscope_test_e2e::{built, run};
use serde_json::Value;

/// The faults to be tried: those that always hang.
fn faults(sample: [&str; 3]) -> impl Iterator<Item = &'static Fault> {
    let all = std::env::var_os("HANGSCOPE_TEST_ROUNDS").is_some();
    let hangs = |f: &&Fault| f.hangs == Hangs::Always && f.class.is_some_and(|class| class != "slow");
    FAULTS.iter().filter(hangs).filter(move |f| all || sample.contains(&f.name))
}

fn hunt(fault: &Fault, so: &Path, more: &[&str]) -> Hunt {
    let command = bench_with(&[fault.workload_args, more].concat());
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let options =
        ["--name", fault.name, "--runs", "1", "--hang-after", "2s", "--no-perf", "--verify-runs", "0"];
    Hunt::new(so, &options, fault.env, &command)
}

/// The hang of a hunt, with all that was said, for a failed test.
fn hang(hunt: &Hunt) -> (Value, String) {
    assert_eq!(hunt.code(), 10, "{}", hunt.said());
    let verdict = hunt.verdict();
    let stacks = hunt.text("hang_run_1/stacks.txt");
    (verdict["hangs"][0].clone(), format!("{}\n{}\n{stacks}", verdict["evidence"], verdict["hangs"][0]))
}

#[test]
fn workers_that_block_every_signal() {
    for fault in faults(["owner_spinning", "deadlock_inversion", "runaway"]) {
        let hunt = hunt(fault, &built(&format!("examples/{}", fault.so)), &["--block-signals"]);
        let (hang, told) = hang(&hunt);
        assert_eq!(hang["class"], fault.class.expect("it hangs"), "{}: {told}", fault.name);
        // What the workers answered from outside is in the bundle: read again, it shows the same.
        let recorded = Recorded::read(&hunt.out().join("hang_run_1")).expect("a dump");
        let (_, again) = recorded.analyse(recorded.dumps.last().expect("a dump"));
        assert_eq!(again.class.as_str(), fault.class.expect("it hangs"), "{}: {:?}", fault.name, again.said);
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
        let (hang, told) = hang(&hunt);
        assert_eq!(hang["class"], fault.class.expect("it hangs"), "{}: {told}", fault.name);
        // What is exported keeps its name; for the rest there is the DSO and the address in it.
        if let (Some(wanted), Some(got)) = (fault.lock_symbol, hang["lock"]["symbol"].as_str()) {
            let exported = std::iter::once(&wanted).chain(fault.also_locks).any(|s| *s == got);
            assert!(exported || got.contains(".so+0x"), "{}: {got}", fault.name);
        }
        // No line is left, and none is made up; inside the allocator there is a name or an address.
        if hang["hot"]["in_allocator"] == true {
            assert_eq!(hang["hot"]["source"], Value::Null, "{}: {told}", fault.name);
        }
    }
}
