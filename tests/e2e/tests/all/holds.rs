//! Threads held by `--stir both:3`: the program does not notice. Its output and its exit status are the same,
//! and so are all registers, all flags and the stack around atomic instructions of the allocator that were
//! moved.

use std::path::{Path, PathBuf};
use std::process::Command;

use hangscope_test_e2e::hunt::Hunt;
use hangscope_test_e2e::{debian, output_parts, preload, run};
use serde_json::Value;

/// Compiles sources of this folder.
fn compile(to: PathBuf, compiler: &str, options: &[&str], sources: &[PathBuf]) -> PathBuf {
    let output = run(Command::new(compiler).args(options).args(sources).arg("-o").arg(&to));
    assert!(output.status.success(), "{compiler}: {}", String::from_utf8_lossy(&output.stderr));
    to
}

fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/holds").join(file)
}

/// Runs the command under the allocator, plainly and with threads held, and compares. Gives what was held: at
/// calls, and at instructions.
fn same(so: &Path, command: &[&str]) -> (u64, u64) {
    let (program, args) = command.split_first().expect("a program");
    let plain = run(Command::new(program).args(args).env("LD_PRELOAD", preload(Some(so))));
    let (status, stdout, stderr) = output_parts(&plain);
    let options = ["--stir", "both:3", "--stir-seed", "4", "--runs", "1", "--no-perf", "--verify-runs", "0"];
    let hunt = Hunt::new(so, &options, &[], command);
    let row: Value =
        serde_json::from_str(hunt.text("runs.jsonl").lines().next().expect("a run")).expect("JSON");
    let told = (&hunt.text("run_1.out"), &hunt.text("run_1.err"), &row["rc"], &row["signal"]);
    let wanted = (&stdout, &stderr, &Value::from(plain.status.code()), &Value::Null);
    assert_eq!(told, wanted, "{command:?} {status:?}: {row}\n{}", hunt.outputs());
    let held = |name: &str| row["holds"][name].as_u64().unwrap_or_else(|| panic!("{name}: {row}"));
    (held("at_calls"), held("at_sites"))
}

#[test]
fn registers_flags_and_the_stack_survive_around_instructions_in_odd_places() {
    let dir = tempfile::tempdir().expect("a folder");
    let so = dir.path().join("libodd.so");
    let options = ["-O2", "-fPIC", "-shared", "-DALLOCATOR", "-Wl,-Bsymbolic"];
    compile(so.clone(), "gcc", &options, &[source("odd.c")]);
    let path = format!("-Wl,-rpath,{}", dir.path().display());
    let sources = [source("compare.c"), source("odd.c"), so.clone()];
    let program = compile(dir.path().join("compare"), "gcc", &["-O2", &path], &sources);
    let (_, at_sites) = same(&so, &[&program.to_string_lossy(), "1"]);
    assert!(at_sites > 100, "{at_sites} holds");
}

#[test]
fn threads_signals_and_processes_are_as_without_holds() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = compile(dir.path().join("guest"), "g++", &["-O1", "-pthread"], &[source("guest.cc")]);
    let program = program.to_string_lossy();
    let (at_calls, at_sites) = same(&debian("libjemalloc.so.2"), &[&program]);
    assert!(at_calls > 10 && at_sites > 10, "{at_calls} and {at_sites} holds");
    // Nothing makes a call on the program's threads once it has a filter.
    for whose in ["one", "all"] {
        let (at_calls, at_sites) = same(&debian("libjemalloc.so.2"), &[&program, whose]);
        assert!(at_calls > 10 && at_sites > 10, "{whose}: {at_calls} and {at_sites} holds");
    }
}
