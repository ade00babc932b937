//! Real hunts of every faulty allocator of the table. Class, lock, owner, culprit and verdict must be those
//! of the table. Tids and addresses must be those that the allocator itself wrote.
//!
//! `HANGSCOPE_TEST_ROUNDS=3` hunts each allocator three times in a row (`scripts/soak.sh`).
//! `HANGSCOPE_TEST_RECORD=DIR` keeps the recording of each finding, for `collector/tests/recorded`.

use std::path::Path;

use hangscope_collector::evidence::saved::SavedDumps;
use hangscope_test_allocators::{FAULTS, Fault, Hangs, truth};
use hangscope_test_e2e::cores;
use hangscope_test_e2e::hunt::{Hunt, bench_with, culprit_is_in};
use hangscope_test_e2e::{pages, record};
use serde_json::Value;

fn rounds() -> usize {
    std::env::var("HANGSCOPE_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// Makes one hunt of one run, and lists the differences between its finding and the table.
fn differences(fault: &Fault) -> Vec<String> {
    let so = hangscope_test_e2e::built(&format!("examples/{}", fault.so));
    let notes = tempfile::tempdir().expect("a folder");
    let truth_file = notes.path().join("truth");
    let mut env = fault.env.to_vec();
    let truth_path = truth_file.to_str().expect("text").to_owned();
    env.push(("FAULT_TRUTH", &truth_path));
    let command = bench_with(fault.workload_args);
    let usual = [
        "--name",
        fault.name,
        "--runs",
        "1",
        "--hang-after",
        "2s",
        "--no-perf",
        "--verify-runs",
        "0",
        "--core",
    ];
    let hunt = Hunt::new(&so, &usual, &env, &command);
    let verdict = hunt.verdict();
    let mut wrong = vec![];
    let mut expect = |what: &str, wanted: &Value, got: &Value| {
        if wanted != got {
            wrong.push(format!("{what}: wanted {wanted}, got {got}"));
        }
    };
    expect("verdict", &fault.verdict.into(), &verdict["verdict"]);
    expect("letter", &fault.letter.into(), &verdict["letter"]);
    let hang = &verdict["hangs"][0];
    let Some(class) = fault.class else {
        expect("hung", &0.into(), &verdict["runs"]["hung"]);
        return wrong;
    };
    if class == "slow" {
        // A slow run is not a hang. Its finding is in the folder of the run.
        expect("slow", &1.into(), &verdict["runs"]["slow"]);
        expect("hung", &0.into(), &verdict["runs"]["hung"]);
        let threads = threads_of(&hunt, "slow_run_1");
        expect("class", &class.into(), &threads["finding"]["class"]);
        expect("the same again", &threads["finding"], &replayed(&hunt, "slow_run_1", fault.name));
        wrong.extend(core_differences(&hunt, "slow_run_1", class));
        return wrong;
    }
    expect("class", &class.into(), &hang["class"]);
    if let Some(symbol) = fault.lock_symbol {
        let got = &hang["lock"]["symbol"];
        let any = std::iter::once(symbol).chain(fault.also_locks.iter().copied()).any(|s| got == s);
        expect(&format!("lock symbol {symbol} ({got})"), &true.into(), &any.into());
    }
    let snapshot = hang["snapshot"].as_str().unwrap_or_default();
    pages::keep(fault.name, &hunt.out().join(snapshot));
    if fault.name == "owner_spinning" {
        pages::keep("hunt", &hunt.out());
    }
    let threads = threads_of(&hunt, snapshot);
    expect("the same again", &threads["finding"], &replayed(&hunt, snapshot, fault.name));
    if let Some(function) = fault.culprit_function {
        expect("culprit", &true.into(), &culprit_is_in(fault, function, &threads, hang).into());
    }
    // The allocator wrote these lines just before the fault.
    let pid = hang["pid"].as_u64().unwrap_or(0) as u32;
    let truths = truth::read(&truth_file).expect("the truth");
    for line in truths.iter().filter(|l| l.role == "owner") {
        if fault.owner_known && line.pid == pid && fault.also_locks.is_empty() {
            expect("owner's tid", &line.tid.into(), &hang["lock"]["owner_tid"]);
            if let Some(lock) = line.lock {
                expect("lock's address", &format!("{lock:#x}").into(), &hang["lock"]["address"]);
            }
        }
    }
    // If several threads wrote that they are the culprit, the finding may name any of them. In a lost
    // wakeup, all threads wait alike, and no thread is the culprit.
    let culprits: Vec<Value> =
        truths.iter().filter(|l| l.role == "culprit" && l.pid == pid).map(|l| l.tid.into()).collect();
    if let [culprit] = &culprits[..]
        && class != "lost-wakeup"
    {
        expect("culprit's tid", culprit, &hang["hot"]["tid"]);
    }
    wrong.extend(core_differences(&hunt, snapshot, class));
    if !wrong.is_empty() {
        wrong.push(format!("why: {}", verdict["evidence"]));
        wrong.push(format!("hang: {hang}"));
        wrong.push(format!("truth: {truths:?}"));
        wrong.push(hunt.text(&format!("{}/stacks.txt", hang["snapshot"].as_str().unwrap_or("hang_run_1"))));
    }
    wrong
}

/// Analyses the core of a hang. One moment shows less than two looks: its class is that of the live process
/// or `unknown`, never another, and never proven. gdb must find the same frames in it.
fn core_differences(hunt: &Hunt, snapshot: &str, class: &str) -> Vec<String> {
    let packed = hunt.out().join(snapshot).join("core.zst");
    let (output, threads) = cores::snap(&packed, &hunt.dir.path().join("snap"), &[]);
    let finding = &threads["finding"];
    let mut wrong = vec![];
    if ![class, "unknown"].iter().any(|class| finding["class"] == *class) || finding["confidence"] != "likely"
    {
        wrong.push(format!("the core's finding: {finding}, {output:?}"));
    }
    let size = std::fs::metadata(&packed).map_or(0, |meta| meta.len());
    let core = cores::unpack(&packed);
    wrong.extend(cores::differences(&threads, &cores::gdb(&hangscope_test_e2e::bench(), &core)));
    println!("core: {class} live, {} from its core of {size} bytes", finding["class"]);
    wrong
}

fn threads_of(hunt: &Hunt, snapshot: &str) -> Value {
    serde_json::from_str(&hunt.text(&format!("{snapshot}/threads.json"))).expect("threads.json is JSON")
}

/// Analyses the bundle's recording alone, without the bundle and without the files of the process.
fn replayed(hunt: &Hunt, snapshot: &str, name: &str) -> Value {
    let alone = tempfile::tempdir().expect("a folder");
    let recording = alone.path().join("one.json.gz");
    std::fs::copy(hunt.out().join(snapshot).join(hangscope_collector::evidence::recording::FILE), &recording)
        .expect("the bundle has a recording");
    if let Some(dir) = std::env::var_os("HANGSCOPE_TEST_RECORD") {
        record::keep(&recording, &Path::new(&dir).join(format!("{name}.json.gz")), hunt);
    }
    let recorded = SavedDumps::read(&recording).expect("a recording");
    let (_, finding) = recorded.analyse(&recorded.dumps[0]);
    // The finding goes through text like the one in threads.json,
    // so that both have their numbers rounded alike.
    serde_json::from_str(&serde_json::to_string(&finding).expect("a finding is JSON")).expect("JSON")
}

fn check(name: &str) {
    let fault = Fault::named(name);
    for round in 1..=rounds() {
        let wrong = differences(fault);
        assert!(wrong.is_empty(), "{name}, round {round}:\n{}", wrong.join("\n"));
    }
}

macro_rules! classes {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn every_row_of_the_table_is_tried() {
            // Other tests hunt the allocators that hang only sometimes, or only when their file changes.
            let elsewhere = ["demo", "counted", "natural_race", "overwritten_only"];
            let tried = [$(stringify!($name)),*];
            for fault in FAULTS {
                assert!(tried.contains(&fault.name) != elsewhere.contains(&fault.name), "{}", fault.name);
                assert!(!elsewhere.contains(&fault.name) || !matches!(fault.hangs, Hangs::Always | Hangs::Never));
            }
        }
    };
}

classes! {
    healthy tripwire owner_spinning owner_blocked owner_stopped owner_gone owner_gone_fork deadlock_inversion
    deadlock_self lost_wakeup cond_never_signalled spin_wait livelock runaway runaway_while_others_spin kernel_wait
    slow barrier_short stuck_loop
}
