//! Runs the built command as a script would.

use std::process::{Command, Output};

fn bench(line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hangscope-bench"))
        .args(line.split_whitespace())
        .output()
        .expect("the benchmark starts")
}

fn field(line: &str, name: &str) -> f64 {
    let value = line.split_whitespace().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("{name} in {line:?}")).parse().expect("a number")
}

#[test]
fn the_last_line_has_the_figures() {
    let output = bench("3 20000 50 1 4096 50 65536");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}");
    let line = text.lines().last().expect("a line");
    assert_eq!((field(line, "threads"), field(line, "ops")), (3.0, 60_000.0));
    assert!(field(line, "remote") > 10_000.0, "{line}");
    let expected = field(line, "ops") / field(line, "seconds");
    assert!((field(line, "ops/s") / expected - 1.0).abs() < 0.01, "{line}");
    assert!(output.stderr.is_empty());
}

#[test]
fn one_thread_frees_everything_itself() {
    let output = bench("1 5000 10 16 16 100 8");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(field(text.lines().last().expect("a line"), "remote"), 0.0);
}

#[test]
fn the_habits_do_not_keep_it_from_ending() {
    for flags in ["--spin-wait-at-end", "--block-signals", "--fork-child"] {
        let output = bench(&format!("2 20000 50 16 2048 50 64 {flags}"));
        assert!(output.status.success(), "{flags}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1, "{flags}");
    }
}

#[test]
fn wrong_usage_is_one_line_and_exit_status_2() {
    for line in ["", "1 2 3", "1 2 3 4 5 6 7 --what", "x 2 3 4 5 6 7"] {
        let output = bench(line);
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{line}: {text}");
        assert_eq!(text.lines().count(), 1, "{line}: {text}");
        assert!(text.starts_with("hangscope-bench: "), "{text}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn help_names_every_flag() {
    let output = bench("--help");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success());
    for word in [
        "THREADS",
        "RING-SLOTS",
        "--spin-wait-at-end",
        "--barrier-short",
        "--stuck-loop-outside",
        "--block-signals",
        "--fork-child",
    ] {
        assert!(text.contains(word), "{word}");
    }
}
